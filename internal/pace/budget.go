package pace

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
)

// Budgets count what sessions send, against their caps. What they know is in the bucket, so that a cap holds over a move of the session to another worker
// and over restarts. Only the holder of a session's lease takes from its budget.
//
// Sends are counted by the minute. A minute counts until all of it is out of the window, so that a cap is kept a little too strictly and never broken.
type Budgets struct {
	bucket Bucket
	draw   func(below time.Duration) time.Duration
}

// NewBudgets makes budgets over a bucket.
func NewBudgets(bucket Bucket) *Budgets {
	return &Budgets{bucket: bucket, draw: rand.N[time.Duration]}
}

// The reasons why a message has to wait.
const (
	HourlyCap   = "hourly_cap"
	DailyCap    = "daily_cap"
	DailyNewCap = "daily_new_contacts_cap"
	Resting     = "resting"
)

// Spending is one message that wants to be sent.
type Spending struct {
	Session string
	Limits  campaign.Limits
	// New: the recipient never wrote to the session.
	New bool
}

// Refusal says until when a message has to wait, and for what; its zero value is none.
type Refusal struct {
	Until time.Time
	Why   string
}

// budget is what the bucket holds of a session.
type budget struct {
	Minutes []spent `json:"minutes,omitempty"`
	// Since counts the messages since the last rest, RestUntil is the end of the present one.
	Since     int       `json:"since,omitempty"`
	RestUntil time.Time `json:"rest_until,omitzero"`
	// Troubles are when WhatsApp limited the account.
	Troubles []time.Time `json:"troubles,omitempty"`
}

// spent is what was sent in one minute, which is counted from the beginning of 1970.
type spent struct {
	Minute int64 `json:"m"`
	Sent   int   `json:"s"`
	New    int   `json:"n,omitempty"`
}

const (
	budgetPrefix = "budget."
	// lateness is how much later than it was counted a message may arrive.
	lateness = 30 * time.Second
	// troubleFor is how long trouble slows a session down.
	troubleFor = 7 * 24 * time.Hour
	oneDay     = 24 * time.Hour
)

// ends is when a minute is out of a window.
func (s spent) ends(window time.Duration) time.Time {
	return time.Unix((s.Minute+1)*60, 0).Add(window + lateness)
}

// Take counts a message that is about to be sent, unless it has to wait.
func (b *Budgets) Take(ctx context.Context, wanted Spending) (Refusal, error) {
	var refused Refusal
	if !Counts(wanted.Limits) {
		return refused, nil
	}
	err := change(ctx, b.bucket, budgetPrefix+wanted.Session, func(known *budget) error {
		now := time.Now()
		known.prune(now)
		if refused = known.refuse(wanted, now); refused.Why != "" {
			return errSame
		}
		known.note(wanted, now, b.draw)
		return nil
	})
	return refused, err
}

// Counts tells whether limits need a count at all.
func Counts(l campaign.Limits) bool {
	return l.Hourly > 0 || l.Daily > 0 || l.DailyNew > 0 || l.RestEvery > 0
}

func (k *budget) prune(now time.Time) {
	for len(k.Minutes) > 0 && !k.Minutes[0].ends(oneDay).After(now) {
		k.Minutes = k.Minutes[1:]
	}
	for len(k.Troubles) > 0 && now.Sub(k.Troubles[0]) > troubleFor {
		k.Troubles = k.Troubles[1:]
	}
}

// refuse finds the strictest limit that says no.
func (k *budget) refuse(wanted Spending, now time.Time) Refusal {
	var strictest Refusal
	consider := func(until time.Time, why string) {
		if until.After(now) && until.After(strictest.Until) {
			strictest = Refusal{Until: until, Why: why}
		}
	}
	consider(k.RestUntil, Resting)
	sent := func(s spent) int { return s.Sent }
	consider(k.free(now, wanted.Limits.Hourly, time.Hour, sent), HourlyCap)
	consider(k.free(now, wanted.Limits.Daily, oneDay, sent), DailyCap)
	if wanted.New {
		consider(k.free(now, wanted.Limits.DailyNew, oneDay, func(s spent) int { return s.New }), DailyNewCap)
	}
	return strictest
}

// free gives when a window has room for one more.
func (k *budget) free(now time.Time, most int, window time.Duration, count func(spent) int) time.Time {
	if most <= 0 {
		return now
	}
	within := 0
	for i := len(k.Minutes) - 1; i >= 0; i-- {
		ends := k.Minutes[i].ends(window)
		if !ends.After(now) {
			break
		}
		if within += count(k.Minutes[i]); within >= most {
			return ends
		}
	}
	return now
}

func (k *budget) note(wanted Spending, now time.Time, draw func(time.Duration) time.Duration) {
	minute := now.Unix() / 60
	if len(k.Minutes) == 0 || k.Minutes[len(k.Minutes)-1].Minute != minute {
		k.Minutes = append(k.Minutes, spent{Minute: minute})
	}
	last := &k.Minutes[len(k.Minutes)-1]
	last.Sent++
	if wanted.New {
		last.New++
	}
	k.Since++
	if wanted.Limits.RestEvery > 0 && k.Since >= wanted.Limits.RestEvery {
		k.Since = 0
		k.RestUntil = now.Add(wanted.Limits.RestFor + draw(wanted.Limits.RestFor/2+1))
	}
}

// Trouble remembers that WhatsApp limited an account: it sends more slowly for a week.
func (b *Budgets) Trouble(ctx context.Context, session string) error {
	return change(ctx, b.bucket, budgetPrefix+session, func(known *budget) error {
		now := time.Now()
		known.prune(now)
		known.Troubles = append(known.Troubles, now)
		return nil
	})
}

// Factor gives how many times slower than its limits a session sends: 1 without trouble in the last week, 2 after one, 4 after more.
func (b *Budgets) Factor(ctx context.Context, session string) (int, error) {
	var known budget
	if _, err := read(ctx, b.bucket, budgetPrefix+session, &known); err != nil {
		return 1, err
	}
	known.prune(time.Now())
	switch len(known.Troubles) {
	case 0:
		return 1, nil
	case 1:
		return 2, nil
	}
	return 4, nil
}

// Usage is what a session has sent lately, as its caps count it.
type Usage struct {
	// Hour and Day are the messages of the last hour and of the last 24 hours, NewInDay those of the last 24 hours to people who never wrote.
	Hour, Day, NewInDay int
}

// Used gives what a session has sent lately.
func (b *Budgets) Used(ctx context.Context, session string) (Usage, error) {
	var known budget
	var usage Usage
	if _, err := read(ctx, b.bucket, budgetPrefix+session, &known); err != nil {
		return usage, err
	}
	now := time.Now()
	for _, minute := range known.Minutes {
		if minute.ends(time.Hour).After(now) {
			usage.Hour += minute.Sent
		}
		if minute.ends(oneDay).After(now) {
			usage.Day += minute.Sent
			usage.NewInDay += minute.New
		}
	}
	return usage, nil
}
