package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/lease"
	"github.com/dannsalud/broadcaster/internal/linker"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/sender"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/wa"
)

// The adapters below make a door fit the interface that a verb declares. They translate types and sentinels, and do nothing else.

// leaseBucket is the bucket of leases as the keeper wants it.
type leaseBucket struct{ bucket *bus.Bucket }

// Create implements lease.Bucket.
func (b leaseBucket) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	revision, err := b.bucket.Create(ctx, key, value)
	return revision, leaseError(err)
}

// Update implements lease.Bucket.
func (b leaseBucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	revision, err := b.bucket.Update(ctx, key, value, revision)
	return revision, leaseError(err)
}

// Get implements lease.Bucket.
func (b leaseBucket) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	value, revision, err := b.bucket.Get(ctx, key)
	return value, revision, leaseError(err)
}

// Delete implements lease.Bucket.
func (b leaseBucket) Delete(ctx context.Context, key string, revision uint64) error {
	return leaseError(b.bucket.Delete(ctx, key, revision))
}

// Watch implements lease.Bucket.
func (b leaseBucket) Watch(ctx context.Context, freed func(key string)) error {
	return b.bucket.Watch(ctx, "", func(change bus.Change) {
		if change.Gone {
			freed(change.Key)
		}
	})
}

func leaseError(err error) error {
	for from, to := range map[error]error{
		bus.ErrExists: lease.ErrKeyExists, bus.ErrMissing: lease.ErrKeyNotFound, bus.ErrRevision: lease.ErrRevision,
	} {
		if errors.Is(err, from) {
			return fmt.Errorf("%w: %w", to, err)
		}
	}
	return err
}

// paceBucket is the bucket of pacing as the clocks of the egresses want it.
type paceBucket struct{ bucket *bus.Bucket }

// Create implements pace.Bucket.
func (b paceBucket) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	revision, err := b.bucket.Create(ctx, key, value)
	return revision, paceError(err)
}

// Update implements pace.Bucket.
func (b paceBucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	revision, err := b.bucket.Update(ctx, key, value, revision)
	return revision, paceError(err)
}

// Get implements pace.Bucket.
func (b paceBucket) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	value, revision, err := b.bucket.Get(ctx, key)
	return value, revision, paceError(err)
}

// Delete implements pace.Bucket.
func (b paceBucket) Delete(ctx context.Context, key string, revision uint64) error {
	return paceError(b.bucket.Delete(ctx, key, revision))
}

// Keys implements pace.Bucket.
func (b paceBucket) Keys(ctx context.Context) ([]string, error) {
	return b.bucket.Keys(ctx)
}

func paceError(err error) error {
	switch {
	case errors.Is(err, bus.ErrMissing):
		return fmt.Errorf("%w: %w", pace.ErrMissing, err)
	case errors.Is(err, bus.ErrExists), errors.Is(err, bus.ErrRevision):
		return fmt.Errorf("%w: %w", pace.ErrChanged, err)
	}
	return err
}

// versions keeps the version of WhatsApp Web in a bucket.
type versions struct{ bucket *bus.Bucket }

// versionKey is the key of the version in the bucket of pacing, which holds what all connections share.
const versionKey = "whatsapp.version"

// ReadVersion implements wa.VersionStore.
func (v versions) ReadVersion(ctx context.Context) (version wa.Version, place uint64, err error) {
	value, place, err := v.bucket.Get(ctx, versionKey)
	if errors.Is(err, bus.ErrMissing) {
		return wa.Version{}, 0, nil
	}
	if err != nil {
		return wa.Version{}, 0, fmt.Errorf("read the version of WhatsApp Web: %w", err)
	}
	if err := json.Unmarshal(value, &version); err != nil {
		return wa.Version{}, 0, fmt.Errorf("read the version of WhatsApp Web: %w", err)
	}
	return version, place, nil
}

