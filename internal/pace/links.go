package pace

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// Rules are what a logout does to its number and its egress.
type Rules struct {
	Cooldown session.CooldownRules
	Breaker  session.BreakerRules
}

// DefaultRules are those for the real WhatsApp; the zero Rules cool nothing down, which only suits a simulator.
func DefaultRules() Rules {
	return Rules{Cooldown: session.DefaultCooldown(), Breaker: session.DefaultBreaker()}
}

// LinksOptions are the parts of Links. Bucket is required.
type LinksOptions struct {
	Bucket Bucket
	Rules  Rules
	// Draw gives a random duration from zero to below its argument; nil: the process's own randomness.
	Draw func(below time.Duration) time.Duration
	// Log takes what people should look at; nil: it is dropped.
	Log *slog.Logger
	// Registerer takes the metrics; nil: they are not exposed.
	Registerer prometheus.Registerer
}

// Links says when an egress may link or connect again. What it knows is in the bucket, so that it holds for all workers and over restarts; it keeps
// nothing itself. Its methods may be called from any goroutine and process at once. Times are those of the workers' clocks: clocks that differ
// make a wait longer or shorter by as much.
//
// Nothing here rules out that WhatsApp logs a session out; it lowers the risk.
type Links struct {
	options LinksOptions
	metrics *linksMetrics
}

