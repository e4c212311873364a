package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/dannsalud/broadcaster/internal/store"
)

// replacement is a record to write over its earlier revision. The update changes nothing unless that revision is the stored one.
type replacement struct {
	update string
	values []any
	// exists finds the record of this id, whatever its revision.
	exists string
	id     string
}

// replace writes a record, and tells one that changed meanwhile from one that is gone.
func replace(ctx context.Context, tx *transaction, r replacement) error {
	changed, err := exec(ctx, tx, r.update, r.values...)
	if err != nil || changed == 1 {
		return err
	}
	var there int
	err = queryOne(ctx, tx, r.exists, []any{r.id}, &there)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNotFound
	case err != nil:
		return err
	}
	return store.ErrConflict
}

// existed turns "nothing changed" into store.ErrNotFound.
func existed(changed int, err error) error {
	if err == nil && changed == 0 {
		return store.ErrNotFound
	}
	return err
}

// single gives the only record of a read, store.ErrNotFound when there is none.
func single[T any](items []T, err error) (T, error) {
	if err == nil && len(items) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		var none T
		return none, err
	}
	return items[0], nil
}
