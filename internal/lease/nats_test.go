package lease_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/bus/embed"
	"github.com/dannsalud/broadcaster/internal/lease"
	"github.com/dannsalud/broadcaster/internal/session"
)

// natsTTL is short, because the server's clock is real, but long enough for a busy machine to renew in time.
const natsTTL = 3 * time.Second

// natsBucket adapts the bus's bucket to the port, as the wiring does.
type natsBucket struct{ *bus.Bucket }

func (b natsBucket) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	revision, err := b.Bucket.Create(ctx, key, value)
	return revision, translated(err)
}

func (b natsBucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	revision, err := b.Bucket.Update(ctx, key, value, revision)
	return revision, translated(err)
}

func (b natsBucket) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	value, revision, err := b.Bucket.Get(ctx, key)
	return value, revision, translated(err)
}

func (b natsBucket) Delete(ctx context.Context, key string, revision uint64) error {
	return translated(b.Bucket.Delete(ctx, key, revision))
}

func (b natsBucket) Watch(ctx context.Context, freed func(string)) error {
	return b.Bucket.Watch(ctx, "", func(change bus.Change) {
		if change.Gone {
			freed(change.Key)
		}
	})
}

func translated(err error) error {
	for theirs, ours := range map[error]error{
		bus.ErrExists: lease.ErrKeyExists, bus.ErrMissing: lease.ErrKeyNotFound, bus.ErrRevision: lease.ErrRevision,
	} {
		if errors.Is(err, theirs) {
			return errors.Join(ours, err)
		}
	}
	return err
}

// natsServer starts a nats-server with the product's own buckets.
func natsServer(t *testing.T) *embed.Server {
	t.Helper()
	server, err := embed.Start(embed.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("stop the server: %v", err)
		}
	})
	return server
}

// natsWorker is a keeper with a connection of its own.
type natsWorker struct {
	*lease.Keeper

	// disconnect cuts the worker off, as a crash or a broken network does.
	disconnect func()
	stop       func()
}

func natsStart(t *testing.T, server *embed.Server, name string) natsWorker {
	t.Helper()
	connection, err := bus.Connect(t.Context(), bus.Options{Server: server, Name: name, LeaseTTL: natsTTL, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	disconnect := func() {
		if !closed {
			closed = true
			if err := connection.Close(); err != nil {
				t.Errorf("close the connection of %s: %v", name, err)
			}
		}
	}
	t.Cleanup(disconnect)
	if err := connection.EnsureTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	bucket, err := connection.Bucket(t.Context(), bus.BucketLeases)
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := lease.New(lease.Options{Bucket: natsBucket{bucket}, Worker: name, TTL: natsTTL, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := keeper.Run(ctx); err != nil {
			t.Errorf("run of %s: %v", name, err)
		}
	}()
	stop := func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return natsWorker{keeper, disconnect, stop}
}

// watching gives the sessions that are freed from now on, as this worker hears of them.
func (w natsWorker) watching(t *testing.T) <-chan session.ID {
	t.Helper()
	freed := make(chan session.ID, 100)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := w.Watch(ctx, func(id session.ID) { freed <- id }); err != nil {
			t.Errorf("watch: %v", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	for { // Until the watch has begun it reports nothing.
		if err := natsClaim(t, w, "ses_probe").Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case <-freed:
			return freed
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// next waits for a session to be freed; late reports of the probe are passed over.
func next(t *testing.T, freed <-chan session.ID) session.ID {
	t.Helper()
	for {
		select {
		case id := <-freed:
			if id != "ses_probe" {
				return id
			}
		case <-time.After(5 * natsTTL):
			t.Fatal("nothing was freed")
		}
	}
}

func natsClaim(t *testing.T, w natsWorker, id session.ID) *lease.Lease {
	t.Helper()
	held, err := w.Claim(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func TestOnNATSOneWorkerHoldsUntilItReleases(t *testing.T) {
	t.Parallel()
	server := natsServer(t)
	north, south := natsStart(t, server, "north"), natsStart(t, server, "south")
	freed := south.watching(t)
	first := natsClaim(t, north, maria)
	var who *lease.HeldError
	if _, err := south.Claim(t.Context(), maria); !errors.As(err, &who) || who.Worker != "north" {
		t.Fatalf("got %v, want north to hold it", err)
	}
	select {
	case <-first.Done():
		t.Fatal("the lease was lost although it was renewed")
	case <-time.After(2 * natsTTL): // Twice as long as it lasts without renewal.
	}
	released := time.Now()
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if id := next(t, freed); id != maria {
		t.Errorf("freed %s, want %s", id, maria)
	}
	second := natsClaim(t, south, maria)
	if took := time.Since(released); took > natsTTL {
		t.Errorf("the hand-over took %s", took)
	}
	if !second.Held() || first.Held() || second.Epoch() <= first.Epoch() {
		t.Errorf("second held %v, first held %v, epochs %d, %d", second.Held(), first.Held(), first.Epoch(), second.Epoch())
	}
}

func TestOnNATSACrashedHolderIsReplacedAfterItStopped(t *testing.T) {
	t.Parallel()
	server := natsServer(t)
	north, south := natsStart(t, server, "north"), natsStart(t, server, "south")
	freed := south.watching(t)
	first := natsClaim(t, north, maria)
	crashed := time.Now()
	north.disconnect()
	<-first.Done()
	stopped := time.Since(crashed)
	if id := next(t, freed); id != maria {
		t.Errorf("freed %s, want %s", id, maria)
	}
	second := natsClaim(t, south, maria)
	if after := time.Since(crashed); stopped >= natsTTL || after <= stopped || after > 2*natsTTL {
		t.Errorf("the holder stopped %s and was replaced %s after it was cut off; the TTL is %s", stopped, after, natsTTL)
	}
	if first.Held() || !second.Held() || second.Epoch() <= first.Epoch() {
		t.Errorf("first held %v, second held %v, epochs %d, %d", first.Held(), second.Held(), first.Epoch(), second.Epoch())
	}
}

func TestOnNATSTheEndOfRunHandsOver(t *testing.T) {
	t.Parallel()
	server := natsServer(t)
	north, south := natsStart(t, server, "north"), natsStart(t, server, "south")
	freed := south.watching(t)
	first := natsClaim(t, north, maria)
	go func() {
		<-first.Done()
		if err := first.Release(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("release: %v", err)
		}
	}()
	north.stop()
	if id := next(t, freed); id != maria {
		t.Errorf("freed %s, want %s", id, maria)
	}
	if second := natsClaim(t, south, maria); second.Epoch() <= first.Epoch() {
		t.Errorf("epochs %d, %d", first.Epoch(), second.Epoch())
	}
}
