package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
)

// heartbeat is what a worker says of a command that it has in hand. JetStream knows that a job is in hand, not in whose; so this is only ever read
// together with the queue's own state, and no harm is done when it is lost or late.
type heartbeat struct {
	Worker string    `json:"worker"`
	Since  time.Time `json:"since"`
	// Delivery is which delivery of the job this is, from 1.
	Delivery int `json:"delivery"`

	// at is when the server heard it.
	at time.Time
}

func heartbeatKey(consumer string, sequence uint64) string {
	return fmt.Sprintf("%s-%d", consumer, sequence)
}

// heartbeatMessage writes a key of the bucket without waiting for the answer, which nobody needs.
func heartbeatMessage(c *claim) *nats.Msg {
	return nats.NewMsg("$KV." + BucketRunning + "." + encodeKey(heartbeatKey(c.meta.Consumer, c.meta.Sequence.Stream)))
}

// heartbeat tells that this worker has a command in hand.
func (b *Bus) heartbeat(c *claim) {
	if c.meta.Stream != events.StreamCommands {
		return
	}
	if c.since.IsZero() {
		c.since = time.Now().UTC().Truncate(time.Millisecond)
	}
	m := heartbeatMessage(c)
	m.Data, _ = json.Marshal(heartbeat{Worker: b.options.Name, Since: c.since, Delivery: int(c.meta.NumDelivered)}) // It holds nothing that JSON cannot.
	b.say(m, c)
}

// flatline tells that this worker has a command no more.
func (b *Bus) flatline(c *claim) {
	if c.meta.Stream != events.StreamCommands {
		return
	}
	m := heartbeatMessage(c)
	m.Header.Set("KV-Operation", "PURGE")
	m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	b.say(m, c)
}

func (b *Bus) say(m *nats.Msg, c *claim) {
	if err := b.nc.PublishMsg(m); err != nil {
		b.log.Debug("sign of life of a job not sent", "job", c.message.UUID, "error", err)
	}
}

// lastHeartbeat gives the last sign of life of a job in hand; false when there is none.
func (b *Bus) lastHeartbeat(ctx context.Context, bucket *Bucket, consumer string, sequence uint64) (heartbeat, bool, error) {
	entry, err := bucket.kv.Get(ctx, heartbeatKey(consumer, sequence))
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrKeyDeleted) {
		return heartbeat{}, false, nil
	}
	if err != nil {
		return heartbeat{}, false, bucket.explain("get", err)
	}
	beat := heartbeat{at: entry.Created()}
	if err := json.Unmarshal(entry.Value(), &beat); err != nil {
		return heartbeat{}, false, nil //nolint:nilerr // another program's; it is no sign of life of ours
	}
	return beat, true, nil
}
