package mongo

import (
	"context"
	"errors"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/dannsalud/broadcaster/internal/store"
)

// causally runs calls of which a later one explains what an earlier one met. A majority read may come from before a write of another process that
// an insert or an update of ours has met already, because a majority does not have it yet: in a session of their own, reads wait for it.
func (db *DB) causally(ctx context.Context, work func(context.Context) error) error {
	if !db.capable.ReplicaSet {
		return work(ctx)
	}
	return db.client.UseSession(ctx, work)
}

// replace writes a record over its earlier revision, and tells one that changed meanwhile from one that is gone.
func (db *DB) replace(ctx context.Context, in *mongo.Collection, id string, revision int64, document any) error {
	return db.causally(ctx, func(ctx context.Context) error {
		result, err := in.ReplaceOne(ctx, append(byID(id), field("revision", revision)), document)
		if err != nil || result.MatchedCount == 1 {
			return err
		}
		known, err := existing(ctx, in, []string{id})
		switch {
		case err != nil:
			return err
		case !known[id]:
			return store.ErrNotFound
		}
		return store.ErrConflict
	})
}

// remove deletes a document; store.ErrNotFound when there is none.
func remove(ctx context.Context, in *mongo.Collection, id string) error {
	result, err := in.DeleteOne(ctx, byID(id))
	if err == nil && result.DeletedCount == 0 {
		return store.ErrNotFound
	}
	return err
}

// insertNew inserts documents and gives the indexes of those that a unique index refused: they exist already, or came earlier in the batch.
func insertNew[D any](ctx context.Context, in *mongo.Collection, documents []D) (refused []int, err error) {
	if len(documents) == 0 {
		return nil, nil // the driver takes no empty batch
	}
	_, err = in.InsertMany(ctx, documents, options.InsertMany().SetOrdered(false))
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil {
		return nil, err
	}
	for _, failed := range bulk.WriteErrors {
		if !mongo.IsDuplicateKeyError(failed) {
			return nil, err
		}
		refused = append(refused, failed.Index)
	}
	slices.Sort(refused)
	return refused, nil
}

// bulk applies writes in their order, in commands no longer than the server takes, and gives how many documents they changed.
func (db *DB) bulk(ctx context.Context, in *mongo.Collection, writes []mongo.WriteModel) (modified int, err error) {
	for chunk := range slices.Chunk(writes, db.capable.BulkLimit) {
		result, err := in.BulkWrite(ctx, chunk)
		if err != nil {
			return modified, err
		}
		modified += int(result.ModifiedCount)
	}
	return modified, nil
}

// update is one write of a bulk: what the filter takes is changed.
func update(filter, change bson.D) *mongo.UpdateOneModel {
	return mongo.NewUpdateOneModel().SetFilter(filter).SetUpdate(change)
}
