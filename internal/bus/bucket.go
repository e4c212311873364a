package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// What a bucket refuses. Any other error of a bucket is fault.RetryLater, and leaves the outcome of a write open: it may have happened, or may still
// happen.
var (
	// ErrExists: the key to create exists.
	ErrExists = errors.New("key exists")
	// ErrMissing: the key to read does not exist, was deleted, or expired.
	ErrMissing = errors.New("key does not exist")
	// ErrRevision: the key is not at the revision given, or does not exist.
	ErrRevision = errors.New("key is at another revision")
)

// Bucket is a set of keys with values, kept by JetStream. Each write of any key raises the bucket's revision, and a conditional write
// names the revision that it replaces, so that of two writers one is refused. In a bucket with a TTL every key expires by itself one TTL
// after its last write, counted by the server. Any text that is not empty may be a key.
type Bucket struct {
	name string
	kv   jetstream.KeyValue
}

// Change is one write of a key, as Watch reports it.
type Change struct {
	Key      string
	Value    []byte
	Revision uint64
	// Gone: the key was deleted or it expired; Value is empty.
	Gone bool
}

// Bucket opens a bucket of the topology by its name.
func (b *Bus) Bucket(ctx context.Context, name string) (*Bucket, error) {
	kv, err := b.js.KeyValue(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	return &Bucket{name: name, kv: kv}, nil
}

// Create writes a key that does not exist and returns its revision; ErrExists when it does.
func (b *Bucket) Create(ctx context.Context, key string, value []byte) (revision uint64, err error) {
	revision, err = b.kv.Create(ctx, encodeKey(key), value)
	if refused(err) {
		err = ErrExists
	}
	return revision, b.explain("create", err)
}

// Update writes a key that is at the given revision and returns the new one; else ErrRevision, also when the key does not exist.
func (b *Bucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if revision == 0 {
		return 0, b.explain("update", ErrRevision)
	}
	revision, err := b.kv.Update(ctx, encodeKey(key), value, revision)
	if refused(err) {
		err = ErrRevision
	}
	return revision, b.explain("update", err)
}

// Put writes a key whatever its state and returns the new revision.
func (b *Bucket) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	revision, err := b.kv.Put(ctx, encodeKey(key), value)
	return revision, b.explain("put", err)
}

// Get reads a key; ErrMissing when it does not exist. With several replicas the answer may lag behind the last write.
func (b *Bucket) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	entry, err := b.kv.Get(ctx, encodeKey(key))
	if err != nil {
		return nil, 0, b.explain("get", err)
	}
	return entry.Value(), entry.Revision(), nil
}

// Delete removes a key that is at the given revision; else ErrRevision, also when the key does not exist.
func (b *Bucket) Delete(ctx context.Context, key string, revision uint64) error {
	if revision == 0 {
		return b.explain("delete", ErrRevision)
	}
	err := b.kv.Delete(ctx, encodeKey(key), jetstream.LastRevision(revision))
	if refused(err) {
		err = ErrRevision
	}
	return b.explain("delete", err)
}

// Remove removes a key whatever its state; no error when it does not exist.
func (b *Bucket) Remove(ctx context.Context, key string) error {
	return b.explain("remove", b.kv.Purge(ctx, encodeKey(key)))
}

// Keys lists the keys that exist now, in no particular order.
func (b *Bucket) Keys(ctx context.Context) ([]string, error) {
	encoded, err := b.kv.Keys(ctx)
	if errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, nil
	}
	if err != nil {
		return nil, b.explain("list", err)
	}
	keys := make([]string, len(encoded))
	for i, key := range encoded {
		keys[i] = decodeKey(key)
	}
	return keys, nil
}

// Watch calls changed with each write from now on, in order and one at a time, until the context ends (then it returns nil) or the
// connection is closed. An empty key watches all keys. The expiry of a key is reported in buckets that leave markers (leases), up to a
// second late; in the others it passes unseen.
func (b *Bucket) Watch(ctx context.Context, key string, changed func(Change)) error {
	filter := jetstream.AllKeys
	if key != "" {
		filter = encodeKey(key)
	}
	watcher, err := b.kv.Watch(ctx, filter, jetstream.UpdatesOnly())
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return b.explain("watch", err)
	}
	defer func() { _ = watcher.Stop() }() // It fails only when the subscription is over.
	for {
		select {
		case <-ctx.Done():
			return nil
		case entry, open := <-watcher.Updates():
			if ctx.Err() != nil {
				return nil
			}
			if !open {
				return b.explain("watch", errors.New("the connection was closed"))
			}
			if entry != nil {
				changed(changeOf(entry))
			}
		}
	}
}

func changeOf(entry jetstream.KeyValueEntry) Change {
	change := Change{Key: decodeKey(entry.Key()), Revision: entry.Revision()}
	if entry.Operation() == jetstream.KeyValuePut {
		change.Value = entry.Value()
	} else {
		change.Gone = true
	}
	return change
}

// refused tells whether the server refused a conditional write because the key is not as the writer thought. It goes by the server's
// error codes (one for single, one for replicated streams), since the client maps them to different errors in different methods.
func refused(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// explain names the bucket and the action. The key is left out: it may name a person's number.
func (b *Bucket) explain(action string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrKeyDeleted):
		err = ErrMissing
	}
	err = fmt.Errorf("%s in bucket %s: %w", action, b.name, err)
	if errors.Is(err, ErrMissing) || errors.Is(err, ErrExists) || errors.Is(err, ErrRevision) {
		return err
	}
	return fault.Wrap(err, fault.RetryLater, "queue_unavailable", "The queue did not answer; try again")
}

const hexDigits = "0123456789ABCDEF"

// encodeKey makes any text a valid key of a single token: letters, digits, "-" and "_" stand for themselves, every other byte is "=XX".
func encodeKey(key string) string {
	var encoded strings.Builder
	for i := range len(key) {
		if c := key[i]; plainKeyByte(c) {
			encoded.WriteByte(c)
		} else {
			encoded.Write([]byte{'=', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return encoded.String()
}

// decodeKey reverses encodeKey. What another program wrote in another form is given as it stands.
func decodeKey(encoded string) string {
	var key strings.Builder
	for i := 0; i < len(encoded); i++ {
		if encoded[i] == '=' && i+2 < len(encoded) {
			high, low := strings.IndexByte(hexDigits, encoded[i+1]), strings.IndexByte(hexDigits, encoded[i+2])
			if high >= 0 && low >= 0 {
				key.WriteByte(byte(high<<4 | low))
				i += 2
				continue
			}
		}
		key.WriteByte(encoded[i])
	}
	return key.String()
}

func plainKeyByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
