package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
)

// The durable consumers. A Watermill topic that is subscribed to is the name of one of them.
const (
	// ConsumerLinker hands out link jobs, one in the whole fleet at a time and in their order: the server counts, not a mutex.
	ConsumerLinker = "linker"
	// ConsumerSender hands out campaign jobs, Options.MaxConcurrentJobs in the whole fleet at a time.
	ConsumerSender = "sender"
	// ConsumerProjector hands out receipts, to be written into deliveries.
	ConsumerProjector = "projector"
	// ConsumerInbound hands out what people wrote to sessions.
	ConsumerInbound = "inbound"
	// ConsumerWebhooks hands out every fact, to be told to the webhooks that want it.
	ConsumerWebhooks = "webhooks"
	// ConsumerWebhook hands out what single webhooks are to be told.
	ConsumerWebhook = "webhook"
	// ConsumerExhausted hands out the server's advisories about jobs that it will not deliver any more.
	ConsumerExhausted = "exhausted"
)

// The buckets.
const (
	// BucketLeases holds who may open a session's connection; see internal/lease. A key expires by itself and leaves a marker, so that
	// watchers see it.
	BucketLeases = "leases"
	// BucketQR holds what a person has to scan or type; in memory only, since it is a secret.
	BucketQR = "qr"
	// BucketAnswers holds what a person gave for it, until the linker takes it; in memory only, too.
	BucketAnswers = "answers"
	// BucketPacing holds when an egress may link again, and cooldowns.
	BucketPacing = "pacing"
	// BucketOpened holds the epoch that opened each session's device last, and no expiry: it notices a key store that was restored from a
	// backup (internal/wa/keys).
	BucketOpened = "opened"
	// BucketAttempts holds the record of each job in trouble; see ledger.go.
	BucketAttempts = "attempts"
	// BucketRunning holds who has each command in hand, renewed as long as it has; in memory only, see heartbeat.go.
	BucketRunning = "running"
	// BucketRepairs holds what operators did to failed jobs; see repairs.go.
	BucketRepairs = "repairs"
)

// streamAdvisories keeps the MAX_DELIVERIES advisories until a worker has seen to them: a plain subscriber would miss those that come
// while no worker runs.
const streamAdvisories = "ADVISORIES"

const advisoryPrefix = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES."

const (
	day = 24 * time.Hour
	// maxMessageBytes bounds a command and a fact, so that a failed job, which holds one in base64, stays under the server's limit of 1 MiB.
	maxMessageBytes = 256 << 10
	// commandDedupe is how long a command published twice is one command. It must outlast every retry of a publisher.
	commandDedupe = 10 * time.Minute
	// factDedupe is how long a fact published twice is one fact.
	factDedupe = 5 * time.Minute
	// failedDedupe is how long a job cannot come into FAILED twice: longer than any outage between its publish and the end of the original.
	failedDedupe = 7 * day
	// receiptsInFlight is the batch of the projector, fleet-wide.
	receiptsInFlight = 256
	// webhooksInFlight is how many deliveries of webhooks are in hand or wait for their next attempt, fleet-wide. It only bounds the server's memory: those
	// of a receiver that is down must leave room for the others.
	webhooksInFlight = 50_000
	// webhookMaxDeliver is Options.MaxDeliver of webhooks: a delivery may be put off often, for a receiver that is busy, without being an attempt.
	webhookMaxDeliver = 10_000
)

