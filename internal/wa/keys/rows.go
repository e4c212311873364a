package keys

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/dannsalud/broadcaster/internal/store"
)

// get gives a row, from memory if it has been there before.
func (o *Owner) get(ctx context.Context, kind, key string) (row, error) {
	transaction := transactionOf(ctx, o)
	o.mu.Lock()
	found, known := o.remembered(transaction, address{kind, key})
	err := o.ended
	o.mu.Unlock()
	if err != nil || known {
		return found, err
	}
	rows, err := o.getMany(ctx, kind, []string{key})
	return rows[key], err
}

// getMany gives the rows that exist.
func (o *Owner) getMany(ctx context.Context, kind string, keys []string) (map[string]row, error) {
	rows := make(map[string]row, len(keys))
	missing, err := o.recall(ctx, kind, keys, rows)
	if err != nil {
		return nil, err
	}
	for chunk := range slices.Chunk(missing, store.MaxKeyBatch) {
		if err := o.load(ctx, kind, chunk, rows); err != nil {
			return nil, err
		}
	}
	maps.DeleteFunc(rows, func(_ string, r row) bool { return !r.exists() })
	return rows, nil
}

// recall gives what is in memory, and names what is not.
func (o *Owner) recall(ctx context.Context, kind string, keys []string, rows map[string]row) (missing []string, err error) {
	transaction := transactionOf(ctx, o)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended != nil {
		return nil, o.ended
	}
	for _, key := range keys {
		if found, known := o.remembered(transaction, address{kind, key}); known {
			rows[key] = found
		} else {
			missing = append(missing, key)
		}
	}
	return missing, nil
}

// remembered gives a row that is in memory. It is called with mu held.
func (o *Owner) remembered(transaction *transaction, at address) (row, bool) {
	if changed, known := transaction.get(at); known {
		return changed, true
	}
	if riding, known := o.riding[at]; known {
		return riding.row, true
	}
	return o.cache.get(at)
}

// load reads rows and remembers them, and those that do not exist. A row that was written meanwhile is not remembered: what was read of it may be
// older.
func (o *Owner) load(ctx context.Context, kind string, keys []string, rows map[string]row) error {
	mine := &loading{}
	o.mu.Lock()
	for _, key := range keys {
		o.loading[address{kind, key}] = mine
	}
	o.mu.Unlock()
	found, err := o.store.rows.get(ctx, o.options.Session, kind, keys)
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, key := range keys {
		at := address{kind, key}
		if o.loading[at] != mine {
			continue
		}
		delete(o.loading, at)
		if err == nil {
			o.cache.put(at, found[key])
		}
	}
	if err != nil {
		return fmt.Errorf("read the key store: %w", err)
	}
	maps.Copy(rows, found)
	return o.ended
}

// entry is a row with its key.
type entry struct {
	key string
	row
}

// scan gives the rows whose key begins with a prefix, in the order of their keys. Nothing is written meanwhile, so none is missed.
func (o *Owner) scan(ctx context.Context, kind, prefix string) ([]entry, error) {
	if err := o.lock(ctx); err != nil {
		return nil, err
	}
	defer o.unlock()
	rows, err := o.store.rows.scan(ctx, o.options.Session, kind, prefix)
	if err != nil {
		return nil, fmt.Errorf("read the key store: %w", err)
	}
	transaction := transactionOf(ctx, o)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended != nil {
		return nil, o.ended
	}
	covers := func(at address) bool {
		return at.kind == kind && len(at.key) >= len(prefix) && at.key[:len(prefix)] == prefix
	}
	for at, riding := range o.riding {
		if covers(at) {
			rows[at.key] = riding.row
		}
	}
	transaction.each(func(changed change) {
		if covers(changed.address) {
			rows[changed.key] = changed.row
		}
	})
	entries := make([]entry, 0, len(rows))
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		if rows[key].exists() {
			entries = append(entries, entry{key, rows[key]})
		}
	}
	return entries, nil
}

// erase deletes rows, as many at once as a batch takes.
func (o *Owner) erase(ctx context.Context, when urgency, kind string, entries []entry) error {
	for chunk := range slices.Chunk(entries, store.MaxKeyBatch) {
		changes := make([]change, len(chunk))
		for i, entry := range chunk {
			changes[i] = deletion(kind, entry.key)
		}
		if err := o.write(ctx, when, changes...); err != nil {
			return err
		}
	}
	return nil
}

// put gives the change that stores a value. The value is copied: it is written later.
func put(kind, key string, value []byte) change {
	return change{address{kind, key}, row{value: append([]byte{}, value...)}}
}

func deletion(kind, key string) change { return change{address: address{kind, key}} }
