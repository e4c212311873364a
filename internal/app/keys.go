package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/store/mongo"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/wa/keys"
)

// The key store in the data folder: the database, and the key that seals it when none is configured. The two lie beside each other because one
// machine has one disk; a backup should keep them apart.
const (
	keyStoreFile = "keystore.db"
	keyFile      = "keystore.key"
)

// KeySource says where the keys are that seal the key store: in Key, in the form of KEYSTORE_KEY, or else in the file File.
type KeySource struct {
	Key  string
	File string
}

// ring gives the keys; without a source, those that own gives.
func (s KeySource) ring(own func() (*keys.Ring, error)) (*keys.Ring, error) {
	switch {
	case s.Key != "":
		return keys.ParseRing(s.Key)
	case s.File != "":
		return keys.ReadRing(s.File)
	}
	return own()
}

// errNoKey: the processes of a fleet must have the same key, so none makes one of its own.
var errNoKey = fault.New(fault.Invalid, "keystore_key_required", "KEYSTORE_KEY is missing: it seals the keys of the linked phones in the shared database. "+
	"Make one (broadcaster keys generate) and give it to every process")

// ring gives the keys of the key store; a process with a data folder makes them when there are none.
func (a *App) ring() (*keys.Ring, error) {
	return a.options.KeySource.ring(func() (*keys.Ring, error) {
		if a.options.Servers != nil {
			return nil, errNoKey
		}
		return keys.MakeRing(a.path(keyFile))
	})
}

// openKeys opens the key store of the devices: in the shared database, or in a file of its own in the data folder.
func (a *App) openKeys(ctx context.Context, d *doors, witness keys.Witness, closing *cleanups) (*keys.Store, error) {
	ring, err := a.ring()
	if err != nil {
		return nil, err
	}
	rows := d.keys
	if rows == nil {
		file, err := sqlite.OpenKeys(ctx, sqlite.Options{Path: a.path(keyStoreFile), Log: a.options.Log})
		if err != nil {
			return nil, err
		}
		closing.add("key store", file.Close)
		rows = file
	}
	return keys.Open(ctx, keys.Options{Keys: rows, Ring: ring, Witness: witness, Log: a.options.Log})
}

// KeyRotation is what a rotation of the key store's keys did.
type KeyRotation = keys.Rotation

// GenerateKey gives a new key in the form of KEYSTORE_KEY.
func GenerateKey() string { return keys.GenerateKey() }

// KeyRotationOptions say which key store to rotate: that of Servers' database, or else that of a data folder.
type KeyRotationOptions struct {
	Servers   *Servers
	DataDir   string
	KeySource KeySource
	// EgressKey is what the proxies of a fleet are sealed with; its zero value leaves them as they are. Those of a data folder are sealed with KeySource.
	EgressKey KeySource
	Log       *slog.Logger
}

// RotateKeys seals a key store, and the proxies of sessions, anew with the first key of a source; without a source, with that of the data
// folder's key file. The product may run meanwhile, if it was started with the same first key.
func RotateKeys(ctx context.Context, options KeyRotationOptions) (rotation KeyRotation, err error) {
	ring, err := options.KeySource.ring(func() (*keys.Ring, error) {
		if options.Servers != nil {
			return nil, errNoKey
		}
		return keys.ReadRing(filepath.Join(options.DataDir, keyFile))
	})
	if err != nil {
		return rotation, err
	}
	rows, closeRows, err := options.open(ctx)
	if err != nil {
		return rotation, err
	}
	defer func() { err = errors.Join(err, closeRows()) }()
	opened, err := keys.Open(ctx, keys.Options{Keys: rows, Ring: ring, Log: options.Log})
	if err != nil {
		return rotation, err
	}
	if rotation, err = opened.Rotate(ctx); err != nil {
		return rotation, fmt.Errorf("rotate the keys: %w", err)
	}
	return rotation, options.resealEgresses(ctx, ring)
}

func (o KeyRotationOptions) open(ctx context.Context) (rows store.Keys, closeRows func() error, err error) {
	if o.Servers != nil {
		database, err := mongo.Open(ctx, mongo.Options{URI: o.Servers.Mongo, Database: o.Servers.Database, Log: o.Log})
		if err != nil {
			return nil, nil, err
		}
		return database.Keys(), database.Close, nil
	}
	path := filepath.Join(o.DataDir, keyStoreFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fault.New(fault.Invalid, "no_key_store", "There is no key store in this data folder; name the right one")
	}
	file, err := sqlite.OpenKeys(ctx, sqlite.Options{Path: path, Log: o.Log})
	if err != nil {
		return nil, nil, err
	}
	return file, file.Close, nil
}