// streams is the table of streams.
func (b *Bus) streams() []jetstream.StreamConfig {
	streams := []jetstream.StreamConfig{{
		Name:        events.StreamCommands,
		Description: "Jobs to do. A job stays until a worker acknowledged it or it is in FAILED.",
		Subjects:    []string{"commands.link.*", "commands.campaign.*", "commands.webhook.*", schedulePrefix + "*"},
		Retention:   jetstream.WorkQueuePolicy,
		MaxMsgSize:  maxMessageBytes,
		Duplicates:  commandDedupe,
		// Scheduled campaigns wait in the stream. It has no limit of size or age, so that no job is ever dropped to make room.
		AllowMsgSchedules: true,
		AllowRollup:       true,
	}, {
		Name:        events.StreamEvents,
		Description: "What happened, for a week.",
		Subjects:    []string{events.AllEvents},
		MaxAge:      7 * day,
		MaxMsgSize:  maxMessageBytes,
		Duplicates:  factDedupe,
	}, {
		Name:        events.StreamFailed,
		Description: "Jobs that the workers gave up, with the reason, for a month. Replayed or discarded by an operator.",
		Subjects:    []string{events.AllFailed},
		MaxAge:      30 * day,
		Duplicates:  failedDedupe,
	}, {
		Name:        streamAdvisories,
		Description: "Jobs that the server will not deliver any more, until a worker moved them to FAILED.",
		Subjects:    []string{advisoryPrefix + events.StreamCommands + ".*", advisoryPrefix + events.StreamEvents + ".*"},
		Retention:   jetstream.WorkQueuePolicy,
		MaxAge:      30 * day,
		Duplicates:  2 * time.Minute,
	}}
	for i := range streams {
		streams[i].Storage = jetstream.FileStorage
		streams[i].Replicas = b.options.Replicas
	}
	return streams
}

// consumer is one durable consumer: what it takes, and how many of its jobs may be in hand at once.
type consumer struct {
	name        string
	stream      string
	filter      string
	description string
	// kind is the kind of message that its handler understands; empty: it is none of ours.
	kind string
	// inFlight is the limit of the whole fleet, kept by the server. A job that waits for its next attempt counts.
	inFlight int
	// slots is how many jobs one worker takes at once.
	slots int
	// maxDeliver takes the place of Options.MaxDeliver; zero: that stands.
	maxDeliver int
}

// consumers is the table of consumers.
func (b *Bus) consumers() []consumer {
	return []consumer{{
		name: ConsumerLinker, stream: events.StreamCommands, filter: events.LinkCommands,
		description: "One link in the whole fleet at a time.",
		kind:        events.LinkSession{}.Kind(),
		inFlight:    1, slots: 1,
	}, {
		name: ConsumerSender, stream: events.StreamCommands, filter: events.CampaignCommands,
		description: "The cap of concurrent campaigns, fleet-wide.",
		kind:        events.RunCampaign{}.Kind(),
		inFlight:    b.options.MaxConcurrentJobs, slots: b.options.MaxConcurrentJobs,
	}, {
		name: ConsumerProjector, stream: events.StreamEvents, filter: "events.message.*.receipt",
		description: "Receipts into deliveries.",
		kind:        events.MessageReceipt{}.Kind(),
		inFlight:    receiptsInFlight, slots: 16,
	}, {
		name: ConsumerInbound, stream: events.StreamEvents, filter: "events.session.*.inbound",
		description: "Replies and opt-outs.",
		kind:        events.MessageReceived{}.Kind(),
		inFlight:    64, slots: 4,
	}, {
		name: ConsumerWebhooks, stream: events.StreamEvents, filter: events.AllEvents,
		description: "Facts to the webhooks that want them.",
		kind:        kindOfAnyFact,
		inFlight:    256, slots: 8,
	}, {
		name: ConsumerWebhook, stream: events.StreamCommands, filter: events.WebhookCommands,
		description: "Deliveries of webhooks.",
		kind:        events.DeliverWebhook{}.Kind(),
		inFlight:    webhooksInFlight, slots: WebhookSlots, maxDeliver: webhookMaxDeliver,
	}, {
		name: ConsumerExhausted, stream: streamAdvisories, filter: advisoryPrefix + ">",
		description: "Jobs that the server gave up, to FAILED.",
		inFlight:    16, slots: 1,
	}}
}

func (b *Bus) consumer(name string) (consumer, error) {
	for _, c := range b.consumers() {
		if c.name == name {
			return c, nil
		}
	}
	return consumer{}, fmt.Errorf("the topology has no consumer %q", name)
}

