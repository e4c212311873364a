package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store/mongo"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
)

// KeyBookOptions say whose API keys are meant: those of Servers' database, or else those of a data folder. The product may run meanwhile.
type KeyBookOptions struct {
	Servers *Servers
	DataDir string
}

// NewAPIKey is what a new key of the API is to be.
type NewAPIKey struct {
	Name, Role, User string
	// ExpiresAt is when it ceases to hold; zero: never.
	ExpiresAt time.Time
}

// APIKey is a key of the API, without the key itself.
type APIKey struct {
	ID, Prefix, Name, Role, User            string
	CreatedAt, ExpiresAt, UsedAt, RevokedAt time.Time
}

// atTerminal is a person at the machine, who has the database anyway.
var atTerminal = access.Caller{Key: access.Terminal, Role: access.Admin}

// CreateAPIKey makes a key in the database, and gives it.
func CreateAPIKey(ctx context.Context, options KeyBookOptions, wanted NewAPIKey) (made APIKey, secret string, err error) {
	err = options.with(ctx, func(book *access.Book) error {
		key, shown, err := book.Create(ctx, atTerminal, access.Wanted{Name: wanted.Name, Role: access.Role(wanted.Role), User: wanted.User, ExpiresAt: wanted.ExpiresAt})
		made, secret = apiKeyOf(access.Listed{Key: key}), shown
		return err
	})
	return made, secret, err
}

// ListAPIKeys gives the keys in the database, oldest first.
func ListAPIKeys(ctx context.Context, options KeyBookOptions) (listed []APIKey, err error) {
	err = options.with(ctx, func(book *access.Book) error {
		keys, err := book.List(ctx, atTerminal)
		for _, key := range keys {
			listed = append(listed, apiKeyOf(key))
		}
		return err
	})
	return listed, err
}

// RevokeAPIKey ends a key in the database.
func RevokeAPIKey(ctx context.Context, options KeyBookOptions, id string) error {
	return options.with(ctx, func(book *access.Book) error {
		_, err := book.Revoke(ctx, atTerminal, id)
		return err
	})
}

func apiKeyOf(key access.Listed) APIKey {
	return APIKey{ID: key.ID, Prefix: key.Prefix(), Name: key.Name, Role: string(key.Role), User: key.User,
		CreatedAt: key.CreatedAt, ExpiresAt: key.ExpiresAt, UsedAt: key.UsedAt, RevokedAt: key.RevokedAt}
}

// with opens the book for as long as something is done with it.
func (o KeyBookOptions) with(ctx context.Context, act func(*access.Book) error) (err error) {
	options, closeDatabase, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDatabase()) }()
	book, err := access.New(options)
	if err != nil {
		return err
	}
	return act(book)
}

func (o KeyBookOptions) open(ctx context.Context) (access.Options, func() error, error) {
	if o.Servers != nil {
		database, err := mongo.Open(ctx, mongo.Options{URI: o.Servers.Mongo, Database: o.Servers.Database})
		if err != nil {
			return access.Options{}, nil, err
		}
		return access.Options{Documents: database.Documents()}, database.Close, nil
	}
	path := filepath.Join(o.DataDir, booksFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return access.Options{}, nil, fault.New(fault.Invalid, "no_database", "There is no database in this data folder; name the right one")
	}
	database, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err != nil {
		return access.Options{}, nil, err
	}
	return access.Options{Documents: database.Documents()}, database.Close, nil
}
