package console

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// pluralForms are the forms that each language needs (CLDR).
func pluralForms() map[string][]string {
	return map[string][]string{spanish: {"many", "one", "other"}, english: {"one", "other"}}
}

// readCatalog gives the texts of a language; a plural has its forms, any other text the form "".
func readCatalog(t *testing.T, code string) map[string]map[string]string {
	t.Helper()
	names, err := fs.Glob(messageFiles, "messages/*."+code+".json")
	if err != nil {
		t.Fatal(err)
	}
	catalog := map[string]map[string]string{}
	for _, name := range names {
		content, err := messageFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var texts map[string]json.RawMessage
		if err := json.Unmarshal(content, &texts); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for key, raw := range texts {
			var plain string
			forms := map[string]string{}
			if json.Unmarshal(raw, &plain) == nil {
				forms[""] = plain
			} else if err := json.Unmarshal(raw, &forms); err != nil {
				t.Fatalf("%s: %s: %v", name, key, err)
			}
			catalog[key] = forms
		}
	}
	return catalog
}

var placeholder = regexp.MustCompile(`{{\.(\w+)}}`)

// placeholders gives the names of the values that the forms of a text take.
func placeholders(forms map[string]string) []string {
	names := map[string]bool{}
	for _, text := range forms {
		for _, found := range placeholder.FindAllStringSubmatch(text, -1) {
			names[found[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func TestBothLanguagesSayTheSame(t *testing.T) {
	t.Parallel()
	one, other := readCatalog(t, spanish), readCatalog(t, english)
	for key, forms := range one {
		translated, found := other[key]
		if !found {
			t.Errorf("%s is not said in English", key)
			continue
		}
		if a, b := placeholders(forms), placeholders(translated); !slices.Equal(a, b) {
			t.Errorf("%s has the values %v in Spanish and %v in English", key, a, b)
		}
		if (forms[""] == "") != (translated[""] == "") {
			t.Errorf("%s is a plural in one language only", key)
		}
	}
	for key := range other {
		if one[key] == nil {
			t.Errorf("%s is not said in Spanish", key)
		}
	}
}

func TestPluralsHaveTheFormsOfTheirLanguage(t *testing.T) {
	t.Parallel()
	for code, want := range pluralForms() {
		for key, forms := range readCatalog(t, code) {
			if _, plain := forms[""]; plain {
				continue
			}
			if got := slices.Sorted(maps.Keys(forms)); !slices.Equal(got, want) {
				t.Errorf("%s in %q has the forms %v, not %v", key, code, got, want)
			}
		}
	}
	l := newTestConsole(t).languages
	for _, row := range []struct {
		code  string
		count int
		want  string
	}{
		{spanish, 1, "1 sesión en total"}, {spanish, 0, "0 sesiones en total"}, {spanish, 25_000, "25.000 sesiones en total"},
		{spanish, 1_000_000, "1.000.000 de sesiones en total"}, {english, 1, "1 session in all"}, {english, 25_000, "25,000 sessions in all"},
	} {
		if got := l[row.code].plural("sessions.count", row.count); got != row.want {
			t.Errorf("%d in %q is %q, not %q", row.count, row.code, got, row.want)
		}
	}
}

// inTemplate finds the keys of texts in a template: whole ones, plurals, lists of labels, and the beginnings of keys that are put together.
var inTemplate = regexp.MustCompile(`\b(t|tn|label) (?:\(print )?"([^"]+)"`)

// inCode finds what looks like a key, or the beginning of one.
var inCode = regexp.MustCompile(`"([a-z]+(?:\.[a-z0-9_]+)*\.?)"`)

// used gives the keys that templates and handlers use, with where, and the beginnings of those that they put together.
func used(t *testing.T, areas map[string]bool) (whole, beginnings map[string]string) {
	t.Helper()
	whole, beginnings = map[string]string{}, map[string]string{}
	for name, content := range templateSources(t) {
		for _, found := range inTemplate.FindAllStringSubmatch(content, -1) {
			switch key := found[2]; {
			case found[1] == "label":
				beginnings[key+"."] = name
			case strings.HasSuffix(key, "."):
				beginnings[key] = name
			default:
				whole[key] = name
			}
		}
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") || name == "doc.go" { // it has examples
			continue
		}
		for _, found := range inCode.FindAllStringSubmatch(string(content), -1) {
			key := found[1]
			area, _, _ := strings.Cut(key, ".")
			switch {
			case !areas[area], !strings.Contains(key, "."):
			case strings.HasSuffix(key, "."):
				beginnings[key] = name
			default:
				whole[key] = name
			}
		}
	}
	return whole, beginnings
}

func TestEveryTextExistsAndIsUsed(t *testing.T) {
	t.Parallel()
	catalog := readCatalog(t, spanish)
	areas := map[string]bool{}
	for key := range catalog {
		area, _, _ := strings.Cut(key, ".")
		areas[area] = true
	}
	whole, beginnings := used(t, areas)
	for key, where := range whole {
		// A word of Go code may also be the list of a label.
		if catalog[key] == nil && !begins(catalog, key+".") {
			t.Errorf("%s uses %q, which no catalog has", where, key)
		}
		if catalog[key] == nil {
			beginnings[key+"."] = where
		}
	}
	for key, where := range beginnings {
		if !begins(catalog, key) {
			t.Errorf("%s uses texts that begin with %q, and there are none", where, key)
		}
	}
	for key := range catalog {
		fits := whole[key] != ""
		for beginning := range beginnings {
			fits = fits || strings.HasPrefix(key, beginning)
		}
		if !fits {
			t.Errorf("nobody uses %q", key)
		}
	}
}

func begins(catalog map[string]map[string]string, beginning string) bool {
	for key := range catalog {
		if strings.HasPrefix(key, beginning) {
			return true
		}
	}
	return false
}

func words[T ~string](values ...T) []string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = string(value)
	}
	return texts
}

// TestEveryWordOfAListHasItsLabel: a new state must not be shown by its code.
func TestEveryWordOfAListHasItsLabel(t *testing.T) {
	t.Parallel()
	shown := slices.DeleteFunc(session.States(), func(state session.State) bool { return state == session.Removed })
	for list, codes := range map[string][]string{
		"sessions.state":  words(shown...),
		"link.state":      words(session.LinkStates()...),
		"problem.class":   words(fault.Classes()...),
		"sessions.entry":  words(session.EntryKinds()...),
		"campaigns.state": words(campaign.States()...), "campaigns.delivery": words(campaign.DeliveryStates()...),
		"activity.did": words(campaign.AuditActions()...), "activity.area": activityAreas(), "activity.role": words(access.Viewer, access.Operator, access.Admin),
		"failed.kind": jobKinds(), "failed.class": words(fault.Classes()...), "failed.why": words(fault.Classes()...), "failed.advice": words(fault.Classes()...),
	} {
		for _, code := range codes {
			if code != "" && readCatalog(t, spanish)[list+"."+code] == nil {
				t.Errorf("%s has no label for %q", list, code)
			}
		}
	}
}

func templateSources(t *testing.T) map[string]string {
	t.Helper()
	sources := map[string]string{}
	err := fs.WalkDir(templateFiles, "templates", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := templateFiles.ReadFile(name)
		sources[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

var (
	action    = regexp.MustCompile(`(?s){{.*?}}`)
	tag       = regexp.MustCompile(`(?s)<[^>]*>`)
	setting   = regexp.MustCompile(`[a-z-]+="[^"]*"`)
	letters   = regexp.MustCompile(`\pL{2,}`)
	attribute = regexp.MustCompile(`\b(alt|title|placeholder|aria-label|aria-description|data-announce|data-confirm|data-copied)="([^"]*)"`)
)

// literals gives the texts that stand in a template itself.
func literals(source string) []string {
	bare := action.ReplaceAllString(source, "")
	var found []string
	for _, value := range attribute.FindAllStringSubmatch(bare, -1) {
		if letters.MatchString(value[2]) {
			found = append(found, value[1]+"="+value[2])
		}
	}
	// A template that draws attributes only has no tag around them.
	for text := range strings.SplitSeq(setting.ReplaceAllString(tag.ReplaceAllString(bare, "\n"), ""), "\n") {
		text = strings.Trim(strings.TrimSpace(text), "·")
		if text = strings.TrimSpace(text); letters.MatchString(text) && text != "Broadcaster" {
			found = append(found, text)
		}
	}
	return found
}

func TestNoTextStandsInATemplate(t *testing.T) {
	t.Parallel()
	for name, source := range templateSources(t) {
		for _, text := range literals(source) {
			t.Errorf("%s says %q itself; it belongs in the catalogs", name, text)
		}
	}
	if got := fmt.Sprint(literals(`<p title="Hola">{{t "x.y"}} y <b>más</b></p>`)); got != "[title=Hola más]" {
		t.Errorf("the rule finds %s", got)
	}
}
