// Package lease gives the right to open a session's WhatsApp connection to one worker at a time.
//
// The invariant: at any moment at most one worker believes that it holds a session's lease. A worker claims a lease by creating the
// session's key in a JetStream key-value bucket, renews it every TTL/3 by updating the key at the revision it knows, and gives it
// back by deleting the key. The revision of the claim, behind the era of the bucket, is the lease's epoch: it grows with every claim, so that a
// write by a former owner can be refused. A holder that cannot renew stops believing by its own monotonic clock, with a margin, before the key can expire
// (self-fencing): it need not reach anybody to stop. The margin is the time that a holder has, from Done on, to close its connection.
//
// Why it holds: the server counts the key's age from the moment it stored the last write, the holder from the moment before it asked for
// that write, which is earlier. Only the clocks' rates matter, never their readings, but for one thing: a NATS server whose clock is set
// forward by a TTL expires every key, and a machine that is suspended as a whole does not count that time. For those the epoch remains.
//
// Nouns: Keeper (the leases of this worker and the loop that renews them), Lease (the right, while Held), Bucket (the port to the keys).
//
// Callers: internal/linker (while it pairs) and the host in internal/sender (while it is connected). Whoever claimed a lease releases
// it once, also after Done: Release says that the connection is closed. It must never open a connection or decide what a loss means;
// it only says Done.
package lease

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// Lease is the right to open one session's connection. Keeper.Claim makes it; its methods may be called from any goroutine.
type Lease struct {
	keeper  *Keeper
	session session.ID
	// value is what the key holds while the lease is ours. It names this one claim, so that our own late write is recognised.
	value []byte
	epoch uint64
	done  chan struct{}
	// gone is closed when the keeper has forgotten the lease: its claim failed, or its holder released it.
	gone chan struct{}
	// writing holds one token while a write to the key is under way. A channel, because waiting for it ends with a context.
	writing chan struct{}

	mu sync.Mutex
	// held is set from the claim until the lease is lost or released.
	held     bool
	released bool
	// revision is the key's last known revision; unsure says that a write had no answer and may have moved it.
	revision uint64
	unsure   bool
	// deadline is when the holder stops believing, renewAt when the next renewal is due, fence the timer that closes done.
	deadline time.Time
	renewAt  time.Time
	fence    *time.Timer
}

// The causes of a loss, as they stand in logs and in the label of leases_lost_total.
const (
	causeTaken       = "taken"
	causeUnreachable = "unreachable"
	causeShutdown    = "shutdown"
)

// errLate: the claim was written, and its answer came when nothing of the lease was left.
var errLate = errors.New("the answer came when the lease was over")

// Session names the session that the lease is for.
func (l *Lease) Session() session.ID { return l.session }

// Epoch is the revision of the claim, behind the era of the bucket (Options.Era). It is greater than that of every earlier lease of any
// session, as long as eras rise.
func (l *Lease) Epoch() uint64 { return l.epoch }

// Done is closed when the lease is not held any more: lost, released, or the keeper stops. From then on the holder has the keeper's
// margin to close its connection and call Release.
func (l *Lease) Done() <-chan struct{} { return l.done }

// Held tells, from memory and this process's monotonic clock alone, whether the lease is held now. It is right even in a process that was
// frozen and whose timers have not run yet.
func (l *Lease) Held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held && time.Now().Before(l.deadline)
}

// Release gives the lease back: Done is closed, the key is deleted, and any worker may claim the session at once. Call it when the
// connection is closed, also after Done; until then this worker cannot claim the session again. Only the first call does anything.
// An error means that the key could not be deleted; it expires by itself, and this worker can claim it at once all the same.
func (l *Lease) Release(ctx context.Context) error {
	if !l.release() {
		return nil
	}
	defer l.keeper.forget(l)
	err := l.write(ctx, func(ctx context.Context, revision uint64) (uint64, error) {
		return revision, l.keeper.bucket.Delete(ctx, string(l.session), revision)
	})
	if err == nil || errors.Is(err, ErrRevision) {
		return nil // Deleted, or expired or taken meanwhile: in each case not ours any more.
	}
	return fault.Wrap(fmt.Errorf("delete lease of %s: %w", l.session, err), fault.RetryLater, "lease_not_returned",
		"The session could not be handed over at once; it is free when its lease expires")
}

