package pace

import (
	"time"

	"github.com/dannsalud/broadcaster/internal/session"
)

// Turn is where a link stands in the line of its egress.
type Turn struct {
	// Position is 1 for the next link to begin.
	Position int
	// At is when it is likely to begin; an estimate, since nobody knows how long the people ahead take to scan.
	At time.Time
	// Why says what it waits for.
	Why session.Reason
}

// usualLink is how long a link is taken to last when the wait for it is estimated: somebody fetches a phone and scans.
const usualLink = 30 * time.Second

// TurnOf gives the turn of a link that waits on an egress.
func TurnOf(line session.Line, egress Egress, link string, spacing time.Duration, now time.Time) Turn {
	at, why := egress.FreeFor(link, spacing, now)
	ahead := 0
	for _, s := range line[:line.Ahead(link)] {
		if s.Link.ID != egress.Holder || !egress.Held(now) {
			ahead++
		}
	}
	if why == session.ReasonQueued { // it pairs now, and the spacing counts from its end
		at = later(at, now.Add(usualLink+spacing))
	}
	at = later(at, now).Add(time.Duration(ahead) * (spacing + usualLink))
	if ahead > 0 {
		why = session.ReasonQueued
	}
	return Turn{Position: ahead + 1, At: at, Why: why}
}
