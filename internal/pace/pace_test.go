package pace

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestGapsStayWithinTheRulesAndDiffer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pacer, err := New(Human())
		if err != nil {
			t.Fatal(err)
		}
		began, last := time.Now(), time.Now()
		gaps := map[time.Duration]bool{}
		for turn := range 1000 {
			if err := pacer.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			gap := time.Since(last)
			last = time.Now()
			if turn == 0 {
				if gap != 0 {
					t.Fatalf("the first message waited %s", gap)
				}
				continue
			}
			if gap < 4*time.Second || gap >= 9*time.Second {
				t.Fatalf("gap %d is %s", turn, gap)
			}
			gaps[gap] = true
		}
		if len(gaps) < 900 {
			t.Errorf("only %d different gaps in 999: a pattern", len(gaps))
		}
		if mean := time.Since(began) / 999; mean < 6*time.Second || mean > 7*time.Second {
			t.Errorf("mean gap %s, want about 6.5 s", mean)
		}
	})
}

func TestTwoCallersShareOneClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pacer, err := New(Options{MinGap: time.Second, MaxGap: time.Second})
		if err != nil {
			t.Fatal(err)
		}
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
		if took := time.Since(began); took != 9*time.Second {
			t.Errorf("ten turns of two callers took %s, want 9 s", took)
		}
	})
}

func TestGivingUpDoesNotMakeTheSessionFaster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pacer, err := New(Options{MinGap: 10 * time.Second, MaxGap: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := pacer.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
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

func TestNoPace(t *testing.T) {
	t.Parallel()
	pacer, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
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
