package noise

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"

	"go.mau.fi/whatsmeow/proto/waWa6"
	"google.golang.org/protobuf/proto"
)

// MaxFrame is the largest body of a frame in bytes; its length has three bytes on the wire.
const MaxFrame = 1<<24 - 1

// ErrNotWhatsApp is returned when the first bytes of a connection are not WhatsApp's prologue.
var ErrNotWhatsApp = errors.New("the connection does not start with WhatsApp's prologue")

// Messages carries whole binary messages, as a websocket does.
type Messages interface {
	ReadMessage(ctx context.Context) ([]byte, error)
	WriteMessage(ctx context.Context, message []byte) error
}

// Peer is who connected.
type Peer struct {
	// Static is the client's static Noise key: the key of its account at login.
	Static [32]byte
	// Payload is the encoded waWa6.ClientPayload.
	Payload []byte
}

// Conn is an encrypted connection. One goroutine may read while another writes; each direction has one user at a time.
type Conn struct {
	messages Messages
	unread   []byte
	started  bool

	receive, send           cipher.AEAD
	receiveCount, sendCount uint32
}

// Accept runs the responder's side of the handshake over a fresh connection.
func Accept(ctx context.Context, messages Messages, identity *Identity) (*Conn, Peer, error) {
	conn := &Conn{messages: messages}
	state := newSymmetric()
	ephemeral, err := conn.hello(ctx, state, identity)
	if err != nil {
		return nil, Peer{}, err
	}
	peer, err := conn.finish(ctx, state, ephemeral)
	if err != nil {
		return nil, Peer{}, err
	}
	if conn.receive, conn.send, err = state.split(); err != nil {
		return nil, Peer{}, err
	}
	return conn, peer, nil
}

// hello reads the client's hello and answers it.
func (c *Conn) hello(ctx context.Context, state *symmetric, identity *Identity) (*ecdh.PrivateKey, error) {
	message, err := c.readHandshake(ctx)
	if err != nil {
		return nil, fmt.Errorf("read client hello: %w", err)
	}
	client, err := ecdh.X25519().NewPublicKey(message.GetClientHello().GetEphemeral())
	if err != nil {
		return nil, fmt.Errorf("read client hello: %w", err)
	}
	state.mixHash(client.Bytes())

	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make ephemeral key: %w", err)
	}
	state.mixHash(ephemeral.PublicKey().Bytes())
	if err := state.mixKey(ephemeral, client); err != nil {
		return nil, err
	}
	static := state.encrypt(identity.static.PublicKey().Bytes())
	if err := state.mixKey(identity.static, client); err != nil {
		return nil, err
	}
	return ephemeral, c.writeHandshake(ctx, &waWa6.HandshakeMessage{ServerHello: &waWa6.HandshakeMessage_ServerHello{
		Ephemeral: ephemeral.PublicKey().Bytes(),
		Static:    static,
		Payload:   state.encrypt(identity.chain),
	}})
}

// finish reads the client's static key and payload.
func (c *Conn) finish(ctx context.Context, state *symmetric, ephemeral *ecdh.PrivateKey) (Peer, error) {
	message, err := c.readHandshake(ctx)
	if err != nil {
		return Peer{}, fmt.Errorf("read client finish: %w", err)
	}
	raw, err := state.decrypt(message.GetClientFinish().GetStatic())
	if err != nil {
		return Peer{}, fmt.Errorf("decrypt client static key: %w", err)
	}
	static, err := ecdh.X25519().NewPublicKey(raw)
	if err != nil {
		return Peer{}, fmt.Errorf("read client static key: %w", err)
	}
	if err := state.mixKey(ephemeral, static); err != nil {
		return Peer{}, err
	}
	payload, err := state.decrypt(message.GetClientFinish().GetPayload())
	if err != nil {
		return Peer{}, fmt.Errorf("decrypt client payload: %w", err)
	}
	return Peer{Static: [32]byte(raw), Payload: payload}, nil
}

// Read returns the next decrypted frame.
func (c *Conn) Read(ctx context.Context) ([]byte, error) {
	frame, err := c.readFrame(ctx)
	if err != nil {
		return nil, err
	}
	plaintext, err := c.receive.Open(frame[:0], nonce(c.receiveCount), frame, nil)
	if err != nil {
		return nil, fmt.Errorf("decrypt frame %d: %w", c.receiveCount, err)
	}
	c.receiveCount++
	return plaintext, nil
}

// Write encrypts one frame and sends it as one message.
func (c *Conn) Write(ctx context.Context, plaintext []byte) error {
	const header = 3
	size := len(plaintext) + c.send.Overhead()
	if size > MaxFrame {
		return fmt.Errorf("a frame of %d bytes is over the limit of %d", size, MaxFrame)
	}
	message := make([]byte, header, header+size)
	putLength(message, size)
	message = c.send.Seal(message, nonce(c.sendCount), plaintext, nil)
	c.sendCount++
	return c.messages.WriteMessage(ctx, message)
}

func (c *Conn) readHandshake(ctx context.Context) (*waWa6.HandshakeMessage, error) {
	frame, err := c.readFrame(ctx)
	if err != nil {
		return nil, err
	}
	message := &waWa6.HandshakeMessage{}
	return message, proto.Unmarshal(frame, message)
}

func (c *Conn) writeHandshake(ctx context.Context, message *waWa6.HandshakeMessage) error {
	body, err := proto.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode handshake message: %w", err)
	}
	frame := make([]byte, 3, 3+len(body))
	putLength(frame, len(body))
	return c.messages.WriteMessage(ctx, append(frame, body...))
}

// readFrame returns the next frame's body; a message may hold several frames, or a part of one.
func (c *Conn) readFrame(ctx context.Context) ([]byte, error) {
	for {
		if frame, ok := c.cutFrame(); ok {
			return frame, nil
		}
		message, err := c.messages.ReadMessage(ctx)
		if err != nil {
			return nil, err
		}
		c.unread = append(c.unread, message...)
		if err := c.cutPrologue(); err != nil {
			return nil, err
		}
	}
}

func (c *Conn) cutPrologue() error {
	if c.started || len(c.unread) < len(prologue) {
		return nil
	}
	rest, found := bytes.CutPrefix(c.unread, prologue)
	if !found {
		return ErrNotWhatsApp
	}
	c.unread, c.started = rest, true
	return nil
}

func (c *Conn) cutFrame() ([]byte, bool) {
	if !c.started || len(c.unread) < 3 {
		return nil, false
	}
	size := int(c.unread[0])<<16 | int(c.unread[1])<<8 | int(c.unread[2])
	if len(c.unread) < 3+size {
		return nil, false
	}
	frame := bytes.Clone(c.unread[3 : 3+size])
	c.unread = append(c.unread[:0], c.unread[3+size:]...)
	return frame, true
}

func putLength(frame []byte, size int) {
	frame[0], frame[1], frame[2] = byte(size>>16), byte(size>>8), byte(size)
}
