package keys

import (
	"context"
	"errors"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

const (
	// rideTime is how long a row may ride before it is written for its own sake, and retryTime when that failed.
	rideTime  = 200 * time.Millisecond
	retryTime = 2 * time.Second
	// maxRiding is how many writes may ride; one more waits for all of them.
	maxRiding = 1000
	// writeTimeout bounds a write, which may be that of several callers, so that it follows the context of none.
	writeTimeout = 15 * time.Second
	// maxBatchBytes is how much is written at once, unless one write alone is larger.
	maxBatchBytes = 4 << 20
)

// urgency says when a call may return.
type urgency bool

const (
	// rides: at once; the row is written with the next urgent one, or after rideTime.
	rides urgency = false
	// durable: when the row is on the disk.
	durable urgency = true
)

// unit is a number of changes that are written together or not at all.
type unit struct {
	changes []change
	urgency urgency
	clear   bool
	// taken is set while the unit is being written.
	taken bool
	done  chan struct{}
	err   error
}

// rider is a row that rides, and the write that it is part of.
type rider struct {
	row
	unit *unit
}

func (u *unit) finish(err error) {
	u.err = err
	close(u.done)
}

func (u *unit) finished() bool {
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}

// write does changes, together or not at all: in the transaction of the context, if there is one.
func (o *Owner) write(ctx context.Context, when urgency, changes ...change) error {
	if transaction := transactionOf(ctx, o); transaction != nil {
		return transaction.put(changes)
	}
	return o.do(ctx, &unit{changes: changes, urgency: when})
}

func (o *Owner) do(ctx context.Context, u *unit) error {
	if err := checkUnit(u); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	u.done = make(chan struct{})
	o.mu.Lock()
	if o.ended != nil {
		defer o.mu.Unlock()
		return o.ended
	}
	if len(o.pending) >= maxRiding {
		u.urgency = durable
	}
	o.pending = append(o.pending, u)
	if u.urgency == rides {
		defer o.mu.Unlock()
		for _, change := range u.changes {
			o.riding[change.address] = rider{change.row, u}
		}
		o.wake(rideTime)
		return nil
	}
	o.mu.Unlock()
	return o.await(ctx, u)
}

// checkUnit refuses what no batch can hold.
func checkUnit(u *unit) error {
	if len(u.changes) > store.MaxKeyBatch {
		return fault.New(fault.Internal, "keystore_batch_too_large", "So many rows of the key store cannot be changed at once")
	}
	for _, change := range u.changes {
		if len(change.value) > store.MaxKeyValue-1024 {
			return fault.New(fault.Internal, "keystore_value_too_large", "A value is too large for the key store")
		}
	}
	return nil
}

// Flush writes what rides, and returns when it is on the disk.
func (o *Owner) Flush(ctx context.Context) error {
	return o.do(ctx, &unit{urgency: durable})
}

// wake lets what rides be written after a while. It is called with mu held.
func (o *Owner) wake(after time.Duration) {
	if o.ridesAt == nil {
		o.ridesAt = time.AfterFunc(after, o.writeRiders)
	}
}

// writeRiders runs on the timer's goroutine. What cannot be written goes on riding.
func (o *Owner) writeRiders() {
	o.mu.Lock()
	o.ridesAt = nil
	o.mu.Unlock()
	o.committing <- struct{}{}
	o.commit(context.Background())
	o.unlock()
}

// await returns when the unit is on the disk. Whoever gets the token writes for all that wait. A caller that gives up takes its unit back, if
// nobody is writing it yet.
func (o *Owner) await(ctx context.Context, u *unit) error {
	for {
		select {
		case <-u.done:
			return u.err
		case <-ctx.Done():
			o.withdraw(u)
			return ctx.Err()
		case o.committing <- struct{}{}:
			if !u.finished() {
				o.commit(ctx)
			}
			o.unlock()
		}
	}
}

// lock waits for the token.
func (o *Owner) lock(ctx context.Context) error {
	select {
	case o.committing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *Owner) unlock() { <-o.committing }

func (o *Owner) withdraw(u *unit) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, pending := range o.pending {
		if pending == u && !u.taken {
			o.pending = append(o.pending[:i], o.pending[i+1:]...)
			return
		}
	}
}

// commit writes one batch. It is called with the token.
func (o *Owner) commit(ctx context.Context) {
	o.mu.Lock()
	units, batch := o.take()
	o.mu.Unlock()
	if len(units) == 0 {
		return
	}
	var err error
	if len(batch.changes) > 0 || batch.clear {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
		err = o.store.rows.write(ctx, batch)
		cancel()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(units, err)
}

// take gives the next units and their changes, a row only with its last value. A unit that clears begins a batch.
func (o *Owner) take() (units []*unit, batch writing) {
	batch = writing{session: o.options.Session, epoch: o.options.Epoch}
	index := map[address]int{}
	size := 0
	for i, u := range o.pending {
		unitSize := u.bytes()
		if i > 0 && (u.clear || len(batch.changes)+len(u.changes) > store.MaxKeyBatch || size+unitSize > maxBatchBytes) {
			break
		}
		size += unitSize
		u.taken = true
		units = append(units, u)
		batch.clear = batch.clear || u.clear
		for _, change := range u.changes {
			if at, known := index[change.address]; known {
				batch.changes[at] = change
				continue
			}
			index[change.address] = len(batch.changes)
			batch.changes = append(batch.changes, change)
		}
	}
	return units, batch
}

func (u *unit) bytes() int {
	size := 0
	for _, change := range u.changes {
		size += len(change.key) + len(change.value)
	}
	return size
}

// settle tells the outcome of a batch. It is called with mu held.
func (o *Owner) settle(units []*unit, err error) {
	if o.ended != nil {
		return // and the units have been told
	}
	switch {
	case err == nil:
		o.pending = o.pending[len(units):]
		o.wrote(units)
		if len(o.pending) > 0 {
			o.wake(rideTime) // what found no place in this batch
		}
	case errors.Is(err, store.ErrFenced):
		o.end(err)
	default:
		o.pending = append(o.keep(units, err), o.pending[len(units):]...)
		o.wake(retryTime)
	}
}

func (o *Owner) wrote(units []*unit) {
	for _, u := range units {
		if u.clear {
			o.cache.clear()
			clear(o.loading)
		}
		for _, change := range u.changes {
			delete(o.loading, change.address)
			o.cache.put(change.address, change.row)
			o.alight(change.address, u)
		}
		u.finish(nil)
	}
}

func (o *Owner) alight(at address, u *unit) {
	if o.riding[at].unit == u {
		delete(o.riding, at)
	}
}

// keep sorts out the units of a batch that failed: what rides goes on riding, unless it is at fault itself; the others learn of it, and what is in
// the database now has to be read anew, since a failed write may have come through.
func (o *Owner) keep(units []*unit, err error) (kept []*unit) {
	hopeless := fault.Of(err) == fault.Invalid
	for _, u := range units {
		u.taken = false
		if u.urgency == rides && !hopeless {
			kept = append(kept, u)
			continue
		}
		for _, change := range u.changes {
			delete(o.loading, change.address)
			o.cache.remove(change.address)
			o.alight(change.address, u)
		}
		if u.urgency == rides {
			o.store.options.Log.Error("rows of the key store could not be written and are lost", "session", o.options.Session, "error", err)
		}
		u.finish(err)
	}
	return kept
}
