// Package inbox is what one person has received: each message once, by its sender and id, with what came of it on the wire. It is
// where the simulator's books come from, so it is compact: a hundred thousand people may have one.
//
// Nouns: Inbox (one person's), Entry (one message of one sender), State (what a device knows of a message before it arrives).
//
// WhatsApp's clients keep one copy of a message per id, so a second arrival of an id at a device is a repeat on the wire and nobody
// sees it; the same content under another id is a duplicate, and the person sees it twice.
//
// The simulator is its only caller. An Inbox is not safe for concurrent use; its owner's lock guards it.
package inbox

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"
)

// indexFrom is the number of entries from which on an index is worth its memory.
const indexFrom = 16

// State is what a device knows of a message.
type State int

// The states.
const (
	// Unknown: this device never saw the id.
	Unknown State = iota
	// Waiting: the device could not read it and asked for it again.
	Waiting
	// Known: the device has it.
	Known
)

// Entry is one message.
type Entry struct {
	ID   string
	Peer uint64
	// Body is the encoded waE2E.Message; nil if the inbox does not keep them.
	Body []byte
	At   time.Time
	// Devices is the set of device numbers (below 32) that have it.
	Devices uint32
	Repeats int
	// Attempts is how often it was asked for again.
	Attempts int
	// Duplicate: the person had the same content from the same sender under another id.
	Duplicate bool

	content uint64
	waiting uint32
}

// Inbox is what one person received. The zero Inbox is empty.
type Inbox struct {
	entries  []Entry
	index    map[key]int
	contents map[content]int
}

// content is what a person sees of a message, as a fingerprint.
type content struct{ peer, hash uint64 }

type key struct {
	peer uint64
	id   string
}

// Len is the number of messages, those included that no device could read yet.
func (b *Inbox) Len() int { return len(b.entries) }

// Entries are the messages in order of arrival. They are not to be changed.
func (b *Inbox) Entries() []Entry { return b.entries }

// Find gives a message, or nil.
func (b *Inbox) Find(peer uint64, id string) *Entry {
	if b.index != nil {
		if at, found := b.index[key{peer, id}]; found {
			return &b.entries[at]
		}
		return nil
	}
	for i := range b.entries {
		if b.entries[i].Peer == peer && b.entries[i].ID == id {
			return &b.entries[i]
		}
	}
	return nil
}

// State tells what a device knows of a message.
func (b *Inbox) State(peer uint64, id string, device uint16) State {
	entry := b.Find(peer, id)
	switch {
	case entry == nil:
		return Unknown
	case entry.Devices&mask(device) != 0:
		return Known
	case entry.waiting&mask(device) != 0:
		return Waiting
	}
	return Unknown
}

// Repeat counts another arrival of a known message.
func (b *Inbox) Repeat(peer uint64, id string) {
	if entry := b.Find(peer, id); entry != nil {
		entry.Repeats++
	}
}

// Wait notes that a device could not read a message and asks for it again; it returns the number of the attempt, from 1.
func (b *Inbox) Wait(peer uint64, id string, device uint16, at time.Time) int {
	entry := b.findOrAdd(peer, id, at)
	entry.waiting |= mask(device)
	entry.Attempts++
	return entry.Attempts
}

// Arrival is what a message was to the person.
type Arrival struct {
	// First: no other device of the person had it.
	First bool
	// Duplicate: its content was known under another id.
	Duplicate bool
}

// Copy is a message as a device has read it.
type Copy struct {
	Peer   uint64
	ID     string
	Device uint16
	At     time.Time
	Body   []byte
}

// Put notes that a device has read a message; keep tells whether to keep its body.
func (b *Inbox) Put(read Copy, keep bool) Arrival {
	entry := b.findOrAdd(read.Peer, read.ID, read.At)
	first := entry.Devices == 0
	entry.Devices |= mask(read.Device)
	entry.waiting &^= mask(read.Device)
	if !first {
		return Arrival{}
	}
	entry.At = read.At
	entry.content = contentOf(read.Body)
	if keep {
		entry.Body = read.Body
	}
	entry.Duplicate = b.holds(entry)
	return Arrival{First: true, Duplicate: entry.Duplicate}
}

// holds tells whether another message of the same sender has the same content.
func (b *Inbox) holds(entry *Entry) bool {
	if b.contents != nil {
		seen := content{entry.Peer, entry.content}
		b.contents[seen]++
		return b.contents[seen] > 1
	}
	for i := range b.entries {
		other := &b.entries[i]
		if other != entry && other.Peer == entry.Peer && other.content == entry.content && other.Devices != 0 {
			return true
		}
	}
	return false
}

func (b *Inbox) findOrAdd(peer uint64, id string, at time.Time) *Entry {
	if entry := b.Find(peer, id); entry != nil {
		return entry
	}
	b.entries = append(b.entries, Entry{ID: id, Peer: peer, At: at})
	last := len(b.entries) - 1
	switch {
	case b.index != nil:
		b.index[key{peer, id}] = last
	case len(b.entries) > indexFrom:
		b.makeIndex()
	}
	return &b.entries[last]
}

// makeIndex makes the maps that an inbox of many messages needs.
func (b *Inbox) makeIndex() {
	b.index = make(map[key]int, 2*len(b.entries))
	b.contents = make(map[content]int, 2*len(b.entries))
	for i, entry := range b.entries {
		b.index[key{entry.Peer, entry.ID}] = i
		if entry.Devices != 0 {
			b.contents[content{entry.Peer, entry.content}]++
		}
	}
}

func mask(device uint16) uint32 { return 1 << (device & 31) }

// contentOf is a fingerprint of what a person sees: the message without its context info, which holds random secrets.
func contentOf(body []byte) uint64 {
	var message waE2E.Message
	if err := proto.Unmarshal(body, &message); err == nil {
		message.MessageContextInfo = nil
		if plain, err := (proto.MarshalOptions{Deterministic: true}).Marshal(&message); err == nil {
			body = plain
		}
	}
	sum := sha256.Sum256(body)
	return binary.BigEndian.Uint64(sum[:8])
}

// Text gives what a person reads in an encoded message: the text, or a caption.
func Text(body []byte) string {
	var message waE2E.Message
	if err := proto.Unmarshal(body, &message); err != nil {
		return ""
	}
	for _, text := range []string{
		message.GetConversation(), message.GetExtendedTextMessage().GetText(), message.GetImageMessage().GetCaption(),
		message.GetVideoMessage().GetCaption(), message.GetDocumentMessage().GetCaption(),
		message.GetDocumentWithCaptionMessage().GetMessage().GetDocumentMessage().GetCaption(),
	} {
		if text != "" {
			return text
		}
	}
	return ""
}
