package sender

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// SweeperOptions are the parts of a Sweeper. Those without a stated default are required.
type SweeperOptions struct {
	Sessions  session.Store
	Campaigns campaign.Store
	Queue     Queue
	Watcher   Watcher
	// Every is how often it looks; zero: DefaultSweepEvery.
	Every time.Duration
	Log   *slog.Logger
}

// Sweeper puts campaigns back to work that nobody works on: those whose job was lost between the store and the queue (a crash between
// two writes), those whose limit is over, and those whose session is back. Several may run at once: publishing a job twice is harmless.
type Sweeper struct {
	options SweeperOptions
	nudges  chan struct{}
}

// NewSweeper checks the options and makes a sweeper.
func NewSweeper(options SweeperOptions) (*Sweeper, error) {
	if options.Sessions == nil || options.Campaigns == nil || options.Queue == nil || options.Watcher == nil {
		return nil, errors.New("sweeper: Sessions, Campaigns, Queue and Watcher are required")
	}
	options.Every = orDefault(options.Every, DefaultSweepEvery)
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &Sweeper{options: options, nudges: make(chan struct{}, 1)}, nil
}

// Run sweeps at the start, whenever a session changes, and every so often, until the context ends.
func (s *Sweeper) Run(ctx context.Context) error {
	stopWatching, err := s.options.Watcher.Watch(ctx, "events.session.*.state", func(string, []byte) {
		select {
		case s.nudges <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return fmt.Errorf("watch sessions: %w", err)
	}
	defer stopWatching()
	ticker := time.NewTicker(s.options.Every)
	defer ticker.Stop()
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.options.Log.Warn("campaigns could not be swept", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.nudges:
		case <-ticker.C:
		}
	}
}

func (s *Sweeper) sweep(ctx context.Context) error {
	page := store.Page{Size: store.MaxPageSize}
	for {
		list, err := s.options.Campaigns.List(ctx, campaign.Filter{
			States: []campaign.State{campaign.Queued, campaign.Running, campaign.Paused}}, page)
		if err != nil {
			return fmt.Errorf("list campaigns: %w", err)
		}
		for _, found := range list.Items {
			if err := s.care(ctx, found); err != nil {
				return err
			}
		}
		if list.Next == "" {
			return nil
		}
		page.After = list.Next
	}
}

func (s *Sweeper) care(ctx context.Context, found campaign.Campaign) error {
	if found.State != campaign.Paused {
		return s.restore(ctx, found)
	}
	due, err := s.mayResume(ctx, found)
	if err != nil || !due {
		return err
	}
	stored, err := campaign.Modify(ctx, s.options.Campaigns, found.ID, func(c *campaign.Campaign) error {
		if c.State != campaign.Paused || c.Reason != found.Reason {
			return campaign.ErrUnchanged
		}
		changed, err := campaign.Apply(*c, campaign.Resume, time.Now().UTC())
		if err == nil {
			*c = changed
		}
		return err
	})
	if err != nil || stored.State != campaign.Queued {
		return err
	}
	s.options.Log.Info("campaign resumed", "campaign", string(stored.ID), "reason", found.Reason)
	return tellCampaign(ctx, s.options.Queue, stored)
}

// restore publishes the job of a campaign that waits for a worker, or has lost its own, when there is none in the queue.
func (s *Sweeper) restore(ctx context.Context, found campaign.Campaign) error {
	job := events.RunCampaign{Version: events.RunCampaignVersion, CampaignID: found.ID, SessionID: found.SessionID, Slice: found.Slice,
		RequestedAt: time.Now().UTC()}
	waiting, err := s.options.Queue.Waiting(ctx, job.Subject())
	if err != nil || waiting {
		return err
	}
	current, err := s.options.Campaigns.Get(ctx, found.ID)
	if err != nil || current.Revision != found.Revision {
		return err // it went on while we looked
	}
	s.options.Log.Warn("campaign had no job and is queued again", "campaign", string(found.ID))
	return s.options.Queue.SendCommand(ctx, job)
}

// mayResume tells whether what paused a campaign is over. A campaign that a person paused (no reason) or that has to be looked at waits for
// a person.
func (s *Sweeper) mayResume(ctx context.Context, paused campaign.Campaign) (bool, error) {
	waitsForSession := strings.HasPrefix(paused.Reason, "session_") || paused.Reason == "not_connected" || paused.Reason == "lease_lost" ||
		paused.Reason == "logged_out"
	timeIsUp := !paused.ResumeAt.IsZero() && !time.Now().Before(paused.ResumeAt)
	if !waitsForSession && !timeIsUp {
		return false, nil
	}
	owner, err := s.options.Sessions.Get(ctx, paused.SessionID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return owner.State == session.Ready, err
}
