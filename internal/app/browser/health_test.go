package browser_test

import "testing"

// TestAnybodySeesWhetherTheServiceIsWell: the parts of the running product, its sessions, and what waits for somebody.
func TestAnybodySeesWhetherTheServiceIsWell(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.linked("+5491150000001")
	for language, said := range map[string]struct{ well, works, sending string }{
		"es": {"Todo funciona. No hay nada que hacer.", "Funciona", "Envío de campañas"}, "en": {"Everything works. There is nothing to do.", "Works", "Sending of campaigns"},
	} {
		p := w.openAs(w.keyOf("viewer", ""), language, "/health")
		p.see(said.sending)
		p.see(said.well)
		p.checkPage("health")
		if works := evaluate[int](p, `document.querySelectorAll("tbody .badge.good").length`); works != 4 {
			t.Errorf("%d parts of four work: %s", works, p.said())
		}
	}
}
