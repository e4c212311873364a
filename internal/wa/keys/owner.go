package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	wastore "go.mau.fi/whatsmeow/store"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// ErrClosed is the error of every call after Close.
var ErrClosed = fault.New(fault.RetryLater, "keystore_closed", "The session was closed here; its next owner goes on")

// OwnerOptions say whose rows an owner has. Session and Epoch are required.
type OwnerOptions struct {
	Session string
	// Epoch is that of the lease that the owner holds.
	Epoch uint64
}

// Owner is one session's rows in the hands of the holder of its lease. It is whatsmeow's container and all its stores. Its methods may be
// called from any goroutine. What they return is the caller's to keep, and what they were given stays the caller's.
//
// Reading: an owner is alone, so what it has read or written once is in its memory (bounded, the least recently used rows go first), and so is
// that a row does not exist. Former owners are fenced off in the database before the first read.
//
// Writing: a call returns when its rows are on the disk if the world may see the consequence next: Signal sessions, prekeys and sender keys
// (a ciphertext leaves), a decryption (DoDecryptionTxn, all or nothing), the end of a message's handling (ClearBufferedEventPlaintext: WhatsApp
// is told that we have it), the device's own keys, app-state keys and the NCT salt. Every other row rides: reads see it at once, and it
// is written with the next write of the first kind, in front of it and in the same batch, or after rideTime. So a send, which keeps the message
// for retries, learns identities, and moves its sessions on last, is one write, and all of it is on the disk before the ciphertext leaves. What
// rides and is lost when the process is killed is what WhatsApp tells again. Callers that wait at the same time share one write.
type Owner struct {
	options OwnerOptions
	store   *Store

	// modify is held while a row is read, changed and written. It is taken before mu.
	modify sync.Mutex
	// committing holds a token while a batch is written or a kind is scanned.
	committing chan struct{}

	mu    sync.Mutex
	cache *cache
	// loading has the rows that are being read from the database, so that what was written meanwhile is not overwritten in the cache.
	loading map[address]*loading
	// riding has the rows that were accepted and are not on the disk yet.
	riding map[address]rider
	// pending are the writes to do, in their order.
	pending []*unit
	// ridesAt fires when what rides has waited long enough; nil: nothing rides.
	ridesAt *time.Timer
	// ended says why nothing can be done any more; lost is closed when it is that the session has another owner.
	ended error
	lost  chan struct{}

	migrated migrated
}

// loading is the mark of one reader. It has a size, so that no two have one address.
type loading struct{ _ byte }

var (
	_ wastore.AllStores       = (*Owner)(nil)
	_ wastore.DeviceContainer = (*Owner)(nil)
)

// Own opens the rows of a session for the holder of its lease. From then on every former owner is refused.
func (s *Store) Own(ctx context.Context, options OwnerOptions) (*Owner, error) {
	if err := s.options.Keys.Fence(ctx, options.Session, options.Epoch); err != nil {
		return nil, fmt.Errorf("take over the keys of a session: %w", err)
	}
	return &Owner{
		options: options, store: s, committing: make(chan struct{}, 1), cache: newCache(s.options.CacheBytes),
		loading: map[address]*loading{}, riding: map[address]rider{}, lost: make(chan struct{}),
	}, nil
}

// Lost is closed when a write was refused because the session has another owner. From then on every call is store.ErrFenced.
func (o *Owner) Lost() <-chan struct{} { return o.lost }

// Close writes what rides, and lets nothing more be read or written. An owner that was fenced off or whose device was deleted has nothing to write.
func (o *Owner) Close(ctx context.Context) error {
	var err error
	for {
		err = o.Flush(ctx)
		o.mu.Lock()
		if err != nil || len(o.pending) == 0 {
			break
		}
		o.mu.Unlock() // somebody wrote after the flush
	}
	defer o.mu.Unlock()
	o.end(ErrClosed)
	if errors.Is(err, store.ErrFenced) || errors.Is(err, wastore.ErrDeviceDeleted) || errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// end lets every waiting and later call fail. Only the first reason counts. It is called with mu held.
func (o *Owner) end(reason error) {
	if o.ended != nil {
		return
	}
	o.ended = reason
	if errors.Is(reason, store.ErrFenced) {
		close(o.lost)
	}
	if o.ridesAt != nil {
		o.ridesAt.Stop()
	}
	for _, unit := range o.pending {
		unit.finish(reason)
	}
	o.pending = nil
	clear(o.riding)
	clear(o.loading)
	o.cache.clear()
}

// Bury deletes everything of the session but a tombstone that says why. A tombstone that is there already stays, unless it has no reason
// and this one has.
func (o *Owner) Bury(ctx context.Context, reason string) error {
	o.modify.Lock()
	defer o.modify.Unlock()
	there, err := o.tombstone(ctx)
	if err != nil {
		return err
	}
	if there != nil && (there.Reason != "" || reason == "") {
		return nil
	}
	tombstone := Tombstone{Reason: reason, At: time.Now().UTC().Truncate(time.Millisecond)}
	if there != nil {
		tombstone.At = there.At
	}
	if err := o.lock(ctx); err != nil {
		return err
	}
	defer o.unlock()
	err = o.store.rows.write(ctx, writing{session: o.options.Session, epoch: o.options.Epoch, clear: true,
		changes: []change{{address: address{kindTombstone, ""}, row: row{value: tombstone.encode()}}}})
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case errors.Is(err, store.ErrFenced):
		o.end(err)
	case err == nil:
		o.end(wastore.ErrDeviceDeleted)
	}
	if err != nil {
		return fmt.Errorf("delete the keys of a device: %w", err)
	}
	return nil
}

// Tombstone gives what stays of the session's device; nil when the device lives, or never did.
func (o *Owner) Tombstone(ctx context.Context) (*Tombstone, error) { return o.tombstone(ctx) }

// tombstone asks the database, because the cache of an ended owner is gone.
func (o *Owner) tombstone(ctx context.Context) (*Tombstone, error) {
	found, err := o.store.rows.get(ctx, o.options.Session, kindTombstone, []string{""})
	if err != nil {
		return nil, fmt.Errorf("read a device's tombstone: %w", err)
	}
	there, exists := found[""]
	if !exists {
		return nil, nil
	}
	var tombstone Tombstone
	if err := json.Unmarshal(there.value, &tombstone); err != nil {
		return nil, unreadable(kindTombstone, err)
	}
	return &tombstone, nil
}

// unreadable: a row opened, and what is in it has not the form that this version knows.
func unreadable(kind string, err error) error {
	return fault.Wrap(err, fault.Internal, "keystore_row_unreadable", fmt.Sprintf("A row of the key store (%s) has a form that this version does not "+
		"know; start the version that wrote it", kind))
}
