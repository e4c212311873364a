package signal

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/libsignal/keys/chain"
	"go.mau.fi/libsignal/keys/message"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/libsignal/util/optional"
)

var (
	ana = Address{User: 4915112345678}
	bob = Address{User: 525512345678, Device: 3}
)

func TestMain(m *testing.M) {
	Quiet()
	m.Run()
}

// two gives two devices; Ana has Bob's bundle.
func two(t testing.TB, withOneTime bool) (anas, bobs *Device) {
	t.Helper()
	secret := &[32]byte{7}
	anas, bobs = NewDevice(secret, ana.User, ana.Device), NewDevice(secret, bob.User, bob.Device)
	if err := anas.Establish(t.Context(), bob, bobs.Bundle(withOneTime)); err != nil {
		t.Fatal(err)
	}
	return anas, bobs
}

type sealed struct {
	kind string
	body []byte
}

func seal(t testing.TB, from *Device, to Address, text string) sealed {
	t.Helper()
	kind, body, err := from.Encrypt(t.Context(), to, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return sealed{kind, body}
}

func open(t testing.TB, by *Device, from Address, letter sealed) string {
	t.Helper()
	body, err := by.Decrypt(t.Context(), from, letter.kind, letter.body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestConversation(t *testing.T) {
	t.Parallel()
	for name, withOneTime := range map[string]bool{"with one-time prekey": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			anas, bobs := two(t, withOneTime)
			for i := range 3 {
				letter := seal(t, anas, bob, fmt.Sprint("hello ", i))
				if letter.kind != PreKeyMessage {
					t.Errorf("message %d before any answer is a %s", i, letter.kind)
				}
				if got := open(t, bobs, ana, letter); got != fmt.Sprint("hello ", i) {
					t.Errorf("message %d: %q", i, got)
				}
			}
			answer := seal(t, bobs, ana, "answer")
			if got := open(t, anas, bob, answer); got != "answer" || answer.kind != Message {
				t.Errorf("%s %q", answer.kind, got)
			}
			if settled := seal(t, anas, bob, "settled"); settled.kind != Message || open(t, bobs, ana, settled) != "settled" {
				t.Error("the session did not settle")
			}
		})
	}
}

func TestOrderDoesNotMatterAndRepeatsAreKnown(t *testing.T) {
	t.Parallel()
	anas, bobs := two(t, true)
	letters := []sealed{seal(t, anas, bob, "0"), seal(t, anas, bob, "1"), seal(t, anas, bob, "2")}
	for _, i := range []int{2, 0, 1} {
		if got := open(t, bobs, ana, letters[i]); got != fmt.Sprint(i) {
			t.Errorf("%q, want %d", got, i)
		}
		if _, err := bobs.Decrypt(t.Context(), ana, letters[i].kind, letters[i].body); !errors.Is(err, ErrOld) {
			t.Errorf("repeat of %d: %v", i, err)
		}
	}
}

func TestForgottenSessionCannotBeRead(t *testing.T) {
	t.Parallel()
	anas, bobs := two(t, true)
	open(t, bobs, ana, seal(t, anas, bob, "hello"))
	open(t, anas, bob, seal(t, bobs, ana, "answer"))
	bobs.Forget(ana)
	lost := seal(t, anas, bob, "lost")
	if _, err := bobs.Decrypt(t.Context(), ana, lost.kind, lost.body); err == nil || bobs.HasSession(ana) {
		t.Errorf("read without a session: %v", err)
	}
	if _, _, err := bobs.Encrypt(t.Context(), ana, nil); err == nil {
		t.Error("encrypted without a session")
	}
	if err := anas.Establish(t.Context(), bob, bobs.Bundle(true)); err != nil {
		t.Fatal(err)
	}
	if got := open(t, bobs, ana, seal(t, anas, bob, "again")); got != "again" {
		t.Errorf("got %q", got)
	}
}

func TestDeviceMadeAnewReadsTheFirstMessageAgain(t *testing.T) {
	t.Parallel()
	anas, _ := two(t, true)
	letter := seal(t, anas, bob, "hello")
	anew := NewDevice(&[32]byte{7}, bob.User, bob.Device)
	if got := open(t, anew, ana, letter); got != "hello" {
		t.Errorf("got %q", got)
	}
}

func TestForgedBundleIsRefused(t *testing.T) {
	t.Parallel()
	anas, bobs := two(t, true)
	bundle := bobs.Bundle(false)
	bundle.Signed.Signature[0] ^= 1
	if err := anas.Establish(t.Context(), Address{User: 1}, bundle); err == nil {
		t.Error("a bundle with a wrong signature was taken")
	}
	if _, err := bobs.Decrypt(t.Context(), ana, "skmsg", nil); err == nil {
		t.Error("an unknown kind was read")
	}
}

func TestDevicesDiffer(t *testing.T) {
	t.Parallel()
	secret := &[32]byte{7}
	one, other := NewDevice(secret, 1, 0), NewDevice(secret, 1, 1)
	first, second := one.Bundle(true).OneTime.Key, one.Bundle(true).OneTime.Key
	if *one.Identity().Pub == *other.Identity().Pub || first == second {
		t.Error("two devices or two one-time prekeys have the same key")
	}
	if *one.Identity().Pub != *NewDevice(secret, 1, 0).Identity().Pub {
		t.Error("a device made anew has another identity")
	}
}

func TestPackedSessionsSurvive(t *testing.T) {
	t.Parallel()
	links := func(index uint32) *record.ChainStructure {
		return &record.ChainStructure{
			SenderRatchetKeyPublic: []byte{5, 1}, SenderRatchetKeyPrivate: []byte{2},
			ChainKey:    &chain.KeyStructure{Key: []byte{3, 4}, Index: index},
			MessageKeys: []*message.KeysStructure{{CipherKey: []byte{1}, MacKey: []byte{2}, IV: []byte{3}, Index: 300}},
		}
	}
	state := func(version int, pending *record.PendingPreKeyStructure) *record.StateStructure {
		return &record.StateStructure{
			LocalIdentityPublic: []byte{5, 9}, RemoteIdentityPublic: []byte{5, 8}, RootKey: []byte{1, 2, 3}, SenderBaseKey: []byte{5},
			LocalRegistrationID: 16000, RemoteRegistrationID: 1, PreviousCounter: 70000, NeedsRefresh: true, SessionVersion: version,
			PendingPreKey: pending, SenderChain: links(1), ReceiverChains: []*record.ChainStructure{links(2), links(3)},
		}
	}
	want := &record.SessionStructure{
		SessionState: state(3, &record.PendingPreKeyStructure{
			PreKeyID: optional.NewOptionalUint32(77), SignedPreKeyID: 1, BaseKey: []byte{5, 5},
		}),
		PreviousStates: []*record.StateStructure{
			state(2, nil),
			state(3, &record.PendingPreKeyStructure{PreKeyID: optional.NewEmptyUint32(), SignedPreKeyID: 2, BaseKey: []byte{5}}),
		},
	}
	got, err := packed{}.Deserialize(packed{}.Serialize(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	one, err := packedState{}.Deserialize(packedState{}.Serialize(want.SessionState))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.SessionState, one); diff != "" {
		t.Error(diff)
	}
}

func FuzzPackedSession(f *testing.F) {
	secret := &[32]byte{7}
	anas, bobs := NewDevice(secret, ana.User, 0), NewDevice(secret, bob.User, 3)
	if err := anas.Establish(f.Context(), bob, bobs.Bundle(true)); err != nil {
		f.Fatal(err)
	}
	f.Add(anas.sessions[0].record)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		session, err := packed{}.Deserialize(raw)
		if err != nil {
			return
		}
		again, err := packed{}.Deserialize(packed{}.Serialize(session))
		if err != nil || !cmp.Equal(session, again) {
			t.Errorf("%v: a session changed when it was written and read: %s", err, cmp.Diff(session, again))
		}
	})
}

func FuzzUnpad(f *testing.F) {
	f.Add([]byte("hello\x02\x02"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if plain, err := unpad(raw); err == nil && len(plain) >= len(raw) {
			t.Errorf("%d bytes of %d are left", len(plain), len(raw))
		}
		if plain, err := unpad(pad(raw)); err != nil || !bytes.Equal(plain, raw) {
			t.Errorf("padding did not come off: %v", err)
		}
	})
}
