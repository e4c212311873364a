package mongo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// attempt is how long one try to reach a primary takes; firstWait and longestWait bound the pause behind a failed one, which doubles.
const (
	attempt     = 3 * time.Second
	firstWait   = 200 * time.Millisecond
	longestWait = 15 * time.Second
)

// closeTime bounds how long Close waits for calls in progress.
const closeTime = 10 * time.Second

// Open is New and Connect.
func Open(ctx context.Context, o Options) (*DB, error) {
	db, err := New(o)
	if err != nil {
		return nil, err
	}
	if err := db.Connect(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Connect waits until the deployment has a primary that answers, as long as the context lasts, and says what it waits for: also for a user that is
// refused, because who installs the deployment may make the user after the services. Then it asks what the server can do and makes the indexes that do not
// exist.
func (db *DB) Connect(ctx context.Context) error {
	if err := db.await(ctx); err != nil {
		return fmt.Errorf("wait for MongoDB at %s: %w", db.address(), err)
	}
	if err := db.detect(ctx); err != nil {
		return db.explain(ctx, "ask MongoDB what it can do", err)
	}
	if err := db.createIndexes(ctx); err != nil {
		return db.explain(ctx, "make the indexes", err)
	}
	db.reportLacks(ctx)
	return nil
}

// address gives the hosts of the URI. They are no secret; user and password are not among them.
func (db *DB) address() string { return strings.Join(db.hosts, ",") }

// await tries until a primary answers. The pauses are jittered, so that services that lost the database together do not come back together.
func (db *DB) await(ctx context.Context) error {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		err := db.ping(ctx, attempt)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || errors.Is(err, mongo.ErrClientDisconnected) {
			return err
		}
		pause := wait/2 + rand.N(wait/2) //nolint:gosec // jitter guards nothing
		db.log.Log(ctx, levelOfWait(wait), "waiting for MongoDB", "address", db.address(), "retry_in", pause, "class", fault.Of(err), "error", err)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// levelOfWait: a service that starts a moment before its database is no news; one that waits for longer is.
func levelOfWait(wait time.Duration) slog.Level {
	if wait <= 4*firstWait {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// sleep waits, unless the context ends before.
func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ping asks the primary for a sign of life, with the user of the URI.
func (db *DB) ping(ctx context.Context, limit time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return db.explain(ctx, "reach the primary", db.client.Ping(limited, readpref.Primary()))
}

// Health tells whether a primary answers within two seconds; it is what a readiness probe asks.
func (db *DB) Health(ctx context.Context) error { return db.ping(ctx, 2*time.Second) }

// Close waits for calls in progress and ends the connections. Calls that come later fail with a class that lets the work be tried elsewhere.
func (db *DB) Close() error {
	if db.closed.Swap(true) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if err := db.client.Disconnect(ctx); err != nil {
		return fmt.Errorf("close the connections to MongoDB: %w", db.classify(ctx, err))
	}
	return nil
}

// run gives the answer to a command about the server itself.
func (db *DB) run(ctx context.Context, database string, command bson.D, answer any) error {
	return db.client.Database(database).RunCommand(ctx, command).Decode(answer)
}

// Disk gives the size of the disk that the server keeps its data on, and what is free on it, both in bytes; zeros when the server does not say.
func (db *DB) Disk(ctx context.Context) (size, free uint64, err error) {
	var stats struct {
		Size float64 `bson:"fsTotalSize"`
		Used float64 `bson:"fsUsedSize"`
	}
	if err := db.run(ctx, db.sessions.Database().Name(), bson.D{{Key: "dbStats", Value: 1}}, &stats); err != nil {
		return 0, 0, db.classify(ctx, err)
	}
	return uint64(stats.Size), uint64(max(0, stats.Size-stats.Used)), nil
}
