package sqlite

import (
	"context"
	"slices"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Suppressions implements campaign.Suppressions.
type Suppressions struct{ db *DB }

const suppressionColumns = `phone, reason, source, created_at`

const (
	insertSuppression = `INSERT INTO suppressions (` + suppressionColumns + `) VALUES (?, ?, ?, ?) ON CONFLICT (phone) DO NOTHING`
	deleteSuppression = `DELETE FROM suppressions WHERE phone = ?`
	amongSuppressions = `SELECT ` + suppressionColumns + ` FROM suppressions WHERE phone IN (SELECT value FROM json_each(?))`
	listSuppressions  = `SELECT ` + suppressionColumns + ` FROM suppressions WHERE phone > ? ORDER BY phone LIMIT ?`
)

// amongChunk is how many phones one question holds.
const amongChunk = 1000

func scanSuppression(from row) (s campaign.Suppression, err error) {
	err = from.Scan(&s.Phone, &s.Reason, &s.Source, (*instant)(&s.CreatedAt))
	return s, err
}

// Add implements campaign.Suppressions. The batch may have any length, and is stored whole or not at all.
func (s *Suppressions) Add(ctx context.Context, batch []campaign.Suppression) error {
	return s.db.write(ctx, "add suppressions", func(tx *transaction) error {
		for _, added := range batch {
			if _, err := exec(ctx, tx, insertSuppression, added.Phone, added.Reason, added.Source, instant(added.CreatedAt)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Remove implements campaign.Suppressions.
func (s *Suppressions) Remove(ctx context.Context, phone string) error {
	return s.db.write(ctx, "remove suppression", func(tx *transaction) error {
		return existed(exec(ctx, tx, deleteSuppression, phone))
	})
}

// Among implements campaign.Suppressions.
func (s *Suppressions) Among(ctx context.Context, phones []string) (map[string]campaign.Suppression, error) {
	suppressed := map[string]campaign.Suppression{}
	for chunk := range slices.Chunk(phones, amongChunk) {
		found, err := queryAll(ctx, s.db.reader, amongSuppressions, []any{inJSON(&chunk)}, scanSuppression)
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
	after, err := suppressionCursor.text(page, "")
	if err != nil {
		return store.List[campaign.Suppression]{}, err
	}
	found, err := queryAll(ctx, s.db.reader, listSuppressions, []any{after, page.Limit() + 1}, scanSuppression)
	if err != nil {
		return store.List[campaign.Suppression]{}, s.db.explain(ctx, "list suppressions", err)
	}
	return listOf(found, page, suppressionCursor, func(s campaign.Suppression) string { return s.Phone }), nil
}
