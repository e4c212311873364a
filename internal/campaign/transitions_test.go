package campaign

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// life is the table of transitions.go written the other way round: what people and runners rely on. An event that is not listed for a state
// is refused there.
var life = map[Event]map[State]State{
	Schedule: {Draft: Scheduled, Scheduled: Scheduled, Paused: Scheduled},
	Queue:    {Draft: Queued, Scheduled: Queued, Queued: Queued, Running: Queued},
	Start:    {Queued: Running, Running: Running},
	Pause:    {Scheduled: Paused, Queued: Paused, Running: Paused, Paused: Paused},
	Resume:   {Queued: Queued, Running: Running, Paused: Queued},
	Cancel:   {Draft: Cancelled, Scheduled: Cancelled, Queued: Cancelled, Running: Cancelled, Paused: Cancelled, Cancelled: Cancelled},
	Complete: {Queued: Completed, Running: Completed, Paused: Completed, Completed: Completed},
	Retry:    {Queued: Queued, Running: Running, Paused: Queued, Completed: Queued},
	Fail:     {Draft: Failed, Scheduled: Failed, Queued: Failed, Running: Failed, Paused: Failed, Failed: Failed},
}

func TestEveryEventInEveryState(t *testing.T) {
	t.Parallel()
	for _, event := range Events() {
		for _, state := range States() {
			before := Campaign{ID: "cmp_1", State: state, Reason: "limit", ResumeAt: at(60), Slice: 2, UpdatedAt: at(1)}
			after, err := Apply(before, event, at(2))
			want, possible := life[event][state]
			switch {
			case !possible:
				problem := wantFault(t, err, fault.Conflict, "campaign_"+string(state))
				if !strings.HasPrefix(problem.Message, fmt.Sprintf("The campaign is %s and cannot be ", state)) {
					t.Errorf("%s in %s says %q", event, state, problem.Message)
				}
				same(t, after, before)
			case err != nil:
				t.Errorf("%s in %s: %v", event, state, err)
			case want == state:
				same(t, after, before) // asked twice: nothing changes, not even the time
			case after.State != want || after.Reason != "" || !after.ResumeAt.IsZero() || !after.UpdatedAt.Equal(at(2)):
				t.Errorf("%s in %s: %+v, want %s", event, state, after, want)
			}
		}
	}
}

func TestEveryStateCanBeReachedAndEnded(t *testing.T) {
	t.Parallel()
	reached := map[State]bool{Draft: true}
	for range States() {
		for state := range reached {
			for _, next := range transitions[state] {
				reached[next] = true
			}
		}
	}
	for _, state := range States() {
		if !reached[state] {
			t.Errorf("no way leads to %s", state)
		}
		for event, next := range transitions[state] {
			if state.Ended() && next != state && event != Retry {
				t.Errorf("%s leads from the end %s to %s", event, state, next)
			}
		}
		if _, err := Apply(Campaign{State: state}, Cancel, start); err != nil && !state.Ended() {
			t.Errorf("%s cannot be cancelled: %v", state, err)
		}
	}
}

func TestACampaignsStory(t *testing.T) {
	t.Parallel()
	c := Campaign{State: Draft}
	steps := []struct {
		event Event
		want  Campaign
	}{
		{Queue, Campaign{State: Queued, Slice: 1, UpdatedAt: at(0)}},
		{Start, Campaign{State: Running, Slice: 1, StartedAt: at(1), UpdatedAt: at(1)}},
		{Queue, Campaign{State: Queued, Slice: 2, StartedAt: at(1), UpdatedAt: at(2)}},
		{Queue, Campaign{State: Queued, Slice: 2, StartedAt: at(1), UpdatedAt: at(2)}},
		{Start, Campaign{State: Running, Slice: 2, StartedAt: at(1), UpdatedAt: at(4)}},
		{Pause, Campaign{State: Paused, Slice: 2, StartedAt: at(1), UpdatedAt: at(5)}},
		{Resume, Campaign{State: Queued, Slice: 3, StartedAt: at(1), UpdatedAt: at(6)}},
		{Start, Campaign{State: Running, Slice: 3, StartedAt: at(1), UpdatedAt: at(7)}},
		{Complete, Campaign{State: Completed, Slice: 3, StartedAt: at(1), UpdatedAt: at(8), EndedAt: at(8)}},
		{Complete, Campaign{State: Completed, Slice: 3, StartedAt: at(1), UpdatedAt: at(8), EndedAt: at(8)}},
	}
	for i, step := range steps {
		next, err := Apply(c, step.event, at(i))
		if err != nil {
			t.Fatalf("step %d, %s: %v", i, step.event, err)
		}
		same(t, next, step.want)
		c = next
	}
}

