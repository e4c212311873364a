package sender

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// ledger keeps the ids of what was recorded, a list for each write. It fails while fail is set.
type ledger struct {
	campaign.Deliveries

	mu     sync.Mutex
	writes [][]string
	fail   error
}

func (l *ledger) Record(_ context.Context, outcomes []campaign.Outcome) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return 0, l.fail
	}
	var ids []string
	for _, outcome := range outcomes {
		ids = append(ids, outcome.DeliveryID)
	}
	l.writes = append(l.writes, ids)
	return 0, nil
}

func (l *ledger) set(fail error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = fail
}

// recordedIn runs a test with a recorder whose batches are full with three outcomes.
func recordedIn(t *testing.T, test func(t *testing.T, l *ledger, r *recorder)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		test(t, l, newRecorder(l, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "recorded_total", Help: "Outcomes."}, []string{"state"}), 3))
	})
}

func attending(t *testing.T, r *recorder) (leave func()) {
	t.Helper()
	leave, err := r.attend()
	if err != nil {
		t.Error(err)
	}
	return leave
}

func hands(t *testing.T, r *recorder, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := r.add(campaign.Outcome{DeliveryID: id, State: campaign.Sent, At: time.Now()}); err != nil {
			t.Error(err)
		}
	}
}

func wrote(t *testing.T, l *ledger, want ...[]string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.EqualFunc(l.writes, want, slices.Equal) {
		t.Errorf("%v was written, not %v", l.writes, want)
	}
	l.writes = nil
}

// TestCampaignsShareTheWritesOfTheirOutcomes: what several runs hand over within the same moment is one write, and a full batch is one at once.
func TestCampaignsShareTheWritesOfTheirOutcomes(t *testing.T) {
	recordedIn(t, func(t *testing.T, l *ledger, r *recorder) {
		one, other := attending(t, r), attending(t, r)
		hands(t, r, "a1", "b1")
		time.Sleep(recordEvery - time.Millisecond)
		wrote(t, l)
		time.Sleep(2 * time.Millisecond)
		wrote(t, l, []string{"a1", "b1"})
		hands(t, r, "b2", "a2", "b3")
		synctest.Wait()
		wrote(t, l, []string{"b2", "a2", "b3"})
		hands(t, r, "b4")
		one()
		if err := r.flush(); err != nil {
			t.Error(err)
		}
		other()
		wrote(t, l, []string{"b4"})
	})
}

// TestWhatCouldNotBeWrittenIsWrittenByTheNextRun: a run whose outcomes the store refuses ends, and they are not lost with it.
func TestWhatCouldNotBeWrittenIsWrittenByTheNextRun(t *testing.T) {
	recordedIn(t, func(t *testing.T, l *ledger, r *recorder) {
		leave := attending(t, r)
		l.set(errors.New("no disk"))
		hands(t, r, "a1", "a2")
		if err := r.flush(); err == nil || r.failure() == nil {
			t.Error("that nothing could be written was not told")
		}
		leave()
		leave, err := r.attend()
		if err == nil {
			t.Error("a run began although the outcomes of the one before could not be written")
		}
		leave()
		l.set(nil)
		leave = attending(t, r)
		wrote(t, l, []string{"a1", "a2"})
		if err := r.failure(); err != nil {
			t.Errorf("the failure is told for ever: %v", err)
		}
		hands(t, r, "a3")
		time.Sleep(2 * recordEvery)
		leave()
		wrote(t, l, []string{"a3"})
	})
}

// TestAnOutcomeThatNoStoreTakesStopsNobodyElse: it is refused where it is handed over.
func TestAnOutcomeThatNoStoreTakesStopsNobodyElse(t *testing.T) {
	recordedIn(t, func(t *testing.T, l *ledger, r *recorder) {
		leave := attending(t, r)
		if err := r.add(campaign.Outcome{DeliveryID: "a1", State: campaign.Sent}); fault.Of(err) != fault.Invalid {
			t.Errorf("an outcome without a time: %v", err)
		}
		hands(t, r, "b1")
		if err := r.flush(); err != nil {
			t.Error(err)
		}
		leave()
		wrote(t, l, []string{"b1"})
	})
}
