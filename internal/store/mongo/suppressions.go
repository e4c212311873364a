package mongo

import (
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Suppressions implements campaign.Suppressions.
type Suppressions struct{ db *DB }

// suppressionChunk is how many phones one command holds.
const suppressionChunk = 1000

// suppressionDocument is a suppression as the collection holds it.
type suppressionDocument struct {
	Phone     string    `bson:"_id"`
	Reason    string    `bson:"reason"`
	Source    string    `bson:"source"`
	CreatedAt time.Time `bson:"created_at,omitempty"`
}

func (d suppressionDocument) record() campaign.Suppression { return campaign.Suppression(d) }

// Add implements campaign.Suppressions. The batch may have any length; when it fails half-way, what it added stays.
func (s *Suppressions) Add(ctx context.Context, batch []campaign.Suppression) error {
	for chunk := range slices.Chunk(batch, suppressionChunk) {
		documents := make([]suppressionDocument, len(chunk))
		for i, added := range chunk {
			documents[i] = suppressionDocument(added)
		}
		if _, err := insertNew(ctx, s.db.suppressions, documents); err != nil {
			return s.db.explain(ctx, "add suppressions", err)
		}
	}
	return nil
}

// Remove implements campaign.Suppressions.
func (s *Suppressions) Remove(ctx context.Context, phone string) error {
	return s.db.explain(ctx, "remove suppression", remove(ctx, s.db.suppressions, phone))
}

// Among implements campaign.Suppressions.
func (s *Suppressions) Among(ctx context.Context, phones []string) (map[string]campaign.Suppression, error) {
	suppressed := map[string]campaign.Suppression{}
	for chunk := range slices.Chunk(phones, suppressionChunk) {
		found, err := readAll[suppressionDocument](ctx, s.db.suppressions, among(chunk), options.Find())
		if err != nil {
			return nil, s.db.explain(ctx, "look for suppressions", err)
		}
		for _, each := range found {
			suppressed[each.Phone] = each
		}
	}
	return suppressed, nil
}

// List implements campaign.Suppressions.
func (s *Suppressions) List(ctx context.Context, page store.Page) (store.List[campaign.Suppression], error) {
	list := listing[campaign.Suppression]{collection: s.db.suppressions, cursor: suppressionCursor,
		key: func(s campaign.Suppression) string { return s.Phone }}
	found, err := listPage[suppressionDocument](ctx, list, bson.D{}, page)
	return found, s.db.explain(ctx, "list suppressions", err)
}
