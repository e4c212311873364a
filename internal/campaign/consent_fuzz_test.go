package campaign

import (
	"strings"
	"testing"
)

func FuzzIsOptOut(f *testing.F) {
	for _, text := range []string{"BAJA", " ¡baja! ", "No me escriban más", "baja de precio", strings.Repeat("stop ", 20), "ＳＴＯＰ", "\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		means := Consent{}.IsOptOut(text)
		if means && len(text) > longestOptOut {
			t.Errorf("a text of %d bytes is taken for one word", len(text))
		}
		if spaced := " " + text + "! "; means && len(spaced) <= longestOptOut && !(Consent{}).IsOptOut(spaced) {
			t.Errorf("%q means it, %q does not", text, spaced)
		}
	})
}
