package mongo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Inspection is what can be told about a database without changing it.
type Inspection struct {
	// Version is that of the server.
	Version string
	// Time is the server's clock when it answered, At this machine's, and Took how long that took.
	Time, At time.Time
	Took     time.Duration
	// MissingIndexes names the indexes that do not exist.
	MissingIndexes []string
	// Lacks says what the server cannot do, and what that costs.
	Lacks []string
}

// inspectTimeout bounds the wait for a primary.
const inspectTimeout = 5 * time.Second

// Look connects once, without waiting for the server and without making anything.
func Look(ctx context.Context, o Options) (seen Inspection, err error) {
	db, err := New(o)
	if err != nil {
		return seen, err
	}
	defer func() { _ = db.Close() }()
	if err := db.ping(ctx, inspectTimeout); err != nil {
		return seen, fmt.Errorf("connect to MongoDB at %s: %w", db.address(), err)
	}
	var build struct {
		Version string `bson:"version"`
	}
	if err := db.run(ctx, "admin", bson.D{{Key: "buildInfo", Value: 1}}, &build); err != nil {
		return seen, db.explain(ctx, "ask for the version", err)
	}
	var hello struct {
		Time time.Time `bson:"localTime"`
	}
	began := time.Now()
	if err := db.run(ctx, "admin", bson.D{{Key: "hello", Value: 1}}, &hello); err != nil {
		return seen, db.explain(ctx, "ask for the time", err)
	}
	seen = Inspection{Version: build.Version, Time: hello.Time, At: time.Now(), Took: time.Since(began)}
	if err := db.detect(ctx); err != nil {
		return seen, db.explain(ctx, "ask MongoDB what it can do", err)
	}
	db.capable.PartialIndexes, db.capable.ExpiringIndexes = true, true // found out by making them only
	seen.Lacks = db.capable.lacks()
	seen.MissingIndexes, err = db.missingIndexes(ctx)
	return seen, err
}

func (db *DB) missingIndexes(ctx context.Context) (missing []string, err error) {
	known := map[string][]string{}
	for _, wanted := range indexes {
		names, asked := known[wanted.collection]
		if !asked {
			specifications, err := db.sessions.Database().Collection(wanted.collection).Indexes().ListSpecifications(ctx)
			if err != nil {
				return nil, db.explain(ctx, "list the indexes", err)
			}
			for _, specification := range specifications {
				names = append(names, specification.Name)
			}
			known[wanted.collection] = names
		}
		if !slices.Contains(names, wanted.name) {
			missing = append(missing, wanted.name)
		}
	}
	return missing, nil
}
