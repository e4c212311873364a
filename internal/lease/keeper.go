package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// DefaultTTL is how long a lease outlives its last renewal.
const DefaultTTL = 15 * time.Second

// minTTL is the shortest age that JetStream takes for a stream's messages.
const minTTL = 100 * time.Millisecond

// parallelWrites bounds how many keys a keeper writes at once.
const parallelWrites = 16

// Options configures a Keeper.
type Options struct {
	// Bucket holds the keys. Its TTL must be the one given here.
	Bucket Bucket
	// Made is when the bucket was made, to the second; zero: epochs are bare revisions. A bucket that is lost and made anew begins its
	// revisions again from 1, and its epochs are greater than the old ones all the same.
	Made time.Time
	// Worker is the name that others see as the holder.
	Worker string
	// TTL is how long a lease outlives its last renewal; zero: DefaultTTL. All workers must use the same.
	TTL time.Duration
	// Margin is how long before the end of the TTL a holder that cannot renew stops, and so the time it has to close its connection;
	// at most half the TTL. Zero: a fifth of the TTL.
	Margin time.Duration
	// Log receives losses and failures; nil: slog.Default().
	Log *slog.Logger
	// Registerer receives the metrics; nil: they are not registered.
	Registerer prometheus.Registerer
}

// Keeper holds the leases of one worker. Its methods may be called from any goroutine.
type Keeper struct {
	bucket   Bucket
	era      uint64
	worker   string
	instance string
	ttl      time.Duration
	margin   time.Duration
	// retry is the pace of the loop and the wait after a failed renewal; callTimeout bounds each exchange with the bucket, so that two
	// tries more fit between a failed renewal and the deadline.
	retry       time.Duration
	callTimeout time.Duration
	log         *slog.Logger
	metrics     *metrics
	// last is the last round of the loop; nil: there was none yet.
	last atomic.Pointer[round]

	mu sync.Mutex
	// leases has an entry from the start of a claim until it failed or its lease is released.
	leases  map[session.ID]*Lease
	claims  uint64
	stopped bool
}

// New makes a keeper. It does nothing until Run.
func New(options Options) (*Keeper, error) {
	if options.Bucket == nil || options.Worker == "" {
		return nil, errors.New("lease keeper needs a bucket and the worker's name")
	}
	if options.TTL == 0 {
		options.TTL = DefaultTTL
	}
	if options.Margin == 0 {
		options.Margin = options.TTL / 5
	}
	if options.TTL < minTTL || options.Margin < 0 || options.Margin > options.TTL/2 {
		return nil, fmt.Errorf("lease TTL %s must be at least %s, and the margin %s between zero and half of it", options.TTL, minTTL, options.Margin)
	}
	if options.Log == nil {
		options.Log = slog.Default()
	}
	metrics, err := newMetrics(options.Registerer)
	if err != nil {
		return nil, err
	}
	return &Keeper{
		bucket:      options.Bucket,
		era:         eraOf(options.Made),
		worker:      options.Worker,
		instance:    uuid.NewString(),
		ttl:         options.TTL,
		margin:      options.Margin,
		retry:       options.TTL / 15,
		callTimeout: options.TTL / 8,
		log:         options.Log.With("worker", options.Worker),
		metrics:     metrics,
		leases:      map[session.ID]*Lease{},
	}, nil
}

// firstEra is before any bucket of ours was made. Seconds since then fit into the 31 bits that a signed number has left until 2093.
var firstEra = time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC)

func eraOf(made time.Time) uint64 {
	return uint64(max(0, made.Unix()-firstEra.Unix()))
}

// epochBits is the part of an epoch that counts the revisions of one bucket. Sixty sessions that renew every five seconds fill it in eleven
// years; a revision beyond it carries over into the era, so that epochs still grow.
const epochBits = 32

// epoch gives the epoch of a claim.
func (k *Keeper) epoch(revision uint64) uint64 { return k.era<<epochBits + revision }

// Run renews the leases until the context ends. Then it closes Done of those that are left, waits up to the margin for their holders to
// release them, gives back the rest, and returns nil. Leases claimed while Run does not run last for one TTL.
func (k *Keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(k.retry)
	defer ticker.Stop()
	k.last.Store(&round{at: time.Now()})
	for {
		select {
		case <-ctx.Done():
			k.stop(context.WithoutCancel(ctx))
			return nil
		case <-ticker.C:
			k.last.Store(k.renewDue(ctx))
		}
	}
}

// Claim takes the lease of a session. When it has a holder, the error matches ErrHeld, says who in a *HeldError, and is of class
// RetryLater, as is every other failure. The holder must call Release once, also after the lease is lost.
func (k *Keeper) Claim(ctx context.Context, id session.ID) (*Lease, error) {
	lease, err := k.reserve(id)
	if err == nil {
		err = k.acquire(ctx, lease)
	}
	if err == nil {
		return lease, nil
	}
	if lease != nil {
		k.forget(lease)
	}
	if errors.Is(err, ErrHeld) {
		k.metrics.contended.Inc()
		return nil, fault.Wrap(err, fault.RetryLater, "lease_held", "Another worker has this session open; it is free when that worker closes it").
			WithAfter(k.ttl / 3)
	}
	return nil, fault.Wrap(fmt.Errorf("claim lease of %s: %w", id, err), fault.RetryLater, "lease_not_claimed",
		"The right to open the session could not be had; try again")
}

