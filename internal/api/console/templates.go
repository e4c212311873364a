package console

import (
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"strings"

	"github.com/dannsalud/broadcaster/internal/session"
)

//go:embed templates
var templateFiles embed.FS

// readTemplates reads every page in one language. A page is its own file, the layout and the parts.
func readTemplates(l *language, built *assets) (map[string]*template.Template, error) {
	frame, err := template.New("").Funcs(functions(l, built)).ParseFS(templateFiles, "templates/layout.html", "templates/parts/*.html")
	if err != nil {
		return nil, fmt.Errorf("console: read the frame of the pages: %w", err)
	}
	pages := map[string]*template.Template{}
	err = fs.WalkDir(templateFiles, "templates", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || name == "templates/layout.html" || strings.HasPrefix(name, "templates/parts/") {
			return err
		}
		page, err := template.Must(frame.Clone()).ParseFS(templateFiles, name)
		if err != nil {
			return err
		}
		pages[strings.TrimSuffix(strings.TrimPrefix(name, "templates/"), ".html")] = page
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("console: read a page: %w", err)
	}
	return pages, nil
}

// functions are what templates may call, besides the methods of their data.
func functions(l *language, built *assets) template.FuncMap {
	return template.FuncMap{
		"t": l.text, "tn": l.plural, "label": l.label, "number": l.number, "when": l.when,
		"asset": built.path, "icon": built.icon,
		"tone":         func(state string) string { return toneOf(session.State(state)) },
		"campaigntone": campaignTone, "deliverytone": deliveryTone,
		"values": func(values ...any) map[string]any { return named(values) },
		"list":   func(values ...string) []string { return values },
		"address": func(path string, values ...string) string {
			return addressOf(path, values...)
		},
	}
}

// addressOf adds a query of names and values in turn to a path, without those that are empty.
func addressOf(path string, values ...string) string {
	query := url.Values{}
	for i := 0; i+1 < len(values); i += 2 {
		if values[i+1] != "" {
			query.Add(values[i], values[i+1])
		}
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}
