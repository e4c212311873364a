package pace

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newPacer(t *testing.T, options Options) *Pacer {
	t.Helper()
	pacer, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	return pacer
}

// waits takes turns and gives the times from each to the next, the first counted from the pacer's start.
func waits(t *testing.T, pacer *Pacer, turns int) []time.Duration {
	t.Helper()
	var gaps []time.Duration
	for range turns {
		began := time.Now()
		if err := pacer.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		gaps = append(gaps, time.Since(began))
	}
	return gaps
}

func TestGapsStayWithinTheRulesAndDiffer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		gaps := map[time.Duration]bool{}
		for turn, gap := range waits(t, newPacer(t, Human()), 1000) {
			if gap < 4*time.Second || gap >= 9*time.Second {
				t.Fatalf("gap %d is %s", turn, gap)
			}
			gaps[gap] = true
		}
		if len(gaps) < 900 {
			t.Errorf("only %d different gaps in 1000: a pattern", len(gaps))
		}
		if mean := time.Since(began) / 1000; mean < 6*time.Second || mean > 7*time.Second {
			t.Errorf("mean gap %s, want about 6.5 s", mean)
		}
	})
}

func TestTheSameRandomnessGivesTheSameGaps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seeded := func() Options {
			source := rand.New(rand.NewPCG(1, 2))
			return Options{MinGap: time.Second, MaxGap: time.Minute, Draw: func(below time.Duration) time.Duration {
				return time.Duration(source.Int64N(int64(below)))
			}}
		}
		one, other := waits(t, newPacer(t, seeded()), 20), waits(t, newPacer(t, seeded()), 20)
		for i := range one {
			if one[i] != other[i] {
				t.Fatalf("gap %d is %s and %s", i, one[i], other[i])
			}
		}
	})
}

func TestTheFirstTurnRestsToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pacer := newPacer(t, Options{MinGap: 3 * time.Second, MaxGap: 3 * time.Second})
		if want := time.Now().Add(3 * time.Second); !pacer.Next().Equal(want) {
			t.Errorf("first turn at %s, want %s", pacer.Next(), want)
		}
		time.Sleep(time.Minute)
		if gap := waits(t, pacer, 1)[0]; gap != 0 {
			t.Errorf("a session that rested for a minute waited %s", gap)
		}
	})
}

func TestTwoCallersShareOneClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pacer := newPacer(t, Options{MinGap: time.Second, MaxGap: time.Second})
		began := time.Now()
		var callers sync.WaitGroup
		for range 2 {
			callers.Go(func() {
				for range 5 {
					if err := pacer.Wait(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		callers.Wait()
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("ten turns of two callers took %s, want 10 s", took)
		}
	})
}

func TestGivingUpDoesNotMakeTheSessionFaster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pacer := newPacer(t, Options{MinGap: 10 * time.Second, MaxGap: 10 * time.Second})
		began := time.Now()
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := pacer.Wait(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		if want := began.Add(20 * time.Second); !pacer.Next().Equal(want) {
			t.Errorf("next turn at %s, want %s", pacer.Next(), want)
		}
	})
}

func TestStopEndsEveryWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pacer := newPacer(t, Options{MinGap: time.Hour, MaxGap: time.Hour})
		ended := make(chan error, 2)
		for range 2 {
			go func() { ended <- pacer.Wait(t.Context()) }()
		}
		synctest.Wait()
		began := time.Now()
		pacer.Stop()
		pacer.Stop()
		for range 2 {
			if err := <-ended; !errors.Is(err, ErrStopped) {
				t.Errorf("a waiting caller got %v", err)
			}
		}
		if err := pacer.Wait(t.Context()); !errors.Is(err, ErrStopped) || time.Since(began) != 0 {
			t.Errorf("a later caller got %v after %s", err, time.Since(began))
		}
	})
}

func TestNoPace(t *testing.T) {
	t.Parallel()
	pacer := newPacer(t, Options{})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pacer.Wait(t.Context()); err != nil || !(Options{}).Off() || Human().Off() {
		t.Errorf("no pace must not wait: %v", err)
	}
	if err := pacer.Wait(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that is gone must not send: %v", err)
	}
	for _, wrong := range []Options{{MinGap: -1}, {MinGap: 2, MaxGap: 1}} {
		if _, err := New(wrong); err == nil {
			t.Errorf("%+v accepted", wrong)
		}
	}
}
