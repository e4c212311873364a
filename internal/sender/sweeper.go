package sender

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// SweeperOptions are the parts of a Sweeper. Those without a stated default are required.
type SweeperOptions struct {
	Sessions   session.Store
	Campaigns  campaign.Store
	Deliveries campaign.Deliveries
	Queue      Queue
	Watcher    Watcher
	// Every is how often it looks; zero: DefaultSweepEvery.
	Every time.Duration
	// Log takes what is put back to work; nil: it is dropped.
	Log *slog.Logger
	// Registerer takes the metrics; nil: they are not exposed.
	Registerer prometheus.Registerer
}

// Sweeper puts campaigns back to work that nobody works on: those whose job was lost between the store and the queue (a crash between
// two writes) and those whose limit is over. It settles what a cancelled campaign left. Several may run at once: each step may be repeated.
type Sweeper struct {
	options SweeperOptions
	metrics *campaignMetrics
	nudges  chan struct{}
	// counted is when the deliveries were last counted. Only Run touches it.
	counted time.Time

	mu        sync.Mutex
	cancelled map[campaign.ID]struct{}
	// nudged is when a session last made this sweeper look; soon: it is going to look when nudgeGap is over.
	nudged time.Time
	soon   bool
}

// NewSweeper checks the options and makes a sweeper.
func NewSweeper(options SweeperOptions) (*Sweeper, error) {
	if options.Sessions == nil || options.Campaigns == nil || options.Deliveries == nil || options.Queue == nil || options.Watcher == nil {
		return nil, errors.New("sweeper: Sessions, Campaigns, Deliveries, Queue and Watcher are required")
	}
	options.Every = orDefault(options.Every, DefaultSweepEvery)
	options.Log = orDiscard(options.Log)
	metrics, err := newCampaignMetrics(options.Registerer)
	if err != nil {
		return nil, err
	}
	return &Sweeper{options: options, metrics: metrics, nudges: make(chan struct{}, 1), cancelled: map[campaign.ID]struct{}{}}, nil
}