// NewLinks checks the options; it asks nothing of the bucket.
func NewLinks(options LinksOptions) (*Links, error) {
	if options.Bucket == nil {
		return nil, errors.New("pace: Links needs a Bucket")
	}
	if options.Draw == nil {
		options.Draw = rand.N[time.Duration]
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	metrics, err := newLinksMetrics(options.Registerer)
	if err != nil {
		return nil, err
	}
	return &Links{options: options, metrics: metrics}, nil
}

// TooEarlyError says that a link may not begin yet: until when, and what holds it up.
type TooEarlyError struct {
	Until  time.Time
	Reason session.Reason
}

// Error names the reason.
func (e *TooEarlyError) Error() string { return "too early to link: " + string(e.Reason) }

// HoldTime is how long a link has its egress without a word. A worker that died frees it after that; the bus gives its job to another one about
// then too.
const HoldTime = time.Minute

// Begin gives an egress to a link, alone, or a *TooEarlyError. The same link may begin again, as it does after a crash.
func (l *Links) Begin(ctx context.Context, egress, link string, spacing time.Duration) error {
	return l.change(ctx, egress, func(e *Egress, now time.Time) error {
		if at, why := e.FreeFor(link, spacing, now); why != session.ReasonNone {
			return &TooEarlyError{Until: at, Reason: why}
		}
		e.Holder, e.HeldUntil = link, now.Add(HoldTime)
		e.Linked, e.LinkedBy = now, link
		return nil
	})
}

// ErrNotHeld: the egress is not the link's any more, or never was.
var ErrNotHeld = fault.New(fault.RetryLater, "egress_lost", "Another link has the network address now; this one begins anew")

// Keep holds the egress for another HoldTime; ErrNotHeld when another link has it.
func (l *Links) Keep(ctx context.Context, egress, link string) error {
	return l.change(ctx, egress, func(e *Egress, now time.Time) error {
		if e.Holder != link {
			return ErrNotHeld
		}
		e.HeldUntil = now.Add(HoldTime)
		return nil
	})
}

// End gives the egress back; one that the link does not hold is left alone. When a phone was paired the spacing counts from now on, so that
// there is that much time between the end of one link and the beginning of the next.
func (l *Links) End(ctx context.Context, egress, link string, paired bool) error {
	return l.change(ctx, egress, func(e *Egress, now time.Time) error {
		if e.Holder != link {
			return errSame
		}
		e.Holder, e.HeldUntil = "", time.Time{}
		if paired {
			e.Linked, e.LinkedBy = now, link
		}
		return nil
	})
}

// Connect takes the next turn to connect through an egress and gives its time: a random part of longest (a third of it at least) after the
// connection before, whoever's that was, so that the connections of all workers have no rhythm and never come together. Without longest the
// turn is now.
func (l *Links) Connect(ctx context.Context, egress string, longest time.Duration) (at time.Time, err error) {
	err = l.change(ctx, egress, func(e *Egress, now time.Time) error {
		at = later(now, e.Connected)
		if longest > 0 {
			if e.Connected.After(now.Add(furthest)) { // a clock was set back: nobody waits for that
				at = now
			}
			at = at.Add(longest/3 + l.options.Draw(longest-longest/3))
		}
		e.Connected = at
		return nil
	})
	return at, err
}

// furthest is how far ahead a turn to connect may be: more sessions than an egress can have, each with its jitter.
const furthest = time.Minute

// Record notes a logout for its number and its egress. The same one may be recorded again.
func (l *Links) Record(ctx context.Context, logout session.Logout) error {
	if !logout.Reason.CoolsDown() || l.options.Rules.Cooldown.First <= 0 {
		return nil
	}
	id := digest("logout", string(logout.Session), string(logout.Reason), logout.LinkedAt.UTC().Format(time.RFC3339Nano), stampOf(logout))
	if logout.Phone != "" {
		if err := l.recordNumber(ctx, logout, id); err != nil {
			return err
		}
	}
	var opened, known bool
	var after Egress
	err := l.change(ctx, logout.Egress, func(e *Egress, now time.Time) error {
		closed := !e.CircuitOpen(now)
		known = !e.note(logout, id, l.options.Rules)
		if known {
			return errSame
		}
		opened, after = closed && e.CircuitOpen(now), *e
		return nil
	})
	if err != nil || known {
		return err
	}
	l.metrics.logouts.Inc()
	l.options.Log.WarnContext(ctx, "links on an egress cool down after a logout", "egress", logout.Egress, "reason", string(logout.Reason), "until", after.CoolsUntil)
	if opened {
		l.metrics.opened.Inc()
		l.options.Log.ErrorContext(ctx, "links on an egress are stopped: too many logouts soon after pairing", "egress", logout.Egress, "until", after.OpenUntil)
	}
	return nil
}

// stampOf tells the bans of one link apart, which can be several; a logout ends its link.
func stampOf(logout session.Logout) string {
	if logout.Reason == session.ReasonTemporaryBan || logout.LinkedAt.IsZero() {
		return logout.At.UTC().Truncate(time.Minute).Format(time.RFC3339)
	}
	return ""
}

// number is what is known of a number that was logged out.
type number struct {
	Logouts    []PastLogout `json:"logouts"`
	CoolsUntil time.Time    `json:"cools_until"`
}

func (l *Links) recordNumber(ctx context.Context, logout session.Logout, id string) error {
	rules := l.options.Rules.Cooldown
	return change(ctx, l.options.Bucket, numberKey(logout.Phone), func(n *number) error {
		if slices.ContainsFunc(n.Logouts, func(known PastLogout) bool { return known.ID == id }) {
			return errSame
		}
		n.Logouts = remember(n.Logouts, PastLogout{ID: id, At: logout.At}, rules.Memory)
		times := make([]time.Time, len(n.Logouts))
		for i, past := range n.Logouts {
			times[i] = past.At
		}
		n.CoolsUntil = later(later(n.CoolsUntil, logout.Until), rules.Until(times))
		return nil
	})
}

// NumberRests gives until when a number may not be linked; the zero time when it may.
func (l *Links) NumberRests(ctx context.Context, phone string) (time.Time, error) {
	var known number
	if _, err := read(ctx, l.options.Bucket, numberKey(phone), &known); err != nil {
		return time.Time{}, err
	}
	if time.Now().Before(known.CoolsUntil) {
		return known.CoolsUntil, nil
	}
	return time.Time{}, nil
}

// Egress gives what is known of a way out; one that never linked has only its ID.
func (l *Links) Egress(ctx context.Context, id string) (Egress, error) {
	found := Egress{}
	_, err := read(ctx, l.options.Bucket, egressKey(id), &found)
	found.ID = id
	return found, err
}

// Reset ends the cooldown and the circuit breaker of an egress and forgets its logouts. The spacing stays, and so do the cooldowns of numbers.
func (l *Links) Reset(ctx context.Context, id string) (Egress, error) {
	var after Egress
	err := l.change(ctx, id, func(e *Egress, _ time.Time) error {
		after = *e
		if len(e.Logouts) == 0 && e.CoolsUntil.IsZero() && e.OpenUntil.IsZero() {
			return errSame
		}
		e.Logouts, e.CoolsUntil, e.OpenUntil = nil, time.Time{}, time.Time{}
		after = *e
		l.options.Log.InfoContext(ctx, "cooldown and circuit breaker of an egress reset", "egress", id)
		return nil
	})
	after.ID = id
	return after, err
}

// DefaultSpacing is the time between two links on one egress when none is set, as the origin system kept it (design.md §10).
const DefaultSpacing = 2 * time.Minute

// Policy is what the workers of a fleet were started with, for those who answer questions about it. Its zero value is the defaults.
type Policy struct {
	// Spacing is the time between two links on one egress; zero: DefaultSpacing, negative: none.
	Spacing time.Duration `json:"spacing_ns,omitempty"`
	// Capacity is how many sessions an egress may have.
	Capacity session.Capacity `json:"capacity,omitempty"`
}

// Spaces gives the time between two links.
func (p Policy) Spaces() time.Duration {
	if p.Spacing == 0 {
		return DefaultSpacing
	}
	return max(p.Spacing, 0)
}

// Policy gives what was said last by SetSpacing and SetCapacity.
func (l *Links) Policy(ctx context.Context) (Policy, error) {
	var known Policy
	_, err := read(ctx, l.options.Bucket, policyKey, &known)
	return known, err
}

// SetSpacing says which spacing the linkers keep; zero: none.
func (l *Links) SetSpacing(ctx context.Context, spacing time.Duration) error {
	if spacing <= 0 {
		spacing = -1
	}
	return change(ctx, l.options.Bucket, policyKey, func(p *Policy) error {
		if p.Spacing == spacing {
			return errSame
		}
		p.Spacing = spacing
		return nil
	})
}

// SetCapacity says how many sessions an egress may have.
func (l *Links) SetCapacity(ctx context.Context, capacity session.Capacity) error {
	return change(ctx, l.options.Bucket, policyKey, func(p *Policy) error {
		if p.Capacity == capacity {
			return errSame
		}
		p.Capacity = capacity
		return nil
	})
}

// Prune forgets the numbers whose logouts do not count any more, so that the bucket does not grow for ever.
func (l *Links) Prune(ctx context.Context) error {
	keys, err := l.options.Bucket.Keys(ctx)
	if err != nil {
		return fmt.Errorf("list the numbers: %w", err)
	}
	memory := l.options.Rules.Cooldown.Memory
	for _, key := range keys {
		if !strings.HasPrefix(key, numberPrefix) {
			continue
		}
		var known number
		revision, err := read(ctx, l.options.Bucket, key, &known)
		if err != nil {
			return err
		}
		now := time.Now()
		stale := !now.Before(known.CoolsUntil) && (len(known.Logouts) == 0 || now.Sub(known.Logouts[len(known.Logouts)-1].At) >= memory)
		if !stale || revision == 0 {
			continue
		}
		if err := l.options.Bucket.Delete(ctx, key, revision); err != nil && !errors.Is(err, ErrChanged) {
			return fmt.Errorf("forget a number: %w", err)
		}
	}
	return nil
}

// The keys. That of a number is a digest, so that no number stands in a key, a log or a backup of the queue. Numbers are few enough to be
// tried one by one, so a digest hides them from a glance, not from an attacker who has the bucket.
const (
	egressPrefix = "egress."
	numberPrefix = "number."
	policyKey    = "policy"
)

func egressKey(id string) string { return egressPrefix + id }

// numberKey takes the digits alone: a number is the same with and without its plus sign and its spaces.
func numberKey(phone string) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, phone)
	return numberPrefix + digest("number", digits)
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte("broadcaster pacing\x00" + strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// change alters the record of an egress.
func (l *Links) change(ctx context.Context, id string, alter func(*Egress, time.Time) error) error {
	return change(ctx, l.options.Bucket, egressKey(id), func(e *Egress) error {
		e.ID = id
		return alter(e, time.Now().UTC())
	})
}

// errSame is returned by the function given to change to leave the record as it is.
var errSame = errors.New("nothing to change")

// changeAttempts bounds how often a record is read again that others write at the same time.
const changeAttempts = 50

// change reads a record, lets alter change it, and writes it back if nobody else did; else it begins anew.
func change[T any](ctx context.Context, bucket Bucket, key string, alter func(*T) error) error {
	for range changeAttempts {
		var record T
		revision, err := read(ctx, bucket, key, &record)
		if err != nil {
			return err
		}
		if err := alter(&record); err != nil {
			if errors.Is(err, errSame) {
				return nil
			}
			return err
		}
		value, err := json.Marshal(record)
		if err != nil {
			return fmt.Errorf("encode pacing: %w", err)
		}
		if revision == 0 {
			_, err = bucket.Create(ctx, key, value)
		} else {
			_, err = bucket.Update(ctx, key, value, revision)
		}
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrChanged) {
			return fault.Wrap(err, fault.RetryLater, "pacing_unavailable", "The queue did not confirm whose turn it is; it is tried again")
		}
	}
	return fault.New(fault.RetryLater, "pacing_contended", "Too many workers asked for a turn at once; it is tried again")
}

// read gives a record and its revision; zero when there is none.
func read(ctx context.Context, bucket Bucket, key string, into any) (revision uint64, err error) {
	value, revision, err := bucket.Get(ctx, key)
	switch {
	case errors.Is(err, ErrMissing):
		return 0, nil
	case err != nil:
		return 0, fault.Wrap(err, fault.RetryLater, "pacing_unavailable", "The queue did not say whose turn it is; it is tried again")
	}
	if err := json.Unmarshal(value, into); err != nil {
		return 0, fmt.Errorf("decode pacing: %w", err)
	}
	return revision, nil
}

type linksMetrics struct {
	logouts prometheus.Counter
	opened  prometheus.Counter
}

func newLinksMetrics(registerer prometheus.Registerer) (*linksMetrics, error) {
	m := &linksMetrics{
		logouts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "egress_logouts_total", Help: "Logouts and bans that made an egress cool down.",
		}),
		opened: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "link_circuits_opened_total", Help: "Times that all links on an egress were stopped because of logouts soon after pairing. Alert on any increase.",
		}),
	}
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{m.logouts, m.opened} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register the pacing metrics: %w", err)
		}
	}
	return m, nil
}
