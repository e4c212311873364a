package mongo

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/dannsalud/broadcaster/internal/store"
)

// Keys implements store.Keys. Each session has a fence, a document with the lowest epoch that may write. Where the server has transactions a batch
// is one, which writes to the fence first, so that two owners' batches and a Fence never pass each other. Elsewhere (keys_plain.go) each row says itself
// which epoch wrote it, and refuses a lower one.
type Keys struct{ db *DB }

// keyDocument is a row as the collection holds it. Its id is its address, so that one index serves a row, a kind in order, and a session.
type keyDocument struct {
	Address string    `bson:"_id"`
	Session string    `bson:"session"`
	Kind    string    `bson:"kind"`
	Epoch   int64     `bson:"epoch"`
	Value   []byte    `bson:"value"`
	Expires time.Time `bson:"expires_at,omitempty"`
}

func (d keyDocument) record() store.KeyRow {
	return store.KeyRow{Session: d.Session, Kind: d.Kind, Key: strings.TrimPrefix(d.Address, addressOf(d.Session, d.Kind, "")), Value: d.Value, Expires: d.Expires}
}

// escapeSession keeps the slash of an address what it is. The ids of sessions have no such characters, so that it changes none of them.
var escapeSession = strings.NewReplacer("%", "%25", "/", "%2F")

// addressOf gives the id of a row. A kind has no slash, and a key may have any: it stands last.
func addressOf(session, kind, key string) string { return sessionPrefix(session) + kind + "/" + key }

// sessionPrefix begins the addresses of a session's rows.
func sessionPrefix(session string) string { return escapeSession.Replace(session) + "/" }

// startingWith is the range of ids that begin with a prefix, or, of these, that come behind one.
func startingWith(prefix, behind string) bson.E {
	from := field("$gte", prefix)
	if behind != "" {
		from = field("$gt", behind)
	}
	return field("_id", bson.D{from, field("$lt", endOf(prefix))})
}

// endOf gives the first text that sorts behind all that begin with a prefix, which is not empty: its last letter raised by one. MongoDB compares the
// bytes of UTF-8, whose order is that of the letters.
func endOf(prefix string) string {
	letters := []rune(prefix)
	last := len(letters) - 1
	for letters[last] == utf8.MaxRune {
		letters, last = letters[:last], last-1
	}
	if letters[last]++; letters[last] == 0xD800 {
		letters[last] = 0xE000 // between them are no letters
	}
	return string(letters)
}

// Fence implements store.Keys.
func (k *Keys) Fence(ctx context.Context, session string, epoch uint64) error {
	err := store.CheckKeyEpoch(session, epoch)
	if err == nil {
		err = k.db.causally(ctx, func(ctx context.Context) error { return k.raise(ctx, session, epoch) })
	}
	return k.db.explain(ctx, doing("fence the keys of", session), err)
}

// raise makes an epoch the lowest that may write. A fence that is higher does not fit the filter, and cannot be inserted a second time.
func (k *Keys) raise(ctx context.Context, session string, epoch uint64) error {
	for {
		err := k.raiseOnce(ctx, session, epoch)
		if !mongo.IsDuplicateKeyError(err) {
			return err
		}
		// Either it is higher, or another call inserted it at the same moment.
		if err := k.notFenced(ctx, session, epoch); err != nil {
			return err
		}
	}
}

// raiseOnce always changes the fence: a write that changed nothing would not be in the way of another transaction's.
func (k *Keys) raiseOnce(ctx context.Context, session string, epoch uint64) error {
	_, err := k.db.fences.UpdateOne(ctx, append(byID(session), upTo(epoch)),
		bson.D{field("$set", bson.D{field("epoch", int64(epoch))}), field("$inc", bson.D{field("writes", int64(1))})}, options.UpdateOne().SetUpsert(true))
	return err
}

// upTo is the condition that an epoch may write.
func upTo(epoch uint64) bson.E { return field("epoch", bson.D{field("$lte", int64(epoch))}) }

// notFenced gives store.ErrFenced when a higher epoch has the session.
func (k *Keys) notFenced(ctx context.Context, session string, epoch uint64) error {
	higher := bson.D{field("_id", session), field("epoch", bson.D{field("$gt", int64(epoch))})}
	found, err := idsOf(ctx, k.db.fences, higher, options.Find())
	if err != nil {
		return fmt.Errorf("read the fence: %w", err)
	}
	if len(found) > 0 {
		return store.ErrFenced
	}
	return nil
}

// Write implements store.Keys.
func (k *Keys) Write(ctx context.Context, batch store.KeyBatch) error {
	err := store.CheckKeyBatch(batch)
	if err == nil {
		write := k.writeInOrder
		if k.db.capable.Transactions {
			write = k.writeAtOnce
		}
		err = k.db.causally(ctx, func(ctx context.Context) error { return write(ctx, batch) })
	}
	return k.db.explain(ctx, doing("write keys of", batch.Session), err)
}

