package session

import (
	"slices"
	"time"
)

// Logout is the end of a link that nobody here asked for: WhatsApp or the phone's owner logged the device out, or the account was banned. Which of
// the two it was cannot be told from outside (WhatsApp enforces its rules under the same code), so they cool down alike.
type Logout struct {
	Session ID
	// Egress is the way out that the session had.
	Egress string
	// Phone is the account's number, E.164; empty when it is not known.
	Phone  string
	Reason Reason
	// LinkedAt is when the device was paired; zero: unknown.
	LinkedAt time.Time
	At       time.Time
	// Until is the end of a temporary ban, if WhatsApp named one.
	Until time.Time
}

// CoolsDown tells whether an end for this reason makes its number and its egress wait before the next link.
func (r Reason) CoolsDown() bool {
	return slices.Contains([]Reason{ReasonLoggedOut, ReasonRemoved, ReasonBanned, ReasonTemporaryBan}, r)
}

// CooldownRules say how long a number, or an egress, rests after a logout. A zero First means not at all, which only suits a simulator.
type CooldownRules struct {
	// First is the rest after a logout that no other preceded.
	First time.Duration
	// Longest bounds the rest, which doubles with each logout that Memory holds.
	Longest time.Duration
	// Memory is how long a logout counts.
	Memory time.Duration
}

// DefaultCooldown is what the origin system learned (design.md §10: five to ten minutes after a LOGOUT, a day when it repeats), as a rule: ten
// minutes, so that a person who tries again at once does not make it worse; doubled, because a second logout says that the cause is still
// there; a day at most, because nothing is known of limits that last longer; and forgotten after a week, after which links that stayed are
// the usual case again. Rests lower the risk of another logout. They do not rule it out.
func DefaultCooldown() CooldownRules {
	return CooldownRules{First: 10 * time.Minute, Longest: 24 * time.Hour, Memory: 7 * 24 * time.Hour}
}

// Until gives the end of the rest after some logouts, oldest first; zero when there is none to keep.
func (r CooldownRules) Until(logouts []time.Time) time.Time {
	if r.First <= 0 || len(logouts) == 0 {
		return time.Time{}
	}
	last := logouts[len(logouts)-1]
	rest := r.First
	for _, earlier := range logouts[:len(logouts)-1] {
		if last.Sub(earlier) < r.Memory && rest < r.Longest {
			rest *= 2
		}
	}
	return last.Add(min(rest, r.Longest))
}

// BreakerRules say when the links of an egress stop altogether: the address itself is then the likely cause, and each further try costs a number.
// Zero Logouts: never.
type BreakerRules struct {
	// Logouts is how many early logouts within Window open the circuit.
	Logouts int
	// Early is how soon after its pairing a logout counts as early: what comes later has other causes.
	Early time.Duration
	// Window is how long an early logout counts.
	Window time.Duration
	// Rest is how long the circuit stays open when no operator resets it.
	Rest time.Duration
}

// DefaultBreaker opens the circuit after three early logouts: one is an accident, two can be a pair of tests with one phone. Half an hour covers the
// mass logouts that were reported (they came within minutes to an hour, peers.md §1.3), a day the time in which three of them are still one event.
// Six hours is long enough for an operator to be there.
func DefaultBreaker() BreakerRules {
	return BreakerRules{Logouts: 3, Early: 30 * time.Minute, Window: 24 * time.Hour, Rest: 6 * time.Hour}
}

// IsEarly tells whether a logout came soon after the pairing. One whose pairing is not known does not count.
func (r BreakerRules) IsEarly(logout Logout) bool {
	return !logout.LinkedAt.IsZero() && logout.At.Sub(logout.LinkedAt) <= r.Early
}

// Until gives when the circuit closes again after some early logouts, oldest first; zero when they do not open it. After its rest the circuit is
// closed, and one more early logout within Window opens it again.
func (r BreakerRules) Until(early []time.Time) time.Time {
	if r.Logouts <= 0 || len(early) < r.Logouts {
		return time.Time{}
	}
	last, first := early[len(early)-1], early[len(early)-r.Logouts]
	if last.Sub(first) > r.Window {
		return time.Time{}
	}
	return last.Add(r.Rest)
}
