package keys

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// transaction collects the writes of one decryption. Reads in its context see them, nobody else does.
type transaction struct {
	owner *Owner

	mu      sync.Mutex
	changes []change
	index   map[address]int
	ended   bool
}

type transactionKey struct{}

// transactionOf gives the transaction that a context belongs to; nil when there is none, or it is another owner's.
func transactionOf(ctx context.Context, owner *Owner) *transaction {
	if t, ok := ctx.Value(transactionKey{}).(*transaction); ok && t.owner == owner {
		return t
	}
	return nil
}

// errTransactionEnded: the context of a transaction was used after its end.
var errTransactionEnded = errors.New("the decryption that this write belongs to has ended")

func (t *transaction) put(changes []change) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return errTransactionEnded
	}
	for _, changed := range changes {
		if at, known := t.index[changed.address]; known {
			t.changes[at] = changed
			continue
		}
		t.index[changed.address] = len(t.changes)
		t.changes = append(t.changes, changed)
	}
	return nil
}

// get gives what the transaction has written to a row. A nil transaction has written nothing.
func (t *transaction) get(at address) (row, bool) {
	if t == nil {
		return row{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i, known := t.index[at]
	if !known {
		return row{}, false
	}
	return t.changes[i].row, true
}

func (t *transaction) each(see func(change)) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, changed := range t.changes {
		see(changed)
	}
}

// end gives the changes, and refuses more.
func (t *transaction) end() []change {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	return t.changes
}

// DoDecryptionTxn implements store.EventBuffer: all that fn writes with its context is on the disk when the call returns nil, and nothing of
// it otherwise. Decryptions of one owner wait for each other, and for other changes that depend on what they read. One inside another is a
// part of it.
func (o *Owner) DoDecryptionTxn(ctx context.Context, fn func(context.Context) error) error {
	if transactionOf(ctx, o) != nil {
		return fn(ctx)
	}
	o.modify.Lock()
	defer o.modify.Unlock()
	t := &transaction{owner: o, index: map[address]int{}}
	defer t.end()
	if err := fn(context.WithValue(ctx, transactionKey{}, t)); err != nil {
		return err
	}
	if err := o.do(ctx, &unit{changes: t.end(), urgency: durable}); err != nil {
		return fmt.Errorf("write a decryption: %w", err)
	}
	return nil
}

// alone lets a row be read, changed and written without another change between. In a transaction this is so already.
func (o *Owner) alone(ctx context.Context) (done func()) {
	if transactionOf(ctx, o) != nil {
		return func() {}
	}
	o.modify.Lock()
	return o.modify.Unlock
}
