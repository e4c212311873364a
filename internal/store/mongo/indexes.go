package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// index is one row of the table. Beside these, each collection has that of its _id.
type index struct {
	collection string
	name       string
	keys       []string
	unique     bool
	// only limits the index to the documents that this filter takes.
	only bson.D
	// expires deletes a document when the time in the first key has come.
	expires bool
	reason  string
}

// openRanks takes the deliveries in hand: campaign.Sending and campaign.Unknown. A partial index serves the queries whose filter holds its own.
var openRanks = bson.D{{Key: "$gte", Value: 1}, {Key: "$lte", Value: 2}}

// Names that queries tell the planner.
const (
	openIndex     = "deliveries_open"
	statesIndex   = "deliveries_by_state"
	sequenceIndex = "deliveries_by_sequence"
	kindIndex     = "keys_by_kind"
)

// indexes is the whole list. An index is never changed: one that must differ gets another name, so that the processes of two versions can run side
// by side during a deployment. The keys of equality stand first, then those of the order, then what spares a look at the document.
var indexes = []index{
	{collection: "sessions", name: "sessions_by_state", keys: []string{"state", "_id"},
		reason: "hosts look for linked sessions"},
	{collection: "sessions", name: "sessions_by_user", keys: []string{"user_id", "_id"},
		reason: "a user's list"},
	{collection: "sessions", name: "sessions_by_user_and_state", keys: []string{"user_id", "state", "_id"},
		reason: "a user's list, narrowed"},

	{collection: "campaigns", name: "campaigns_by_state", keys: []string{"state", "_id"},
		reason: "sweepers look for campaigns that are due"},
	{collection: "campaigns", name: "campaigns_by_user", keys: []string{"user_id", "_id"},
		reason: "a user's list"},
	{collection: "campaigns", name: "campaigns_by_user_and_state", keys: []string{"user_id", "state", "_id"},
		reason: "a user's list, narrowed"},
	{collection: "campaigns", name: "campaigns_by_session", keys: []string{"session_id", "_id"},
		reason: "the campaigns of a session"},
	{collection: "campaigns", name: "campaigns_by_session_and_state", keys: []string{"session_id", "state", "_id"},
		reason: "those that a session that was logged out must pause"},

	{collection: "deliveries", name: sequenceIndex, keys: []string{"campaign", "sequence"}, unique: true,
		reason: "a campaign's list; and its plan has one order"},
	{collection: "deliveries", name: statesIndex, keys: []string{"campaign", "state", "sequence"},
		reason: "what is pending, in order; the list of one state; and counts, which read nothing else"},
	{collection: "deliveries", name: openIndex, keys: []string{"campaign", "sequence", "run", "attempts", "rank"},
		only:   bson.D{{Key: "rank", Value: openRanks}},
		reason: "what a former run left in hand; a run asks before each batch, and reads no document for the answer \"nothing\""},

	{collection: "rejections", name: "rejections_by_row", keys: []string{"campaign", "row"}, unique: true,
		reason: "a campaign's list; and a row is rejected once"},

	{collection: "egresses", name: "egresses_by_session", keys: []string{"session"},
		reason: "a session's proxy goes with it"},

	{collection: "documents", name: "documents_by_expiry", keys: []string{"expires_at"}, expires: true,
		only:   bson.D{{Key: "expires_at", Value: bson.D{{Key: "$exists", Value: true}}}},
		reason: "some are forgotten; most never expire and are not in it"},

	{collection: "idempotency", name: "idempotency_by_expiry", keys: []string{"expires_at"}, expires: true,
		reason: "answers are forgotten after a day"},

	{collection: "keys", name: kindIndex, keys: []string{"kind", "session"},
		reason: "which sessions have a device"},
	{collection: "keys", name: "keys_by_expiry", keys: []string{"expires_at"}, expires: true,
		only:   bson.D{{Key: "expires_at", Value: bson.D{{Key: "$exists", Value: true}}}},
		reason: "retried messages and buffered events are forgotten; most rows never expire and are not in it"},
}

// Codes with which servers refuse a feature: CannotCreateIndex, InvalidOptions, InvalidIndexSpecificationOption, CommandNotSupported,
// NotImplemented.
var refusals = []int{67, 72, 197, 115, 238}

// namespaceExists is the code of a collection that is there already.
const namespaceExists = 48

// createIndexes makes those that do not exist, and finds out which kinds the server has.
func (db *DB) createIndexes(ctx context.Context) error {
	// A transaction of MongoDB 4.2 cannot make a collection; this is the only one that has no index of its own.
	if err := db.fences.Database().CreateCollection(ctx, db.fences.Name()); err != nil && !slices.Contains(mongo.ErrorCodes(err), namespaceExists) {
		return fmt.Errorf("make the collection of fences: %w", err)
	}
	db.capable.PartialIndexes, db.capable.ExpiringIndexes = true, true
	for _, wanted := range indexes {
		if err := db.createIndex(ctx, wanted); err != nil {
			return fmt.Errorf("make the index %s: %w", wanted.name, err)
		}
	}
	return nil
}

// createIndex makes one index, with the features that the server has. An index without them serves the same queries.
func (db *DB) createIndex(ctx context.Context, wanted index) error {
	on := db.sessions.Database().Collection(wanted.collection).Indexes()
	special := wanted.only != nil && db.capable.PartialIndexes || wanted.expires && db.capable.ExpiringIndexes
	_, err := on.CreateOne(ctx, db.model(wanted))
	if err == nil || !special || !refused(err) {
		return err
	}
	// Each kind is taken away alone, so that a server that has one of them keeps it.
	for _, without := range []struct{ partial, expiring bool }{{true, false}, {false, true}, {true, true}} {
		before := db.capable
		db.capable.PartialIndexes = before.PartialIndexes && !(without.partial && wanted.only != nil)
		db.capable.ExpiringIndexes = before.ExpiringIndexes && !(without.expiring && wanted.expires)
		if db.capable == before {
			continue
		}
		if _, err = on.CreateOne(ctx, db.model(wanted)); err == nil {
			return nil
		}
		db.capable = before
	}
	return err
}

func (db *DB) model(wanted index) mongo.IndexModel {
	keys := bson.D{}
	for _, key := range wanted.keys {
		keys = append(keys, bson.E{Key: key, Value: 1})
	}
	o := options.Index().SetName(wanted.name)
	if wanted.unique {
		o.SetUnique(true)
	}
	if wanted.only != nil && db.capable.PartialIndexes {
		o.SetPartialFilterExpression(wanted.only)
	}
	if wanted.expires && db.capable.ExpiringIndexes {
		o.SetExpireAfterSeconds(0)
	}
	return mongo.IndexModel{Keys: keys, Options: o}
}

func refused(err error) bool {
	var failure mongo.ServerError
	return errors.As(err, &failure) && slices.ContainsFunc(failure.ErrorCodes(), func(code int) bool { return slices.Contains(refusals, code) })
}