// Watch calls freed for each session whose lease is given back from now on, by any worker, until the context ends (then it returns nil)
// or the watch breaks. It is a nudge to claim: a lease that expires may pass unseen.
func (k *Keeper) Watch(ctx context.Context, freed func(session.ID)) error {
	err := k.bucket.Watch(ctx, func(key string) { freed(session.ID(key)) })
	if err != nil {
		return fmt.Errorf("watch leases: %w", err)
	}
	return nil
}

// reserve notes a claim, so that two callers in this process cannot both go after one session.
func (k *Keeper) reserve(id session.ID) (*Lease, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopped {
		return nil, ErrStopped
	}
	since := time.Now()
	if own := k.leases[id]; own != nil {
		return nil, &HeldError{Session: id, Worker: k.worker, Since: decodeHolder(own.value).Since}
	}
	k.claims++
	lease := &Lease{
		keeper:  k,
		session: id,
		value:   holder{Worker: k.worker, Instance: k.instance, Claim: k.claims, Since: since}.encode(),
		done:    make(chan struct{}),
		gone:    make(chan struct{}),
		writing: make(chan struct{}, 1),
	}
	k.leases[id] = lease
	return lease, nil
}

// acquire writes the key of a reserved lease.
func (k *Keeper) acquire(ctx context.Context, lease *Lease) error {
	ctx, cancel := context.WithTimeout(ctx, k.callTimeout)
	defer cancel()
	asked := time.Now()
	revision, err := k.bucket.Create(ctx, string(lease.session), lease.value)
	if errors.Is(err, ErrKeyExists) {
		revision, err = k.takeBack(ctx, lease)
	}
	if err != nil {
		return err
	}
	if err := lease.begin(revision, asked); err != nil {
		return errors.Join(err, k.bucket.Delete(ctx, string(lease.session), revision))
	}
	return nil
}

// takeBack claims a key that this very process left behind, by a claim or a release that had no answer. The process has no lease of that
// session now (it reserved a new one), so nobody believes in the old one.
func (k *Keeper) takeBack(ctx context.Context, lease *Lease) (uint64, error) {
	value, revision, err := k.bucket.Get(ctx, string(lease.session))
	if errors.Is(err, ErrKeyNotFound) {
		return 0, &HeldError{Session: lease.session}
	}
	if err != nil {
		return 0, err
	}
	owner := decodeHolder(value)
	if owner.Instance != k.instance {
		return 0, &HeldError{Session: lease.session, Worker: owner.Worker, Since: owner.Since}
	}
	revision, err = k.bucket.Update(ctx, string(lease.session), lease.value, revision)
	if errors.Is(err, ErrRevision) {
		return 0, &HeldError{Session: lease.session}
	}
	return revision, err
}

func (k *Keeper) forget(lease *Lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.leases, lease.session)
	close(lease.gone)
}

// renewDue renews what is due, several at once, and waits for the answers. Each exchange is bounded by callTimeout. A round without anything due knows
// no more than the one before it.
func (k *Keeper) renewDue(ctx context.Context) *round {
	done := &round{err: k.last.Load().err}
	var renewals errgroup.Group
	renewals.SetLimit(parallelWrites)
	now := time.Now()
	leases, due := k.all(), 0
	for _, lease := range leases {
		if !lease.due(now) {
			continue
		}
		due++
		renewals.Go(func() error {
			err := lease.renew(ctx)
			if err != nil {
				k.metrics.failures.Inc()
			}
			return err
		})
	}
	err := renewals.Wait()
	if err != nil && ctx.Err() == nil {
		k.log.WarnContext(ctx, "lease renewals failed and will be repeated", "error", err)
	}
	if due > 0 || len(leases) == 0 {
		done.err = err
	}
	done.at = time.Now()
	return done
}

// stop ends every lease. The holders have the margin to close their connections; then their keys are deleted, because by then they have
// stopped, as after any other loss.
func (k *Keeper) stop(ctx context.Context) {
	k.mu.Lock()
	k.stopped = true
	k.mu.Unlock()
	leases := k.all()
	for _, lease := range leases {
		lease.shutDown()
	}
	grace, cancel := context.WithTimeout(ctx, k.margin)
	defer cancel()
	var releases errgroup.Group
	releases.SetLimit(parallelWrites)
	for _, lease := range leases {
		select {
		case <-lease.gone:
			continue
		case <-grace.Done():
		}
		releases.Go(func() error { return lease.Release(ctx) })
	}
	if err := releases.Wait(); err != nil {
		k.log.WarnContext(ctx, "leases not handed back; they expire by themselves", "error", err)
	}
}

func (k *Keeper) all() []*Lease {
	k.mu.Lock()
	defer k.mu.Unlock()
	leases := make([]*Lease, 0, len(k.leases))
	for _, lease := range k.leases {
		leases = append(leases, lease)
	}
	return leases
}