func TestRefusalsSayWhatIsPossible(t *testing.T) {
	t.Parallel()
	rows := []struct {
		state State
		event Event
		want  string
	}{
		{Draft, Pause, "The campaign is draft and cannot be paused; it can be cancelled"},
		{Scheduled, Resume, "The campaign is scheduled and cannot be resumed; it can be paused or cancelled"},
		{Running, Schedule, "The campaign is running and cannot be scheduled; it can be paused or cancelled"},
		{Paused, Start, "The campaign is paused and cannot be started; it can be resumed or cancelled"},
		{Completed, Cancel, "The campaign is completed and cannot be cancelled; nothing more can be done with it"},
		{Cancelled, Complete, "The campaign is cancelled and cannot be completed; nothing more can be done with it"},
		{Failed, Queue, "The campaign is failed and cannot be queued; nothing more can be done with it"},
		{Completed, Fail, "The campaign is completed and cannot be failed; nothing more can be done with it"},
	}
	for _, row := range rows {
		_, err := Apply(Campaign{State: row.state}, row.event, start)
		same(t, fault.As(err).Message, row.want)
	}
	_, err := Apply(Campaign{State: "odd"}, Pause, start)
	wantFault(t, err, fault.Conflict, "campaign_odd")
}

// shelf holds one campaign and counts what happens to it.
type shelf struct {
	Store
	mu     sync.Mutex
	stored Campaign
	writes int
}

func (s *shelf) Get(_ context.Context, id ID) (Campaign, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != s.stored.ID {
		return Campaign{}, store.ErrNotFound
	}
	return s.stored, nil
}

func (s *shelf) Update(_ context.Context, c Campaign) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Revision != s.stored.Revision {
		return store.ErrConflict
	}
	c.Revision++
	s.stored, s.writes = c, s.writes+1
	return nil
}

func TestModifyLosesNoChange(t *testing.T) {
	t.Parallel()
	campaigns := &shelf{stored: Campaign{ID: "cmp_1", Revision: 1}}
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			for range 20 {
				if _, err := Modify(t.Context(), campaigns, "cmp_1", func(c *Campaign) error { c.Slice++; return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	same(t, campaigns.stored, Campaign{ID: "cmp_1", Slice: 400, Revision: 401})
}

func TestModifyGivesTheCampaignAsStored(t *testing.T) {
	t.Parallel()
	campaigns := &shelf{stored: Campaign{ID: "cmp_1", State: Running, Revision: 4}}
	got, err := Modify(t.Context(), campaigns, "cmp_1", func(c *Campaign) error { c.State = Paused; return nil })
	if err != nil || campaigns.writes != 1 {
		t.Fatalf("%d writes, %v", campaigns.writes, err)
	}
	same(t, got, Campaign{ID: "cmp_1", State: Paused, Revision: 5})
	same(t, campaigns.stored, got)

	got, err = Modify(t.Context(), campaigns, "cmp_1", func(c *Campaign) error { c.State = Failed; return ErrUnchanged })
	if err != nil || campaigns.writes != 1 {
		t.Fatalf("unchanged: %d writes, %v", campaigns.writes, err)
	}
	same(t, got, campaigns.stored)

	_, err = Modify(t.Context(), campaigns, "cmp_1", func(c *Campaign) (err error) { *c, err = Apply(*c, Start, start); return err })
	wantFault(t, err, fault.Conflict, "campaign_paused")
	_, err = Modify(t.Context(), campaigns, "cmp_2", func(*Campaign) error { return nil })
	if !errors.Is(err, store.ErrNotFound) || campaigns.writes != 1 {
		t.Errorf("%d writes, %v", campaigns.writes, err)
	}
}

func TestOnlyEndedStatesEnd(t *testing.T) {
	t.Parallel()
	for _, state := range States() {
		if want := state == Completed || state == Cancelled || state == Failed; state.Ended() != want {
			t.Errorf("%s: ended %v", state, state.Ended())
		}
	}
	if a, b := NewID(), NewID(); a == b || !strings.HasPrefix(string(a), "cmp_") || strings.ContainsAny(string(a), ".*> ") {
		t.Errorf("ids %s and %s", a, b)
	}
}
