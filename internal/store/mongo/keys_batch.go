package mongo

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/dannsalud/broadcaster/internal/store"
)

// writeAtOnce writes a batch in a transaction. The driver repeats one that met another at the fence.
func (k *Keys) writeAtOnce(ctx context.Context, batch store.KeyBatch) error {
	for {
		err := inTransaction(ctx, func(ctx context.Context) error {
			if err := k.raiseOnce(ctx, batch.Session, batch.Epoch); err != nil {
				return err
			}
			if batch.Clear {
				if _, err := k.db.keys.DeleteMany(ctx, bson.D{startingWith(sessionPrefix(batch.Session), "")}); err != nil {
					return err
				}
			}
			_, err := k.db.bulk(ctx, k.db.keys, writes(batch))
			return err
		})
		if !mongo.IsDuplicateKeyError(err) {
			return err
		}
		// The fence is higher, or came into being at this moment.
		if err := k.notFenced(ctx, batch.Session, batch.Epoch); err != nil {
			return err
		}
	}
}

// inTransaction runs work in a transaction of the session that the context comes from. A majority has it when inTransaction returns nil; nothing of it
// is left otherwise. The work may run several times.
func inTransaction(ctx context.Context, work func(context.Context) error) error {
	_, err := mongo.SessionFromContext(ctx).WithTransaction(ctx, func(ctx context.Context) (any, error) { return nil, work(ctx) },
		options.Transaction().SetReadConcern(readconcern.Snapshot()).SetWriteConcern(writeconcern.Majority()))
	return err
}

// writeInOrder writes a batch without a transaction: the fence is asked before, each row refuses an epoch that is lower than its own, and the fence is asked
// again, so that an owner that lost the session in between learns of it. What it wrote until then stays, under the former epoch.
func (k *Keys) writeInOrder(ctx context.Context, batch store.KeyBatch) error {
	if err := k.raise(ctx, batch.Session, batch.Epoch); err != nil {
		return err
	}
	if batch.Clear {
		rows := bson.D{startingWith(sessionPrefix(batch.Session), ""), upTo(batch.Epoch)}
		if _, err := k.db.keys.DeleteMany(ctx, rows); err != nil {
			return err
		}
	}
	_, err := k.db.bulk(ctx, k.db.keys, writes(batch, upTo(batch.Epoch)))
	if err != nil && !mongo.IsDuplicateKeyError(err) {
		return err
	}
	if fenced := k.notFenced(ctx, batch.Session, batch.Epoch); fenced != nil || err == nil {
		return fenced
	}
	// A row of a higher epoch without a fence as high: only a restored backup of a part of the database looks so.
	return errors.Join(store.ErrFenced, bare(err))
}
