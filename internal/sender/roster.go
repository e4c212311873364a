package sender

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// roster is what a host knows of all sessions that a host has work with, so that it need not ask for each of them again and again. Facts keep it
// up to date; since they may be lost, it goes round the store all the time, a page at a sweep. It is a hint: who has claimed a session's lease reads
// its record. Only the goroutine of Host.Run touches it.
type roster struct {
	known map[session.ID]session.Session
	// next is the cursor of the next page, and last the last session of the one before; complete: the store was read to its end once.
	next     string
	last     session.ID
	complete bool
}

func newRoster() *roster { return &roster{known: map[session.ID]session.Session{}} }

// refresh reads the next page of the store, or all of it when that was never done.
func (r *roster) refresh(ctx context.Context, sessions session.Store) error {
	for {
		list, err := sessions.List(ctx, session.Filter{States: wanted()}, store.Page{Size: store.MaxPageSize, After: r.next})
		if err != nil {
			return fmt.Errorf("list sessions: %w", err)
		}
		r.replace(list)
		if r.complete = r.complete || r.next == ""; r.complete {
			return nil
		}
	}
}

// replace takes over a page: what is known of its span and not on it is gone.
func (r *roster) replace(page store.List[session.Session]) {
	end := r.last // of a page that is not the last one
	if len(page.Items) > 0 {
		end = page.Items[len(page.Items)-1].ID
	}
	for id := range r.known {
		if id > r.last && (page.Next == "" || id <= end) {
			delete(r.known, id)
		}
	}
	for _, found := range page.Items {
		r.known[found.ID] = found
	}
	r.next, r.last = page.Next, end
	if page.Next == "" {
		r.last = ""
	}
}

// note takes over a record, or drops it when a host has no work with it.
func (r *roster) note(found session.Session) (isWanted bool) {
	if !slices.Contains(wanted(), found.State) {
		delete(r.known, found.ID)
		return false
	}
	r.known[found.ID] = found
	return true
}

// nudge is why a host is to look at a session.
type nudge struct {
	// read: its record is to be read. Else it is what the roster knows, and what a fact says.
	read bool
	fact events.SessionChanged
}

// applied gives a record as the fact says that it is now. A fact that was overtaken by a newer record changes nothing.
func (n nudge) applied(found session.Session) session.Session {
	if fact := n.fact; fact.SessionID == found.ID && !fact.At.Before(found.UpdatedAt) {
		found.State, found.Reason, found.Until, found.UpdatedAt = fact.State, fact.Reason, fact.Until, fact.At
	}
	return found
}

// nudges collects which sessions something was said about. Many at once are one look.
type nudges struct {
	mu   *sync.Mutex
	ids  map[session.ID]nudge
	came chan struct{}
}

func newNudges() nudges {
	return nudges{mu: &sync.Mutex{}, ids: map[session.ID]nudge{}, came: make(chan struct{}, 1)}
}

// add notes the session of a fact's subject ("events.session.<id>.<what>"). What a contact wrote changes nothing for a host, nor what
// a host said of itself.
func (n nudges) add(subject string, data []byte) {
	parts := strings.Split(subject, ".")
	if len(parts) != 4 || parts[3] == "inbound" || parts[3] == "stable" || parts[3] == "phone" {
		return
	}
	id := session.ID(parts[2])
	var fact events.SessionChanged
	if parts[3] == "state" && json.Unmarshal(data, &fact) == nil && fact.SessionID == id {
		n.session(id, nudge{fact: fact})
		return
	}
	n.session(id, nudge{read: true})
}

// session notes one session. A wish to read its record outlives what is said afterwards.
func (n nudges) session(id session.ID, added nudge) {
	n.mu.Lock()
	before := n.ids[id]
	added.read = added.read || before.read
	if added.fact.At.Before(before.fact.At) {
		added.fact = before.fact
	}
	n.ids[id] = added
	n.mu.Unlock()
	select {
	case n.came <- struct{}{}:
	default: // it is going to look anyway
	}
}

func (n nudges) take() map[session.ID]nudge {
	n.mu.Lock()
	defer n.mu.Unlock()
	taken := make(map[session.ID]nudge, len(n.ids))
	for id, one := range n.ids {
		taken[id] = one
	}
	clear(n.ids)
	return taken
}
