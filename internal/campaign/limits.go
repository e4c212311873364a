package campaign

import (
	"fmt"
	"time"
)

// Limits are how fast a session sends. The most specific rule wins: the campaign's over the session's over the defaults (Over); the age of the session and
// its health only slow down what comes of that. Why the defaults are what they are stands in docs/pacing.md; no pace can promise that an account
// is not blocked.
type Limits struct {
	// MinGap and MaxGap bound the random time between two messages; zero: those of whoever is asked next.
	MinGap time.Duration `json:"min_gap,omitempty"`
	MaxGap time.Duration `json:"max_gap,omitempty"`
	// Hourly and Daily are the most messages in any hour and in any 24 hours; zero: those of whoever is asked next; NoCap: none.
	Hourly int `json:"hourly,omitempty"`
	Daily  int `json:"daily,omitempty"`
	// DailyNew is the most messages in any 24 hours to people who never wrote to the session.
	DailyNew int `json:"daily_new,omitempty"`
	// RestEvery messages a rest of RestFor is taken, with a random half on top.
	RestEvery int           `json:"rest_every,omitempty"`
	RestFor   time.Duration `json:"rest_for,omitempty"`
}

// NoCap says that a count is not limited.
const NoCap = -1

// DefaultLimits are those of a session of which nothing else is said.
func DefaultLimits() Limits {
	return Limits{MinGap: 4 * time.Second, MaxGap: 9 * time.Second, Hourly: 80, Daily: 300, DailyNew: 60, RestEvery: 30, RestFor: 5 * time.Minute}
}

// longestGap bounds what a person may ask for.
const longestGap = time.Hour

// Validate refuses limits that make no sense.
func (l Limits) Validate() error {
	switch {
	case l.MinGap < 0 || l.MaxGap < 0 || l.MaxGap > longestGap || (l.MaxGap > 0 && l.MinGap > l.MaxGap) || (l.MinGap > 0 && l.MaxGap == 0):
		return invalid("bad_gap", "limits", "The gaps must be from 0 to an hour, both of them given, and the longest not shorter than the shortest")
	case min(l.Hourly, l.Daily, l.DailyNew, l.RestEvery) < NoCap || l.RestFor < 0 || l.RestFor > 24*time.Hour:
		return invalid("bad_limit", "limits", fmt.Sprintf("The limits must not be negative, but for %d, which means none; a rest has at most a day", NoCap))
	}
	return nil
}

// Over lays these limits over others: what is zero here comes from there.
func (l Limits) Over(base Limits) Limits {
	if l.MaxGap == 0 {
		l.MinGap, l.MaxGap = base.MinGap, base.MaxGap
	}
	if l.RestEvery == 0 {
		l.RestEvery, l.RestFor = base.RestEvery, base.RestFor
	}
	for _, pair := range [][2]*int{{&l.Hourly, &base.Hourly}, {&l.Daily, &base.Daily}, {&l.DailyNew, &base.DailyNew}} {
		if *pair[0] == 0 {
			*pair[0] = *pair[1]
		}
	}
	return l
}

// warmUp is how many messages a young session may send, by its age in days: a number that was linked yesterday and writes to hundreds of people is
// what spam looks like.
var warmUp = []struct {
	days            int
	daily, dailyNew int
}{{1, 30, 10}, {3, 60, 15}, {7, 120, 25}, {14, 200, 40}}

// WarmUp lowers the caps of a session that was linked so long ago. Caps that are none stay none: who took them away knows the account.
func (l Limits) WarmUp(age time.Duration) Limits {
	for _, step := range warmUp {
		if age < time.Duration(step.days)*24*time.Hour {
			l.Daily, l.DailyNew = lowest(l.Daily, step.daily), lowest(l.DailyNew, step.dailyNew)
			break
		}
	}
	return l
}

func lowest(limit, bound int) int {
	if limit == NoCap || limit == 0 {
		return limit
	}
	return min(limit, bound)
}

// SlowedBy makes everything slower by a factor of 2 or more, as an account in trouble needs. One or less changes nothing: health never speeds up.
func (l Limits) SlowedBy(factor int) Limits {
	if factor <= 1 {
		return l
	}
	for _, pause := range []*time.Duration{&l.MinGap, &l.MaxGap, &l.RestFor} {
		*pause = time.Duration(factor * int(*pause))
	}
	for _, limit := range []*int{&l.Hourly, &l.Daily, &l.DailyNew} {
		if *limit > 0 {
			*limit = max(1, *limit/factor)
		}
	}
	return l
}
