package campaign

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Event is something that a person or the runner does to a campaign.
type Event string

// The events.
const (
	// Schedule: the plan is written; it is to be queued at a time.
	Schedule Event = "schedule"
	// Queue: the plan is written, or a run's slice is over; its next job may be taken.
	Queue Event = "queue"
	// Start: a run took its job.
	Start Event = "start"
	// Pause: hold it before the next message.
	Pause Event = "pause"
	// Resume: go on with a paused one.
	Resume Event = "resume"
	// Cancel: stop it for good before the next message.
	Cancel Event = "cancel"
	// Complete: every delivery is settled.
	Complete Event = "complete"
	// Fail: it can never be sent.
	Fail Event = "fail"
	// Retry: some of its deliveries were opened again.
	Retry Event = "retry"
)

// Events lists every event, in the order of their declaration.
func Events() []Event {
	return []Event{Schedule, Queue, Start, Pause, Resume, Cancel, Complete, Fail, Retry}
}

// transitions is the whole life of a campaign. An event that leads to the state that the campaign is in changes nothing and is no error, so
// that everything may be asked twice. Who resumes a campaign that was paused
// while it was scheduled schedules it anew if its time has not come.
var transitions = map[State]map[Event]State{
	Draft:     {Schedule: Scheduled, Queue: Queued, Cancel: Cancelled, Fail: Failed},
	Scheduled: {Schedule: Scheduled, Queue: Queued, Pause: Paused, Cancel: Cancelled, Fail: Failed},
	Queued:    {Retry: Queued, Queue: Queued, Start: Running, Pause: Paused, Resume: Queued, Cancel: Cancelled, Complete: Completed, Fail: Failed},
	Running:   {Retry: Running, Queue: Queued, Start: Running, Pause: Paused, Resume: Running, Cancel: Cancelled, Complete: Completed, Fail: Failed},
	Paused:    {Retry: Queued, Schedule: Scheduled, Pause: Paused, Resume: Queued, Cancel: Cancelled, Complete: Completed, Fail: Failed},
	Completed: {Complete: Completed, Retry: Queued},
	Cancelled: {Cancel: Cancelled},
	Failed:    {Fail: Failed},
}

// Apply gives the campaign after an event, or a fault.Conflict that says what state it is in and what is possible instead. A campaign that
// is in the wanted state already comes back unchanged. Entering a state clears Reason and ResumeAt, which the caller may set
// then, and notes the time; entering Queued starts a new slice, so that its job is a new message.
func Apply(c Campaign, event Event, at time.Time) (Campaign, error) {
	next, possible := transitions[c.State][event]
	if !possible {
		return c, refuse(c.State, event)
	}
	if next == c.State {
		return c, nil
	}
	c.State, c.UpdatedAt = next, at
	c.Reason, c.ResumeAt = "", time.Time{}
	switch {
	case next == Queued:
		c.Slice++
		c.EndedAt = time.Time{}
	case next == Running && c.StartedAt.IsZero():
		c.StartedAt = at
	case next.Ended():
		c.EndedAt = at
	}
	return c, nil
}

func refuse(state State, event Event) error {
	possible := "nothing more can be done with it"
	if can := possibleActions(state); len(can) > 0 {
		possible = "it can be " + strings.Join(can, " or ")
	}
	return fault.New(fault.Conflict, "campaign_"+string(state),
		fmt.Sprintf("The campaign is %s and cannot be %s; %s", state, event.participle(), possible))
}

// possibleActions names what a person can do with a campaign in this state.
func possibleActions(state State) []string {
	var can []string
	for _, event := range []Event{Pause, Resume, Cancel} {
		if next, listed := transitions[state][event]; listed && next != state {
			can = append(can, event.participle())
		}
	}
	return can
}

func (e Event) participle() string {
	switch e {
	case Schedule, Pause, Resume, Complete, Queue:
		return strings.TrimSuffix(string(e), "e") + "ed"
	case Start, Fail:
		return string(e) + "ed"
	case Retry:
		return "retried"
	case Cancel:
		return "cancelled"
	}
	return string(e)
}

// ErrUnchanged is returned by the function given to Modify to leave the record as it is.
var ErrUnchanged = store.ErrUnchanged

// Modify reads a campaign, lets change alter it, and writes it back, by the rules of store.Modify. It returns the campaign as stored.
func Modify(ctx context.Context, campaigns Store, id ID, change func(*Campaign) error) (Campaign, error) {
	stored, written, err := store.Modify(ctx, campaigns, id, change)
	if err != nil {
		return stored, fmt.Errorf("modify campaign %s: %w", id, err)
	}
	if written {
		stored.Revision++
	}
	return stored, nil
}
