package session

import (
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
)

func TestWhatALinkRequestDoesInEachState(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	request := LinkRequest{ID: "new", Method: MethodQR, At: now}
	for _, state := range States() {
		s := Session{State: state, Link: Link{ID: "old", State: LinkExpired}}
		changed, created, err := RequestLink(s, request)
		switch state {
		case New, LoggedOut, Linking:
			if err != nil || !created || changed.State != Linking || changed.Link.State != LinkQueued || changed.Link.ID != "new" {
				t.Errorf("%s: %+v, %v, %v", state, changed, created, err)
			}
		case Removed: // a removed session is in no store
		default:
			if fault.Of(err) != fault.Conflict || created || changed.Link.ID != "old" || changed.State != state {
				t.Errorf("%s must not be touched: %+v, %v, %v", state, changed, created, err)
			}
		}
	}
	busy := Session{State: Linking, Link: Link{ID: "old", State: LinkQR}}
	if same, created, err := RequestLink(busy, request); err != nil || created || same.Link != busy.Link {
		t.Errorf("a link in progress must be given as it is: %+v, %v, %v", same, created, err)
	}
	for _, wrong := range []LinkRequest{{Method: "smoke"}, {Method: MethodCode}} {
		if _, _, err := RequestLink(Session{State: New}, wrong); fault.Of(err) != fault.Invalid {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}

func TestCancelAndWhatTheSessionIsAfterwards(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, state := range LinkStates() {
		before := Session{State: Linking, Link: Link{State: state}}
		after, err := CancelLink(before, now)
		switch {
		case err != nil:
			t.Errorf("%s: %v", state, err)
		case state.Ended() && after.Link != before.Link:
			t.Errorf("%s is ended and must stay: %+v", state, after.Link)
		case !state.Ended() && (after.Link.State != LinkCancelled || after.State != New):
			t.Errorf("%s: link %s, session %s", state, after.Link.State, after.State)
		}
	}
	linkedBefore := Session{State: Linking, LinkedAt: now, Link: Link{State: LinkQR}}
	if after, _ := CancelLink(linkedBefore, now); after.State != LoggedOut {
		t.Errorf("a session that was linked once must be logged out again, not %s", after.State)
	}
	paired := Session{State: Linking, Device: Device{JID: "a device"}, Link: Link{State: LinkPaired}}
	if after, _ := CancelLink(paired, now); after.State != New || !after.Device.IsZero() {
		t.Errorf("a device that never logged in must be forgotten: %s with %v", after.State, after.Device)
	}
	ready := Session{State: Linking, Device: paired.Device, Link: Link{State: LinkReady}}
	if after := ready.AfterLink(now); after.State != Offline || after.Device != ready.Device || !after.LinkedAt.Equal(now) {
		t.Errorf("a ready link leaves the session %s with %v, linked at %s", after.State, after.Device, after.LinkedAt)
	}
}
