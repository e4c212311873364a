package keys

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	wastore "go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/internal/fault"
)

const (
	// bufferFor is how long it is remembered that a message was handled: WhatsApp's servers keep one for 14 days.
	bufferFor = 14 * 24 * time.Hour
	// outgoingFor is how long a message that was sent can be sent again when a phone asks for it.
	outgoingFor = 7 * 24 * time.Hour
)

// errBuffered: the same ciphertext was decrypted twice.
var errBuffered = errors.New("the event is in the buffer already")

// eventHeader is the length of what stands before a buffered plaintext: the server's time in seconds, that of the insertion in milliseconds, and
// whether there is a plaintext.
const eventHeader = 8 + 8 + 1

func encodeEvent(event wastore.BufferedEvent) change {
	value := binary.BigEndian.AppendUint64(nil, uint64(event.ServerTime.Unix()))
	value = binary.BigEndian.AppendUint64(value, uint64(event.InsertTime.UnixMilli()))
	if event.Plaintext == nil {
		return change{row: row{value: append(value, 0), expires: event.InsertTime.Add(bufferFor)}}
	}
	return change{row: row{value: append(append(value, 1), event.Plaintext...), expires: event.InsertTime.Add(bufferFor)}}
}

func decodeEvent(value []byte) (*wastore.BufferedEvent, error) {
	if len(value) < eventHeader {
		return nil, unreadable(kindBufferedEvent, errors.New("too short"))
	}
	event := &wastore.BufferedEvent{
		ServerTime: time.Unix(int64(binary.BigEndian.Uint64(value)), 0),
		InsertTime: time.UnixMilli(int64(binary.BigEndian.Uint64(value[8:]))),
	}
	if value[eventHeader-1] == 1 {
		event.Plaintext = append([]byte{}, value[eventHeader:]...)
	}
	return event, nil
}

// GetBufferedEvent implements store.EventBuffer.
func (o *Owner) GetBufferedEvent(ctx context.Context, ciphertextHash [32]byte) (*wastore.BufferedEvent, error) {
	found, err := o.get(ctx, kindBufferedEvent, hex.EncodeToString(ciphertextHash[:]))
	if err != nil || !found.exists() {
		return nil, err
	}
	return decodeEvent(found.value)
}

// PutBufferedEvent implements store.EventBuffer.
func (o *Owner) PutBufferedEvent(ctx context.Context, ciphertextHash [32]byte, plaintext []byte, serverTimestamp time.Time) error {
	defer o.alone(ctx)()
	name := hex.EncodeToString(ciphertextHash[:])
	if known, err := o.get(ctx, kindBufferedEvent, name); err != nil || known.exists() {
		return errors.Join(err, errBuffered)
	}
	return o.putEvent(ctx, name, wastore.BufferedEvent{Plaintext: plaintext, InsertTime: time.Now(), ServerTime: serverTimestamp})
}

func (o *Owner) putEvent(ctx context.Context, name string, event wastore.BufferedEvent) error {
	changed := encodeEvent(event)
	changed.address = address{kindBufferedEvent, name}
	return o.write(ctx, durable, changed)
}

// ClearBufferedEventPlaintext implements store.EventBuffer. When it returns, all that was learned from the message is on the disk, since
// WhatsApp is told next that we have it.
func (o *Owner) ClearBufferedEventPlaintext(ctx context.Context, ciphertextHash [32]byte) error {
	defer o.alone(ctx)()
	name := hex.EncodeToString(ciphertextHash[:])
	found, err := o.get(ctx, kindBufferedEvent, name)
	if err != nil || !found.exists() {
		return err
	}
	event, err := decodeEvent(found.value)
	if err != nil {
		return err
	}
	event.Plaintext = nil
	return o.putEvent(ctx, name, *event)
}

// DeleteOldBufferedHashes implements store.EventBuffer. Rows that are past their time are not seen any more; here they are deleted, of all sessions.
func (o *Owner) DeleteOldBufferedHashes(ctx context.Context) error { return o.deleteExpired(ctx) }

// DeleteOldOutgoingEvents implements store.EventBuffer, as DeleteOldBufferedHashes.
func (o *Owner) DeleteOldOutgoingEvents(ctx context.Context) error { return o.deleteExpired(ctx) }

// clearEvery is how often expired rows are deleted. whatsmeow means to ask every 12 hours, and asks with each message that it keeps for retries: it
// never notes when it did (retry.go, lastRetryStoreClear).
const clearEvery = time.Hour

// lastClearing is when a store last deleted expired rows.
type lastClearing struct {
	mu sync.Mutex
	at time.Time
}

// due tells whether it is time again, and takes the turn.
func (l *lastClearing) due(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.at.IsZero() && now.Sub(l.at) < clearEvery {
		return false
	}
	l.at = now
	return true
}

func (o *Owner) deleteExpired(ctx context.Context) error {
	if !o.store.cleared.due(time.Now()) {
		return nil
	}
	if _, err := o.store.options.Keys.DeleteExpired(ctx, time.Now()); err != nil {
		return fmt.Errorf("delete rows that are past their time: %w", err)
	}
	return nil
}

// ErrNoOutgoing: the message that a phone asks for is not kept, or no longer.
var ErrNoOutgoing = fault.New(fault.NotFound, "outgoing_message_unknown", "The message that was asked for again is not kept any more")

// GetOutgoingEvent implements store.EventBuffer. A message that is not kept is ErrNoOutgoing; sqlstore has an error for it as well.
func (o *Owner) GetOutgoingEvent(ctx context.Context, chatJID, altChatJID types.JID, id types.MessageID) (format string, plaintext []byte, err error) {
	for _, chat := range []types.JID{chatJID, altChatJID} {
		found, err := o.get(ctx, kindOutgoing, keyOf(chat.String(), id))
		if err != nil {
			return "", nil, err
		}
		if !found.exists() {
			continue
		}
		length, size := binary.Uvarint(found.value)
		if size <= 0 || length > uint64(len(found.value)-size) {
			return "", nil, unreadable(kindOutgoing, errors.New("wrong length"))
		}
		end := size + int(length)
		return string(found.value[size:end]), append([]byte{}, found.value[end:]...), nil
	}
	return "", nil, ErrNoOutgoing
}

// AddOutgoingEvent implements store.EventBuffer. It rides: the Signal sessions of the message are written behind it before the message leaves.
func (o *Owner) AddOutgoingEvent(ctx context.Context, chatJID types.JID, id types.MessageID, format string, plaintext []byte) error {
	value := append(binary.AppendUvarint(nil, uint64(len(format))), format...)
	return o.write(ctx, rides, change{address{kindOutgoing, keyOf(chatJID.String(), id)},
		row{value: append(value, plaintext...), expires: time.Now().Add(outgoingFor)}})
}