// WriteVersion implements wa.VersionStore.
func (v versions) WriteVersion(ctx context.Context, version wa.Version, place uint64) error {
	value, err := json.Marshal(version)
	if err != nil {
		return fmt.Errorf("encode the version of WhatsApp Web: %w", err)
	}
	if place == 0 {
		_, err = v.bucket.Create(ctx, versionKey, value)
	} else {
		_, err = v.bucket.Update(ctx, versionKey, value, place)
	}
	if errors.Is(err, bus.ErrExists) || errors.Is(err, bus.ErrRevision) {
		return fmt.Errorf("%w: %w", wa.ErrVersionChanged, err)
	}
	if err != nil {
		return fmt.Errorf("write the version of WhatsApp Web: %w", err)
	}
	return nil
}

type linkerLeases struct{ keeper *lease.Keeper }

// Claim implements linker.Leases.
func (l linkerLeases) Claim(ctx context.Context, id session.ID) (linker.Lease, error) {
	claimed, err := l.keeper.Claim(ctx, id)
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

type senderLeases struct{ keeper *lease.Keeper }

// Claim implements sender.Leases.
func (l senderLeases) Claim(ctx context.Context, id session.ID) (sender.Lease, error) {
	claimed, err := l.keeper.Claim(ctx, id)
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

type phones struct {
	gateway *wa.Gateway
	ways    *session.Ways
}

// Pair implements linker.Phones.
func (p phones) Pair(ctx context.Context, request session.PairRequest) (linker.Pairing, error) {
	proxy, err := p.ways.Proxy(ctx, request.Session)
	if err != nil {
		return nil, err
	}
	request.Proxy = proxy
	client, err := p.gateway.Pair(ctx, request)
	if err != nil {
		return nil, err
	}
	return client, nil
}

type whatsApp struct {
	gateway *wa.Gateway
	ways    *session.Ways
}

// Open implements sender.WhatsApp.
func (w whatsApp) Open(ctx context.Context, request session.OpenRequest) (sender.Connection, error) {
	proxy, err := w.ways.Proxy(ctx, request.Session)
	if err != nil {
		return nil, err
	}
	request.Proxy = proxy
	client, err := w.gateway.Open(ctx, request)
	if err != nil {
		return nil, err
	}
	return client, nil
}

// Forget implements sender.WhatsApp.
func (w whatsApp) Forget(ctx context.Context, request session.ForgetRequest) error {
	return w.gateway.Forget(ctx, request)
}

// observedPrompts shows prompts and tells an observer of each QR: how a simulated phone gets to scan it.
type observedPrompts struct {
	*bus.Prompts
	seen func(qr string)
}

// Show implements linker.Prompts.
func (p observedPrompts) Show(ctx context.Context, id session.ID, prompt session.Prompt) error {
	if err := p.Prompts.Show(ctx, id, prompt); err != nil {
		return err
	}
	if p.seen != nil && prompt.QR != "" {
		p.seen(prompt.QR)
	}
	return nil
}

// witness remembers in a bucket which epoch opened each session's device last.
type witness struct{ bucket *bus.Bucket }

// Last implements keys.Witness.
func (w witness) Last(ctx context.Context, session string) (uint64, error) {
	epoch, _, err := w.read(ctx, session)
	return epoch, err
}

// read gives the epoch and its revision, both zero when there is none.
func (w witness) read(ctx context.Context, session string) (epoch, revision uint64, err error) {
	value, revision, err := w.bucket.Get(ctx, session)
	if errors.Is(err, bus.ErrMissing) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	if epoch, err = strconv.ParseUint(string(value), 10, 64); err != nil {
		return 0, 0, fmt.Errorf("read the epoch of %s: %w", session, err)
	}
	return epoch, revision, nil
}

// Note implements keys.Witness.
func (w witness) Note(ctx context.Context, session string, epoch uint64) error {
	for {
		known, revision, err := w.read(ctx, session)
		if err != nil || known >= epoch {
			return err
		}
		value := []byte(strconv.FormatUint(epoch, 10))
		if revision == 0 {
			_, err = w.bucket.Create(ctx, session, value)
		} else {
			_, err = w.bucket.Update(ctx, session, value, revision)
		}
		if !errors.Is(err, bus.ErrExists) && !errors.Is(err, bus.ErrRevision) {
			return err
		}
	}
}
