package app_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// TestALogoutIsExplained: what happened, why it probably did, and what to do, in both languages, through the API.
func TestALogoutIsExplained(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		recipients int
		do         script.Action
		state      string
		cause      session.Cause
		guess      bool
	}{
		"a person removed it":          {0, script.RemoveDevice(), "logged_out", session.CauseUnlinkedByUser, true},
		"after many strangers":         {25, script.RemoveDevice(), "logged_out", session.CauseNewContacts, true},
		"opened somewhere else":        {0, script.EndReplaced(), "replaced", session.CauseReplaced, false},
		"restricted, and then ejected": {3, script.RemoveDevice(), "logged_out", session.CauseNewContacts, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			linked, phone := w.link(1)
			if _, err := w.api.Diagnosis(t.Context(), linked.ID); !client.IsCode(err, "nothing_to_diagnose") {
				t.Errorf("a session that is well: %v", err)
			}
			if row.recipients > 0 {
				w.awaitCampaign(w.send(linked.ID, row.recipients).ID, "completed")
			}
			if strings.HasPrefix(name, "restricted") {
				w.strike(phone, script.Lock(1e9))
				w.await("the lock is noted", func(ctx context.Context) (bool, error) {
					entries, err := w.api.History(ctx, linked.ID)
					return slices.ContainsFunc(entries, func(e client.Entry) bool { return e.Kind == "restricted" }), err
				})
			}
			w.strike(phone, row.do)
			w.awaitState(linked.ID, row.state)
			explained, err := w.api.Diagnosis(t.Context(), linked.ID)
			if err != nil {
				t.Fatal(err)
			}
			if explained.Cause != string(row.cause) || explained.Guess != row.guess || len(explained.Evidence) == 0 {
				t.Errorf("explained as %+v", explained)
			}
			for _, text := range []client.Text{explained.Happened, explained.Why, explained.Next} {
				if text.En == "" || text.Es == "" || text.En == text.Es {
					t.Errorf("said as %+v", text)
				}
			}
			entries, err := w.api.History(t.Context(), linked.ID)
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) < 3 || entries[0].Kind != "ended" || entries[0].Sent != row.recipients ||
				!slices.ContainsFunc(entries, func(e client.Entry) bool { return e.Kind == "linked" }) {
				t.Errorf("history %+v", entries)
			}
		})
	}
}
