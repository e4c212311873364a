package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dannsalud/broadcaster/internal/api"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store/mongo"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/wa"
	"github.com/dannsalud/broadcaster/internal/wa/keys"
	"github.com/dannsalud/broadcaster/internal/webhook"
)

// egressKind marks the envelopes of proxies, so that none passes for a row of the key store.
const egressKind = "egress"

// egressSealer seals the proxies of sessions with the keys that seal their devices.
type egressSealer struct{ ring *keys.Ring }

// Seal implements session.Sealer.
func (s egressSealer) Seal(id session.ID, name string, secret []byte) ([]byte, error) {
	return s.ring.SealSecret(string(id), egressKind, name, secret)
}

// Open implements session.Sealer.
func (s egressSealer) Open(id session.ID, name string, sealed []byte) ([]byte, error) {
	return s.ring.OpenSecret(string(id), egressKind, name, sealed)
}

// egressRing gives the keys that seal proxies; nil when this process has none and needs none.
func (a *App) egressRing() (*keys.Ring, error) {
	needed := a.works() || a.options.Servers == nil
	if a.options.EgressKey == (KeySource{}) && !needed && a.options.KeySource == (KeySource{}) {
		return nil, nil
	}
	return a.options.EgressKey.ring(a.ring)
}

// openEgress makes the ways out of sessions.
func (a *App) openEgress(_ context.Context, d *doors, _ *cleanups) error {
	ring, err := a.egressRing()
	d.webhooks = a.openWebhooks(d.documents, ring)
	if err != nil || ring == nil {
		return err
	}
	d.ways, err = session.NewWays(d.sessions, d.egresses, egressSealer{ring})
	return err
}

// egressOptions are what the API needs of egresses; nil without a key.
func (a *App) egressOptions(ways *session.Ways) (*api.EgressOptions, error) {
	if ways == nil && len(a.options.DefaultProxies) > 0 {
		return nil, errNoEgressKey
	}
	if ways == nil {
		return nil, nil
	}
	return &api.EgressOptions{Ways: ways, Checker: egressChecker{a.options.WhatsApp}, DefaultProxies: a.options.DefaultProxies}, nil
}

// errNoEgressKey: a proxy that is configured and cannot be kept must not be left out in silence.
var errNoEgressKey = fault.New(fault.Invalid, "egress_key_required", "There are proxies of users, and no key to seal them with; give the API "+
	"the same EGRESS_KEY as every linker and sender")

// egressChecker tries ways out from this process.
type egressChecker struct{ endpoint Endpoint }

// Check implements api.EgressChecker.
func (c egressChecker) Check(ctx context.Context, proxy session.Proxy) (session.EgressCheck, error) {
	return wa.Check(ctx, c.endpoint, proxy)
}

// resealEgresses seals the proxies of sessions and the secrets of webhooks anew, so that a former key is not needed any more. Those of a data folder are sealed with the ring of
// the key store.
func (o KeyRotationOptions) resealEgresses(ctx context.Context, ring *keys.Ring) (err error) {
	if o.Servers != nil && o.EgressKey == (KeySource{}) {
		return nil
	}
	if ring, err = o.EgressKey.ring(func() (*keys.Ring, error) { return ring, nil }); err != nil {
		return err
	}
	books, closeBooks, err := o.openBooks(ctx)
	if err != nil || closeBooks == nil {
		return err
	}
	defer func() { err = errors.Join(err, closeBooks()) }()
	ways, err := session.NewWays(books.sessions, books.egresses, egressSealer{ring})
	if err != nil {
		return err
	}
	resealed, err := ways.Reseal(ctx, time.Now().UTC())
	secrets := 0
	if err == nil {
		secrets, err = webhook.Subscriptions{Documents: books.documents, Sealer: webhookSealer{ring}}.Reseal(ctx)
	}
	if err == nil && resealed+secrets > 0 && o.Log != nil {
		o.Log.InfoContext(ctx, "proxies and secrets of webhooks sealed anew", "proxies", resealed, "webhooks", secrets)
	}
	return err
}

// openBooks opens the database of the sessions; closing is nil when a data folder has none.
func (o KeyRotationOptions) openBooks(ctx context.Context) (books stores, closing func() error, err error) {
	if o.Servers != nil {
		database, err := mongo.Open(ctx, mongo.Options{URI: o.Servers.Mongo, Database: o.Servers.Database, Log: o.Log})
		if err != nil {
			return books, nil, err
		}
		return stores{sessions: database.Sessions(), egresses: database.Egresses(), documents: database.Documents()}, database.Close, nil
	}
	path := filepath.Join(o.DataDir, booksFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return books, nil, nil
	}
	database, err := sqlite.Open(ctx, sqlite.Options{Path: path, Log: o.Log})
	if err != nil {
		return books, nil, err
	}
	return stores{sessions: database.Sessions(), egresses: database.Egresses(), documents: database.Documents()}, database.Close, nil
}
