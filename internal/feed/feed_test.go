package feed_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/bus/bustest"
	"github.com/dannsalud/broadcaster/internal/bus/embed"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/feed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// queue is a real queue, and a bare client of it.
type queue struct {
	t   *testing.T
	bus *bus.Bus
	js  interface {
		DeleteStream(ctx context.Context, name string) error
	}
}

func newQueue(t *testing.T) *queue {
	t.Helper()
	broker, err := embed.Start(embed.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	q := &queue{t: t}
	if q.bus, err = bus.Connect(t.Context(), bus.Options{Server: broker, Name: "api-1", Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(q.bus.Close(), broker.Stop()); err != nil {
			t.Error(err)
		}
	})
	q.js = bustest.JetStream(t, broker)
	q.make()
	return q
}

func (q *queue) make() {
	q.t.Helper()
	if err := q.bus.EnsureTopology(q.t.Context()); err != nil {
		q.t.Fatal(err)
	}
}

func (q *queue) publish(from, to int) {
	q.t.Helper()
	for n := from; n <= to; n++ {
		fact := events.MessageReceived{Version: events.FactVersion, SessionID: "ses_1", MessageIn: strconv.Itoa(n), Text: "hola", At: time.Unix(1, 0)}
		if err := q.bus.PublishFact(q.t.Context(), fact); err != nil {
			q.t.Fatal(err)
		}
	}
}

// logOf counts the readings of a log.
type logOf struct {
	feed.Log
	readings int
}

func (l *logOf) ReadFacts(ctx context.Context, after uint64, limit int) ([]events.Recorded, events.Span, error) {
	l.readings++
	return l.Log.ReadFacts(ctx, after, limit)
}

func newFeed(t *testing.T, log feed.Log, held int) *feed.Feed {
	t.Helper()
	f, err := feed.New(feed.Options{Log: log, Held: held, Encode: func(fact events.Recorded) []byte { return fact.Data }})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// run follows the log until stop is called.
func run(t *testing.T, f *feed.Feed) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		ended <- nil
	}
	t.Cleanup(stop)
	return stop
}

func open(t *testing.T, f *feed.Feed, after uint64) *feed.Reader {
	t.Helper()
	reader, err := f.Open(t.Context(), func(context.Context, *feed.Fact) (bool, error) { return true, nil }, &after)
	if err != nil {
		t.Fatal(err)
	}
	return reader
}

// want takes facts until it has those from one sequence to another, and gives the gap that came with them.
func want(t *testing.T, reader *feed.Reader, from, to uint64) (gap *feed.Gap) {
	t.Helper()
	for from <= to {
		changed := reader.Changed()
		batch, err := reader.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if batch.Gap != nil {
			gap = batch.Gap
		}
		for _, fact := range batch.Facts {
			if fact.Sequence != from {
				t.Fatalf("got fact %d, want %d", fact.Sequence, from)
			}
			from++
		}
		if !batch.More && from <= to {
			<-changed
		}
	}
	return gap
}

// TestWhoComesBackAfterARestartFindsWhatWasMissed: a thousand that do must not read the log a thousand times.
func TestWhoComesBackAfterARestartFindsWhatWasMissed(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	q.publish(1, 30)
	log := &logOf{Log: q.bus}
	f := newFeed(t, log, 20)
	run(t, f)
	want(t, open(t, f, 12), 13, 30)
	if log.readings != 0 {
		t.Errorf("the log was read %d times", log.readings)
	}
	want(t, open(t, f, 3), 4, 30) // further back than what is held
	if log.readings != 1 {
		t.Errorf("the log was read %d times", log.readings)
	}
}

// TestALogThatWasMadeAnewEndsItsReaders: its numbers say something else.
func TestALogThatWasMadeAnewEndsItsReaders(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	q.publish(1, 9)
	f := newFeed(t, q.bus, 0)
	stop := run(t, f)
	reader := open(t, f, 0)
	want(t, reader, 1, 9)
	stop()
	if err := q.js.DeleteStream(t.Context(), events.StreamEvents); err != nil {
		t.Fatal(err)
	}
	q.make()
	q.publish(101, 103)
	changed := reader.Changed()
	run(t, f)
	<-changed
	if _, err := reader.Take(t.Context()); !errors.Is(err, feed.ErrOtherLog) {
		t.Fatalf("got %v", err)
	}
	again := open(t, f, reader.Position())
	q.publish(104, 104)
	if gap := want(t, again, 4, 4); gap == nil || *gap != (feed.Gap{After: 9, First: 4}) {
		t.Errorf("the gap is %+v", gap)
	}
	want(t, open(t, f, 0), 1, 4)
}

// TestAFeedGoesOnWhereItWas: what happens while it does not follow is followed later, unless it is gone; then who waited for it is sent to the log.
func TestAFeedGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	q.publish(1, 5)
	f := newFeed(t, q.bus, 3)
	stop := run(t, f)
	reader := open(t, f, 5)
	want(t, open(t, f, 0), 1, 5)
	if batch, err := reader.Take(t.Context()); err != nil || len(batch.Facts) != 0 {
		t.Fatalf("%+v, %v", batch, err)
	}
	stop()
	q.publish(6, 8)
	stop = run(t, f)
	want(t, reader, 6, 8)
	stop()
	q.publish(9, 12)
	run(t, f)
	want(t, open(t, f, 11), 12, 12) // now all are there: who had come between the first and the last would be too slow
	want(t, open(t, f, 8), 9, 12)   // four facts are more than what is held
	if _, err := reader.Take(t.Context()); !errors.Is(err, feed.ErrTooSlow) {
		t.Fatalf("got %v", err)
	}
	want(t, open(t, f, reader.Position()), 9, 12)
}

// TestAReaderWhoseRightsCannotBeReadStaysWhereItWas, and sees nothing.
func TestAReaderWhoseRightsCannotBeReadStaysWhereItWas(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	f := newFeed(t, q.bus, 0)
	run(t, f)
	q.publish(1, 3)
	broken, fails := errors.New("no database"), true
	reader, err := f.Open(t.Context(), func(context.Context, *feed.Fact) (bool, error) {
		if fails {
			return true, broken
		}
		return true, nil
	}, new(uint64))
	if err != nil {
		t.Fatal(err)
	}
	for {
		changed := reader.Changed()
		batch, err := reader.Take(t.Context())
		if errors.Is(err, broken) && len(batch.Facts) == 0 {
			break
		}
		if err != nil || len(batch.Facts) > 0 {
			t.Fatalf("%+v, %v", batch, err)
		}
		<-changed
	}
	fails = false
	want(t, reader, 1, 3)
}

func TestAFeedNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := feed.New(feed.Options{Log: newQueue(t).bus}); err == nil {
		t.Error("a feed without Encode was made")
	}
	f := newFeed(t, newQueue(t).bus, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Open(ctx, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a feed that does not run gives %v", err)
	}
}