// writes gives the writes of a batch. Each row takes only what guard, if there is one, lets it.
func writes(batch store.KeyBatch, guard ...bson.E) []mongo.WriteModel {
	models := make([]mongo.WriteModel, 0, len(batch.Changes))
	for _, change := range batch.Changes {
		address := addressOf(batch.Session, change.Kind, change.Key)
		filter := append(byID(address), guard...)
		if len(change.Value) == 0 {
			models = append(models, mongo.NewDeleteOneModel().SetFilter(filter))
			continue
		}
		models = append(models, mongo.NewReplaceOneModel().SetFilter(filter).SetUpsert(true).SetReplacement(keyDocument{Address: address,
			Session: batch.Session, Kind: change.Kind, Epoch: int64(batch.Epoch), Value: change.Value, Expires: change.Expires}))
	}
	return models
}

// Get implements store.Keys.
func (k *Keys) Get(ctx context.Context, session, kind string, keys []string) ([]store.KeyRow, error) {
	if err := store.CheckKeyNames(session, kind, keys); err != nil {
		return nil, k.db.explain(ctx, doing("read keys of", session), err)
	}
	addresses := make([]string, len(keys))
	for i, key := range keys {
		addresses[i] = addressOf(session, kind, key)
	}
	if len(addresses) == 0 {
		return nil, nil
	}
	found, err := readAll[keyDocument](ctx, k.db.keys, among(unique(addresses)), options.Find())
	return found, k.db.explain(ctx, doing("read keys of", session), err)
}

// Scan implements store.Keys.
func (k *Keys) Scan(ctx context.Context, session, kind, prefix string, page store.Page) (store.List[store.KeyRow], error) {
	after, further, err := keyCursor.text(page)
	if err == nil {
		err = store.CheckKeyNames(session, kind, []string{prefix})
	}
	if err != nil {
		return store.List[store.KeyRow]{}, k.db.explain(ctx, doing("scan keys of", session), err)
	}
	behind := ""
	if further {
		behind = addressOf(session, kind, after)
	}
	found, err := readAll[keyDocument](ctx, k.db.keys, bson.D{startingWith(addressOf(session, kind, prefix), behind)},
		options.Find().SetSort(bson.D{field("_id", 1)}).SetLimit(int64(page.Limit()+1)))
	if err != nil {
		return store.List[store.KeyRow]{}, k.db.explain(ctx, doing("scan keys of", session), err)
	}
	return listOf(found, page, keyCursor, func(r store.KeyRow) string { return r.Key }), nil
}

// Sessions implements store.Keys.
func (k *Keys) Sessions(ctx context.Context, kind string, page store.Page) (store.List[string], error) {
	after, further, err := keySessionCursor.text(page)
	if err == nil {
		err = store.CheckKeyNames("any", kind, nil)
	}
	if err != nil {
		return store.List[string]{}, k.db.explain(ctx, "list sessions with keys", err)
	}
	filter := bson.D{field("kind", kind)}
	if further {
		filter = append(filter, field("session", bson.D{field("$gt", after)}))
	}
	cursor, err := k.db.keys.Aggregate(ctx, bson.A{
		bson.D{field("$match", filter)},
		bson.D{field("$group", bson.D{field("_id", "$session")})},
		bson.D{field("$sort", bson.D{field("_id", 1)})},
		bson.D{field("$limit", page.Limit()+1)},
	}, options.Aggregate().SetHint(kindIndex))
	var found []identity
	if err == nil {
		err = cursor.All(ctx, &found)
	}
	if err != nil {
		return store.List[string]{}, k.db.explain(ctx, "list sessions with keys", err)
	}
	ids := make([]string, len(found))
	for i := range found {
		ids[i] = found[i].ID
	}
	return listOf(ids, page, keySessionCursor, func(id string) string { return id }), nil
}

// Reseal implements store.Keys.
func (k *Keys) Reseal(ctx context.Context, session string, rows []store.KeyReseal) (resealed int, err error) {
	err = store.CheckKeyReseal(session, rows)
	models := make([]mongo.WriteModel, len(rows))
	for i, row := range rows {
		models[i] = update(append(byID(addressOf(session, row.Kind, row.Key)), field("value", row.Old)),
			bson.D{field("$set", bson.D{field("value", row.New)})})
	}
	if err == nil {
		resealed, err = k.db.bulk(ctx, k.db.keys, models)
	}
	return resealed, k.db.explain(ctx, doing("reseal keys of", session), err)
}

// DeleteExpired implements store.Keys.
func (k *Keys) DeleteExpired(ctx context.Context, now time.Time) (int, error) {
	result, err := k.db.keys.DeleteMany(ctx, bson.D{field("expires_at", bson.D{field("$lt", now)})})
	if err != nil {
		return 0, k.db.explain(ctx, "delete expired keys", err)
	}
	return int(result.DeletedCount), nil
}
