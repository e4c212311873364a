package bus

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/bus/embed"
	"github.com/dannsalud/broadcaster/internal/events"
)

// benchBus is a bus on a server of its own, over a socket as between two machines, and not a pipe inside the process.
func benchBus(b *testing.B) *Bus {
	b.Helper()
	server, err := embed.Start(embed.Options{Dir: b.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := server.Stop(); err != nil {
			b.Error(err)
		}
	})
	bus, err := Connect(b.Context(), Options{Name: "bench", URL: server.ClientURL(), Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		b.Cleanup(func() {
			if err := bus.Close(); err != nil {
				b.Error(err)
			}
		})
		err = bus.EnsureTopology(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	return bus
}

// compare reports how long ours takes, and how many times as long as the yardstick in the same run. Both take turns, so that what else the machine
// does falls on both.
func compare(b *testing.B, ours, yardstick func(n int) error) {
	b.Helper()
	const turns = 10
	var took, against time.Duration
	b.ResetTimer()
	for turn := range turns {
		n := b.N*(turn+1)/turns - b.N*turn/turns
		for _, side := range []struct {
			run  func(int) error
			took *time.Duration
		}{{ours, &took}, {yardstick, &against}} {
			begun := time.Now()
			if err := side.run(n); err != nil {
				b.Fatal(err)
			}
			*side.took += time.Since(begun)
		}
	}
	b.StopTimer()
	b.ReportMetric(0, "ns/op") // It would be that of both together.
	b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), "ns/ours")
	b.ReportMetric(float64(against.Nanoseconds())/float64(b.N), "ns/bare")
	b.ReportMetric(float64(took)/float64(against), "ours/bare")
}

// BenchmarkRequestSend is the round trip of "send this message", against a request of the same bytes with bare nats.go.
func BenchmarkRequestSend(b *testing.B) {
	bus := benchBus(b)
	stop, err := bus.ServeSends(b.Context(), hosted, func(context.Context, events.SendRequest) events.SendReply {
		return events.SendReply{SentAt: time.Now()}
	})
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	echo, err := bus.nc.Subscribe("echo", func(m *nats.Msg) { _ = m.Respond(m.Data) })
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = echo.Unsubscribe() }()
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	request, payload := sendRequest("Hola José"), make([]byte, 256)
	compare(b, func(n int) error {
		for range n {
			if _, err := bus.RequestSend(ctx, request); err != nil {
				return err
			}
		}
		return nil
	}, func(n int) error {
		for range n {
			if _, err := bus.nc.RequestWithContext(ctx, "echo", payload); err != nil {
				return err
			}
		}
		return nil
	})
}

// BenchmarkPublishToHandled is the way of a receipt: published, stored, delivered, decoded, handled, acknowledged twice. The yardstick is bare
// JetStream: the same bytes published asynchronously, fetched in batches, and acknowledged once without waiting, which loses and repeats more.
func BenchmarkPublishToHandled(b *testing.B) {
	bus := benchBus(b)
	handled := make(chan struct{}, 1<<16)
	w, err := bus.NewWorker(WorkerOptions{})
	if err == nil {
		err = w.HandleMessageReceipt(func(context.Context, events.MessageReceipt) error {
			handled <- struct{}{}
			return nil
		})
	}
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}()
	<-w.Ready()
	bare, err := newBareStream(b, bus)
	if err != nil {
		b.Fatal(err)
	}
	published := 0
	compare(b, func(n int) error {
		facts := make([]events.Fact, n)
		for i := range facts {
			published++
			facts[i] = events.MessageReceipt{Version: events.FactVersion, SessionID: "ses_1", CampaignID: "cmp_1", At: time.Now(),
				MessageIDs: []string{fmt.Sprintf("3EB0%018X", published)}, Receipt: "read"}
		}
		if err := bus.PublishFacts(b.Context(), facts); err != nil {
			return err
		}
		for range n {
			<-handled
		}
		return nil
	}, bare.passOn)
}

// bareStream is JetStream without us.
type bareStream struct {
	bus      *Bus
	consumer jetstream.Consumer
}

func newBareStream(b *testing.B, bus *Bus) (*bareStream, error) {
	b.Helper()
	stream, err := bus.js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "BARE", Subjects: []string{"bare"}})
	if err != nil {
		return nil, err
	}
	consumer, err := stream.CreateConsumer(b.Context(), jetstream.ConsumerConfig{Durable: "bare", AckPolicy: jetstream.AckExplicitPolicy})
	return &bareStream{bus: bus, consumer: consumer}, err
}

// passOn publishes n messages and acknowledges them.
func (s *bareStream) passOn(n int) error {
	payload := make([]byte, 256)
	for range n {
		if _, err := s.bus.js.PublishAsync("bare", payload); err != nil {
			return err
		}
	}
	<-s.bus.js.PublishAsyncComplete()
	for taken := 0; taken < n; {
		batch, err := s.consumer.Fetch(min(n-taken, 256))
		if err != nil {
			return err
		}
		for m := range batch.Messages() {
			if err := m.Ack(); err != nil {
				return err
			}
			taken++
		}
		if err := batch.Error(); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkFailedPage lists a page of 50 out of ten thousand failed jobs by a filter that few match, against reading 50 entries of FAILED from
// JetStream one by one, as the list without an index would for one that all match.
func BenchmarkFailedPage(b *testing.B) {
	bus := benchBus(b)
	for i := range 10_000 {
		giveUp(b, bus, i+1, func(job *FailedJob) {
			if i%150 == 0 {
				job.LastError.Detail = "the rare one"
			}
		})
	}
	queue := bus.NewFailedQueue()
	stream, err := bus.js.Stream(b.Context(), events.StreamFailed)
	if err != nil {
		b.Fatal(err)
	}
	compare(b, func(n int) error {
		for range n {
			page, _, err := queue.List(b.Context(), events.FailedFilter{Text: "RARE one"}, 0, 50)
			if err == nil && len(page) != 50 {
				err = fmt.Errorf("%d on the page", len(page))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, func(n int) error {
		for range n {
			for entry := range uint64(50) {
				if _, err := stream.GetMsg(b.Context(), entry+1, jetstream.WithGetMsgSubject(events.AllFailed)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
