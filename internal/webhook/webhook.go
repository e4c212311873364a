// Package webhook tells other programs what happened: each fact goes, signed, to the address of every subscription that wants it.
//
// Nouns: Subscription (who wants to be told of what, and where), Subscriptions (their book, with the secrets sealed), FanOut (one fact in, one command for
// each subscription that wants it out), Deliverer (one command in, one signed HTTP request out), Attempt (a line of a subscription's log of
// requests).
//
//	events.> ── FanOut ──▶ commands.webhook.<delivery> ── Deliverer ──▶ POST to the receiver
//
// Requests are those of Standard Webhooks (www.standardwebhooks.com): webhook-id, webhook-timestamp and webhook-signature over the body, by its own library. A
// delivery has one id, however often it is tried or replayed, so that a receiver knows a repeated one: it may come more than once, and in any order.
//
// What an answer means is one table (answer.go): done, again later, or never again. "Again" is the queue's retry with its backoff and "never", like the last
// attempt, its FAILED stream, from which an operator replays. A receiver that is down or slow has a lane of its own (lanes.go), so that the others do not wait
// for it.
//
// An address is somebody else's word: internal/guard keeps requests away from private networks, redirects are not followed, and no answer's body is read.
//
// Callers: internal/app, which hands FanOut and Deliverer to the queue, and internal/api. It must never show a secret, nor write the path of a receiver's
// address, which may hold one, into a log or an error.
package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// Every, as an event, stands for facts of all kinds, also of those to come.
const Every = "*"

// KindTest is the kind of the event that a person asks for, to see whether it arrives.
const KindTest = "webhook_test"

// Subscription says who is told of what, and where.
type Subscription struct {
	ID string `json:"id"`
	// UserID is the user whose facts it is told; empty: those of all users.
	UserID string `json:"user_id,omitempty"`
	URL    string `json:"url"`
	// Events are the kinds of facts that it wants.
	Events  []string `json:"events"`
	Enabled bool     `json:"enabled"`
	// Reason says why it is not enabled, when that was not a person.
	Reason string `json:"reason,omitempty"`
	// Sealed is the secret, Former those before it that still sign, too.
	Sealed    []byte    `json:"sealed"`
	Former    []Former  `json:"former,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Former is a secret that was rotated away and signs until a time.
type Former struct {
	Sealed []byte    `json:"sealed"`
	Until  time.Time `json:"until"`
}

// FormerUntil is when the last former secret ceases to sign; zero: none does.
func (s Subscription) FormerUntil(at time.Time) (until time.Time) {
	for _, former := range s.Former {
		if at.Before(former.Until) && until.Before(former.Until) {
			until = former.Until
		}
	}
	return until
}

// ReasonGone: the receiver said that it is gone for good (410).
const ReasonGone = "gone"

// wants tells whether a subscription is to be told of facts of a kind.
func (s Subscription) wants(kind string) bool {
	return s.Enabled && (slices.Contains(s.Events, kind) || slices.Contains(s.Events, Every))
}

// Kinds lists what a subscription may want, beside Every.
func Kinds() []string { return events.FactKinds() }

// CheckEvents refuses a list of events that is empty or names what does not exist.
func CheckEvents(wanted []string) error {
	known := append(Kinds(), Every)
	for _, kind := range wanted {
		if !slices.Contains(known, kind) {
			return fault.New(fault.Invalid, "bad_event", fmt.Sprintf("There is no event %.50q; there are %s", kind, strings.Join(known, ", "))).
				WithDetails(fault.Detail{Location: "body.events", Reason: "no such event"})
		}
	}
	if len(wanted) == 0 {
		return fault.New(fault.Invalid, "no_events", "A webhook needs at least one event; * stands for all of them")
	}
	return nil
}

// maxURLBytes bounds an address.
const maxURLBytes = 2000

// checkURL refuses what is no address of a receiver. No error repeats it: it may hold a secret.
func checkURL(address string, plain bool) error {
	parsed, err := url.Parse(address)
	reason := ""
	switch {
	case err != nil || len(address) > maxURLBytes || parsed.Hostname() == "" || parsed.Opaque != "":
		reason = "it must look like https://receiver.example/path"
	case parsed.Scheme != "https" && (parsed.Scheme != "http" || !plain):
		reason = "it must begin with https://"
	case parsed.User != nil || parsed.Fragment != "":
		reason = "it must have no user, no password and no #; a receiver knows us by the signature"
	}
	if reason == "" {
		return nil
	}
	return fault.New(fault.Invalid, "bad_webhook_url", "The address cannot be used: "+reason).WithDetails(fault.Detail{Location: "body.url", Reason: reason})
}

// Secret is what a subscription's requests are signed with. However it is printed, logged or encoded, it shows nothing; Reveal alone gives it.
type Secret struct {
	// text is behind a function, so that printing a struct with a Secret in an unexported field shows an address in memory.
	text func() string
}

const (
	secretPrefix = "whsec_"
	secretBytes  = 32
	hidden       = "***"
)

// newSecret draws a secret.
func newSecret() Secret {
	key := make([]byte, secretBytes)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the process instead
	return secretOf(secretPrefix + base64.StdEncoding.EncodeToString(key))
}

func secretOf(text string) Secret { return Secret{text: func() string { return text }} }

// Reveal gives the secret, as receivers are configured with it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return s.text()
}

// String implements fmt.Stringer.
func (Secret) String() string { return hidden }

// GoString implements fmt.GoStringer, for %#v.
func (Secret) GoString() string { return "webhook.Secret(" + hidden + ")" }

// MarshalText implements encoding.TextMarshaler, for JSON among others.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }
