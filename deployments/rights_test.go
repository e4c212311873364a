package deployments

import (
	"testing"

	"github.com/dannsalud/broadcaster/internal/bus"
)

// TestTheDoctorFindsNoRightMissing: what internal/bus says that a service needs is what users.conf allows it.
func TestTheDoctorFindsNoRightMissing(t *testing.T) {
	t.Parallel()
	broker := start(t)
	for _, service := range []string{"api", "linker", "sender"} {
		missing, err := bus.MissingRights(t.Context(), bus.Options{URL: broker.ClientURL(), User: service, Password: password(service),
			InboxPrefix: "_INBOX_" + service, Name: "doctor"}, service)
		if err != nil || len(missing) != 0 {
			t.Errorf("%s lacks %v (%v)", service, missing, err)
		}
	}
	// The table can tell: one service's user lacks what another service needs.
	missing, err := bus.MissingRights(t.Context(), bus.Options{URL: broker.ClientURL(), User: "linker", Password: password("linker"),
		InboxPrefix: "_INBOX_linker", Name: "doctor"}, "sender")
	if err != nil || len(missing) == 0 {
		t.Errorf("the linker may do the sender's work: %v (%v)", missing, err)
	}
}
