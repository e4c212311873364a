package mongo

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// document is a record as a collection holds it, and how the domain sees it.
type document[T any] interface{ record() T }

// field is one entry of a filter, an update or an order.
func field(key string, value any) bson.E { return bson.E{Key: key, Value: value} }

// byID is the filter that takes one document.
func byID[S ~string](id S) bson.D { return bson.D{field("_id", string(id))} }

// among is the filter of documents with one of these ids.
func among(ids []string) bson.D { return bson.D{field("_id", bson.D{field("$in", ids)})} }

// readOne gives the record with an id; mongo.ErrNoDocuments when there is none.
func readOne[D document[T], T any](ctx context.Context, from *mongo.Collection, id string) (record T, err error) {
	var found D
	if err := from.FindOne(ctx, byID(id)).Decode(&found); err != nil {
		return record, err
	}
	return found.record(), nil
}

// readAll gives the records that a filter takes, in an order.
func readAll[D document[T], T any](ctx context.Context, from *mongo.Collection, filter bson.D, o *options.FindOptionsBuilder) ([]T, error) {
	cursor, err := from.Find(ctx, filter, o)
	if err != nil {
		return nil, err
	}
	var found []D
	if err := cursor.All(ctx, &found); err != nil {
		return nil, err
	}
	records := make([]T, len(found))
	for i := range found {
		records[i] = found[i].record()
	}
	return records, nil
}

// identity is what is read of a document when its id is enough.
type identity struct {
	ID string `bson:"_id"`
}

func (i identity) record() string { return i.ID }

// idsOf gives the ids of the documents that a filter takes.
func idsOf(ctx context.Context, from *mongo.Collection, filter bson.D, o *options.FindOptionsBuilder) ([]string, error) {
	return readAll[identity](ctx, from, filter, o.SetProjection(bson.D{field("_id", 1)}))
}

// existing gives which of the ids exist.
func existing(ctx context.Context, in *mongo.Collection, ids []string) (map[string]bool, error) {
	if len(ids) == 0 {
		return nil, nil // nil is no list to the server
	}
	found, err := idsOf(ctx, in, among(unique(ids)), options.Find())
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(found))
	for _, id := range found {
		known[id] = true
	}
	return known, nil
}

// unique gives each text once.
func unique(texts []string) []string {
	sorted := slices.Sorted(slices.Values(texts))
	return slices.Compact(sorted)
}
