package lease_test

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/lease"
)

func TestHealthIsThatOfTheLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory(ttl)
		idle, err := lease.New(lease.Options{Bucket: bucket, Worker: "idle", TTL: ttl, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if idle.Health(t.Context()) == nil {
			t.Error("a loop that never ran is healthy")
		}
		w := start(t, bucket, "worker-1")
		held := w.claim(maria)
		time.Sleep(ttl)
		if err := w.Health(t.Context()); err != nil {
			t.Error(err)
		}
		w.cut()
		<-held.Done()
		time.Sleep(margin) // the renewal in hand has failed as well
		if w.Health(t.Context()) == nil {
			t.Error("a worker that could not renew is healthy")
		}
		w.mend()
		if err := held.Release(t.Context()); err != nil {
			t.Error(err)
		}
		w.claim(maria)
		time.Sleep(ttl)
		if err := w.Health(t.Context()); err != nil {
			t.Error(err)
		}
		w.stop()
		time.Sleep(2 * ttl)
		if w.Health(t.Context()) == nil {
			t.Error("a loop that has ended is healthy")
		}
	})
}
