package mongo

import (
	"context"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/dannsalud/broadcaster/internal/store"
)

// Documents implements store.Documents. A document's _id is its folder and its id, so that the index of the _id gives both what is asked for by name
// and the order of lists. Names hold no line feed, and so no folder's documents lie between those of another.
type Documents struct {
	db        *DB
	documents *mongo.Collection
}

var _ store.Documents = (*Documents)(nil)

// Documents gives the store of documents.
func (db *DB) Documents() *Documents {
	return &Documents{db: db, documents: db.sessions.Database().Collection("documents")}
}

type shelfDocument struct {
	Key       string    `bson:"_id"`
	Data      []byte    `bson:"data"`
	ExpiresAt time.Time `bson:"expires_at,omitempty"`
}

const (
	betweenNames = "\n"
	behindNames  = "\v" // the character after it
)

func shelved(folder string, d store.Document) shelfDocument {
	data := d.Data
	if data == nil {
		data = []byte{} // nil would be stored as null
	}
	return shelfDocument{Key: folder + betweenNames + d.ID, Data: data, ExpiresAt: d.ExpiresAt}
}

func (d shelfDocument) record() store.Document {
	_, id, _ := strings.Cut(d.Key, betweenNames)
	return store.Document{ID: id, Data: d.Data, ExpiresAt: d.ExpiresAt}
}

func keysIn(folder string, ids []string) []string {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = folder + betweenNames + id
	}
	return keys
}

// unexpired drops the documents that the database has not deleted yet.
func unexpired(found []store.Document) []store.Document {
	kept, now := found[:0], time.Now()
	for _, each := range found {
		if each.ExpiresAt.IsZero() || each.ExpiresAt.After(now) {
			kept = append(kept, each)
		}
	}
	return kept
}

// Create implements store.Documents.
func (d *Documents) Create(ctx context.Context, folder string, created store.Document) error {
	if err := store.CheckDocuments(folder, []store.Document{created}); err != nil {
		return err
	}
	err := d.db.causally(ctx, func(ctx context.Context) error {
		put := shelved(folder, created)
		_, err := d.documents.InsertOne(ctx, put)
		if !mongo.IsDuplicateKeyError(err) {
			return err
		}
		expired := append(byID(put.Key), field("expires_at", bson.D{field("$lte", time.Now())}))
		replaced, err := d.documents.ReplaceOne(ctx, expired, put)
		if err == nil && replaced.MatchedCount == 0 {
			err = store.ErrConflict
		}
		return err
	})
	return d.db.explain(ctx, "create document", err)
}

// Put implements store.Documents.
func (d *Documents) Put(ctx context.Context, folder string, batch []store.Document) error {
	if err := store.CheckDocuments(folder, batch); err != nil || len(batch) == 0 {
		return err
	}
	writes := make([]mongo.WriteModel, len(batch))
	for i, each := range batch {
		put := shelved(folder, each)
		writes[i] = mongo.NewReplaceOneModel().SetFilter(byID(put.Key)).SetReplacement(put).SetUpsert(true)
	}
	_, err := d.db.bulk(ctx, d.documents, writes)
	if err == nil && !d.db.capable.ExpiringIndexes {
		_, err = d.documents.DeleteMany(ctx, bson.D{field("expires_at", bson.D{field("$lt", time.Now())})})
	}
	return d.db.explain(ctx, "put documents", err)
}

// Among implements store.Documents.
func (d *Documents) Among(ctx context.Context, folder string, ids []string) ([]store.Document, error) {
	if err := store.CheckDocumentIDs(folder, ids); err != nil || len(ids) == 0 {
		return nil, err
	}
	found, err := readAll[shelfDocument](ctx, d.documents, among(keysIn(folder, ids)), options.Find().SetSort(bson.D{field("_id", 1)}))
	return unexpired(found), d.db.explain(ctx, "read documents", err)
}

// List implements store.Documents.
func (d *Documents) List(ctx context.Context, folder string, page store.Page) (store.List[store.Document], error) {
	after, _, err := documentCursor.text(page)
	if err != nil {
		return store.List[store.Document]{}, err
	}
	// A page may come short of expired ones; only what lies behind it says whether there is a next one.
	inFolder := bson.D{field("_id", bson.D{field("$gt", folder+betweenNames+after), field("$lt", folder+behindNames)})}
	found, err := readAll[shelfDocument](ctx, d.documents, inFolder, options.Find().SetSort(bson.D{field("_id", 1)}).SetLimit(int64(page.Limit()+1)))
	if err != nil {
		return store.List[store.Document]{}, d.db.explain(ctx, "list documents", err)
	}
	list := listOf(found, page, documentCursor, func(d store.Document) string { return d.ID })
	list.Items = unexpired(list.Items)
	return list, nil
}

// Remove implements store.Documents.
func (d *Documents) Remove(ctx context.Context, folder string, ids []string) (int, error) {
	if err := store.CheckDocumentIDs(folder, ids); err != nil || len(ids) == 0 {
		return 0, err
	}
	removed, err := d.documents.DeleteMany(ctx, among(keysIn(folder, ids)))
	if err != nil {
		return 0, d.db.explain(ctx, "delete documents", err)
	}
	return int(removed.DeletedCount), nil
}

// Clear implements store.Documents.
func (d *Documents) Clear(ctx context.Context, folder string) error {
	_, err := d.documents.DeleteMany(ctx, bson.D{field("_id", bson.D{field("$gt", folder+betweenNames), field("$lt", folder+behindNames)})})
	return d.db.explain(ctx, "delete documents", err)
}
