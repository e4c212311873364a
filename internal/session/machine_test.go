package session

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestEveryHistoryKeepsTheInvariants walks thousands of short random histories: whatever happens in whatever order, a link is ready at most once,
// shows no code once the phone accepted, never leaves an ended state, and only has a deadline while it is in progress.
func TestEveryHistoryKeepsTheInvariants(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	kinds := EventKinds()
	reached := map[LinkState]bool{}
	for range 20_000 {
		link := Link{ID: "l", State: LinkQueued}
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		ready, accepted := 0, false
		for range 25 {
			now = now.Add(time.Second)
			event := LinkEvent{Kind: kinds[random.IntN(len(kinds))], For: time.Duration(random.IntN(3)) * time.Minute}
			next, listed := Step(link, event, now)
			if !listed && next != link {
				t.Fatalf("an event that is not listed changed the link: %+v after %s", next, event.Kind)
			}
			if link.State.Ended() && listed {
				t.Fatalf("%s left the ended state %s", event.Kind, link.State)
			}
			if accepted && (next.State == LinkQR || next.State == LinkCode) {
				t.Fatalf("a code is shown after the phone accepted (%s, %s)", link.State, event.Kind)
			}
			if listed && next.State == LinkReady {
				ready++
			}
			if next.State.Ended() && (!next.Deadline.IsZero() || next.EndedAt.IsZero()) {
				t.Fatalf("an ended link has a deadline or no end: %+v", next)
			}
			if !next.Deadline.IsZero() && next.Deadline.Before(now) && listed {
				t.Fatalf("a deadline in the past: %+v", next)
			}
			accepted = accepted || next.State == LinkPaired
			link = next
			reached[link.State] = true
		}
		if ready > 1 {
			t.Fatalf("ready %d times", ready)
		}
	}
	for _, state := range LinkStates() {
		if !reached[state] {
			t.Errorf("no history reached %s", state)
		}
	}
}

// TestEveryStateCanEnd: from each state in progress there is a way to an end, and a person can cancel.
func TestEveryStateCanEnd(t *testing.T) {
	t.Parallel()
	for _, state := range LinkStates() {
		if state.Ended() {
			if len(linkTransitions[state]) != 0 {
				t.Errorf("%s is ended and has a way out", state)
			}
			continue
		}
		for _, kind := range []EventKind{EventCancel, EventFailed} {
			next, listed := Step(Link{State: state}, LinkEvent{Kind: kind}, time.Now())
			if !listed || !next.State.Ended() {
				t.Errorf("%s in %s leads to %s", kind, state, next.State)
			}
		}
	}
}

func TestQRIsCountedAndDeadlinesBelongToStates(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	link := Link{State: LinkQueued}
	for _, step := range []struct {
		event    LinkEvent
		state    LinkState
		index    int
		deadline time.Duration
	}{
		{LinkEvent{Kind: EventStart, For: time.Minute}, LinkConnecting, 0, time.Minute},
		{LinkEvent{Kind: EventQR, For: time.Minute}, LinkQR, 1, time.Minute},
		{LinkEvent{Kind: EventQR, For: 20 * time.Second}, LinkQR, 2, 20 * time.Second},
		{LinkEvent{Kind: EventHandBack}, LinkQueued, 0, 0},
		{LinkEvent{Kind: EventStart}, LinkConnecting, 0, 0},
		{LinkEvent{Kind: EventQR}, LinkQR, 1, 0},
		{LinkEvent{Kind: EventPaired, For: time.Minute}, LinkPaired, 1, time.Minute},
		{LinkEvent{Kind: EventRestart}, LinkRestarting, 1, 0},
		{LinkEvent{Kind: EventReady}, LinkReady, 1, 0},
	} {
		var listed bool
		link, listed = Step(link, step.event, now)
		want := time.Time{}
		if step.deadline > 0 {
			want = now.Add(step.deadline)
		}
		if !listed || link.State != step.state || link.QRIndex != step.index || !link.Deadline.Equal(want) {
			t.Fatalf("after %s: %+v, want %s, %d, %s", step.event.Kind, link, step.state, step.index, want)
		}
	}
	if link.EndedAt != now || link.StartedAt != now {
		t.Errorf("times: %+v", link)
	}
}

func TestEveryReasonHasItsSentences(t *testing.T) {
	t.Parallel()
	for _, reason := range Reasons() {
		for _, language := range []Language{English, Spanish} {
			if sentences[reason][language] == "" {
				t.Errorf("%s has no sentence in %q", reason, language)
			}
		}
		if reason.Sentence("de") != sentences[reason][English] {
			t.Errorf("%s: an unknown language must get English", reason)
		}
	}
	if len(sentences) != len(Reasons()) || ReasonNone.Sentence(English) != "" {
		t.Errorf("%d sentences for %d reasons", len(sentences), len(Reasons()))
	}
}

func TestIdentityIsDistinctAndStable(t *testing.T) {
	t.Parallel()
	first, second := IdentityFor("ana"), IdentityFor("bea")
	if first == second || first != IdentityFor("ana") || first.Name == "" || first.Platform == "" {
		t.Errorf("%+v %+v", first, second)
	}
}
