package session

import "github.com/dannsalud/broadcaster/internal/fault"

// Capacity is how many sessions one egress may have. Zero is DefaultCapacity; Unbounded none at all, which only suits a simulator.
type Capacity int

// The bounds of a capacity, from the origin system, whose accounts behind one address were logged out more often the more there were
// (design.md §10). They lower a risk; no number of sessions is known to be safe.
const (
	// SafeCapacity is how many sessions one egress has without a warning.
	SafeCapacity Capacity = 5
	// DefaultCapacity is the limit when none is set.
	DefaultCapacity Capacity = 6
	// MostCapacity is the highest limit that is taken at all.
	MostCapacity Capacity = 8
	// Unbounded is no limit.
	Unbounded Capacity = -1
)

// Limit gives the number of sessions that an egress may have; negative: there is no limit.
func (c Capacity) Limit() int {
	switch {
	case c == 0:
		return int(DefaultCapacity)
	case c < 0:
		return int(Unbounded)
	}
	return int(min(c, MostCapacity))
}

// Admit decides about one more session on an egress that has some already. It gives ReasonEgressCrowded as a warning when the egress then has more
// than SafeCapacity, and fault.Conflict when it is full.
func (c Capacity) Admit(present int) (warning Reason, err error) {
	limit := c.Limit()
	switch {
	case limit < 0:
		return ReasonNone, nil
	case present >= limit:
		return ReasonNone, fault.New(fault.Conflict, string(ReasonEgressFull), ReasonEgressFull.Sentence(English))
	case present >= int(SafeCapacity):
		return ReasonEgressCrowded, nil
	}
	return ReasonNone, nil
}

// OccupiesEgress tells whether a session counts towards the capacity of its egress: it is connected, will be again, or is about to be.
func (s Session) OccupiesEgress() bool {
	return s.State.Linked() || s.State == Outdated || s.State == Linking && s.Link.State.InProgress()
}
