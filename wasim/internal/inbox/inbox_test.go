package inbox

import (
	"fmt"
	"testing"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"
)

const peer = 4915112345678

func body(t *testing.T, message *waE2E.Message) []byte {
	t.Helper()
	raw, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func text(t *testing.T, content string) []byte {
	return body(t, &waE2E.Message{Conversation: proto.String(content)})
}

func TestLifeOfAMessage(t *testing.T) {
	t.Parallel()
	var box Inbox
	now := time.Now()
	steps := []struct {
		what string
		do   func() any
		want any
	}{
		{"never seen", func() any { return box.State(peer, "A", 0) }, Unknown},
		{"unreadable", func() any { return box.Wait(peer, "A", 0, now) }, 1},
		{"asked for", func() any { return box.State(peer, "A", 0) }, Waiting},
		{"unreadable again", func() any { return box.Wait(peer, "A", 0, now) }, 2},
		{"the other device reads it", func() any { return box.Put(Copy{Peer: peer, ID: "A", Device: 1, At: now, Body: text(t, "x")}, true) }, Arrival{First: true}},
		{"still asked for", func() any { return box.State(peer, "A", 0) }, Waiting},
		{"readable", func() any { return box.Put(Copy{Peer: peer, ID: "A", Device: 0, At: now, Body: text(t, "x")}, true) }, Arrival{}},
		{"there", func() any { return box.State(peer, "A", 0) }, Known},
		{"another sender's", func() any { return box.State(1, "A", 0) }, Unknown},
		{"same content", func() any { return box.Put(Copy{Peer: peer, ID: "B", Device: 0, At: now, Body: text(t, "x")}, true) }, Arrival{First: true, Duplicate: true}},
		{"same content of another", func() any { return box.Put(Copy{Peer: 1, ID: "C", Device: 0, At: now, Body: text(t, "x")}, true) }, Arrival{First: true}},
	}
	for _, step := range steps {
		if got := step.do(); got != step.want {
			t.Errorf("%s: %+v, want %+v", step.what, got, step.want)
		}
	}
	box.Repeat(peer, "A")
	box.Repeat(peer, "nobody's")
	if entry := box.Find(peer, "A"); entry.Repeats != 1 || entry.Devices != 3 || entry.Attempts != 2 {
		t.Errorf("entry %+v", entry)
	}
	if box.Len() != 3 {
		t.Errorf("%d messages", box.Len())
	}
}

// TestLargeInboxBehavesAsASmallOne: an inbox changes how it finds messages when it grows.
func TestLargeInboxBehavesAsASmallOne(t *testing.T) {
	t.Parallel()
	var box Inbox
	duplicates := 0
	for i := range 10 * indexFrom {
		id := fmt.Sprint("M", i)
		if i%3 == 0 {
			box.Wait(peer, id, 0, time.Now())
		}
		arrival := box.Put(Copy{Peer: peer, ID: id, Device: 0, At: time.Now(), Body: text(t, fmt.Sprint(i%(indexFrom*5)))}, false)
		if !arrival.First {
			t.Errorf("%s was there before", id)
		}
		if arrival.Duplicate {
			duplicates++
		}
		for j := range i {
			if box.State(peer, fmt.Sprint("M", j), 0) != Known {
				t.Fatalf("after %d messages, %d is lost", i+1, j)
			}
		}
	}
	if duplicates != 5*indexFrom || box.Len() != 10*indexFrom {
		t.Errorf("%d duplicates among %d", duplicates, box.Len())
	}
}

func TestSecretsDoNotMakeContentDiffer(t *testing.T) {
	t.Parallel()
	with := func(secret string) []byte {
		return body(t, &waE2E.Message{
			Conversation:       proto.String("x"),
			MessageContextInfo: &waE2E.MessageContextInfo{MessageSecret: []byte(secret)},
		})
	}
	if contentOf(with("one")) != contentOf(with("other")) {
		t.Error("two messages that look the same have different fingerprints")
	}
	if contentOf([]byte{0xff}) == contentOf([]byte{0xfe}) {
		t.Error("two unreadable bodies have the same fingerprint")
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for want, message := range map[string]*waE2E.Message{
		"plain":    {Conversation: proto.String("plain")},
		"extended": {ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: proto.String("extended")}},
		"picture":  {ImageMessage: &waE2E.ImageMessage{Caption: proto.String("picture")}},
		"":         {AudioMessage: &waE2E.AudioMessage{}},
	} {
		if got := Text(body(t, message)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := Text([]byte{0xff}); got != "" {
		t.Errorf("got %q", got)
	}
}
