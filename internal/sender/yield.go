package sender

import (
	"time"

	"github.com/dannsalud/broadcaster/internal/session"
)

const (
	// yieldStep is how much later a host claims a free session for each one that it has, at most: longer than a claim takes, so that the host
	// with the least to do gets it. Sessions spread in this way without anybody who divides them; one that is hosted stays where it is,
	// because each move is a reconnect that WhatsApp sees.
	yieldStep = 50 * time.Millisecond
	// longestYield keeps the move of a session within a second.
	longestYield = 500 * time.Millisecond
)

// yields tells whether a free session is left to hosts with less to do for a moment; then it is looked at again by itself.
func (h *Host) yields(id session.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.elsewhere.asking[id] {
		return false
	}
	found, yielding := h.yielding[id]
	if !yielding {
		found = time.Now()
	}
	// What this host has may have grown since: of several sessions that become free at once, each host takes one after the other.
	wait := min(longestYield, time.Duration(len(h.hosted))*h.step()) - time.Since(found)
	if wait <= 0 {
		delete(h.yielding, id)
		return false
	}
	h.yielding[id] = found
	time.AfterFunc(wait, func() { h.nudges.session(id, nudge{}) })
	return true
}

// step is how much later this host claims for each session that it has. Where there are many for each host, one that has its share of the fleet waits
// half of the longest time, so that those with less and those with more are told apart. The caller holds mu.
func (h *Host) step() time.Duration {
	share := len(h.roster.known) / (h.elsewhere.workers() + 1)
	if share <= int(longestYield/yieldStep) {
		return yieldStep
	}
	return longestYield / 2 / time.Duration(share)
}
