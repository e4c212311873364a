package pace

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
)

func take(t *testing.T, budgets *Budgets, wanted Spending) Refusal {
	t.Helper()
	refused, err := budgets.Take(t.Context(), wanted)
	must(t, err)
	return refused
}

// spendAll takes until it is refused, one message every step, and gives how many were taken.
func spendAll(t *testing.T, budgets *Budgets, wanted Spending, step time.Duration) (taken int, refused Refusal) {
	t.Helper()
	for {
		if refused = take(t, budgets, wanted); refused.Why != "" {
			return taken, refused
		}
		taken++
		time.Sleep(step)
	}
}

func TestCapsHoldInEveryWindowAndOverWorkers(t *testing.T) {
	rows := map[string]struct {
		limits campaign.Limits
		new    bool
		most   int
		window time.Duration
	}{
		HourlyCap:   {campaign.Limits{Hourly: 7}, false, 7, time.Hour},
		DailyCap:    {campaign.Limits{Daily: 7, Hourly: campaign.NoCap}, false, 7, 24 * time.Hour},
		DailyNewCap: {campaign.Limits{DailyNew: 7}, true, 7, 24 * time.Hour},
	}
	for why, row := range rows {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				bucket := &Memory{}
				one, other := NewBudgets(bucket), NewBudgets(bucket)
				wanted := Spending{Session: "s1", Limits: row.limits, New: row.new}
				var times []time.Time
				for range 100 {
					budgets := one
					if len(times)%2 == 0 {
						budgets = other // the session has moved
					}
					refused := take(t, budgets, wanted)
					if refused.Why == "" {
						times = append(times, time.Now())
						time.Sleep(13 * time.Second)
						continue
					}
					if refused.Why != why || !refused.Until.After(time.Now()) || time.Until(refused.Until) > row.window+2*time.Minute {
						t.Fatalf("refused for %s until %s", refused.Why, refused.Until)
					}
					time.Sleep(time.Until(refused.Until))
				}
				for i, at := range times {
					if i >= row.most && at.Sub(times[i-row.most]) < row.window {
						t.Errorf("messages %d and %d are %s apart", i-row.most, i, at.Sub(times[i-row.most]))
					}
				}
				if len(times) < 50 {
					t.Errorf("only %d messages were let go", len(times))
				}
			})
		})
	}
}

func TestOnlyStrangersCountAgainstTheirCap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budgets := NewBudgets(&Memory{})
		strangers := Spending{Session: "s1", Limits: campaign.Limits{DailyNew: 3, Daily: 10}, New: true}
		if taken, refused := spendAll(t, budgets, strangers, time.Minute); taken != 3 || refused.Why != DailyNewCap {
			t.Errorf("%d strangers, then %s", taken, refused.Why)
		}
		known := strangers
		known.New = false
		if taken, refused := spendAll(t, budgets, known, time.Minute); taken != 7 || refused.Why != DailyCap {
			t.Errorf("%d known ones, then %s", taken, refused.Why)
		}
		if refused := take(t, budgets, Spending{Session: "s2", Limits: strangers.Limits, New: true}); refused.Why != "" {
			t.Errorf("another session is refused: %s", refused.Why)
		}
	})
}

func TestARestComesAfterSoManyMessagesAndVaries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budgets := NewBudgets(&Memory{})
		wanted := Spending{Session: "s1", Limits: campaign.Limits{RestEvery: 5, RestFor: 10 * time.Minute}}
		lengths := map[time.Duration]bool{}
		for range 6 {
			taken, refused := spendAll(t, budgets, wanted, time.Second)
			rest := time.Until(refused.Until) + time.Second
			if taken != 5 || refused.Why != Resting || rest < 10*time.Minute || rest > 15*time.Minute+time.Second {
				t.Fatalf("%d messages, then %s for %s", taken, refused.Why, rest)
			}
			lengths[rest] = true
			time.Sleep(time.Until(refused.Until))
		}
		if len(lengths) < 4 {
			t.Errorf("the rests are all alike: %v", lengths)
		}
	})
}

func TestTroubleSlowsDownForAWeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budgets := NewBudgets(&Memory{})
		want := func(factor int) {
			t.Helper()
			if got, err := budgets.Factor(t.Context(), "s1"); err != nil || got != factor {
				t.Errorf("the factor is %d, %v, want %d", got, err, factor)
			}
		}
		want(1)
		must(t, budgets.Trouble(t.Context(), "s1"))
		want(2)
		time.Sleep(24 * time.Hour)
		must(t, budgets.Trouble(t.Context(), "s1"))
		must(t, budgets.Trouble(t.Context(), "s1"))
		want(4)
		time.Sleep(6*24*time.Hour + time.Minute)
		want(4)
		time.Sleep(24 * time.Hour)
		want(1)
	})
}

func TestNothingIsCountedWithoutLimits(t *testing.T) {
	t.Parallel()
	bucket := &Memory{}
	if refused := take(t, NewBudgets(bucket), Spending{Session: "s1", Limits: campaign.Limits{Hourly: campaign.NoCap}}); refused.Why != "" {
		t.Error(refused)
	}
	if keys, err := bucket.Keys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("the bucket has %v, %v", keys, err)
	}
}

func TestAGapOfItsOwnCountsFromTheTurnBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pacer := newPacer(t, Options{MinGap: 4 * time.Second, MaxGap: 9 * time.Second})
		must(t, pacer.Wait(t.Context()))
		began := time.Now()
		must(t, pacer.WaitGap(t.Context(), time.Minute, time.Minute))
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("waited %s for a slow campaign", waited)
		}
		must(t, pacer.WaitGap(t.Context(), time.Second, time.Second))
		if waited := time.Since(began); waited != time.Minute+time.Second {
			t.Errorf("waited %s for a quick one behind it", waited)
		}
		must(t, pacer.Wait(t.Context()))
		if waited := time.Since(began) - time.Minute - time.Second; waited < 4*time.Second || waited > 9*time.Second {
			t.Errorf("waited %s for the session's own pace", waited)
		}
	})
}

func TestUsageIsWhatTheCapsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budgets := NewBudgets(&Memory{})
		for i := range 3 {
			if _, err := budgets.Take(t.Context(), Spending{Session: "ses_a", Limits: campaign.Limits{Daily: 100}, New: i == 0}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Hour)
		if _, err := budgets.Take(t.Context(), Spending{Session: "ses_a", Limits: campaign.Limits{Daily: 100}}); err != nil {
			t.Fatal(err)
		}
		if got, err := budgets.Used(t.Context(), "ses_a"); got != (Usage{Hour: 1, Day: 4, NewInDay: 1}) || err != nil {
			t.Errorf("used %+v: %v", got, err)
		}
		time.Sleep(23 * time.Hour)
		if got, err := budgets.Used(t.Context(), "ses_a"); got != (Usage{Day: 1}) || err != nil {
			t.Errorf("a day later %+v: %v", got, err)
		}
	})
}
