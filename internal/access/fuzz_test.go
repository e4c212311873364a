package access

import (
	"strings"
	"testing"
)

func FuzzParseKey(f *testing.F) {
	f.Add("")
	f.Add(keyMark)
	f.Add(assemble(strings.Repeat("a", 8)))
	f.Add(keyMark + "__")
	f.Fuzz(func(t *testing.T, text string) {
		id, ok := parse(text)
		if !ok {
			if id != "" {
				t.Errorf("what is no key has the id %q", id)
			}
			return
		}
		if again, ok := parse(assemble(strings.TrimPrefix(id, idMark))); !ok || again != id {
			t.Errorf("another key with the id %q has the id %q, %t", id, again, ok)
		}
		if !strings.HasPrefix(text, keyMark+strings.TrimPrefix(id, idMark)+"_") {
			t.Error("the id of a key is not what it begins with")
		}
	})
}