// begin makes the lease held, counted from the moment before the claim was asked for. It fails when the answer came so late that
// nothing of the lease is left, or when the keeper stopped meanwhile.
func (l *Lease) begin(revision uint64, asked time.Time) error {
	l.keeper.mu.Lock()
	defer l.keeper.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.schedule(asked)
	switch {
	case l.keeper.stopped:
		return ErrStopped
	case !time.Now().Before(l.deadline):
		return errLate
	}
	l.held, l.epoch, l.revision = true, l.keeper.epoch(revision), revision
	l.fence = time.AfterFunc(time.Until(l.deadline), l.expire)
	l.keeper.metrics.claimed.Inc()
	l.keeper.metrics.held.Inc()
	return nil
}

// schedule sets the times that follow from a write asked for at a moment. The caller holds mu.
func (l *Lease) schedule(asked time.Time) {
	interval := l.keeper.ttl / 3
	l.deadline = asked.Add(l.keeper.ttl - l.keeper.margin)
	l.renewAt = asked.Add(interval - rand.N(interval/5)) //nolint:gosec // jitter, not a secret
}

// renew writes the key once more. Only a refusal loses the lease; a failure to reach the server does not, until the deadline.
func (l *Lease) renew(ctx context.Context) error {
	var asked time.Time
	err := l.write(ctx, func(ctx context.Context, revision uint64) (uint64, error) {
		asked = time.Now()
		return l.keeper.bucket.Update(ctx, string(l.session), l.value, revision)
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case errors.Is(err, ErrRevision):
		if l.held {
			l.lose(causeTaken)
		}
		return nil
	case err != nil: // also when the lease was lost meanwhile: that it could not be renewed is why
		l.renewAt = time.Now().Add(l.keeper.retry)
		return fmt.Errorf("renew lease of %s: %w", l.session, err)
	case !l.held:
		return nil
	}
	l.schedule(asked)
	if !time.Now().Before(l.deadline) {
		l.lose(causeUnreachable)
		return nil
	}
	l.fence.Reset(time.Until(l.deadline))
	return nil
}

// write runs a conditional write of the key, one at a time, at the revision that the lease knows. When an earlier write had no answer, the
// key may have moved without our knowledge: if the write is refused and the key still holds this claim's own value, it runs once more at
// the revision found.
func (l *Lease) write(ctx context.Context, attempt func(ctx context.Context, revision uint64) (uint64, error)) error {
	select {
	case l.writing <- struct{}{}:
		defer func() { <-l.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	revision, unsure := l.known()
	bounded := func(revision uint64) (uint64, error) {
		ctx, cancel := context.WithTimeout(ctx, l.keeper.callTimeout)
		defer cancel()
		return attempt(ctx, revision)
	}
	revision, err := bounded(revision)
	if unsure && errors.Is(err, ErrRevision) {
		if revision, err = l.find(ctx); err == nil {
			revision, err = bounded(revision)
		}
	}
	l.settle(revision, err)
	return err
}

// find gives the revision at which the key holds this claim's value; ErrRevision when it does not.
func (l *Lease) find(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, l.keeper.callTimeout)
	defer cancel()
	value, revision, err := l.keeper.bucket.Get(ctx, string(l.session))
	switch {
	case errors.Is(err, ErrKeyNotFound):
		return 0, ErrRevision
	case err != nil:
		return 0, err
	case !bytes.Equal(value, l.value):
		return 0, ErrRevision
	}
	return revision, nil
}

func (l *Lease) known() (revision uint64, unsure bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.revision, l.unsure
}

// settle notes what a write left behind: the new revision, a refusal that no later write can change, or an open question.
func (l *Lease) settle(revision uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.revision, l.unsure = revision, false
	case !errors.Is(err, ErrRevision):
		l.unsure = true
	}
}

// due tells whether the lease is held and its next renewal has come.
func (l *Lease) due(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held && !now.Before(l.renewAt)
}

// expire is the fence: it closes Done at the deadline, unless a renewal came between.
func (l *Lease) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held && !time.Now().Before(l.deadline) {
		l.lose(causeUnreachable)
	}
}

// shutDown closes Done because the keeper stops.
func (l *Lease) shutDown() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held {
		l.lose(causeShutdown)
	}
}

// release closes Done if it is open, and tells whether this is the first release of a lease that was claimed.
func (l *Lease) release() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held {
		l.end()
	}
	first := !l.released && l.epoch != 0
	l.released = true
	return first
}

// lose ends the lease against the holder's will. The caller holds mu.
func (l *Lease) lose(cause string) {
	l.end()
	l.keeper.metrics.lost.WithLabelValues(cause).Inc()
	l.keeper.log.Warn("lease lost", "session", l.session, "epoch", l.epoch, "cause", cause)
}

// end makes the lease not held. The caller holds mu.
func (l *Lease) end() {
	l.held = false
	l.fence.Stop()
	close(l.done)
	l.keeper.metrics.held.Dec()
}
