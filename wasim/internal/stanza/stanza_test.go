package stanza

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow/types"
)

func TestEveryNumberHasOneLID(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	numbers := []uint64{1000000, 4915112345678, 999999999999999}
	for range 10000 {
		numbers = append(numbers, 1+random.Uint64N(999999999999999))
	}
	for _, number := range numbers {
		lid := LID(number, 3)
		if back, ok := Number(lid); !ok || back != number || lid.Device != 3 || lid.Server != types.HiddenUserServer {
			t.Fatalf("number %d has LID %v, whose number is %d", number, lid, back)
		}
		if back, ok := Number(PN(number, 0)); !ok || back != number {
			t.Fatalf("number %d: %d", number, back)
		}
	}
}

func TestJIDsThatAreNobody(t *testing.T) {
	t.Parallel()
	for _, jid := range []types.JID{
		{}, types.ServerJID, types.NewJID("123", types.GroupServer), types.NewJID("abc", types.DefaultUserServer),
		types.NewJID("0", types.DefaultUserServer), types.NewJID("9999999999999999999", types.HiddenUserServer), types.StatusBroadcastJID,
	} {
		if number, ok := Number(jid); ok {
			t.Errorf("%v is number %d", jid, number)
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	f.Add("+49 (151) 123-456.78")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		number, err := ParseNumber(text)
		if err != nil {
			if !errors.Is(err, ErrNumber) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if again, err := ParseNumber(FormatNumber(number)); err != nil || again != number {
			t.Errorf("%q is %d, then %d, %v", text, number, again, err)
		}
	})
}

func TestContentThatLooksLikeDigits(t *testing.T) {
	t.Parallel()
	sent := Node{Tag: "iq", Attrs: Attrs{"id": "1", "to": types.ServerJID, "n": 7}, Content: []Node{{Tag: "digits", Content: "123"},
		{Tag: "text", Content: "hello"}, {Tag: "nodes", Content: []Node{{Tag: "x"}}}}}
	frame, err := Encode(sent)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(frame)
	if err != nil {
		t.Fatal(err)
	}
	contents := []string{string(ChildBytes(got, "digits")), string(ChildBytes(got, "text")), string(ChildBytes(got, "nodes"))}
	if diff := cmp.Diff([]string{"123", "hello", ""}, contents); diff != "" {
		t.Error(diff)
	}
	if Int(got, "n") != 7 || Int(got, "to") != 0 || Text(got, "to") != "s.whatsapp.net" || Text(got, "none") != "" || !JID(got, "id").IsEmpty() {
		t.Errorf("attributes of %s", got)
	}
	if first, none := First(got), First(&Node{}); first.Tag != "digits" || none.Tag != "" {
		t.Errorf("first %v, none %v", first, none)
	}
}

// FuzzDecode reads what a client may send in place of a stanza.
func FuzzDecode(f *testing.F) {
	frame, err := Encode(Node{Tag: "iq", Attrs: Attrs{"id": "1", "to": types.ServerJID}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame)
	f.Add([]byte{0})
	f.Add([]byte{0, 248, 255})
	f.Fuzz(func(t *testing.T, frame []byte) {
		node, err := Decode(frame)
		if err == nil && node == nil {
			t.Error("neither a stanza nor an error")
		}
	})
}
