package sender

import (
	"errors"

	"github.com/dannsalud/broadcaster/internal/lease"
	"github.com/dannsalud/broadcaster/internal/session"
)

// elsewhere is what a host knows of the sessions that other workers have. Whoever gives one up says so; of a worker that dies nobody tells, so
// at each sweep the host asks for the lease of one session of each worker, and of a few more. When that one is free, or somebody else's, all
// sessions of the worker are asked for. To ask for each at each sweep would be a claim in vain for every session of the fleet, by every host.
type elsewhere struct {
	holders map[session.ID]string
	held    map[string]map[session.ID]struct{}
	// asking are the sessions whose lease is to be asked for although somebody has it; true: at once, since it is only to learn who has it.
	asking map[session.ID]bool
	// hinted are the workers of whom a session was asked for since the last sweep because it lost its connection.
	hinted map[string]struct{}
}

// somebody has a session that is ready, and was not asked for yet.
const somebody = "?"

const (
	// probesAtOnce is how many leases a sweep asks for beyond one for each worker: all there are in a small fleet.
	probesAtOnce = 20
	// probesAtFirst is how many a host asks for that knows of no other worker yet, so that it soon knows what its share is.
	probesAtFirst = 200
)

func newElsewhere() *elsewhere {
	return &elsewhere{holders: map[session.ID]string{}, held: map[string]map[session.ID]struct{}{}, asking: map[session.ID]bool{}, hinted: map[string]struct{}{}}
}

// note says who has a session.
func (e *elsewhere) note(id session.ID, holder string) {
	e.drop(id)
	e.holders[id] = holder
	if e.held[holder] == nil {
		e.held[holder] = map[session.ID]struct{}{}
	}
	e.held[holder][id] = struct{}{}
}

// drop says that nobody is known to have a session, and gives who had it before, if that was known.
func (e *elsewhere) drop(id session.ID) (before string, known bool) {
	delete(e.asking, id)
	before, known = e.holders[id]
	if known {
		delete(e.holders, id)
		delete(e.held[before], id)
		if len(e.held[before]) == 0 {
			delete(e.held, before)
		}
	}
	return before, known
}

// has tells whether a session is to be left to another worker.
func (e *elsewhere) has(id session.ID) bool {
	_, held := e.holders[id]
	_, asked := e.asking[id]
	return held && !asked
}

// probe chooses at random what a sweep asks for.
func (e *elsewhere) probe() {
	clear(e.hinted)
	for _, sessions := range e.held {
		for id := range sessions {
			e.asking[id] = false
			break
		}
	}
	more := probesAtOnce
	if e.workers() == 0 {
		more = probesAtFirst
	}
	for id := range e.holders {
		if _, asked := e.asking[id]; asked {
			continue
		}
		if more == 0 {
			return
		}
		e.asking[id] = false
		more--
	}
}

// hint takes a session that lost its connection for a sign that its worker may be dead: who takes one over from a dead worker says so first, and then
// all hosts ask, and the one with the least to do comes first. One for each worker and sweep is enough: when WhatsApp is out of reach all of them do.
func (e *elsewhere) hint(id session.ID) {
	holder, held := e.holders[id]
	if _, was := e.hinted[holder]; held && !was {
		e.hinted[holder] = struct{}{}
		e.asking[id] = true
	}
}

// suspect gives the sessions of a worker that may be dead; they are to be asked for.
func (e *elsewhere) suspect(holder string) []session.ID {
	suspects := make([]session.ID, 0, len(e.held[holder]))
	for id := range e.held[holder] {
		e.asking[id] = false
		suspects = append(suspects, id)
	}
	return suspects
}

// workers counts the workers that are known to have sessions.
func (e *elsewhere) workers() int {
	workers := len(e.held)
	if e.held[somebody] != nil {
		workers--
	}
	return workers
}

// keeps tells whether somebody has a session that is as its record, or a fact, says.
func keeps(found session.Session) bool {
	return found.State == session.Ready || found.State == session.Offline && found.Reason == session.ReasonConnectionLost
}

// asked takes over the answer to a claim: nil, or that another worker has the session. One that changed hands unheard makes its holder a suspect.
func (h *Host) asked(id session.ID, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before, known := h.elsewhere.drop(id)
	if err != nil {
		var held *lease.HeldError
		if !errors.As(err, &held) {
			held = &lease.HeldError{}
		}
		h.elsewhere.note(id, held.Worker)
		known = known && before != held.Worker && before != somebody
	}
	if !known {
		return
	}
	for _, suspect := range h.elsewhere.suspect(before) {
		h.nudges.session(suspect, nudge{})
	}
}
