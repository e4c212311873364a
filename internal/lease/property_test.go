package lease_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/lease"
	"github.com/dannsalud/broadcaster/internal/session"
)

// TestNeverTwoOwners lets several workers fight for two sessions over bad links for a quarter of an hour of virtual time: lost and late
// requests and answers, partitions, frozen processes, crashes, clean stops. Whatever happens, two workers never believe in one lease
// at once, no two have a connection open at once, and epochs only grow. When the trouble ends, every session finds an owner again.
func TestNeverTwoOwners(t *testing.T) {
	t.Parallel()
	base := rand.Uint64()
	for i := range uint64(40) {
		seed := base + i
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newFight(t, seed).run() })
		})
	}
}

const fightTime = 15 * time.Minute

// fight is the stage and the referee.
type fight struct {
	t        *testing.T
	bucket   *memory
	peaceful chan struct{}

	mu     sync.Mutex
	random *rand.Rand
	// alive has the leases of processes that have not crashed; connected the number of open connections; epochs the last epoch seen.
	alive     map[*lease.Lease]bool
	connected map[session.ID]int
	epochs    map[session.ID]uint64
	claims    map[session.ID]int
}

func newFight(t *testing.T, seed uint64) *fight {
	return &fight{
		t: t, bucket: newMemory(ttl), peaceful: make(chan struct{}), random: rand.New(rand.NewPCG(seed, seed)),
		alive: map[*lease.Lease]bool{}, connected: map[session.ID]int{}, epochs: map[session.ID]uint64{}, claims: map[session.ID]int{},
	}
}

func (f *fight) run() {
	sessions := []session.ID{maria, jose}
	var fighters sync.WaitGroup
	for i := range 3 {
		fighters.Go(func() { f.lives(fmt.Sprint("worker", i), sessions) })
	}
	pass(fightTime)
	close(f.peaceful)
	fighters.Wait()

	heir := start(f.t, f.bucket, "heir")
	defer heir.stop()
	for _, id := range sessions {
		if f.claims[id] < 5 {
			f.t.Errorf("%s was claimed %d times in all: the test does not fight", id, f.claims[id])
		}
		held, _ := heir.claimWithin(id, 2*ttl)
		f.opened(held)
	}
}

// lives runs one worker process after the other, each until it crashes or is stopped.
func (f *fight) lives(name string, sessions []session.ID) {
	for generation := 0; !f.peace(); generation++ {
		w := start(f.t, f.bucket, fmt.Sprint(name, "/", generation))
		w.link.set(f.weather())
		life, die := context.WithTimeout(f.t.Context(), f.span(20*time.Second, 3*time.Minute))
		var hosts sync.WaitGroup
		crash := f.chance(40)
		for _, id := range sessions {
			hosts.Go(func() { f.host(life, w, id, crash) })
		}
		select {
		case <-life.Done():
		case <-f.peaceful:
		}
		if crash {
			w.cut()
		}
		die()
		w.stop()
		hosts.Wait()
	}
}

// host claims a session again and again and keeps a connection while it holds the lease.
func (f *fight) host(life context.Context, w *worker, id session.ID, crash bool) {
	for life.Err() == nil {
		held, err := w.Claim(life, id)
		if err != nil {
			if fault.Of(err) != fault.RetryLater {
				f.t.Errorf("a claim that fails is worth another try, but this one says %s: %v", fault.Of(err), err)
			}
			pass(f.span(0, 2*time.Second))
			continue
		}
		f.opened(held)
		enough := time.After(f.span(0, time.Minute))
		select {
		case <-enough:
			f.close(held)
		case <-held.Done():
			if crash && life.Err() != nil {
				f.crashed(held)
				return
			}
			pass(f.span(0, margin-time.Nanosecond))
			f.close(held)
		}
		// A failed hand-over is the link's trouble, not a defect: the key expires.
		_ = held.Release(context.WithoutCancel(life))
	}
}

// weather gives a link that is good for a while, then bad in one way for a while.
func (f *fight) weather() func() trouble {
	var until time.Time
	var kind int
	return func() trouble {
		if f.peace() {
			return trouble{}
		}
		if time.Now().After(until) {
			until = time.Now().Add(f.span(time.Second, 25*time.Second))
			kind = int(f.span(0, 8))
		}
		switch kind {
		case 0:
			return trouble{dropped: true}
		case 1:
			return trouble{unanswered: true}
		case 2:
			return trouble{before: f.span(0, 2*ttl)}
		case 3:
			return trouble{after: f.span(0, 2*ttl)}
		case 4:
			return trouble{before: f.span(0, ttl), after: f.span(0, 2*ttl), frozen: true}
		}
		return trouble{before: f.span(0, 200*time.Millisecond), after: f.span(0, 200*time.Millisecond)}
	}
}

// opened judges a lease that was just claimed, and opens its connection.
func (f *fight) opened(held *lease.Lease) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := held.Session()
	for other := range f.alive {
		if other.Session() == id && other.Held() {
			f.t.Errorf("%s: epoch %d was claimed while epoch %d is held", id, held.Epoch(), other.Epoch())
		}
	}
	if held.Epoch() <= f.epochs[id] {
		f.t.Errorf("%s: epoch %d after %d", id, held.Epoch(), f.epochs[id])
	}
	if f.connected[id]++; f.connected[id] > 1 {
		f.t.Errorf("%s: epoch %d opened a second connection", id, held.Epoch())
	}
	f.epochs[id] = held.Epoch()
	f.claims[id]++
	f.alive[held] = true
}

func (f *fight) close(held *lease.Lease) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.connected[held.Session()]--
}

// crashed takes a process away: its connection is gone, and nobody asks it anything any more.
func (f *fight) crashed(held *lease.Lease) {
	f.close(held)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.alive, held)
}

func (f *fight) peace() bool {
	select {
	case <-f.peaceful:
		return true
	default:
		return false
	}
}

func (f *fight) span(from, to time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return from + time.Duration(f.random.Int64N(int64(to-from)))
}

func (f *fight) chance(percent int64) bool { return int64(f.span(0, 100)) < percent }
