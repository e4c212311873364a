package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// claim is one message that this process holds: the server delivers it to nobody else as long as it hears of it.
type claim struct {
	bus      *Bus
	log      *slog.Logger
	raw      jetstream.Msg
	meta     *jetstream.MsgMetadata
	ackWait  time.Duration
	message  *message.Message
	handBack func(context.Context, *claim) error
	inHand   func(*claim)
	released func(*claim)
	// since is when the message was handed out.
	since time.Time
	// stopping is closed when the subscription takes no more messages.
	stopping <-chan struct{}
	// forsaken is closed when the handlers had their time, their contexts were cancelled, and the grace after that is over too.
	forsaken <-chan struct{}
	// verdict is what a Nack means. The handler's side writes it before it calls Nack, which is a barrier; nobody else writes it.
	verdict verdict
}

// verdict says what the server is told about a message that was not simply acknowledged.
type verdict struct {
	action action
	// delay is the shortest wait before the next delivery (retry, giveBack).
	delay time.Duration
	// reason is shown by the server's own tools (terminate). It holds no personal data.
	reason string
	// after runs once the server confirmed the end of the message (terminate).
	after func(context.Context)
}

type action int

const (
	// retry: deliver it again, after the delay. It is what a Nack without a verdict means.
	retry action = iota
	// giveBack: deliver it again, to anybody; this delivery was no attempt.
	giveBack
	// terminate: never deliver it again.
	terminate
)

// acknowledgements of the JetStream protocol.
const (
	wireAck  = "+ACK"
	wireNak  = "-NAK"
	wireTerm = "+TERM"
)

const (
	// settleTimeout bounds how long a finished message may take to be told to the server.
	settleTimeout = 10 * time.Second
	// confirmTimeout bounds the wait for one confirmation.
	confirmTimeout = 2 * time.Second
)

type claimKey struct{}

// claimOf gives the claim that a message of our Subscriber belongs to; nil for another message.
func claimOf(m *message.Message) *claim {
	c, _ := m.Context().Value(claimKey{}).(*claim)
	return c
}

// newMessage makes the Watermill message of a claim. Its context ends when the message is settled or work ends.
func (c *claim) newMessage(work context.Context) context.CancelFunc {
	id := c.raw.Headers().Get(jetstream.MsgIDHeader)
	if id == "" {
		id = fmt.Sprintf("%s:%d", c.meta.Stream, c.meta.Sequence.Stream)
	}
	c.message = message.NewMessage(id, c.raw.Data())
	for key, values := range c.raw.Headers() {
		if len(values) > 0 && !strings.HasPrefix(key, "Nats-") {
			c.message.Metadata.Set(key, values[0])
		}
	}
	work = context.WithValue(work, claimKey{}, c)
	if parent := c.raw.Headers().Get(headerTrace); parent != "" {
		work = WithTraceparent(work, parent)
	}
	work = c.bus.options.Annotate(work, append([]slog.Attr{slog.String("job", id)}, aboutSubject(c.raw.Subject())...)...)
	ctx, cancel := context.WithCancel(work)
	c.message.SetContext(ctx)
	return cancel
}

// hold offers the message, keeps it claimed while somebody works on it, and tells the server how it ended.
func (c *claim) hold(work context.Context, out chan<- *message.Message) {
	defer c.newMessage(work)()
	about := c.message.Context() // the handler may give the message another one
	select {
	case <-c.stopping:
		c.settle(work, verdict{action: giveBack})
		return
	default:
	}
	heartbeat := time.NewTicker(c.ackWait / 3)
	defer heartbeat.Stop()
	offer, stopping := out, c.stopping
	for {
		select {
		case offer <- c.message:
			offer, stopping = nil, nil
			c.inHand(c)
		case <-stopping: // Nobody took it yet.
			c.settle(work, verdict{action: giveBack})
			return
		case <-heartbeat.C:
			if err := c.raw.InProgress(); err != nil {
				c.log.WarnContext(about, "job could not be kept claimed", "job", c.message.UUID, "error", err)
			}
			if offer == nil {
				c.inHand(c)
			}
		case <-c.message.Acked():
			c.released(c)
			c.confirm(work, wireAck)
			return
		case <-c.message.Nacked():
			c.released(c) // Before the server may give it to another, whose sign of life this would end.
			c.settle(work, c.verdict)
			return
		case <-c.forsaken:
			c.log.ErrorContext(about, "job abandoned: its handler did not stop when its context ended; it is delivered again after the AckWait",
				"job", c.message.UUID)
			return
		}
	}
}

// settle carries out a verdict. The context only lends its values.
func (c *claim) settle(ctx context.Context, v verdict) {
	switch v.action {
	case retry:
		c.confirm(ctx, v.nak())
	case giveBack:
		c.giveBack(ctx, v)
	case terminate:
		if c.confirm(ctx, wireTerm+" "+v.reason) && v.after != nil {
			after, cancel := detached(ctx, settleTimeout)
			defer cancel()
			v.after(after)
		}
	}
}

// giveBack returns a message that was not worked on, or not to its end, so that another worker gets it.
func (c *claim) giveBack(ctx context.Context, v verdict) {
	if c.handBack != nil {
		record, cancel := detached(ctx, confirmTimeout)
		defer cancel()
		if err := c.handBack(record, c); err != nil {
			c.log.WarnContext(ctx, "hand-back not recorded: it counts as an attempt", "job", c.message.UUID, "error", err)
		}
	}
	c.confirm(ctx, v.nak())
}

// nak gives what tells the server to deliver a message again.
func (v verdict) nak() string {
	if v.delay > 0 {
		return fmt.Sprintf(`%s {"delay": %d}`, wireNak, v.delay.Nanoseconds())
	}
	return wireNak
}

// confirm tells the server something about the message and waits for its confirmation. What ends a message is repeated until it is
// confirmed, since saying it twice does no harm. A nak is said once: a late second one would take the message away from whoever has it by
// then. What is not confirmed is delivered again after the AckWait.
func (c *claim) confirm(ctx context.Context, body string) bool {
	ctx, cancel := detached(ctx, settleTimeout)
	defer cancel()
	for n := 0; ; n++ {
		err := c.request(ctx, body)
		if err == nil {
			return true
		}
		if strings.HasPrefix(body, wireNak) || ctx.Err() != nil || errors.Is(err, nats.ErrConnectionClosed) {
			c.log.WarnContext(ctx, "end of a job not confirmed by the server; it may be delivered again", "job", c.message.UUID, "error", err)
			return false
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoff(n)):
		}
	}
}

func (c *claim) request(ctx context.Context, body string) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	_, err := c.bus.nc.RequestWithContext(ctx, c.raw.Reply(), []byte(body))
	return err
}

// detached gives a context with the values of another and its own end.
func detached(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), timeout)
}
