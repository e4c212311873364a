package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/bus/embed"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
)

// bareJetStream is a message published and handed to a consumer on an embedded server of the same kind, in process too.
const bareJetStream = "bare_jetstream"

// jobLatency measures how long a job waits between the API's 202, as its caller sees it, and its worker's start, which is taken to be the moment at which
// the fact that the campaign is running has been stored, published and seen: later than the start itself. The job was published before the 202, so the
// time from the request, in which the API reads and writes the database, is a row too. The yardstick is a publish and the call of a consumer's handler,
// from before the publish.
//
// The backlog is one that a job can overtake, as real ones are: jobs for a later time, in the same stream and database of the broker, of which
// campaigns of next week are an example. A job that waits behind others of its own kind waits for them, and its latency would be theirs.
func jobLatency(ctx context.Context, s sizes, directory string) (rows []Row, err error) {
	p, err := startProduct(ctx, productOptions{directory: filepath.Join(directory, "product")})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	id, err := p.linkHosted(ctx, ownNumber(1))
	if err != nil {
		return nil, err
	}
	queue, err := newBareQueue(ctx, filepath.Join(directory, "bare"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, queue.close()) }()
	for _, name := range []string{"idle", "backlog"} {
		if name == "backlog" {
			if err := errors.Join(p.fillQueue(ctx, s.backlog), queue.fill(ctx, s.backlog)); err != nil {
				return nil, fmt.Errorf("make the backlog: %w", err)
			}
		}
		promised := toAll(lessThanAbove(5, "ms"))
		c := comparison{rounds: s.rounds,
			numbers: []number{{name + "_p99", "ms", promised}, {name + "_p50", "ms", nil}, {name + "_from_request_p99", "ms", nil}, {name + "_from_request_p50", "ms", nil}},
			sides: []side{
				{"product", func(ctx context.Context, _ int) ([]float64, error) { return p.latencies(ctx, id, s.samples) }},
				{bareJetStream, func(ctx context.Context, _ int) ([]float64, error) { return queue.latencies(ctx, s.samples) }},
			}}
		found, err := c.run(ctx)
		if err != nil {
			return nil, err
		}
		rows = append(rows, found...)
	}
	return rows, nil
}

// latencies starts campaigns of one recipient, one after the other.
func (p *product) latencies(ctx context.Context, id string, samples int) ([]float64, error) {
	var waited, whole []time.Duration
	for range samples {
		draft, err := p.draft(ctx, id, 0, 1, "Hola {{nombre}}")
		if err != nil {
			return nil, err
		}
		running, completed := p.facts.expect(campaignSubject(draft.ID), string(campaign.Running)), p.facts.expect(campaignSubject(draft.ID), string(campaign.Completed))
		asked := time.Now()
		if _, err := p.api.StartCampaign(ctx, draft.ID); err != nil {
			return nil, err
		}
		answered := time.Now()
		at, err := await(ctx, running)
		if err != nil {
			return nil, err
		}
		waited, whole = append(waited, max(at.Sub(answered), 0)), append(whole, at.Sub(asked))
		if _, err := await(ctx, completed); err != nil {
			return nil, err
		}
	}
	return []float64{percentile(waited, 99), percentile(waited, 50), percentile(whole, 99), percentile(whole, 50)}, nil
}

// backlogWriters fill the queues.
const backlogWriters = 32

// fillQueue puts jobs of campaigns of next week into the product's queue.
func (p *product) fillQueue(ctx context.Context, jobs int) error {
	due := time.Now().Add(7 * 24 * time.Hour).UTC().Truncate(time.Second)
	return inParallel(ctx, jobs, func(ctx context.Context, n int) error {
		return p.app.SendCommand(ctx, events.RunCampaign{Version: events.RunCampaignDueVersion, CampaignID: campaign.ID(fmt.Sprintf("cmp_backlog%d", n)),
			SessionID: session.ID("ses_backlog"), Slice: 1, RequestedAt: time.Now().UTC(), Due: due})
	})
}

func inParallel(ctx context.Context, jobs int, do func(ctx context.Context, n int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for worker := range backlogWriters {
		group.Go(func() error {
			for n := worker; n < jobs; n += backlogWriters {
				if err := do(ctx, n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// bareQueue is JetStream without us: a work queue in a file, and a consumer of one of its subjects.
type bareQueue struct {
	server   *embed.Server
	conn     *nats.Conn
	stream   jetstream.JetStream
	consumed chan time.Time
}

func newBareQueue(ctx context.Context, directory string) (*bareQueue, error) {
	server, err := embed.Start(embed.Options{Dir: directory})
	if err != nil {
		return nil, err
	}
	q := &bareQueue{server: server, consumed: make(chan time.Time, 1)}
	if err := q.open(ctx); err != nil {
		return nil, errors.Join(err, q.close())
	}
	return q, nil
}

func (q *bareQueue) open(ctx context.Context) (err error) {
	if q.conn, err = nats.Connect("", nats.InProcessServer(q.server)); err != nil {
		return fmt.Errorf("connect to the yardstick's queue: %w", err)
	}
	if q.stream, err = jetstream.New(q.conn); err != nil {
		return fmt.Errorf("open the yardstick's queue: %w", err)
	}
	stream, err := q.stream.CreateStream(ctx, jetstream.StreamConfig{Name: "BARE", Subjects: []string{"bare.>"}, Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage})
	if err != nil {
		return fmt.Errorf("make the yardstick's stream: %w", err)
	}
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "bare", FilterSubject: "bare.job", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		return fmt.Errorf("make the yardstick's consumer: %w", err)
	}
	_, err = consumer.Consume(func(m jetstream.Msg) {
		at := time.Now()
		if m.Ack() == nil {
			q.consumed <- at
		}
	})
	return err
}

func (q *bareQueue) close() error {
	if q.conn != nil {
		q.conn.Close()
	}
	return q.server.Stop()
}

func (q *bareQueue) fill(ctx context.Context, jobs int) error {
	payload := make([]byte, 200) // as large as a job of ours
	return inParallel(ctx, jobs, func(ctx context.Context, n int) error {
		_, err := q.stream.Publish(ctx, fmt.Sprintf("bare.later.%d", n), payload)
		return err
	})
}

// latencies publishes messages, one after the other. Its numbers from the 202 and from the request are the same.
func (q *bareQueue) latencies(ctx context.Context, samples int) ([]float64, error) {
	payload := make([]byte, 200)
	var waited []time.Duration
	for range samples {
		began := time.Now()
		if _, err := q.stream.Publish(ctx, "bare.job", payload); err != nil {
			return nil, fmt.Errorf("publish to the yardstick's queue: %w", err)
		}
		at, err := await(ctx, q.consumed)
		if err != nil {
			return nil, err
		}
		waited = append(waited, at.Sub(began))
	}
	p99, p50 := percentile(waited, 99), percentile(waited, 50)
	return []float64{p99, p50, p99, p50}, nil
}
