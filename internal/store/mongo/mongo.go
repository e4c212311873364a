// Package mongo keeps the books and the key store in MongoDB, for services that run in several processes: sessions, campaigns and their
// deliveries, suppressions, the answers to idempotent requests, and the rows of internal/wa/keys.
//
// Nouns: DB (a database of a deployment, opened by Open), one store for each port (Sessions, Campaigns, Deliveries, Suppressions,
// Idempotency, Keys), Capabilities (what the server can do, asked at the start). The ports, with what they promise, stand beside the types
// that they persist; storetest proves that these stores keep the promises.
//
// Writes are acknowledged by a majority of the replica set and repeated once by the driver when a primary goes; reads are majority reads from
// the primary. A record changes by one filtered update of one document: the filter is the condition (a revision, a rank, an epoch), so that a writer
// that knows less than the store changes nothing. Only a batch of keys needs a transaction. Every query has an index (indexes.go), made at the start.
//
// Callers: internal/app opens it and hands the stores to the verbs. It must never decide policy: it stores what the domain says and reports
// failures by the classes of internal/fault. Neither errors nor logs hold a value of a record, or the password of the URI: for that reason no text of
// the server's, and none of the URI's parser, is ever passed on.
package mongo

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Options say which database to open.
type Options struct {
	// URI is the connection string, "mongodb://..." or "mongodb+srv://..."; required. What it says about write concern, read concern, read
	// preference and retries is overruled: the ports' promises rest on ours.
	URI string
	// Database is the name of the database; empty: "broadcaster".
	Database string
	// OperationTimeout bounds each call that comes without a deadline of its own; zero: 30 s.
	OperationTimeout time.Duration
	// BulkLimit is the most updates that one command holds; zero: what suits the server (see Capabilities).
	BulkLimit int
	// Log takes what is waited for and what the server lacks; nil: it is dropped.
	Log *slog.Logger
	// Registerer takes the metrics; nil: they are not registered.
	Registerer prometheus.Registerer

	// watch sees every command; tests compare them with the indexes.
	watch func(*event.CommandStartedEvent)
}

// defaultDatabase and defaultTimeout are the options' documented defaults.
const (
	defaultDatabase = "broadcaster"
	defaultTimeout  = 30 * time.Second
)

// DB is a database. Its methods and those of its stores may be called from any goroutine.
type DB struct {
	log    *slog.Logger
	hosts  []string
	client *mongo.Client
	closed atomic.Bool
	// capable is set by Connect, before any store is used.
	capable   Capabilities
	bulkLimit int

	sessions, campaigns, deliveries, rejections, suppressions, idempotency, keys, fences *mongo.Collection
}

// The stores implement the ports.
var (
	_ session.Store         = (*Sessions)(nil)
	_ campaign.Store        = (*Campaigns)(nil)
	_ campaign.Deliveries   = (*Deliveries)(nil)
	_ campaign.Suppressions = (*Suppressions)(nil)
	_ store.Idempotency     = (*Idempotency)(nil)
	_ store.Keys            = (*Keys)(nil)
)

// New checks the options. It reaches for no server: Connect does, and no store may be used before.
func New(o Options) (*DB, error) {
	if o.BulkLimit < 0 || o.OperationTimeout < 0 {
		return nil, errors.New("mongo: BulkLimit and OperationTimeout must not be negative")
	}
	if o.Database == "" {
		o.Database = defaultDatabase
	}
	if strings.ContainsAny(o.Database, "/\\. \"$*<>:|?\x00") || len(o.Database) > 63 {
		return nil, errors.New("mongo: Database is no name that MongoDB allows")
	}
	db := &DB{log: o.Log, bulkLimit: o.BulkLimit}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	settings, err := clientOptions(o)
	if err != nil {
		return nil, err
	}
	db.hosts = settings.Hosts
	if db.client, err = mongo.Connect(settings); err != nil {
		return nil, badURI()
	}
	db.name(db.client.Database(o.Database))
	return db, nil
}

// badURI does not repeat the parser's words: a password with a character that should have been encoded ends up in them.
func badURI() error {
	return errors.New("mongo: URI is no connection string: it must look like mongodb://user:password@host:27017,host2:27017/?replicaSet=rs0, " +
		"with the characters :/?#[]@% in user and password percent-encoded")
}

// clientOptions gives the settings of the driver; ours win over those of the URI.
func clientOptions(o Options) (*options.ClientOptions, error) {
	monitor, err := newMonitor(o.Registerer, o.watch)
	if err != nil {
		return nil, err
	}
	timeout := o.OperationTimeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	settings := options.Client().ApplyURI(o.URI).SetAppName("broadcaster").SetMonitor(monitor).SetTimeout(timeout).
		SetWriteConcern(writeconcern.Majority()).SetReadConcern(readconcern.Majority()).SetReadPreference(readpref.Primary()).
		SetRetryWrites(true).SetRetryReads(true)
	if o.URI == "" || settings.Validate() != nil {
		return nil, badURI()
	}
	return settings, nil
}

// name says which collection holds what.
func (db *DB) name(in *mongo.Database) {
	db.sessions, db.campaigns = in.Collection("sessions"), in.Collection("campaigns")
	db.deliveries, db.rejections = in.Collection("deliveries"), in.Collection("rejections")
	db.suppressions, db.idempotency = in.Collection("suppressions"), in.Collection("idempotency")
	db.keys, db.fences = in.Collection("keys"), in.Collection("key_fences")
}

// Capabilities gives what the server can do; known from Connect on.
func (db *DB) Capabilities() Capabilities { return db.capable }

// Sessions gives the store of sessions.
func (db *DB) Sessions() *Sessions { return &Sessions{db: db} }

// Campaigns gives the store of campaigns.
func (db *DB) Campaigns() *Campaigns { return &Campaigns{db: db} }

// Deliveries gives the store of deliveries and rejections.
func (db *DB) Deliveries() *Deliveries { return &Deliveries{db: db} }

// Suppressions gives the store of suppressions.
func (db *DB) Suppressions() *Suppressions { return &Suppressions{db: db} }

// Idempotency gives the store of answers to idempotent requests.
func (db *DB) Idempotency() *Idempotency { return &Idempotency{db: db} }

// Keys gives the store of the key store's rows.
func (db *DB) Keys() *Keys { return &Keys{db: db} }

// doing names a call for an error, without the values of a record.
func doing(what, id string) string { return fmt.Sprintf("%s %s", what, id) }
