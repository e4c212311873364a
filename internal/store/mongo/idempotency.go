package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/dannsalud/broadcaster/internal/store"
)

// Idempotency implements store.Idempotency.
type Idempotency struct{ db *DB }

// requestDocument is a request as the collection holds it. Status is 0 while it is in progress.
type requestDocument struct {
	Key         string    `bson:"_id"`
	Fingerprint string    `bson:"fingerprint"`
	BegunAt     time.Time `bson:"begun_at"`
	// ExpiresAt is when the database may delete it, by the database's own clock, which knows nothing of the caller's: the answer to a request
	// depends on BegunAt alone.
	ExpiresAt   time.Time `bson:"expires_at"`
	Status      int       `bson:"status"`
	ContentType string    `bson:"content_type"`
	Body        []byte    `bson:"body"`
}

// Begin implements store.Idempotency.
func (i *Idempotency) Begin(ctx context.Context, key, fingerprint string, at time.Time) (*store.Saved, error) {
	if err := store.CheckRequest(key, fingerprint, at); err != nil {
		return nil, err
	}
	now := time.Now()
	begun := requestDocument{Key: key, Fingerprint: fingerprint, BegunAt: at, ExpiresAt: now.Add(store.IdempotencyExpiry), Body: []byte{}}
	var saved *store.Saved
	err := i.db.causally(ctx, func(ctx context.Context) (err error) {
		saved, err = i.begin(ctx, begun)
		return err
	})
	if err == nil && !i.db.capable.ExpiringIndexes {
		_, err = i.db.idempotency.DeleteMany(ctx, bson.D{field("expires_at", bson.D{field("$lt", now)})})
	}
	return saved, i.db.explain(ctx, "begin idempotent request", err)
}

// begin takes the key, or says what became of the request that has it. It starts again when that request ended in between.
func (i *Idempotency) begin(ctx context.Context, begun requestDocument) (*store.Saved, error) {
	for {
		_, err := i.db.idempotency.InsertOne(ctx, begun)
		if !mongo.IsDuplicateKeyError(err) {
			return nil, err
		}
		var known requestDocument
		err = i.db.idempotency.FindOne(ctx, byID(begun.Key)).Decode(&known)
		if errors.Is(err, mongo.ErrNoDocuments) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if saved, err := known.request().Verdict(begun.Fingerprint, begun.BegunAt); saved != nil || err != nil {
			return saved, err
		}
		same := append(byID(begun.Key), field("fingerprint", known.Fingerprint), field("begun_at", known.BegunAt), field("status", known.Status))
		replaced, err := i.db.idempotency.ReplaceOne(ctx, same, begun)
		if err != nil || replaced.MatchedCount == 1 {
			return nil, err
		}
	}
}

func (d requestDocument) request() store.Request {
	return store.Request{Fingerprint: d.Fingerprint, BegunAt: d.BegunAt, Answer: store.Saved{Status: d.Status, ContentType: d.ContentType, Body: d.Body}}
}

// Finish implements store.Idempotency.
func (i *Idempotency) Finish(ctx context.Context, key string, answer store.Saved) error {
	if err := store.CheckAnswer(answer); err != nil {
		return err
	}
	body := answer.Body
	if body == nil {
		body = []byte{} // nil would be stored as null
	}
	finished, err := i.db.idempotency.UpdateOne(ctx, append(byID(key), field("status", 0)), bson.D{field("$set",
		bson.D{field("status", answer.Status), field("content_type", answer.ContentType), field("body", body)})})
	if err == nil && finished.MatchedCount == 0 {
		var known map[string]bool
		if known, err = existing(ctx, i.db.idempotency, []string{key}); err == nil && !known[key] {
			err = store.ErrNotFound
		}
	}
	return i.db.explain(ctx, "finish idempotent request", err)
}

// Release implements store.Idempotency.
func (i *Idempotency) Release(ctx context.Context, key string) error {
	_, err := i.db.idempotency.DeleteOne(ctx, append(byID(key), field("status", 0)))
	return i.db.explain(ctx, "release idempotent request", err)
}
