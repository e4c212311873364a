package sqlite

import (
	"sync"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
)

const (
	// stateAge is how long a state that was read is answered again. A change through this process is seen at once; only one that another process
	// makes at the file, a person's shell say, is seen as late as this.
	stateAge = time.Second
	// maxStates bounds the states that are remembered; beyond it they are read anew.
	maxStates = 1000
)

// states remembers the states of campaigns: the runner asks before each message, and to read it from a file that is written to at each message costs
// a twentieth of the message.
type states struct {
	mu    sync.Mutex
	known map[campaign.ID]knownState
	// changes counts what may have changed a state.
	changes int
}

type knownState struct {
	state campaign.State
	until time.Time
}

// get gives the state if it is known; if not, what to give to put with the state that is read.
func (s *states) get(id campaign.ID) (state campaign.State, changes int, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, known := s.known[id]
	return found.state, s.changes, known && time.Now().Before(found.until)
}

// put remembers what was read, unless something changed since the reading began: it may have been read before.
func (s *states) put(id campaign.ID, state campaign.State, changes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes != changes {
		return
	}
	if s.known == nil || len(s.known) >= maxStates {
		s.known = map[campaign.ID]knownState{}
	}
	s.known[id] = knownState{state, time.Now().Add(stateAge)}
}

// forget is called behind each change of a campaign, before the call that made it returns, also when it failed: a commit that reports an error may have
// reached the disk.
func (s *states) forget(id campaign.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, id)
	s.changes++
}
