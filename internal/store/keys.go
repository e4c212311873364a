package store

import (
	"context"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// ErrFenced: the write came from a former owner of the session. The database refused it, and nothing of it was written.
var ErrFenced = fault.New(fault.RetryLater, "fenced", "Another worker owns this session now; what this one still wrote was refused")

// KeyRow is one row of the key store: a Signal session, a prekey, a device's own keys. internal/wa/keys says what it means and seals
// its value; a database sees the address of a row and bytes.
type KeyRow struct {
	// Session is the id of the session that the row belongs to.
	Session string
	// Kind names the collection of the row ("identity", "prekey"), Key the row within session and kind. Kind is 1 to 32 lower-case
	// letters, digits or underscores. Key is valid UTF-8 without NUL, at most 512 bytes, may be empty, and is compared bytewise.
	Kind string
	Key  string
	// Value is at most MaxKeyValue bytes long, and never empty.
	Value []byte
	// Expires is when the row may be deleted; zero: never. A read may give a row for some time after.
	Expires time.Time
}

// KeyChange is one write of a batch: the row to store, or, when Row.Value is empty, the row to delete.
type KeyChange struct {
	Kind    string
	Key     string
	Value   []byte
	Expires time.Time
}

// KeyBatch is what one owner writes at once. No row stands in it twice.
type KeyBatch struct {
	Session string
	// Epoch is that of the owner's lease, 1 or more. A batch whose epoch is lower than one that was written for the same session before
	// (or fenced off by Fence) is ErrFenced.
	Epoch   uint64
	Changes []KeyChange
	// Clear deletes every other row of the session first: only the rows of Changes are left.
	Clear bool
}

// Bounds of the key store.
const (
	// MaxKeyBatch is the most changes of a batch.
	MaxKeyBatch = 2000
	// MaxKeyValue is the longest value, in bytes.
	MaxKeyValue = 8 << 20
)

// KeyReseal is a row to seal anew: it gets the value New where it still has the value Old, and keeps its Expires.
type KeyReseal struct {
	Kind string
	Key  string
	Old  []byte
	New  []byte
}

// Keys persists the rows of the key store. A batch is written as a whole or not at all where the database can do so (both adapters can, but
// for a MongoDB-wire server without transactions; there the order of Changes is kept and a batch may be repeated). A row that is not there is
// no error for any call. Every write is durable when the call returns.
type Keys interface {
	// Fence makes the epoch the lowest that may write the rows of a session; ErrFenced when a higher one has. An owner calls it before its
	// first read, so that no write of a former owner can come after that read.
	Fence(ctx context.Context, session string, epoch uint64) error
	// Write applies a batch.
	Write(ctx context.Context, batch KeyBatch) error
	// Get gives those of the rows named that exist, in no particular order; at most MaxKeyBatch keys.
	Get(ctx context.Context, session, kind string, keys []string) ([]KeyRow, error)
	// Scan gives the rows of a kind whose key begins with a prefix, in bytewise order of their keys, as a keyset page. An empty prefix: all.
	Scan(ctx context.Context, session, kind, prefix string, page Page) (List[KeyRow], error)
	// Sessions gives the ids of the sessions that have a row of a kind, in their bytewise order, as a keyset page.
	Sessions(ctx context.Context, kind string, page Page) (List[string], error)
	// Reseal replaces values of a session, each row for itself, and returns how many. It neither asks for an epoch nor changes the one that
	// is fenced, because it changes no meaning: a row that is gone or has another value than Old by now is left as it is. At most MaxKeyBatch rows.
	Reseal(ctx context.Context, session string, rows []KeyReseal) (int, error)
	// DeleteExpired deletes rows whose Expires is before now, of all sessions and whatever their epoch, and returns how many. A database
	// that does so by itself may give zero.
	DeleteExpired(ctx context.Context, now time.Time) (int, error)
}
