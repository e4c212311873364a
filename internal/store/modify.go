package store

import (
	"context"
	"errors"
	"fmt"
)

// ErrUnchanged is returned by the function given to Modify to leave the record as it is.
var ErrUnchanged = errors.New("record unchanged")

// Records is what Modify needs of a port: records that know the revision they were read at.
type Records[K, R any] interface {
	// Get gives a record; ErrNotFound when there is none.
	Get(ctx context.Context, key K) (R, error)
	// Update replaces a record and raises its revision by one, if the stored one is still that of the record; else ErrConflict.
	Update(ctx context.Context, record R) error
}

// Modify reads a record, lets change alter it, and writes it back, again from the start when another writer came between: change may run
// several times and must have no effect but on the record. It returns the record as change left it, and whether it was written; its
// revision in the store is then higher by one.
//
// An error of change ends it, unwritten, with the record as it was read; ErrUnchanged does so without an error.
func Modify[K, R any](ctx context.Context, records Records[K, R], key K, change func(*R) error) (record R, written bool, err error) {
	for {
		current, err := records.Get(ctx, key)
		if err != nil {
			return record, false, fmt.Errorf("read: %w", err)
		}
		altered := current
		err = change(&altered)
		if errors.Is(err, ErrUnchanged) {
			return current, false, nil
		}
		if err != nil {
			return current, false, err
		}
		err = records.Update(ctx, altered)
		if err == nil {
			return altered, true, nil
		}
		if !errors.Is(err, ErrConflict) {
			return current, false, fmt.Errorf("write: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return current, false, fmt.Errorf("write again: %w", err)
		}
	}
}