// Run sweeps at the start, whenever a session changes or a campaign is cancelled, and every so often, until the context ends.
func (s *Sweeper) Run(ctx context.Context) error {
	stopSessions, err := s.options.Watcher.Watch(ctx, "events.session.*.state", s.sessionChanged)
	if err != nil {
		return fmt.Errorf("watch sessions: %w", err)
	}
	defer stopSessions()
	stopCampaigns, err := s.options.Watcher.Watch(ctx, "events.campaign.*.state", s.campaignChanged)
	if err != nil {
		return fmt.Errorf("watch campaigns: %w", err)
	}
	defer stopCampaigns()
	ticker := time.NewTicker(s.options.Every)
	defer ticker.Stop()
	if err := s.recallCancelled(ctx); err != nil && ctx.Err() == nil {
		s.options.Log.WarnContext(ctx, "cancelled campaigns could not be listed", "class", fault.Of(err).Label(), "error", err)
	}
	for {
		if err := errors.Join(s.sweep(ctx), s.settle(ctx)); err != nil && ctx.Err() == nil {
			s.options.Log.WarnContext(ctx, "campaigns could not be swept and are looked at again", "class", fault.Of(err).Label(), "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.nudges:
		case <-ticker.C:
		}
	}
}

// nudgeGap is the shortest time between two sweeps for sessions: when a worker dies many change at once, and one sweep is for all of them.
const nudgeGap = time.Second

// sessionChanged notes that a session may write again, which its campaigns may wait for.
func (s *Sweeper) sessionChanged(_ string, data []byte) {
	var fact events.SessionChanged
	if err := json.Unmarshal(data, &fact); err == nil && fact.State != session.Ready && fact.State != session.Paused {
		return
	}
	s.mu.Lock()
	wait, soon := time.Until(s.nudged.Add(nudgeGap)), s.soon
	s.soon = wait > 0
	if !s.soon {
		s.nudged = time.Now()
	}
	s.mu.Unlock()
	switch {
	case wait <= 0:
		s.nudge()
	case !soon:
		time.AfterFunc(wait, func() { s.sessionChanged("", nil) })
	}
}

func (s *Sweeper) nudge() {
	select {
	case s.nudges <- struct{}{}:
	default: // it is going to look anyway
	}
}

// campaignChanged notes a cancel; the store is asked before anything is done.
func (s *Sweeper) campaignChanged(_ string, data []byte) {
	var fact events.CampaignChanged
	if err := json.Unmarshal(data, &fact); err != nil || fact.State != campaign.Cancelled {
		return
	}
	s.mu.Lock()
	s.cancelled[fact.CampaignID] = struct{}{}
	s.mu.Unlock()
	s.nudge()
}

// recallCancelled notes what was cancelled lately, by a process that may have died before it was settled.
func (s *Sweeper) recallCancelled(ctx context.Context) error {
	return s.each(ctx, []campaign.State{campaign.Cancelled}, func(found campaign.Campaign) error {
		if time.Since(found.EndedAt) < recallFor {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.cancelled[found.ID] = struct{}{}
		}
		return nil
	})
}

// recallFor is how long ago a campaign may have been cancelled that is looked at when a sweeper starts.
const recallFor = 24 * time.Hour

// sweep looks at every campaign that is neither planned nor ended.
func (s *Sweeper) sweep(ctx context.Context) error {
	seen := newCensus()
	err := s.each(ctx, swept(), func(found campaign.Campaign) error {
		seen.see(found, time.Now())
		if found.State == campaign.Scheduled {
			return s.beginLate(ctx, found)
		}
		if found.State == campaign.Paused {
			return s.resume(ctx, found)
		}
		return s.restore(ctx, found)
	})
	if err != nil {
		return err
	}
	s.metrics.show(seen)
	return s.countDeliveries(ctx, seen.active)
}

// each visits the campaigns in some states.
func (s *Sweeper) each(ctx context.Context, states []campaign.State, visit func(campaign.Campaign) error) error {
	page := store.Page{Size: store.MaxPageSize}
	for {
		list, err := s.options.Campaigns.List(ctx, campaign.Filter{States: states}, page)
		if err != nil {
			return fmt.Errorf("list campaigns: %w", err)
		}
		for _, found := range list.Items {
			if err := visit(found); err != nil {
				return err
			}
		}
		if list.Next == "" {
			return nil
		}
		page.After = list.Next
	}
}

// resume goes on with a campaign whose limit is over and whose session is ready. One without a time to resume waits for a person.
func (s *Sweeper) resume(ctx context.Context, found campaign.Campaign) error {
	if found.ResumeAt.IsZero() || !(lifted(found) || !time.Now().Before(found.ResumeAt)) {
		return nil
	}
	owner, err := s.options.Sessions.Get(ctx, found.SessionID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the session of %s: %w", found.ID, err)
	}
	locked := owner.State == session.Paused && owner.Reason == session.ReasonReachOutLock
	if owner.State != session.Ready && !(locked && found.Settings.WarmOnly) {
		return nil
	}
	same := func(c campaign.Campaign) bool { return c.State == campaign.Paused && c.Revision == found.Revision }
	stored, changed, err := change(ctx, s.options.Campaigns, found.ID, same, ending{event: campaign.Resume})
	if err != nil || !changed {
		return err
	}
	s.options.Log.InfoContext(ctx, "campaign resumed", "campaign", string(stored.ID), "reason", found.Reason)
	return tellCampaign(ctx, s.options.Queue, stored)
}

// beginLate begins a scheduled campaign whose job did not come: the queue may have lost it, or have been made anew.
func (s *Sweeper) beginLate(ctx context.Context, found campaign.Campaign) error {
	if time.Since(found.Settings.ScheduledAt) < restoreAfter {
		return nil
	}
	changed := false
	stored, err := campaign.Modify(ctx, s.options.Campaigns, found.ID, func(c *campaign.Campaign) error {
		if changed = c.State == campaign.Scheduled && c.Revision == found.Revision; !changed {
			return campaign.ErrUnchanged
		}
		next, err := campaign.Apply(*c, campaign.Queue, time.Now().UTC())
		next.Settings.ScheduledAt = time.Time{} // the job that is late is out of date now
		*c = next
		return err
	})
	if err != nil || !changed {
		return err
	}
	s.options.Log.WarnContext(ctx, "scheduled campaign had no job and is queued", "campaign", string(found.ID))
	return tellCampaign(ctx, s.options.Queue, stored)
}

// lifted tells whether a campaign waits for a limit of its session, which is over as soon as the session is ready.
func lifted(paused campaign.Campaign) bool {
	return paused.Reason == string(session.ReasonReachOutLock) || paused.Reason == string(session.ReasonTemporaryBan) ||
		paused.Reason == string(session.ReasonChatQuota)
}

// restoreAfter is how long a campaign may be without a job: whoever changed it last is about to publish one.
const restoreAfter = 10 * time.Second

// restore gives a campaign its job back when there is none. The lost job of a running one is replaced by the next slice's: the queue would
// take the same one, published again, for a repetition.
func (s *Sweeper) restore(ctx context.Context, found campaign.Campaign) error {
	if time.Since(found.UpdatedAt) < restoreAfter {
		return nil
	}
	waiting, err := s.options.Queue.Waiting(ctx, jobOf(found, time.Now()).Subject())
	if err != nil || waiting {
		return err
	}
	same := func(c campaign.Campaign) bool { return c.State == found.State && c.Revision == found.Revision }
	stored, changed := found, true
	if found.State == campaign.Running {
		stored, changed, err = change(ctx, s.options.Campaigns, found.ID, same, ending{event: campaign.Queue})
	}
	if err != nil || !changed {
		return err // it went on while we looked
	}
	s.options.Log.WarnContext(ctx, "campaign had no job and is queued again", "campaign", string(found.ID))
	return tellCampaign(ctx, s.options.Queue, stored)
}

// settle settles what cancelled campaigns left, once nobody runs them any more.
func (s *Sweeper) settle(ctx context.Context) error {
	for _, id := range s.toSettle() {
		waiting, err := s.options.Queue.Waiting(ctx, events.RunCampaign{CampaignID: id}.Subject())
		if err != nil {
			return err
		}
		if waiting { // its runner settles it, or this one when it looks again
			continue
		}
		state, err := s.options.Campaigns.State(ctx, id)
		if err == nil && state == campaign.Cancelled {
			err = settleCancelled(ctx, s.options.Deliveries, id)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		s.mu.Lock()
		delete(s.cancelled, id)
		s.mu.Unlock()
	}
	return nil
}

func (s *Sweeper) toSettle() []campaign.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]campaign.ID, 0, len(s.cancelled))
	for id := range s.cancelled {
		ids = append(ids, id)
	}
	return ids
}
