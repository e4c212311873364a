package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Who calls is found out here, once for every request and before anything of its body is read:
//
//   - the header Authorization: Bearer, with an API key or, on the routes that show a link, with a link token;
//   - on these routes the token may stand in ?token= instead, for an <img> or an EventSource, which cannot set headers;
//   - else the cookie of a login (login.go), whose requests must come from a page of this origin when they change something;
//   - what runs in this process may say it itself, with access.With.
//
// Then the caller is in the request's context (access.From), and permissions.go says whether it may do this. What it may see of a thing that belongs to a user
// is decided where the thing is read (owned.go).

// bearer is the scheme of keys (RFC 6750).
const bearer = "Bearer "

// guarded lets in who may do what a request asks for.
func (a *API) guarded(mux *http.ServeMux) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, pattern := mux.Handler(r)
			r.Pattern = pattern // the metrics and traces of a refusal have it too
			permission, listed := a.permissions[pattern]
			if !listed && !strings.HasPrefix(r.URL.Path, "/v1/") {
				next.ServeHTTP(w, r)
				return
			}
			caller, err := a.identify(r)
			if err == nil {
				err = a.keepPace(caller)
			}
			if err == nil && listed {
				err = permission.check(caller, r)
			}
			if err == nil {
				err = a.checkSession(access.With(r.Context(), caller), pattern, r)
			}
			if err == nil {
				err = a.keys.Used(r.Context(), caller)
			}
			if err != nil {
				a.refuse(w, r, err)
				return
			}
			a.serve(w, r.WithContext(access.With(r.Context(), caller)), permission, next)
		})
	}
}

// checkSession refuses a key for one user before anything of a session of another one is looked at, whatever the handler asks: proxies, say, have a book of their own.
func (a *API) checkSession(ctx context.Context, pattern string, r *http.Request) error {
	if !access.From(ctx).Scoped() || !strings.Contains(pattern, " /v1/sessions/{id}") {
		return nil
	}
	_, err := a.options.Sessions.Get(ctx, linkOf(r))
	return err
}

// refuse answers a request that is not let in.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if fault.Of(err) == fault.Unauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="broadcaster"`)
	}
	w.Header().Set("Cache-Control", neverKept)
	writeProblem(w, a.problem(r.Context(), "let a request in", err))
}

// identify gives who a request is from.
func (a *API) identify(r *http.Request) (access.Caller, error) {
	if caller := access.From(r.Context()); caller.Known() {
		return caller, nil
	}
	if credential, given := credentialOf(r); given {
		return a.keys.Identify(r.Context(), credential)
	}
	cookie, err := r.Cookie(loginCookie)
	if err != nil {
		return access.Caller{}, access.ErrMissing
	}
	if err := a.sameOrigin.Check(r); err != nil {
		return access.Caller{}, errOtherOrigin
	}
	return a.keys.IdentifyLogin(r.Context(), cookie.Value)
}

// credentialOf gives the key or token that a request shows.
func credentialOf(r *http.Request) (credential string, given bool) {
	if header := r.Header.Get("Authorization"); header != "" {
		if len(header) < len(bearer) || !strings.EqualFold(header[:len(bearer)], bearer) {
			return "", true // another scheme is no key
		}
		return strings.TrimSpace(header[len(bearer):]), true
	}
	token, given := r.Context().Value(tokenOfRequest).(string)
	return token, given
}

const tokenOfRequest contextKey = "link token"

// Conceal takes a token out of the address of a request and keeps it for the check of who calls, so that whatever writes addresses down, behind it, writes no
// token. It stands in front of traces and logs. Only link tokens are taken from an address: keys do not belong there.
func Conceal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.RawQuery, "token") {
			next.ServeHTTP(w, r)
			return
		}
		query := r.URL.Query()
		token := query.Get("token")
		query.Del("token")
		inner := r.WithContext(context.WithValue(r.Context(), tokenOfRequest, token))
		inner.URL = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: query.Encode()}
		inner.RequestURI = inner.URL.RequestURI()
		next.ServeHTTP(w, inner)
		r.Pattern = inner.Pattern
	})
}

// serve answers within the time that a request has. An answer that lasts ends when its caller's key does.
func (a *API) serve(w http.ResponseWriter, r *http.Request, allowed permission, next http.Handler) {
	if allowed.lasting {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		a.endWithKey(ctx, cancel)
		next.ServeHTTP(w, r.WithContext(ctx))
		return
	}
	limit := a.options.RequestTimeout
	if allowed.slow {
		limit *= slowTimes
	}
	// A body that does not arrive is waited for no longer, either. Not every writer has a deadline; those of tests do without.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit))
	// The context ends without a deadline to read: where it has one, the client of the queue waits for a lost answer until then, instead of seconds.
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer time.AfterFunc(limit, func() { cancel(errTooSlow) }).Stop()
	next.ServeHTTP(w, r.WithContext(ctx))
}

// endWithKey cancels a lasting answer as soon as its caller may not have it any more. It looks by a timer, since a thousand streams would have a thousand
// goroutines for it.
func (a *API) endWithKey(ctx context.Context, cancel context.CancelFunc) {
	time.AfterFunc(access.Fresh, func() {
		if ctx.Err() != nil {
			return
		}
		err := a.keys.Recheck(ctx, access.From(ctx))
		if class := fault.Of(err); class == fault.Unauthorized || errors.Is(err, store.ErrNotFound) {
			cancel()
			return
		}
		a.endWithKey(ctx, cancel)
	})
}

// pacer bounds the requests of each key in this process. Only keys that hold have an entry, so that strangers fill no memory.
type pacer struct {
	mu     sync.Mutex
	limits map[string]*rate.Limiter
}

// keepPace refuses a caller that asks too often.
func (a *API) keepPace(caller access.Caller) error {
	perSecond := a.options.RequestsPerSecond
	if perSecond < 0 || caller.Key == "" {
		return nil
	}
	a.pacer.mu.Lock()
	limit := a.pacer.limits[caller.Key]
	if limit == nil {
		limit = rate.NewLimiter(rate.Limit(perSecond), max(1, int(2*perSecond)))
		a.pacer.limits[caller.Key] = limit
	}
	a.pacer.mu.Unlock()
	now := a.now()
	turn := limit.ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	turn.CancelAt(now)
	return fault.New(fault.CoolingDown, "too_many_requests", "This key asks too often; wait as long as Retry-After says, and ask for larger pages rather than more of them").
		WithAfter(max(wait, time.Second))
}

// linkOf gives the session that the path of a route of links names.
func linkOf(r *http.Request) session.ID {
	parts := strings.Split(r.URL.EscapedPath(), "/") // "", v1, sessions, id, …
	if len(parts) < 4 {
		return ""
	}
	id, err := url.PathUnescape(parts[3])
	if err != nil {
		return ""
	}
	return session.ID(id)
}

var (
	errOtherOrigin = fault.New(fault.Forbidden, "other_origin", "A page of another origin sent this with the login of a browser; use an API key there")
	errTooSlow     = fault.New(fault.RetryLater, "request_timeout", "The request took longer than a request may; ask for less at once, or try again later")
)
