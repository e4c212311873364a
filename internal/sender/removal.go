package sender

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// logoutPatience is how long a session that is being removed may take to be logged in, so that it can be logged out.
const logoutPatience = 20 * time.Second

// logout takes the device off the phone's list, once it is logged in. A device that WhatsApp has removed already needs no more.
func (s *hosting) logout(held context.Context) error {
	ctx, cancel := context.WithTimeout(held, logoutPatience)
	defer cancel()
	select {
	case <-s.gate.connected():
	case ended := <-s.ended:
		if endings[ended.reason] == session.LoggedOut {
			return nil
		}
		return &ended
	case <-ctx.Done():
		return fault.New(fault.RetryLater, "logout_waits", "The device is not connected and cannot be logged out yet; it is tried again")
	}
	if err := s.connection.Logout(ctx); err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	return nil
}

// erase deletes the keys and the record of a session whose device is gone, stops what it sends, and says so. Each step may be repeated.
func (s *hosting) erase(ctx context.Context, current session.Session) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if !s.lease.Held() {
		return errMoving()
	}
	if !current.Device.IsZero() {
		if err := s.host.options.WhatsApp.Forget(ctx, session.ForgetRequest{Session: s.id, Epoch: s.lease.Epoch(), Device: current.Device, Reason: current.Reason}); err != nil {
			return fmt.Errorf("delete keys: %w", err)
		}
	}
	if err := s.holdCampaigns(ctx, current); err != nil {
		return err
	}
	if err := s.host.options.Sessions.Delete(ctx, s.id); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("delete session: %w", err)
	}
	s.host.options.Log.InfoContext(ctx, "session removed", "session", string(s.id))
	return s.host.options.Queue.PublishFact(ctx, events.SessionChanged{Version: events.FactVersion, SessionID: s.id, UserID: current.UserID,
		State: session.Removed, Reason: current.Reason, At: time.Now().UTC()})
}
