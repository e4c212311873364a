package noise

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/proto/waCert"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/socket"
	"go.mau.fi/whatsmeow/util/keys"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/dannsalud/broadcaster/wasim/internal/signal"
)

func TestMain(m *testing.M) {
	signal.Quiet()
	goleak.VerifyTestMain(m)
}

// wire is the messages between a client and the server.
type wire struct {
	toServer, toClient chan []byte
}

func newWire() *wire { return &wire{toServer: make(chan []byte, 16), toClient: make(chan []byte, 16)} }

func (w *wire) ReadMessage(ctx context.Context) ([]byte, error) {
	select {
	case message, open := <-w.toServer:
		if !open {
			return nil, io.EOF
		}
		return message, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *wire) WriteMessage(_ context.Context, message []byte) error {
	w.toClient <- message
	return nil
}

func newIdentity(t testing.TB) (*Root, *Identity) {
	t.Helper()
	root, err := NewRoot()
	if err != nil {
		t.Fatal(err)
	}
	identity, err := root.Issue()
	if err != nil {
		t.Fatal(err)
	}
	return root, identity
}

func frame(body []byte) []byte {
	framed := make([]byte, 3+len(body))
	putLength(framed, len(body))
	copy(framed[3:], body)
	return framed
}

// hello starts the client's half with whatsmeow's own handshake state.
func hello(t testing.TB) (*socket.NoiseHandshake, *keys.KeyPair, []byte) {
	t.Helper()
	state, ephemeral := socket.NewNoiseHandshake(), keys.NewKeyPair()
	state.Start(socket.NoiseStartPattern, socket.WAConnHeader)
	state.Authenticate(ephemeral.Pub[:])
	body, err := proto.Marshal(&waWa6.HandshakeMessage{ClientHello: &waWa6.HandshakeMessage_ClientHello{Ephemeral: ephemeral.Pub[:]}})
	if err != nil {
		t.Fatal(err)
	}
	return state, ephemeral, body
}

// finish ends the client's half and gives the certificate chain that it was shown.
func finish(t testing.TB, w *wire, state *socket.NoiseHandshake, ephemeral, static *keys.KeyPair, payload []byte) *waCert.CertChain {
	t.Helper()
	var message waWa6.HandshakeMessage
	if err := proto.Unmarshal((<-w.toClient)[3:], &message); err != nil {
		t.Fatal(err)
	}
	server := message.GetServerHello()
	state.Authenticate(server.GetEphemeral())
	check(t, state.MixSharedSecretIntoKey(*ephemeral.Priv, [32]byte(server.GetEphemeral())))
	serverStatic, err := state.Decrypt(server.GetStatic())
	check(t, err)
	check(t, state.MixSharedSecretIntoKey(*ephemeral.Priv, [32]byte(serverStatic)))
	certificates, err := state.Decrypt(server.GetPayload())
	check(t, err)
	var chain waCert.CertChain
	check(t, proto.Unmarshal(certificates, &chain))

	sealed := state.Encrypt(static.Pub[:])
	check(t, state.MixSharedSecretIntoKey(*static.Priv, [32]byte(server.GetEphemeral())))
	body, err := proto.Marshal(&waWa6.HandshakeMessage{ClientFinish: &waWa6.HandshakeMessage_ClientFinish{
		Static: sealed, Payload: state.Encrypt(payload),
	}})
	check(t, err)
	w.toServer <- frame(body)
	return &chain
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestHandshakeWithWhatsmeowsState(t *testing.T) {
	t.Parallel()
	root, identity := newIdentity(t)
	w := newWire()
	state, ephemeral, body := hello(t)
	opening := append(bytes.Clone(socket.WAConnHeader), frame(body)...)
	for _, part := range [][]byte{opening[:2], opening[2:9], opening[9:]} {
		w.toServer <- part
	}
	static := keys.NewKeyPair()
	type accepted struct {
		conn *Conn
		peer Peer
		err  error
	}
	done := make(chan accepted, 1)
	go func() {
		conn, peer, err := Accept(t.Context(), w, identity)
		done <- accepted{conn, peer, err}
	}()
	chain := finish(t, w, state, ephemeral, static, []byte("payload"))
	got := <-done
	check(t, got.err)
	if got.peer.Static != *static.Pub || string(got.peer.Payload) != "payload" {
		t.Errorf("peer %+v", got.peer)
	}
	var details waCert.CertChain_NoiseCertificate_Details
	check(t, proto.Unmarshal(chain.GetIntermediate().GetDetails(), &details))
	if !ecc.VerifySignature(ecc.NewDjbECPublicKey(root.PublicKey()), chain.GetIntermediate().GetDetails(),
		[64]byte(chain.GetIntermediate().GetSignature())) {
		t.Error("the root did not sign the intermediate certificate")
	}
	first, last := time.Unix(int64(details.GetNotBefore()), 0), time.Unix(int64(details.GetNotAfter()), 0)
	if first.After(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) || last.Before(time.Date(2099, 12, 31, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("valid from %v to %v", first, last)
	}
}

func TestWhatIsNoHandshake(t *testing.T) {
	t.Parallel()
	_, identity := newIdentity(t)
	_, _, body := hello(t)
	short, err := proto.Marshal(&waWa6.HandshakeMessage{ClientHello: &waWa6.HandshakeMessage_ClientHello{Ephemeral: []byte{1}}})
	check(t, err)
	rows := map[string]struct {
		opening []byte
		target  error
	}{
		"another protocol": {[]byte("GET / HTTP/1.1"), ErrNotWhatsApp},
		"nothing":          {nil, io.EOF},
		"short key":        {append(bytes.Clone(socket.WAConnHeader), frame(short)...), nil},
		"not a message":    {append(bytes.Clone(socket.WAConnHeader), frame([]byte("\xff\xff"))...), nil},
		"no finish":        {append(bytes.Clone(socket.WAConnHeader), frame(body)...), io.EOF},
		"wrong finish":     {append(append(bytes.Clone(socket.WAConnHeader), frame(body)...), frame(body)...), nil},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			if row.opening != nil {
				w.toServer <- row.opening
			}
			close(w.toServer)
			if _, _, err := Accept(t.Context(), w, identity); err == nil || row.target != nil && !errors.Is(err, row.target) {
				t.Errorf("accepted: %v", err)
			}
		})
	}
}

// pair gives two ends of a connection with the same keys: what one writes the other reads.
func pair(t testing.TB) (writer, reader *Conn, w *wire) {
	t.Helper()
	aead, err := newAEAD(make([]byte, 32))
	check(t, err)
	w = newWire()
	return &Conn{messages: w, send: aead}, &Conn{messages: w, receive: aead, started: true}, w
}

func TestFramesMayComeInAnyPieces(t *testing.T) {
	t.Parallel()
	writer, reader, w := pair(t)
	var all []byte
	for _, text := range []string{"one", "two", "three"} {
		check(t, writer.Write(t.Context(), []byte(text)))
		all = append(all, <-w.toClient...)
	}
	for _, piece := range [][]byte{all[:1], all[1:20], all[20 : len(all)-2], all[len(all)-2:]} {
		w.toServer <- piece
	}
	for _, want := range []string{"one", "two", "three"} {
		if got, err := reader.Read(t.Context()); err != nil || string(got) != want {
			t.Errorf("read %q, %v, want %q", got, err, want)
		}
	}
}

func TestChangedFramesAreRefused(t *testing.T) {
	t.Parallel()
	writer, reader, w := pair(t)
	check(t, writer.Write(t.Context(), []byte("one")))
	message := <-w.toClient
	message[len(message)-1] ^= 1
	w.toServer <- message
	if _, err := reader.Read(t.Context()); err == nil {
		t.Error("a changed frame was read")
	}
	if err := writer.Write(t.Context(), make([]byte, MaxFrame)); err == nil {
		t.Error("a frame that is too long was written")
	}
}
