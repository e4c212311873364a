package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// What the console needs to let people in. Its own pages are /login and /logout; they call this:
//
//	Caller(r)          who a browser's request is from; the zero Caller when nobody is logged in
//	LogIn(w, r, key)   trades a key for the cookie; an error is a *Problem to show (401 key_*, 403 other_origin, 429 too_many_logins)
//	LogOut(w, r)       ends the login and takes the cookie away; 403 other_origin when another page asks
//
// The cookie is for this site only (SameSite=Strict), out of the reach of scripts (HttpOnly), and only over TLS when the login came over TLS. It holds a random
// text that the store has as a digest. A request to the API with it is a request of the key; one that changes something must come from a page of
// this origin. Logins end after access.LoginLife, by LogOut, and with their key.

// loginCookie is the name of the cookie. A script of another host in the same domain could set one of this name; it would log a person in as somebody else, at most.
const loginCookie = "broadcaster_login"

// Caller gives who a browser's request is from.
func (a *API) Caller(r *http.Request) access.Caller {
	caller, err := a.identify(r)
	if err != nil || caller.Link != "" {
		return access.Caller{}
	}
	return caller
}

// LogIn trades a key for a login, and gives the browser its cookie.
func (a *API) LogIn(w http.ResponseWriter, r *http.Request, key string) (access.Caller, error) {
	if err := a.sameOrigin.Check(r); err != nil {
		return access.Caller{}, a.problem(r.Context(), "log in", errOtherOrigin)
	}
	from := addressOf(r)
	if err := a.logins.admit(from, a.now()); err != nil {
		return access.Caller{}, a.problem(r.Context(), "log in", err)
	}
	caller, secret, until, err := a.keys.LogIn(r.Context(), key)
	if err != nil {
		if fault.Of(err) == fault.Unauthorized {
			a.logins.failed(from, a.now())
		}
		return access.Caller{}, a.problem(r.Context(), "log in", err)
	}
	if cookie, err := r.Cookie(loginCookie); err == nil { // the one before is of no use to anybody
		_ = a.endLogin(r.Context(), cookie.Value) // it logs, and ends by its time
	}
	http.SetCookie(w, loginCookieOf(r, secret, until))
	return caller, nil
}

// LogOut ends a login, if there is one, and takes its cookie away.
func (a *API) LogOut(w http.ResponseWriter, r *http.Request) error {
	if err := a.sameOrigin.Check(r); err != nil {
		return a.problem(r.Context(), "log out", errOtherOrigin)
	}
	http.SetCookie(w, loginCookieOf(r, "", time.Time{}))
	for _, cookie := range r.CookiesNamed(loginCookie) {
		if err := a.endLogin(r.Context(), cookie.Value); err != nil {
			return err
		}
	}
	return nil
}

func (a *API) endLogin(ctx context.Context, secret string) error {
	if err := a.keys.LogOut(ctx, secret); err != nil {
		return a.problem(ctx, "log out", err)
	}
	return nil
}

// loginCookieOf makes the cookie; an empty secret takes it away.
func loginCookieOf(r *http.Request, secret string, until time.Time) *http.Cookie {
	// A proxy in front that ends TLS says so. Who lies in this header gets a cookie that is sent less often, and nothing else.
	overTLS := r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
	cookie := &http.Cookie{Name: loginCookie, Value: secret, Path: "/", HttpOnly: true, Secure: overTLS, SameSite: http.SameSiteStrictMode, Expires: until} // #nosec G124 -- secure wherever the login came over TLS
	if secret == "" {
		cookie.MaxAge = -1
	}
	return cookie
}

// addressOf gives where a request came from: a whole IPv4 address, or the network that an IPv6 customer has, within which anybody may choose. Behind a proxy
// it is the proxy's: then the limit is for all of its visitors together, since what a header says can be invented.
func addressOf(r *http.Request) netip.Prefix {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	const customer = 64
	bits := 32
	if address = address.Unmap(); address.Is6() {
		bits = customer
	}
	network, err := address.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return network
}

// How many logins may fail: a person mistypes a few, and a program gets nowhere.
const (
	failuresOfAddress = 10
	failuresOfAll     = 100
	// failureEvery is how soon one more may fail.
	failureEvery    = 30 * time.Second
	failureOfAllIn  = time.Second
	mostOfAddresses = 10_000
)

// loginGuard bounds the failed logins of an address, and of all together, in this process.
type loginGuard struct {
	mu      sync.Mutex
	all     *rate.Limiter
	address map[netip.Prefix]*rate.Limiter
}

func newLoginGuard() *loginGuard {
	return &loginGuard{all: rate.NewLimiter(rate.Every(failureOfAllIn), failuresOfAll), address: map[netip.Prefix]*rate.Limiter{}}
}

// admit refuses a try while too many failed, also one with the right key: else a refusal would say that a key is wrong.
func (g *loginGuard) admit(from netip.Prefix, at time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	own := g.address[from]
	switch {
	case own != nil && own.TokensAt(at) < 1:
		return tooManyLogins(failureEvery)
	case g.all.TokensAt(at) < 1:
		return tooManyLogins(failureOfAllIn)
	}
	return nil
}

func (g *loginGuard) failed(from netip.Prefix, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.address) >= mostOfAddresses {
		clear(g.address) // the limit of all holds on
	}
	if g.address[from] == nil {
		g.address[from] = rate.NewLimiter(rate.Every(failureEvery), failuresOfAddress)
	}
	g.address[from].AllowN(at, 1)
	g.all.AllowN(at, 1)
}

func tooManyLogins(wait time.Duration) error {
	return fault.New(fault.CoolingDown, "too_many_logins", "Too many logins failed; wait a little, and check that the key was copied whole").WithAfter(wait)
}
