package bus

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/ThreeDotsLabs/watermill/components/cqrs"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// marshaler is how Watermill's cqrs reads our words: plain JSON, with the kind in a header.
type marshaler struct{}

var _ cqrs.CommandEventMarshaler = marshaler{}

// Marshal implements cqrs.CommandEventMarshaler.
func (marshaler) Marshal(v any) (*message.Message, error) {
	word, ok := v.(events.Message)
	if !ok {
		return nil, errors.New("neither a command nor a fact")
	}
	payload, err := json.Marshal(word)
	if err != nil {
		return nil, err
	}
	m := message.NewMessage(word.MessageID(), payload)
	m.Metadata.Set(headerKind, word.Kind())
	m.Metadata.Set(headerVersion, strconv.Itoa(word.SchemaVersion()))
	return m, nil
}

// Unmarshal implements cqrs.CommandEventMarshaler. What cannot be decoded is poison.
func (marshaler) Unmarshal(m *message.Message, v any) error {
	if err := json.Unmarshal(m.Payload, v); err != nil {
		return fault.Wrap(err, fault.Poison, "undecodable", "The job's content is not what its kind says; edit the job")
	}
	return nil
}

// Name implements cqrs.CommandEventMarshaler.
func (marshaler) Name(v any) string {
	if word, ok := v.(events.Message); ok {
		return word.Kind()
	}
	return ""
}

// NameFromMessage implements cqrs.CommandEventMarshaler.
func (marshaler) NameFromMessage(m *message.Message) string { return m.Metadata.Get(headerKind) }
