package adv

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/proto"

	"github.com/dannsalud/broadcaster/wasim/internal/signal"
)

func TestMain(m *testing.M) {
	signal.Quiet()
	m.Run()
}

func qr(fields ...string) string { return strings.Join(fields, ",") }

func key(fill byte) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(fill), 32)))
}

func TestParseQR(t *testing.T) {
	t.Parallel()
	want := Offer{Ref: "2@ref", Noise: [32]byte([]byte(strings.Repeat("n", 32))), Identity: [32]byte([]byte(strings.Repeat("i", 32))),
		Secret: []byte(strings.Repeat("s", 32))}
	for _, text := range []string{
		qr("2@ref", key('n'), key('i'), key('s')),
		qr("https://wa.me/settings/linked_devices#2@ref", key('n'), key('i'), key('s'), "1"),
	} {
		got, err := ParseQR(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, text := range []string{"", "a,b,c", qr("r", key('n'), key('i'), "?"), qr("r", "AAAA", key('i'), key('s'))} {
		if _, err := ParseQR(text); !errors.Is(err, ErrQR) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseQR(f *testing.F) {
	f.Add(qr("2@ref", key('n'), key('i'), key('s')))
	f.Fuzz(func(t *testing.T, text string) {
		if offer, err := ParseQR(text); err == nil && len(offer.Secret) != 32 {
			t.Errorf("a secret of %d bytes", len(offer.Secret))
		}
	})
}

// answer is what a companion returns for a signed identity (whatsmeow pair.go handlePair).
func answer(t *testing.T, container []byte, companion *keys.KeyPair) []byte {
	t.Helper()
	var outer waAdv.ADVSignedDeviceIdentityHMAC
	var identity waAdv.ADVSignedDeviceIdentity
	if err := proto.Unmarshal(container, &outer); err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(outer.GetDetails(), &identity); err != nil {
		t.Fatal(err)
	}
	message := append([]byte{6, 1}, identity.GetDetails()...)
	message = append(append(message, companion.Pub[:]...), identity.GetAccountSignatureKey()...)
	signature := ecc.CalculateSignature(ecc.NewDjbECPrivateKey(*companion.Priv), message)
	identity.DeviceSignature, identity.AccountSignatureKey = signature[:], nil
	raw, err := proto.Marshal(&identity)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestSignedIdentity(t *testing.T) {
	t.Parallel()
	phone, companion, stranger := keys.NewKeyPair(), keys.NewKeyPair(), keys.NewKeyPair()
	container, err := Sign(phone, *companion.Pub, []byte("secret"), Details{RawID: 1, KeyIndex: 2, Timestamp: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify(*phone.Pub, *companion.Pub, answer(t, container, companion)); err != nil {
		t.Errorf("the right answer: %v", err)
	}
	for name, wrong := range map[string]error{
		"another companion's signature": Verify(*phone.Pub, *companion.Pub, answer(t, container, stranger)),
		"another phone's identity":      Verify(*stranger.Pub, *companion.Pub, answer(t, container, companion)),
		"nothing":                       Verify(*phone.Pub, *companion.Pub, nil),
		"nonsense":                      Verify(*phone.Pub, *companion.Pub, []byte{0xff}),
	} {
		if wrong == nil {
			t.Errorf("accepted %s", name)
		}
	}
}

func TestCodeExchangeRefusesNonsense(t *testing.T) {
	t.Parallel()
	if _, _, err := AnswerCode("ABCD-EFGH", []byte("short")); err == nil {
		t.Error("a short key was taken")
	}
	exchange := &CodeExchange{shared: make([]byte, 32)}
	phone := keys.NewKeyPair()
	if _, err := exchange.Open([]byte("short"), phone, *phone.Pub); err == nil || errors.Is(err, ErrWrongCode) {
		t.Errorf("a short bundle: %v", err)
	}
	if _, err := exchange.Open(make([]byte, 156), phone, *phone.Pub); !errors.Is(err, ErrWrongCode) {
		t.Errorf("a bundle of another code: %v", err)
	}
}

func TestPasskeyExchangeRefusesNonsense(t *testing.T) {
	t.Parallel()
	if _, err := ReadPrologue([]byte{0xff}, nil, nil); err == nil {
		t.Error("an unreadable prologue was taken")
	}
	if _, err := ReadPrologue(nil, []byte("proof"), make([]byte, 32)); err == nil {
		t.Error("a wrong hand-off proof was taken")
	}
	exchange, err := ReadPrologue(nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := exchange.TakeNonce([]byte("nonce")); err == nil || exchange.Code() != "" {
		t.Error("a nonce without a commitment was taken")
	}
	if _, err := exchange.Open(nil); err == nil {
		t.Error("an empty pairing request was opened")
	}
}
