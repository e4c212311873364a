// Package api is HTTP in: it decodes and validates a request, writes what must survive to the store, publishes the command that asks
// a worker to act, and answers. It never acts itself: no WhatsApp, no queue, no database is known here, only the ports below.
//
// Nouns: API (the handler and its ports), Problem (an error as an RFC 9457 document, made from fault.Error by one function). routes.go
// lists every route; one file per resource holds its handlers and the views that it answers with.
//
// The order in every write is: store first, then the command or the fact. A crash between the two leaves a record that says what is to be
// done; the same request again, or the workers' sweep, publishes the command then. A command's message id derives from what it asks, so
// that publishing it twice is harmless.
//
// Caller: internal/app. It must never hold state of its own: any number of API processes answer the same.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/feed"
	"github.com/dannsalud/broadcaster/internal/guard"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/webhook"
)

// Queue publishes commands and facts; both calls return when the queue has stored the message.
type Queue interface {
	SendCommand(ctx context.Context, command events.Command) error
	// ScheduleCommand has a command published at a time. One that was scheduled before on the same subject is replaced.
	ScheduleCommand(ctx context.Context, command events.Command, at time.Time) error
	PublishFact(ctx context.Context, fact events.Fact) error
}

// Prompts shows what a person has to scan or type for a link in progress. found is false when there is nothing to show.
type Prompts interface {
	Get(ctx context.Context, id session.ID) (prompt session.Prompt, found bool, err error)
}

// Answers takes what a person gave for a prompt, for the linker that asked.
type Answers interface {
	Give(ctx context.Context, id session.ID, answer session.Answer) error
}

// Watcher tells of facts as they are published. It is a nudge that may be lost: who is nudged reads the store.
type Watcher interface {
	Watch(ctx context.Context, filter string, changed func(subject string, data []byte)) (stop func(), err error)
}

// What one key may ask of one process, and how long one answer may take, when Options says nothing.
const (
	DefaultRequestsPerSecond = 100
	DefaultRequestTimeout    = time.Minute
)

// DefaultMaxUploadBytes bounds an audience file when Options does not: about a million rows of a phone number and three short columns.
const DefaultMaxUploadBytes = 64 << 20

// Options are the parts that an API needs. Those without a stated default are required.
type Options struct {
	Sessions   session.Store
	Campaigns  campaign.Store
	Deliveries campaign.Deliveries
	Histories  session.Histories
	Queue      Queue
	Sends      Sends
	// FailedJobs and Jobs are what operators see and mend of the queue.
	FailedJobs FailedJobs
	Jobs       Jobs
	// ReplaysPerSecond bounds the replays and discards of many failed jobs; zero: DefaultReplaysPerSecond.
	ReplaysPerSecond float64
	// Suppressions, Documents and Idempotency are the rest of the books.
	Suppressions campaign.Suppressions
	Documents    store.Documents
	Idempotency  store.Idempotency
	// Keys knows who calls.
	Keys *access.Book
	// RequestsPerSecond bounds the requests of each key to this process, with twice as many at once; zero: DefaultRequestsPerSecond, negative: no bound.
	RequestsPerSecond float64
	// RequestTimeout bounds one request; those with large files or many jobs get slowTimes as long, and streams none. Zero: DefaultRequestTimeout.
	RequestTimeout time.Duration
	// Webhooks is the book of subscriptions.
	Webhooks webhook.Subscriptions
	// Limits are those of a session of which nothing else is said; the zero value is none, which only suits a simulator.
	Limits campaign.Limits
	// Hours are those of a campaign that says nothing else, TimeZone the zone of hours that name none; zero: always, and campaign.DefaultTimeZone.
	Hours    campaign.Hours
	TimeZone string
	// FetchFrom are private networks that files may be fetched from, for tests; none: only public addresses.
	FetchFrom []netip.Prefix
	Prompts   Prompts
	Answers   Answers
	Watcher   Watcher
	// Events are what readers follow.
	Events EventsOptions
	// Links says when egresses and numbers may link again.
	Links Links
	// Egress knows and tries the ways out of sessions; nil: sessions have the direct one, and asking for another is refused.
	Egress *EgressOptions
	// Registerer takes the API's own metrics; nil: they are not exposed.
	Registerer prometheus.Registerer
	Log        *slog.Logger
	// MaxUploadBytes bounds the body of an audience upload; zero: DefaultMaxUploadBytes.
	MaxUploadBytes int64
	// DefaultRegion is the ISO country of phone numbers written without a country code; empty: "AR".
	DefaultRegion string
	// SuspectAfter is how long phones may be silent before a campaign is suspected; zero: campaign.SuspectedAfter.
	SuspectAfter time.Duration
	// AllowedOrigins are the web pages that browsers may call the API from (cors.go says what a * stands for); none: only the API's own.
	AllowedOrigins []string
	// Version is shown in the OpenAPI document; empty: "dev".
	Version string
}

