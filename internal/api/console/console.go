package console

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/access"
)

// Logins trades keys for logins, which browsers keep as cookies. Its errors are problems of the API.
type Logins interface {
	// Caller tells who a browser's request is from; the zero Caller when nobody is logged in.
	Caller(r *http.Request) access.Caller
	LogIn(w http.ResponseWriter, r *http.Request, key string) (access.Caller, error)
	LogOut(w http.ResponseWriter, r *http.Request) error
}

// Options are the parts of a console.
type Options struct {
	// API is the handler of the API, with its checks of who calls. Required.
	API http.Handler
	// Logins lets people in. Required.
	Logins Logins
	// AllowsOrigin tells whether pages of an origin may show the link page in a frame; nil: none may.
	AllowsOrigin func(origin string) bool
	// Zone is where the times on the pages are; nil: UTC.
	Zone *time.Location
	// OptOutWords are the messages by which people opt out; nil: those of the package campaign.
	OptOutWords []string
	Log         *slog.Logger
	// Version is shown at the foot of each page.
	Version string
}

// Console answers the requests of browsers. It may be used by many goroutines.
type Console struct {
	options   Options
	assets    *assets
	languages map[string]*language
	now       func() time.Time
}

// New reads the embedded templates, texts and assets; it starts nothing.
func New(options Options) (*Console, error) {
	if options.API == nil || options.Logins == nil {
		return nil, errors.New("console: API and Logins are required")
	}
	if options.AllowsOrigin == nil {
		options.AllowsOrigin = func(string) bool { return false }
	}
	if options.Zone == nil {
		options.Zone = time.UTC
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	built, err := buildAssets(assetFiles)
	if err != nil {
		return nil, err
	}
	languages, err := readLanguages(built, options.Zone)
	if err != nil {
		return nil, err
	}
	return &Console{options: options, assets: built, languages: languages, now: time.Now}, nil
}

// Handler answers the console's pages itself and gives what is the API's to the API.
func (c *Console) Handler() http.Handler {
	pages := http.NewServeMux()
	for _, r := range routes() {
		pages.Handle(r.pattern, c.page(r))
	}
	pages.Handle("GET /assets/{name}", c.assets)
	pages.HandleFunc("GET /favicon.ico", c.assets.favicon)
	pages.Handle("/", c.page(route{pattern: "/", handle: notHere}))
	ownPages := secured(sameOrigin(pages))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isOfAPI(r.URL.Path) {
			c.options.API.ServeHTTP(w, r)
			return
		}
		ownPages.ServeHTTP(w, r)
	})
}

// isOfAPI tells whether a path is one of the API's.
func isOfAPI(path string) bool {
	for _, prefix := range []string{"/v1/", "/docs", "/openapi", "/schemas/"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}
