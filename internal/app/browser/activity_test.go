package browser_test

import (
	"testing"

	"github.com/dannsalud/broadcaster/client"
)

// TestActivityTellsWhoDidWhat in sentences, with links, and is filtered.
func TestActivityTellsWhoDidWhat(t *testing.T) {
	t.Parallel()
	for language, said := range map[string]struct{ none, added, removed, jobs, nothing string }{
		"es": {"Todavía no hay actividad.", "dio de baja el número +5491150000013", "quitó la baja del número +5491150000013", "Trabajos", "Nada coincide."},
		"en": {"There is no activity yet.", "opted the number +5491150000013 out", "took the opt-out of the number +5491150000013 back", "Jobs", "Nothing matches."},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			p := w.open(language, "/activity")
			p.see(said.none)
			p.checkPage("activity-empty")
			if err := w.api.Suppress(t.Context(), "test", "+5491150000013"); err != nil {
				t.Fatal(err)
			}
			p.see(said.added) // the page follows by itself
			if err := w.api.Operations().RemoveSuppression(t.Context(), "+5491150000013", client.RemoveSuppressionQuery{Reason: "lo pidió"}); err != nil {
				t.Fatal(err)
			}
			p.visit("/activity")
			p.see(said.removed)
			p.checkPage("activity")
			p.do("go to the number", clickOn(`tbody a[href^="/opt-outs?q="]`))
			p.find("#q")
			p.visit("/activity?area=job")
			p.see(said.nothing)
			if area := evaluate[string](p, `document.querySelector("#area").selectedOptions[0].textContent`); area != said.jobs {
				t.Errorf("the filter says %q", area)
			}
		})
	}
}
