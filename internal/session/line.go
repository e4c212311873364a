package session

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/dannsalud/broadcaster/internal/store"
)

// Line is the links of one egress that wait or are in work, first come, first served. It is read from the sessions, which survive everything; there
// is no second list that could say something else.
type Line []Session

// EgressName is the way out of a session; one without a name goes the direct way.
func (s Session) EgressName() string { return cmp.Or(s.Egress, EgressDirect) }

// Lines gives the lines of some sessions, by egress. Sessions without a link in progress are left out.
func Lines(sessions []Session) map[string]Line {
	lines := map[string]Line{}
	for _, s := range sessions {
		if s.State == Linking && s.Link.State.InProgress() {
			lines[s.EgressName()] = append(lines[s.EgressName()], s)
		}
	}
	for _, line := range lines {
		slices.SortFunc(line, func(a, b Session) int {
			return cmp.Or(a.Link.QueuedAt.Compare(b.Link.QueuedAt), cmp.Compare(a.Link.ID, b.Link.ID))
		})
	}
	return lines
}

// Ahead tells how many links come before one. A link that is not in the line comes behind all.
func (l Line) Ahead(linkID string) int {
	for i, s := range l {
		if s.Link.ID == linkID {
			return i
		}
	}
	return len(l)
}

// Occupancy is what there is on each egress.
type Occupancy struct {
	// Present counts the sessions of each egress that count towards its capacity.
	Present map[string]int
	Lines   map[string]Line
}

// OccupancyOf counts what some sessions are to their egresses.
func OccupancyOf(sessions []Session) Occupancy {
	counted := Occupancy{Present: map[string]int{}, Lines: Lines(sessions)}
	for _, s := range sessions {
		if s.OccupiesEgress() {
			counted.Present[s.EgressName()]++
		}
	}
	return counted
}

// ReadOccupancy looks at all sessions that have, or are about to have, a connection. except is left out of the counts, not of the lines; empty:
// none is.
func ReadOccupancy(ctx context.Context, sessions Store, except ID) (Occupancy, error) {
	found, err := ListAll(ctx, sessions, Filter{States: occupying()})
	if err != nil {
		return Occupancy{}, err
	}
	counted := OccupancyOf(found)
	for _, s := range found {
		if s.ID == except && s.OccupiesEgress() {
			counted.Present[s.EgressName()]--
		}
	}
	return counted, nil
}

func occupying() []State {
	states := []State{Linking, Outdated}
	for _, state := range States() {
		if state.Linked() {
			states = append(states, state)
		}
	}
	return states
}

// ListAll gives all sessions that a filter takes, page by page. It is for filters that take few.
func ListAll(ctx context.Context, sessions Store, filter Filter) ([]Session, error) {
	var found []Session
	page := store.Page{Size: store.MaxPageSize}
	for {
		list, err := sessions.List(ctx, filter, page)
		if err != nil {
			return nil, fmt.Errorf("list sessions: %w", err)
		}
		found = append(found, list.Items...)
		if list.Next == "" {
			return found, nil
		}
		page.After = list.Next
	}
}
