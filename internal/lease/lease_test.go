package lease_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/lease"
	"github.com/dannsalud/broadcaster/internal/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ttl    = 15 * time.Second
	margin = 3 * time.Second

	maria session.ID = "ses_maria"
	jose  session.ID = "ses_jose"
)

// worker is one keeper with its own way to the bucket, running until stop.
type worker struct {
	*lease.Keeper

	t        *testing.T
	link     *link
	registry *prometheus.Registry
	cancel   context.CancelFunc
	ended    chan struct{}
}

func start(t *testing.T, bucket *memory, name string) *worker {
	t.Helper()
	w := &worker{t: t, link: &link{memory: bucket}, registry: prometheus.NewRegistry(), ended: make(chan struct{})}
	keeper, err := lease.New(lease.Options{
		Bucket: w.link, Worker: name, TTL: ttl, Margin: margin, Log: slog.New(slog.DiscardHandler), Registerer: w.registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Keeper = keeper
	t.Cleanup(w.link.wires.Wait)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	w.cancel = cancel
	go func() {
		defer close(w.ended)
		if err := keeper.Run(ctx); err != nil {
			t.Errorf("run of %s: %v", name, err)
		}
	}()
	return w
}

func (w *worker) stop() {
	w.cancel()
	<-w.ended
}

// cut makes every further exchange of the worker go unanswered, unseen by the bucket.
func (w *worker) cut() { w.link.set(func() trouble { return trouble{dropped: true} }) }

// mend ends the worker's trouble.
func (w *worker) mend() { w.link.set(nil) }

func (w *worker) claim(id session.ID) *lease.Lease {
	w.t.Helper()
	held, err := w.Claim(w.t.Context(), id)
	if err != nil {
		w.t.Fatalf("claim %s: %v", id, err)
	}
	return held
}

func (w *worker) release(held *lease.Lease) {
	w.t.Helper()
	if err := held.Release(context.WithoutCancel(w.t.Context())); err != nil {
		w.t.Fatalf("release %s: %v", held.Session(), err)
	}
}

// refused claims a session that has a holder, and returns the holder's name.
func (w *worker) refused(id session.ID) string {
	w.t.Helper()
	_, err := w.Claim(w.t.Context(), id)
	var who *lease.HeldError
	if !errors.Is(err, lease.ErrHeld) || !errors.As(err, &who) || who.Session != id {
		w.t.Fatalf("claim %s: got %v, want ErrHeld with its holder", id, err)
	}
	failure := fault.As(err)
	if failure.Class != fault.RetryLater || failure.After <= 0 || failure.After > ttl {
		w.t.Errorf("claim %s: class %s after %s, want retry_later within a TTL", id, failure.Class, failure.After)
	}
	return who.Worker
}

// claimWithin claims as a host does, again and again, and returns how long it took.
func (w *worker) claimWithin(id session.ID, limit time.Duration) (*lease.Lease, time.Duration) {
	w.t.Helper()
	began := time.Now()
	for {
		held, err := w.Claim(w.t.Context(), id)
		if err == nil {
			return held, time.Since(began)
		}
		if time.Since(began) > limit {
			w.t.Fatalf("claim %s: still %v after %s", id, err, limit)
		}
		<-time.After(100 * time.Millisecond)
	}
}

func open(held *lease.Lease) bool {
	select {
	case <-held.Done():
		return false
	default:
		return true
	}
}

func wantHeld(t *testing.T, held *lease.Lease, want bool) {
	t.Helper()
	synctest.Wait()
	if held.Held() != want || open(held) != want {
		t.Fatalf("%s: Held() %v, Done open %v, want both %v", held.Session(), held.Held(), open(held), want)
	}
}

func doneWithin(t *testing.T, held *lease.Lease, limit time.Duration) {
	t.Helper()
	select {
	case <-held.Done():
	case <-time.After(limit):
		t.Fatalf("%s: Done is still open after %s", held.Session(), limit)
	}
}

// pass lets virtual time go by.
func pass(d time.Duration) { <-time.After(d) }

func TestClaimIsExclusiveAndNamesTheHolder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory(ttl)
		north, south := start(t, bucket, "north"), start(t, bucket, "south")
		defer south.stop()
		defer north.stop()
		since := time.Now()
		held := north.claim(maria)
		pass(time.Minute)
		_, err := south.Claim(t.Context(), maria)
		var who *lease.HeldError
		if !errors.As(err, &who) {
			t.Fatalf("got %v, want a HeldError", err)
		}
		want := lease.HeldError{Session: maria, Worker: "north", Since: since}
		if diff := cmp.Diff(want, *who, cmpopts.EquateApproxTime(0)); diff != "" {
			t.Errorf("the refusal does not say who holds it (-want +got):\n%s", diff)
		}
		if who := south.refused(maria); who != "north" {
			t.Errorf("held by %q, want north", who)
		}
		if who := north.refused(maria); who != "north" {
			t.Errorf("a second claim by the holder's own worker must be refused too, by %q", who)
		}
		if other := south.claim(jose); other.Epoch() <= held.Epoch() {
			t.Errorf("epoch %d after %d: it must grow over all sessions", other.Epoch(), held.Epoch())
		}
		wantHeld(t, held, true)
	})
}

