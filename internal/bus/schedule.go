package bus

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"

	"github.com/dannsalud/broadcaster/internal/events"
)

// The server's headers of a message that it publishes at a time (ADR-51, "delayed messages").
const (
	headerSchedule       = "Nats-Schedule"
	headerScheduleTarget = "Nats-Schedule-Target"
	// schedulePrefix is where commands wait; no consumer takes from there.
	schedulePrefix = "commands.schedule."
)

// ScheduleCommand has the server publish a command at a time. A command that waits there already for the same subject is replaced. The job may come late,
// and it may come although it is no longer wanted: its handler looks at what is stored. Errors are those of SendCommand.
func (b *Bus) ScheduleCommand(ctx context.Context, command events.Command, at time.Time) (err error) {
	if err := command.Validate(); err != nil {
		return err
	}
	ctx, end := b.span(ctx, "schedule "+command.Kind(), trace.SpanKindProducer, aboutSubject(command.Subject()))
	defer func() { end(err) }()
	m, err := encode(ctx, command)
	if err != nil {
		return err
	}
	if m.Header.Get(headerTrace) == "" {
		m.Header.Set(headerTrace, newTraceparent())
	}
	target := m.Subject
	m.Subject = schedulePrefix + target[strings.LastIndexByte(target, '.')+1:]
	m.Header.Set(headerScheduleTarget, target)
	m.Header.Set(headerSchedule, "@at "+at.UTC().Format(time.RFC3339))
	m.Header.Set(jetstream.MsgIDHeader, command.MessageID()+":at:"+strconv.FormatInt(at.UnixMilli(), 10))
	return b.publish(ctx, m)
}
