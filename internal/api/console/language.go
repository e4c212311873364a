package console

import (
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	textlanguage "golang.org/x/text/language"
	"golang.org/x/text/message"
)

// The languages of the pages. The first one is for browsers that ask for none of them.
const (
	spanish = "es"
	english = "en"
)

func languageCodes() []string { return []string{spanish, english} }

const (
	languageCookie = "broadcaster_language"
	// languageSeconds is how long a browser remembers the language that somebody chose: a year.
	languageSeconds = 365 * 24 * 60 * 60
)

// language is one language of the pages: its texts, and every template as drawn in it.
type language struct {
	code      string
	localizer *i18n.Localizer
	numbers   *message.Printer
	// keys are those of its catalog.
	keys  map[string]bool
	zone  *time.Location
	pages map[string]*template.Template
}

func readLanguages(built *assets, zone *time.Location) (map[string]*language, error) {
	bundle := i18n.NewBundle(textlanguage.Spanish)
	languages := map[string]*language{}
	for _, code := range languageCodes() {
		keys, err := loadCatalog(bundle, code)
		if err != nil {
			return nil, err
		}
		made := &language{code: code, localizer: i18n.NewLocalizer(bundle, code), numbers: message.NewPrinter(textlanguage.Make(code)), keys: keys, zone: zone}
		if made.pages, err = readTemplates(made, built); err != nil {
			return nil, err
		}
		languages[code] = made
	}
	return languages, nil
}

// languageOf gives the language that was chosen, or else the one that the browser asks for.
func (c *Console) languageOf(r *http.Request) *language {
	if cookie, err := r.Cookie(languageCookie); err == nil && c.languages[cookie.Value] != nil {
		return c.languages[cookie.Value]
	}
	return c.languages[preferred(r.Header.Get("Accept-Language"))]
}

// preferred gives the language of the pages that fits a browser's wishes best.
func preferred(wishes string) string {
	tags, _, err := textlanguage.ParseAcceptLanguage(wishes)
	if err != nil || len(tags) == 0 {
		return languageCodes()[0]
	}
	supported := make([]textlanguage.Tag, 0, len(languageCodes()))
	for _, code := range languageCodes() {
		supported = append(supported, textlanguage.Make(code))
	}
	_, index, _ := textlanguage.NewMatcher(supported).Match(tags...)
	return languageCodes()[index]
}

// has tells whether the catalog has a text.
func (l *language) has(key string) bool { return l.keys[key] }

// text gives a text, with values by their names in turn. A key that is missing, which a test keeps out, is shown itself.
func (l *language) text(key string, values ...any) string {
	return l.localize(&i18n.LocalizeConfig{MessageID: key, TemplateData: named(values)})
}

// plural gives the form of a text that fits a count; the text has it as {{.Count}}, written as the language writes numbers.
func (l *language) plural(key string, count any, values ...any) string {
	data := named(values)
	data["Count"] = l.number(count)
	return l.localize(&i18n.LocalizeConfig{MessageID: key, TemplateData: data, PluralCount: count})
}

func (l *language) localize(config *i18n.LocalizeConfig) string {
	said, err := l.localizer.Localize(config)
	if err != nil {
		return config.MessageID
	}
	return said
}

// label gives a word of a list by its code; a code that no catalog knows is shown as it is.
func (l *language) label(list string, code any) string {
	word := fmt.Sprint(code)
	if key := list + "." + word; l.has(key) {
		return l.text(key)
	}
	return strings.ReplaceAll(word, "_", " ")
}

// number writes a number as the language does.
func (l *language) number(value any) string {
	return l.numbers.Sprint(value)
}

// clock writes a time in the zone of the pages.
func (l *language) clock(at time.Time) string { return at.In(l.zone).Format(l.text("frame.time")) }

// when is clock as an element that a script can read; nothing for the zero time.
func (l *language) when(moment time.Time) template.HTML {
	if moment.IsZero() {
		return ""
	}
	return template.HTML(`<time datetime="` + moment.UTC().Format(time.RFC3339) + `">` + template.HTMLEscapeString(l.clock(moment)) + `</time>`) //nolint:gosec // escaped
}

// named reads names and values in turn.
func named(values []any) map[string]any {
	data := map[string]any{}
	for i := 0; i+1 < len(values); i += 2 {
		data[fmt.Sprint(values[i])] = values[i+1]
	}
	return data
}

// chooseLanguage remembers a language and comes back to the page.
func chooseLanguage(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	if chosen := filled.Value("language"); v.console.languages[chosen] != nil {
		v.setCookie(languageCookie, chosen, languageSeconds)
	}
	return v.done(ownPath(filled.Value("back")), "")
}

// ownPath gives a path of this console; anything that could lead elsewhere becomes the first page.
func ownPath(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return "/"
	}
	return path
}
