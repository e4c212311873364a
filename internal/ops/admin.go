package ops

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
)

// Admin are the pages of a process that only who is on its machine may see: /log/level (GET shows it, PUT sets it to the word in the body) and
// /debug/pprof. They hold what is in memory, so they have a port of their own, and answer only requests that name it by a loopback address, which
// keeps web pages out whose host's name was pointed here.
type Admin struct {
	// Level is the level of the process's log.
	Level *slog.LevelVar
	// Log takes changes of the level; nil: they are dropped.
	Log *slog.Logger
	// Remote allows requests by any name.
	Remote bool
}

// Handler gives the pages.
func (a Admin) Handler() http.Handler {
	if a.Log == nil {
		a.Log = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /log/level", func(w http.ResponseWriter, _ *http.Request) { a.show(w) })
	mux.HandleFunc("PUT /log/level", a.setLevel)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.Remote && !loopbackName(r.Host) {
			http.Error(w, "This port answers only on its own machine: ask for 127.0.0.1.", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (a Admin) show(w http.ResponseWriter) {
	_, _ = fmt.Fprintln(w, strings.ToLower(a.Level.Level().String())) // a client that left cannot be told
}

// maxLevel bounds the word.
const maxLevel = 16

func (a Admin) setLevel(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxLevel))
	var level slog.Level
	if err == nil {
		level, err = ParseLevel(strings.TrimSpace(string(body)))
	}
	if err != nil {
		http.Error(w, "The level must be debug, info, warn or error.", http.StatusUnprocessableEntity)
		return
	}
	before := a.Level.Level()
	a.Level.Set(level)
	a.Log.WarnContext(r.Context(), "log level changed", "from", before.String(), "to", level.String())
	a.show(w)
}

// ParseLevel reads debug, info, warn or error.
func ParseLevel(text string) (slog.Level, error) {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.EqualFold(text, level.String()) {
			return level, nil
		}
	}
	return 0, fmt.Errorf("there is no level %q", text)
}

// Loopback tells whether an address to listen at, such as "127.0.0.1:6060", is reached from its own machine only.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// loopbackName tells whether a request's Host, with or without a port, is a name of this machine for itself.
func loopbackName(host string) bool {
	return Loopback(host) || Loopback(net.JoinHostPort(strings.Trim(host, "[]"), "0"))
}
