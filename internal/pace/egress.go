package pace

import (
	"slices"
	"time"

	"github.com/dannsalud/broadcaster/internal/session"
)

// Egress is what is known of one way out: when it connected and linked last, who links there now, and what it rests from.
type Egress struct {
	// ID is session.EgressDirect or the name of a proxy.
	ID string `json:"-"`
	// Connected is the last connection, of whatever kind; it can be a few seconds ahead, as a connection that waits for its turn has one already.
	Connected time.Time `json:"connected,omitzero"`
	// Linked is the last link: its beginning, and its end if a phone was paired. LinkedBy names it.
	Linked   time.Time `json:"linked,omitzero"`
	LinkedBy string    `json:"linked_by,omitempty"`
	// Holder names the link that pairs there now; it has to say so again before HeldUntil.
	Holder    string    `json:"holder,omitempty"`
	HeldUntil time.Time `json:"held_until,omitzero"`
	// Logouts are those that still count, oldest first.
	Logouts []PastLogout `json:"logouts,omitempty"`
	// CoolsUntil is the end of the rest after the last logout, OpenUntil that of the circuit breaker's; zero: there was none.
	CoolsUntil time.Time `json:"cools_until,omitzero"`
	OpenUntil  time.Time `json:"open_until,omitzero"`
}

// PastLogout is one logout as it is remembered: nothing in it says whose it was.
type PastLogout struct {
	// ID is derived from the link that ended, so that a logout that is told twice counts once.
	ID    string    `json:"id"`
	At    time.Time `json:"at"`
	Early bool      `json:"early,omitempty"`
}

// IsKnown tells whether anything ever happened there.
func (e Egress) IsKnown() bool {
	return !e.Connected.IsZero() || !e.Linked.IsZero() || len(e.Logouts) > 0
}

// Held tells whether some link pairs there now.
func (e Egress) Held(now time.Time) bool { return e.Holder != "" && now.Before(e.HeldUntil) }

// CircuitOpen tells whether the circuit breaker has stopped the links there.
func (e Egress) CircuitOpen(now time.Time) bool { return now.Before(e.OpenUntil) }

// Rests tells whether no link at all may be asked for now, until when, and why.
func (e Egress) Rests(now time.Time) (until time.Time, why session.Reason) {
	if now.Before(e.CoolsUntil) {
		until, why = e.CoolsUntil, session.ReasonEgressCooldown
	}
	if e.CircuitOpen(now) && e.OpenUntil.After(until) {
		until, why = e.OpenUntil, session.ReasonCircuitOpen
	}
	return until, why
}

// FreeFor gives the earliest time at which a link may begin there, and what holds it up; the zero time and no reason when nothing does. A link that
// began already, and comes again after a crash or a failure that passes, does not wait for its own spacing.
func (e Egress) FreeFor(link string, spacing time.Duration, now time.Time) (at time.Time, why session.Reason) {
	at, why = e.Rests(now)
	if spaced := e.Linked.Add(spacing); !e.Linked.IsZero() && e.LinkedBy != link && spaced.After(now) && spaced.After(at) {
		at, why = spaced, session.ReasonSpacing
	}
	if e.Holder != link && e.Held(now) && e.HeldUntil.After(at) {
		at, why = e.HeldUntil, session.ReasonQueued
	}
	return at, why
}

// free gives since when nothing but its own order holds up the links there; the zero time when nothing ever did.
func (e Egress) free(spacing time.Duration) time.Time {
	times := []time.Time{e.CoolsUntil, e.OpenUntil}
	if !e.Linked.IsZero() {
		times = append(times, e.Linked.Add(spacing))
	}
	if e.Holder != "" {
		times = append(times, e.HeldUntil)
	}
	return slices.MaxFunc(times, time.Time.Compare)
}

// Patience is how long the first of a line may take to begin when nothing holds it up, before those behind may pass it: its job may be given up and wait for
// an operator, and nobody else should.
const Patience = 5 * time.Minute

// KeepsOrder tells whether the order of the line counts at a time: the egress is, or was a moment ago, held up.
func (e Egress) KeepsOrder(spacing time.Duration, now time.Time) bool {
	return now.Before(e.free(spacing).Add(Patience))
}

// note remembers a logout and drops those that do not count any more. It gives false when it is known.
func (e *Egress) note(logout session.Logout, id string, rules Rules) bool {
	if slices.ContainsFunc(e.Logouts, func(known PastLogout) bool { return known.ID == id }) {
		return false
	}
	e.Logouts = remember(e.Logouts, PastLogout{ID: id, At: logout.At, Early: rules.Breaker.IsEarly(logout)},
		max(rules.Cooldown.Memory, rules.Breaker.Window))
	var all, early []time.Time
	for _, past := range e.Logouts {
		all = append(all, past.At)
		if past.Early {
			early = append(early, past.At)
		}
	}
	e.CoolsUntil = later(e.CoolsUntil, rules.Cooldown.Until(all))
	if rules.Breaker.IsEarly(logout) {
		e.OpenUntil = later(e.OpenUntil, rules.Breaker.Until(early))
	}
	return true
}

// most bounds what is remembered, so that a record stays small; the doubling has reached its end long before.
const most = 64

// remember adds a logout in the order of time.
func remember(past []PastLogout, added PastLogout, memory time.Duration) []PastLogout {
	past = append(slices.Clone(past), added)
	slices.SortStableFunc(past, func(a, b PastLogout) int { return a.At.Compare(b.At) })
	last := past[len(past)-1].At
	past = slices.DeleteFunc(past, func(one PastLogout) bool { return last.Sub(one.At) >= memory })
	return past[max(0, len(past)-most):]
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
