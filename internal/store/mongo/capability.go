package mongo

import (
	"context"
	"log/slog"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Capabilities are what the server can do. MongoDB as a replica set can do it all; a single mongod has no transactions, and other servers that
// speak its protocol lack more.
type Capabilities struct {
	// ReplicaSet: writes are kept by several servers. It is also true behind a router of shards.
	ReplicaSet bool
	// Transactions: a batch of keys is written as a whole or not at all.
	Transactions bool
	// Snapshots: a count sees one moment (MongoDB 5.0).
	Snapshots bool
	// PartialIndexes and ExpiringIndexes: the server keeps indexes of some documents, and deletes expired documents by itself.
	PartialIndexes  bool
	ExpiringIndexes bool
	// BulkLimit is the most updates that one command may hold.
	BulkLimit int
}

const (
	// ferretBulkLimit: FerretDB 1 keeps a connection to its own database for each update of a command, of which it has 100; a command
	// with more waits for itself for ever.
	ferretBulkLimit = 50
	// mongoBulkLimit keeps a command well below the 48 MB and 100 000 updates that MongoDB takes, and short enough for its time-out.
	mongoBulkLimit = 1000
)

// wireVersion50 is what MongoDB 5.0 says of itself, wireVersion42 what 4.2 says, whose transactions have no limit of 16 MB.
const (
	wireVersion50 = 13
	wireVersion42 = 8
)

// greeting is the part of the answer to "hello" that matters here.
type greeting struct {
	SetName        string `bson:"setName"`
	Message        string `bson:"msg"`
	MaxWireVersion int    `bson:"maxWireVersion"`
	SessionMinutes *int   `bson:"logicalSessionTimeoutMinutes"`
}

// detect asks what can be asked; createIndexes finds out about indexes by trying.
func (db *DB) detect(ctx context.Context) error {
	var hello greeting
	if err := db.run(ctx, "admin", bson.D{{Key: "hello", Value: 1}}, &hello); err != nil {
		return err
	}
	var build struct {
		Ferret string `bson:"ferretdbVersion"`
	}
	if err := db.run(ctx, "admin", bson.D{{Key: "buildInfo", Value: 1}}, &build); err != nil {
		return err
	}
	db.capable = capabilities(hello, build.Ferret != "")
	if db.bulkLimit > 0 {
		db.capable.BulkLimit = db.bulkLimit
	}
	return nil
}

func capabilities(hello greeting, ferret bool) Capabilities {
	replicated := hello.SetName != "" || hello.Message == "isdbgrid"
	c := Capabilities{ReplicaSet: replicated, BulkLimit: mongoBulkLimit,
		Transactions: replicated && hello.SessionMinutes != nil && hello.MaxWireVersion >= wireVersion42,
		Snapshots:    replicated && hello.SessionMinutes != nil && hello.MaxWireVersion >= wireVersion50}
	if ferret {
		c.BulkLimit = ferretBulkLimit
	}
	return c
}

// lacks lists what is missing, each with what that costs.
func (c Capabilities) lacks() []string {
	var lacks []string
	for _, row := range []struct {
		has  bool
		lack string
	}{
		{c.ReplicaSet, "replica set: what is written is on one machine only, and lost with it"},
		{c.Transactions, "transactions: a crash in the middle of a batch of keys leaves a part of it, until the batch is repeated"},
		{c.Snapshots, "snapshots: a count beside writes may count a delivery twice or not at all"},
		{c.PartialIndexes, "partial indexes: they hold all documents, and cost memory"},
		{c.ExpiringIndexes, "expiring indexes: expired answers are deleted by requests, and expired keys by the service's own sweep"},
		{c.BulkLimit >= mongoBulkLimit, "large bulk writes: batches are written in smaller pieces, which is slower"},
	} {
		if !row.has {
			lacks = append(lacks, row.lack)
		}
	}
	return lacks
}

// reportLacks says in one line what the server lacks.
func (db *DB) reportLacks(ctx context.Context) {
	if lacks := db.capable.lacks(); len(lacks) > 0 {
		db.log.LogAttrs(ctx, slog.LevelWarn, "database lacks features", slog.String("address", db.address()), slog.Any("lacks", lacks))
	}
}
