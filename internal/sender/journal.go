package sender

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

const (
	// journalEvery is how often the sends of the present hour are written down: a worker that dies loses as many of them.
	journalEvery = 10 * time.Minute
	// mostKnown bounds the numbers that a journal remembers as known; what does not fit counts as known.
	mostKnown = 50_000
	// minutes is how long the last hour is, in the steps in which it is counted.
	minutes = 60
)

// journal writes down what happens to a session, for whoever asks later why it was logged out (session.Diagnose). It counts messages, and never says
// who got them.
type journal struct {
	due *time.Ticker

	mu sync.Mutex
	// seed and known tell whether a number is known: it wrote, or was written to. A hash is enough for a count.
	seed  maphash.Seed
	known map[uint64]struct{}
	// lately counts the sends of each minute of the last hour; hour those of the present clock hour.
	lately [minutes]tally
	hour   tally
	dirty  bool
}

// tally counts the messages of a span of time that began at since.
type tally struct {
	since     time.Time
	sent, new int
}

func (t *tally) add(span time.Time, fresh bool) {
	if !t.since.Equal(span) {
		*t = tally{since: span}
	}
	t.sent++
	if fresh {
		t.new++
	}
}

func newJournal() *journal {
	return &journal{due: time.NewTicker(journalEvery), seed: maphash.MakeSeed(), known: map[uint64]struct{}{}}
}

// wrote notes that somebody wrote to the session.
func (j *journal) wrote(phone string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.meet(phone)
}

// meet makes a number known, and tells whether it was not.
func (j *journal) meet(phone string) (fresh bool) {
	hash := maphash.String(j.seed, phone)
	if _, known := j.known[hash]; known || len(j.known) >= mostKnown {
		return false
	}
	j.known[hash] = struct{}{}
	return true
}

// sent counts a message. It gives the entry of the hour that has ended by it, if there is something to write down of it.
func (j *journal) sent(phone string, now time.Time) (past session.HistoryEntry, ended bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now = now.UTC()
	minute, hour := now.Truncate(time.Minute), now.Truncate(time.Hour)
	past, ended = j.entry(), j.dirty && !j.hour.since.Equal(hour)
	fresh := j.meet(phone)
	j.lately[now.Minute()].add(minute, fresh)
	j.hour.add(hour, fresh)
	j.dirty = true
	return past, ended
}

func (j *journal) entry() session.HistoryEntry {
	return session.HistoryEntry{At: j.hour.since, Kind: session.EntrySends, Sent: j.hour.sent, SentNew: j.hour.new}
}

// pending gives the entry of the present hour, if it was not written down.
func (j *journal) pending() (entry session.HistoryEntry, there bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	there = j.dirty
	j.dirty = false
	return j.entry(), there
}

// keep makes the entry of the present hour pending again.
func (j *journal) keep(entry session.HistoryEntry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.dirty = j.dirty || j.hour.since.Equal(entry.At)
}

// lastHour counts the messages of the hour before a time.
func (j *journal) lastHour(now time.Time) (sent, fresh int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, minute := range j.lately {
		if now.Sub(minute.since) < time.Hour {
			sent += minute.sent
			fresh += minute.new
		}
	}
	return sent, fresh
}

// noteSend counts a message that WhatsApp accepted.
func (s *hosting) noteSend(ctx context.Context, phone string) {
	if past, ended := s.journal.sent(phone, time.Now()); ended {
		s.remember(ctx, past)
	}
}

// flushSends writes down the sends of the present hour.
func (s *hosting) flushSends(ctx context.Context) {
	if entry, there := s.journal.pending(); there && !s.remember(ctx, entry) {
		s.journal.keep(entry)
	}
}

// note writes down something that happened just now.
func (s *hosting) note(ctx context.Context, kind session.EntryKind, reason session.Reason, detail string) {
	if !s.lease.Held() {
		return // another owner tells the story
	}
	now := time.Now()
	entry := session.HistoryEntry{At: now, Kind: kind, Reason: reason, Detail: detail}
	entry.Sent, entry.SentNew = s.journal.lastHour(now)
	if kind == session.EntryEnded {
		entry.Beside = s.countBeside(ctx)
	}
	s.flushSends(ctx)
	s.remember(ctx, entry)
}

// countBeside counts the other sessions on the same egress; zero when they cannot be counted.
func (s *hosting) countBeside(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	occupancy, err := session.ReadOccupancy(ctx, s.host.options.Sessions, s.id)
	if err != nil {
		s.host.options.Log.WarnContext(ctx, "sessions beside could not be counted", "session", string(s.id), "class", fault.Of(err).Label(), "error", err)
		return 0
	}
	return occupancy.Present[s.egress]
}

// remember writes an entry down, also while the host stops. What cannot be written is missing in the story, and holds nothing up.
func (s *hosting) remember(ctx context.Context, entry session.HistoryEntry) (written bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	entry.At, entry.Egress = entry.At.UTC(), s.egress
	err := session.Remember(ctx, s.host.options.Histories, s.id, entry)
	if err != nil {
		s.host.options.Log.WarnContext(ctx, "what happened could not be written down", "session", string(s.id), "class", fault.Of(err).Label(), "error", err)
	}
	return err == nil
}
