package sender

import (
	"context"
	"fmt"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// tellCampaign publishes a campaign's state and, when it waits for a worker, its job. Doing it twice is harmless.
func tellCampaign(ctx context.Context, queue Queue, c campaign.Campaign) error {
	err := queue.PublishFact(ctx, events.CampaignChanged{Version: events.FactVersion, CampaignID: c.ID, SessionID: c.SessionID,
		UserID: c.UserID, State: c.State, Reason: c.Reason, At: c.UpdatedAt})
	if err != nil || c.State != campaign.Queued {
		return err
	}
	return queue.SendCommand(ctx, jobOf(c, c.UpdatedAt))
}

// jobOf is the job of a campaign's present slice.
func jobOf(c campaign.Campaign, at time.Time) events.RunCampaign {
	return events.RunCampaign{Version: events.RunCampaignVersion, CampaignID: c.ID, SessionID: c.SessionID, Slice: c.Slice, RequestedAt: at}
}

// change applies an event to a campaign that is still as expected, and gives it as stored; changed is false when it is not.
func change(ctx context.Context, campaigns campaign.Store, id campaign.ID, expected func(campaign.Campaign) bool, end ending) (
	stored campaign.Campaign, changed bool, err error,
) {
	stored, err = campaign.Modify(ctx, campaigns, id, func(c *campaign.Campaign) error {
		changed = false
		if !expected(*c) {
			return campaign.ErrUnchanged
		}
		next, err := campaign.Apply(*c, end.event, time.Now().UTC())
		if err != nil {
			return err
		}
		if next.State == campaign.Paused || next.State == campaign.Failed {
			next.Reason, next.ResumeAt = end.reason, end.resumeAt
		}
		*c, changed = next, true
		return nil
	})
	return stored, changed && err == nil, err
}

// ending is what becomes of a campaign: the event and, for a pause, why and until when.
type ending struct {
	event  campaign.Event
	reason string
	// resumeAt is when the campaign may go on by itself, if its session is ready then; zero: when a person resumes it.
	resumeAt time.Time
}

// holdCampaigns pauses what a session sends, with the session's own reason. They go on when its limit is over, or it is linked again; those of
// a session that is removed wait for a person.
func (s *hosting) holdCampaigns(ctx context.Context, owner session.Session) error {
	end := ending{event: campaign.Pause, reason: codeOf(owner), resumeAt: time.Now().UTC()}
	switch owner.State {
	case session.Paused:
		end.resumeAt = owner.Until
	case session.Removing:
		end.reason, end.resumeAt = string(session.ReasonUnlinked), time.Time{}
	default:
	}
	page := store.Page{Size: store.MaxPageSize}
	for {
		list, err := s.host.options.Campaigns.List(ctx, campaign.Filter{SessionID: owner.ID,
			States: []campaign.State{campaign.Queued, campaign.Running}}, page)
		if err != nil {
			return fmt.Errorf("list campaigns of %s: %w", owner.ID, err)
		}
		for _, found := range list.Items {
			if found.Settings.WarmOnly && owner.Reason == session.ReasonReachOutLock {
				continue // the lock is about strangers
			}
			if err := s.holdCampaign(ctx, found.ID, end); err != nil {
				return err
			}
		}
		if list.Next == "" {
			return nil
		}
		page.After = list.Next
	}
}

func (s *hosting) holdCampaign(ctx context.Context, id campaign.ID, end ending) error {
	active := func(c campaign.Campaign) bool { return c.State == campaign.Queued || c.State == campaign.Running }
	stored, changed, err := change(ctx, s.host.options.Campaigns, id, active, end)
	if err != nil || !changed {
		return err
	}
	s.host.options.Log.InfoContext(ctx, "campaign paused", "campaign", string(id), "session", string(s.id), "reason", end.reason)
	return tellCampaign(ctx, s.host.options.Queue, stored)
}

// settleCancelled settles what a cancelled campaign's runs had taken and not sent; what was pending, the cancel has settled. A message that left
// all the same is set right by its receipt, which ranks higher.
func settleCancelled(ctx context.Context, deliveries campaign.Deliveries, id campaign.ID) error {
	page := store.Page{Size: store.MaxPageSize}
	for {
		list, err := deliveries.List(ctx, id, campaign.Sending, page)
		if err != nil {
			return fmt.Errorf("list deliveries of %s: %w", id, err)
		}
		outcomes := make([]campaign.Outcome, len(list.Items))
		for i, delivery := range list.Items {
			outcomes[i] = campaign.Outcome{DeliveryID: delivery.ID, State: campaign.Skipped, At: time.Now().UTC(), Class: fault.SkipRecipient,
				Code: "campaign_cancelled", Reason: "The campaign was cancelled before this message was sent"}
		}
		if len(outcomes) > 0 {
			if _, err := deliveries.Record(ctx, outcomes); err != nil {
				return fmt.Errorf("settle deliveries of %s: %w", id, err)
			}
		}
		if list.Next == "" {
			return nil
		}
		page.After = list.Next
	}
}
