package api

import (
	"net/http"
	"time"

	"github.com/rs/cors"
)

// preflightAge is how long a browser may remember what it may send.
const preflightAge = 10 * time.Minute

// AllowsOrigin tells whether an origin is one of the allowed ones, for who lets their pages do something else.
func (a *API) AllowsOrigin(origin string) bool { return a.origins.Allow(origin) }

// crossOrigin lets pages of the allowed origins read answers, with credentials; no other origin gets either header. The console's cookie gives them
// nothing: it is SameSite=Strict, so that a browser does not send it from another site. A key is what lets a caller in.
func (a *API) crossOrigin(next http.Handler) http.Handler {
	if len(a.origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowOriginFunc:  a.origins.Allow,
		AllowCredentials: true,
		AllowedMethods:   []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowedHeaders:   []string{"Content-Type", "Accept-Language", "Authorization", "Idempotency-Key", "Last-Event-ID"},
		ExposedHeaders:   []string{"Retry-After", headerReplayed, "Content-Disposition"},
		MaxAge:           int(preflightAge.Seconds()),
	}).Handler(next)
}