// API answers HTTP requests. Its methods may be called at the same time.
type API struct {
	options Options
	origins originPatterns
	metrics *metrics
	// feed has the facts for the readers of the events; nil: there are none.
	feed *feed.Feed
	// owners are the users of sessions, whose facts are about them.
	owners *session.Owners
	now    func() time.Time
	// streams ends when the streams have to: a server that stops waits for its answers.
	streams    chan struct{}
	endStreams func()
	// defaults are the proxies of users, for new sessions.
	defaults map[string]session.Proxy
	// fetcher reaches public addresses only.
	fetcher *http.Client
	// everySession is for the service's own counting; options.Sessions are those that the caller of a request may see.
	everySession session.Store
	keys         *access.Book
	permissions  map[string]permission
	pacer        pacer
	logins       *loginGuard
	// sameOrigin refuses what pages of other origins send with the login of a browser.
	sameOrigin *http.CrossOriginProtection
	handler    http.Handler
	// repairs paces what is done to many failed jobs: it must not crowd out the work of the day.
	repairs *rate.Limiter
}

// New checks the options and makes an API; it starts nothing.
func New(options Options) (*API, error) {
	switch {
	case options.Sessions == nil, options.Campaigns == nil, options.Deliveries == nil, options.Histories == nil:
		return nil, errors.New("api: Sessions, Campaigns, Deliveries and Histories are required")
	case options.Queue == nil, options.Prompts == nil, options.Answers == nil, options.Watcher == nil, options.Links == nil:
		return nil, errors.New("api: Queue, Prompts, Answers, Watcher and Links are required")
	case options.Suppressions == nil, options.Documents == nil, options.Idempotency == nil, options.Sends == nil, options.FailedJobs == nil, options.Jobs == nil, options.Webhooks.Documents == nil, options.Keys == nil:
		return nil, errors.New("api: Suppressions, Documents, Idempotency, Sends, FailedJobs, Jobs, Webhooks and Keys are required")
	}
	if options.ReplaysPerSecond == 0 {
		options.ReplaysPerSecond = DefaultReplaysPerSecond
	}
	if options.RequestsPerSecond == 0 {
		options.RequestsPerSecond = DefaultRequestsPerSecond
	}
	if options.RequestTimeout == 0 {
		options.RequestTimeout = DefaultRequestTimeout
	}
	if options.TimeZone == "" {
		options.TimeZone = campaign.DefaultTimeZone
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.MaxUploadBytes == 0 {
		options.MaxUploadBytes = DefaultMaxUploadBytes
	}
	if options.DefaultRegion == "" {
		options.DefaultRegion = campaign.DefaultRegion
	}
	if options.SuspectAfter == 0 {
		options.SuspectAfter = campaign.SuspectedAfter
	}
	if options.Version == "" {
		options.Version = "dev"
	}
	if options.Events.Ticker == nil {
		options.Events.Ticker = tick
	}
	origins, err := compileOrigins(options.AllowedOrigins)
	if err != nil {
		return nil, err
	}
	defaults, err := options.Egress.defaults()
	if err != nil {
		return nil, err
	}
	facts, err := newFeed(&options)
	if err != nil {
		return nil, err
	}
	metrics, err := newMetrics(options.Registerer)
	if err != nil {
		return nil, err
	}
	streams := make(chan struct{})
	a := &API{options: options, origins: origins, metrics: metrics, feed: facts, owners: session.NewOwners(options.Sessions.Get), now: time.Now, defaults: defaults,
		fetcher: guard.New(guard.Options{Allowed: options.FetchFrom, Timeout: fetchTimeout, Redirects: mostRedirects}),
		repairs: rate.NewLimiter(rate.Limit(options.ReplaysPerSecond), 1),
		streams: streams, endStreams: sync.OnceFunc(func() { close(streams) })}
	a.guardBooks()
	a.handler, err = a.routes()
	return a, err
}

// guardBooks puts who calls in front of what handlers read.
func (a *API) guardBooks() {
	a.keys, a.permissions, a.logins, a.sameOrigin = a.options.Keys, permissions(), newLoginGuard(), http.NewCrossOriginProtection()
	a.pacer.limits = map[string]*rate.Limiter{}
	a.everySession = a.options.Sessions
	a.options.Sessions = ownSessions{a.options.Sessions}
	a.options.Campaigns = ownCampaigns{a.options.Campaigns}
	a.options.FailedJobs = ownFailedJobs{a.options.FailedJobs, a}
	a.options.Jobs = ownLiveJobs{a.options.Jobs, a}
}

// Handler gives the API as one http.Handler.
func (a *API) Handler() http.Handler { return a.handler }

// EndStreams ends the answers that go on for as long as their reader wants; the other ones are short.
func (a *API) EndStreams() { a.endStreams() }

// tick is the real clock's beat.
func tick(every time.Duration) (beats <-chan time.Time, stop func()) {
	ticker := time.NewTicker(every)
	return ticker.C, ticker.Stop
}