func TestReleaseHandsOverAtOnceAndRaisesTheEpoch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory(ttl)
		north, south := start(t, bucket, "north"), start(t, bucket, "south")
		defer south.stop()
		defer north.stop()
		freed := make(chan session.ID, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			if err := south.Watch(ctx, func(id session.ID) { freed <- id }); err != nil {
				t.Errorf("watch: %v", err)
			}
		}()
		first := north.claim(maria)
		pass(time.Minute)
		before := time.Now()
		north.release(first)
		wantHeld(t, first, false)
		if id := <-freed; id != maria {
			t.Errorf("freed %s, want %s", id, maria)
		}
		second := south.claim(maria)
		if time.Since(before) != 0 {
			t.Errorf("the hand-over took %s", time.Since(before))
		}
		if second.Epoch() <= first.Epoch() {
			t.Errorf("epoch %d after %d", second.Epoch(), first.Epoch())
		}
		north.release(first)
		wantHeld(t, second, true)
	})
}

func TestLeasesLastWhileRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory(ttl)
		north := start(t, bucket, "north")
		defer north.stop()
		north.link.set(func() trouble { return trouble{before: 50 * time.Millisecond, after: 50 * time.Millisecond} })
		var all []*lease.Lease
		for i := range 200 {
			all = append(all, north.claim(session.ID(fmt.Sprint("ses_", i))))
		}
		pass(time.Hour)
		for _, held := range all {
			wantHeld(t, held, true)
		}
	})
}

func TestHolderThatCannotRenewStopsBeforeAnotherCanClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory(ttl)
		north, south := start(t, bucket, "north"), start(t, bucket, "south")
		defer south.stop()
		defer north.stop()
		held := north.claim(maria)
		pass(time.Minute)
		north.cut()
		cut := time.Now()
		doneWithin(t, held, ttl)
		stopped := time.Now()
		if after := stopped.Sub(cut); after > ttl-margin || after < ttl-margin-ttl/2 {
			t.Errorf("the holder stopped %s after the cut, want at most %s and not long before", after, ttl-margin)
		}
		wantHeld(t, held, false)
		south.claimWithin(maria, ttl)
		if after := time.Since(stopped); after < margin {
			t.Errorf("another worker had it %s after the holder stopped, want the margin of %s at least", after, margin)
		}
		north.mend()
		north.release(held)
		north.refused(maria)
	})
}

func TestShortOutageIsNoLoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		north := start(t, newMemory(ttl), "north")
		defer north.stop()
		held := north.claim(maria)
		for range 20 {
			pass(time.Minute)
			north.cut()
			pass(5 * time.Second)
			north.mend()
		}
		wantHeld(t, held, true)
	})
}

func TestRenewalWithoutAnswerIsNoLoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		north := start(t, newMemory(ttl), "north")
		defer north.stop()
		held := north.claim(maria)
		for exchanges := range 40 {
			lost := exchanges%2 == 0
			north.link.set(func() trouble { return trouble{unanswered: lost} })
			pass(4 * time.Second)
		}
		wantHeld(t, held, true)
		north.mend()
		north.release(held)
		if again := north.claim(maria); again.Epoch() <= held.Epoch() {
			t.Errorf("epoch %d after %d", again.Epoch(), held.Epoch())
		}
	})
}

func TestMovedRevisionEndsTheLeaseAtTheNextRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory(ttl)
		north := start(t, bucket, "north")
		defer north.stop()
		held := north.claim(maria)
		pass(time.Minute)
		bucket.overwrite(string(maria), []byte("taken by force"))
		pass(ttl / 2)
		wantHeld(t, held, false)
		north.release(held)
		if who := north.refused(maria); who != "unknown" {
			t.Errorf("a value that nobody can read must be respected, got holder %q", who)
		}
	})
}

func TestFrozenHolderDoesNotBelieveALateAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory(ttl)
		north, south := start(t, bucket, "north"), start(t, bucket, "south")
		defer south.stop()
		defer north.stop()
		held := north.claim(maria)
		// The request is stored at once; the process then stands still for longer than a TTL before it reads the answer.
		north.link.set(func() trouble { return trouble{after: 2 * ttl, frozen: true} })
		pass(ttl / 2)
		north.mend()
		taken, _ := south.claimWithin(maria, 2*ttl)
		for range 300 {
			pass(100 * time.Millisecond)
			if held.Held() {
				t.Fatal("two workers believe that they hold the lease")
			}
		}
		wantHeld(t, taken, true)
	})
}

func TestClaimAnsweredTooLateIsNoLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory(ttl)
		north, south := start(t, bucket, "north"), start(t, bucket, "south")
		defer south.stop()
		defer north.stop()
		north.link.set(func() trouble { return trouble{after: ttl - margin, frozen: true} })
		if _, err := north.Claim(t.Context(), maria); fault.Of(err) != fault.RetryLater || errors.Is(err, lease.ErrHeld) {
			t.Fatalf("got %v, want a failure to claim", err)
		}
		north.mend()
		south.claimWithin(maria, ttl)
	})
}

func TestLostSessionStaysClosedHereUntilReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		north := start(t, newMemory(ttl), "north")
		defer north.stop()
		held := north.claim(maria)
		north.cut()
		doneWithin(t, held, ttl)
		north.mend()
		pass(time.Minute)
		north.refused(maria)
		north.release(held)
		wantHeld(t, north.claim(maria), true)
		wantHeld(t, held, false)
	})
}

func TestClaimWithoutAnswerIsTakenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory(ttl)
		north, south := start(t, bucket, "north"), start(t, bucket, "south")
		defer south.stop()
		defer north.stop()
		north.link.set(func() trouble { return trouble{unanswered: true} })
		if _, err := north.Claim(t.Context(), maria); err == nil || fault.Of(err) != fault.RetryLater {
			t.Fatalf("got %v, want a failure to retry", err)
		}
		north.mend()
		if who := south.refused(maria); who != "north" {
			t.Errorf("held by %q, want north", who)
		}
		wantHeld(t, north.claim(maria), true)
	})
}

func TestReleaseWithoutAnswerIsAnErrorAndFreesTheSessionHere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		north := start(t, newMemory(ttl), "north")
		defer north.stop()
		held := north.claim(maria)
		north.cut()
		if err := held.Release(t.Context()); fault.Of(err) != fault.RetryLater {
			t.Errorf("got %v, want a failure of class retry_later", err)
		}
		wantHeld(t, held, false)
		north.mend()
		if again := north.claim(maria); again.Epoch() <= held.Epoch() {
			t.Errorf("epoch %d after %d", again.Epoch(), held.Epoch())
		}
	})
}

func TestReleaseWaitsForTheRenewalUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory(ttl)
		north, south := start(t, bucket, "north"), start(t, bucket, "south")
		defer south.stop()
		defer north.stop()
		held := north.claim(maria)
		// From here on every exchange takes a second, of which the answer takes all: a renewal is soon under way for sure.
		renewing := make(chan struct{}, 100)
		north.link.set(func() trouble {
			renewing <- struct{}{}
			return trouble{after: time.Second}
		})
		<-renewing
		pass(100 * time.Millisecond)
		north.release(held)
		wantHeld(t, south.claim(maria), true)
	})
}

func TestOneOfManyConcurrentClaimsSucceeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory(ttl)
		north, south := start(t, bucket, "north"), start(t, bucket, "south")
		defer south.stop()
		defer north.stop()
		var mu sync.Mutex
		var won int
		var group sync.WaitGroup
		for i := range 20 {
			keeper := []*worker{north, south}[i%2]
			group.Go(func() {
				_, err := keeper.Claim(t.Context(), maria)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if !errors.Is(err, lease.ErrHeld) {
					t.Errorf("got %v, want ErrHeld", err)
				}
			})
		}
		group.Wait()
		if won != 1 {
			t.Errorf("%d claims succeeded, want 1", won)
		}
	})
}

func TestCrashIsTakenOverWithinTwoTTLs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory(ttl)
		north, south := start(t, bucket, "north"), start(t, bucket, "south")
		defer south.stop()
		held := north.claim(maria)
		pass(time.Minute)
		north.cut()
		north.stop()
		taken, after := south.claimWithin(maria, 2*ttl)
		if after > ttl {
			t.Errorf("taken over after %s, want at most the TTL", after)
		}
		if taken.Epoch() <= held.Epoch() {
			t.Errorf("epoch %d after %d", taken.Epoch(), held.Epoch())
		}
	})
}