func (b *Bus) consumerConfig(c consumer) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       c.name,
		Description:   c.description,
		FilterSubject: c.filter,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       b.options.AckWait,
		MaxDeliver:    orDefault(c.maxDeliver, b.options.MaxDeliver),
		MaxAckPending: c.inFlight,
	}
}

// buckets is the table of buckets.
func (b *Bus) buckets() []jetstream.KeyValueConfig {
	buckets := []jetstream.KeyValueConfig{{
		Bucket:      BucketLeases,
		Description: "Who may open a session's connection.",
		Storage:     jetstream.FileStorage,
		TTL:         b.options.LeaseTTL,
		// A marker in place of an expired key lets waiting workers see the expiry instead of asking again and again.
		LimitMarkerTTL: max(b.options.LeaseTTL, time.Second),
	}, {
		Bucket:      BucketQR,
		Description: "What a person has to scan or type, in memory only.",
		Storage:     jetstream.MemoryStorage,
		TTL:         3 * time.Minute,
	}, {
		Bucket:      BucketAnswers,
		Description: "What a person gave for a prompt, in memory only.",
		Storage:     jetstream.MemoryStorage,
		TTL:         5 * time.Minute, // as long as a passkey may take
	}, {
		Bucket:      BucketPacing,
		Description: "When an egress may link again.",
		Storage:     jetstream.FileStorage,
	}, {
		Bucket:      BucketOpened,
		Description: "Which epoch opened each session's device last: notices a key store that was restored.",
		Storage:     jetstream.FileStorage,
	}, {
		Bucket:      BucketAttempts,
		Description: "The record of each job in trouble: hand-backs and errors.",
		Storage:     jetstream.FileStorage,
		TTL:         30 * day,
	}, {
		Bucket:      BucketRunning,
		Description: "Who has each command in hand, renewed as long as it has.",
		Storage:     jetstream.MemoryStorage,
		TTL:         2 * b.options.AckWait,
	}, {
		Bucket:      BucketRepairs,
		Description: "What operators did to failed jobs: edited payloads, replays under way.",
		Storage:     jetstream.FileStorage,
		TTL:         31 * day, // longer than FAILED keeps an entry
	}}
	for i := range buckets {
		buckets[i].Replicas = b.options.Replicas
	}
	return buckets
}

// EnsureTopology makes the streams, consumers and buckets, or brings those that exist to the present settings. It may be called by several
// processes at once and again at any time; it waits for JetStream as long as the context lives. A setting that JetStream cannot change
// (retention, storage) is an error.
func (b *Bus) EnsureTopology(ctx context.Context) error {
	for _, config := range b.streams() {
		err := b.await(ctx, "stream "+config.Name, func(ctx context.Context) error {
			_, err := b.js.CreateOrUpdateStream(ctx, config)
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, c := range b.consumers() {
		err := b.await(ctx, "consumer "+c.name, func(ctx context.Context) error {
			_, err := b.js.CreateOrUpdateConsumer(ctx, c.stream, b.consumerConfig(c))
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, config := range b.buckets() {
		err := b.await(ctx, "bucket "+config.Bucket, func(ctx context.Context) error {
			_, err := b.js.CreateOrUpdateKeyValue(ctx, config)
			return err
		})
		if err != nil {
			return err
		}
	}
	b.tends.Store(true)
	return nil
}

// mendTimeout bounds how long the topology may take after an outage; a server that is still starting is waited for.
const mendTimeout = time.Minute

// mendTopology makes anew what the server forgot in an outage: buckets in memory are gone when it was started again. Only the process that made the
// topology at its start does it; the others have no right to, and need not.
func (b *Bus) mendTopology() {
	if !b.tends.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), mendTimeout)
	defer cancel()
	if err := b.EnsureTopology(ctx); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		b.log.Error("topology not made anew after an outage; restart this process when NATS is well", "error", err)
	}
}