func TestEndOfRunGivesHoldersTheMarginAndThenHandsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory(ttl)
		north, south := start(t, bucket, "north"), start(t, bucket, "south")
		defer south.stop()
		quick, slow := north.claim(maria), north.claim(jose)
		go func() {
			<-quick.Done()
			pass(time.Second)
			north.release(quick)
		}()
		began := time.Now()
		go north.cancel()
		doneWithin(t, slow, ttl)
		wantHeld(t, quick, false)
		_, after := south.claimWithin(maria, ttl)
		if after < time.Second || after > 1200*time.Millisecond {
			t.Errorf("the quick holder's session was free after %s, want a second", after)
		}
		south.refused(jose)
		<-north.ended
		if time.Since(began) != margin {
			t.Errorf("run ended after %s, want the margin of %s for a holder that never releases", time.Since(began), margin)
		}
		south.claim(jose)
		if _, err := north.Claim(t.Context(), "ses_third"); !errors.Is(err, lease.ErrStopped) || fault.Of(err) != fault.RetryLater {
			t.Errorf("got %v, want ErrStopped", err)
		}
		north.release(slow)
	})
}

func TestEndOfRunDoesNotWaitForReleasedLeases(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory(ttl)
		north := start(t, bucket, "north")
		held := north.claim(maria)
		go func() {
			<-held.Done()
			north.release(held)
		}()
		began := time.Now()
		north.stop()
		if time.Since(began) != 0 {
			t.Errorf("run ended after %s", time.Since(began))
		}
		if _, _, err := bucket.Get(t.Context(), string(maria)); !errors.Is(err, lease.ErrKeyNotFound) {
			t.Errorf("the key is still there: %v", err)
		}
	})
}

func TestClaimUnderWayAtTheEndOfRunLeavesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory(ttl)
		north := start(t, bucket, "north")
		north.link.set(func() trouble { return trouble{before: time.Second} })
		failed := make(chan error)
		go func() {
			_, err := north.Claim(t.Context(), maria)
			failed <- err
		}()
		synctest.Wait()
		north.cancel()
		north.mend()
		if err := <-failed; !errors.Is(err, lease.ErrStopped) {
			t.Errorf("got %v, want ErrStopped", err)
		}
		<-north.ended
		if _, _, err := bucket.Get(t.Context(), string(maria)); !errors.Is(err, lease.ErrKeyNotFound) {
			t.Errorf("the key is still there: %v", err)
		}
	})
}

func TestMetricsTellTheStory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory(ttl)
		north, south := start(t, bucket, "north"), start(t, bucket, "south")
		first, second := north.claim(maria), north.claim(jose)
		north.claim("ses_third")
		south.refused(maria)
		south.refused(jose)
		north.release(first)
		bucket.overwrite(string(jose), []byte("{}"))
		pass(ttl / 2)
		wantHeld(t, second, false)
		north.stop()
		south.stop()
		want := map[string]float64{"claimed": 3, "taken": 1, "unreachable": 0, "shutdown": 1, "held": 0}
		got := map[string]float64{
			"claimed": value(t, north.registry, "leases_claimed_total"), "held": value(t, north.registry, "leases_held"),
			"taken":       value(t, north.registry, "leases_lost_total", "taken"),
			"unreachable": value(t, north.registry, "leases_lost_total", "unreachable"),
			"shutdown":    value(t, north.registry, "leases_lost_total", "shutdown"),
		}
		for name := range want {
			if got[name] != want[name] {
				t.Errorf("%s: got %v, want %v", name, got[name], want[name])
			}
		}
		if contended := value(t, south.registry, "leases_contended_total"); contended != 2 {
			t.Errorf("contended: got %v, want 2", contended)
		}
		if problems, err := testutil.GatherAndLint(north.registry); err != nil || len(problems) > 0 {
			t.Errorf("the metrics are not conventional: %v %v", problems, err)
		}
	})
}

// value reads one counter or gauge; label is the value of its only label, if it has one.
func value(t *testing.T, registry *prometheus.Registry, name string, label ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			if len(label) == 0 || metric.GetLabel()[0].GetValue() == label[0] {
				return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s %v", name, label)
	return 0
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	bucket := newMemory(ttl)
	rows := map[string]lease.Options{
		"no bucket":       {Worker: "north"},
		"no worker":       {Bucket: bucket},
		"negative TTL":    {Bucket: bucket, Worker: "north", TTL: -time.Second},
		"tiny TTL":        {Bucket: bucket, Worker: "north", TTL: time.Millisecond},
		"negative margin": {Bucket: bucket, Worker: "north", Margin: -time.Second},
		"huge margin":     {Bucket: bucket, Worker: "north", TTL: 10 * time.Second, Margin: 6 * time.Second},
	}
	for name, options := range rows {
		if keeper, err := lease.New(options); err == nil || keeper != nil {
			t.Errorf("%s: got %v, %v, want an error", name, keeper, err)
		}
	}
	registry := prometheus.NewRegistry()
	if _, err := lease.New(lease.Options{Bucket: bucket, Worker: "north", Registerer: registry}); err != nil {
		t.Errorf("defaults: %v", err)
	}
	if _, err := lease.New(lease.Options{Bucket: bucket, Worker: "north", Registerer: registry}); err == nil {
		t.Error("metrics registered twice must be an error")
	}
}
