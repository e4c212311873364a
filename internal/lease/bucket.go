package lease

import (
	"context"
	"errors"
)

// Bucket is the port to the keys: one key a session, each expiring a TTL after its last write. Revisions grow over the whole bucket, with
// every write of any key. internal/bus implements it over NATS KV.
//
// An error that is none of the sentinels below leaves the outcome open: the write may have happened, or may still happen.
type Bucket interface {
	// Create writes a key that does not exist and returns its revision; ErrKeyExists when it does.
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)
	// Update writes a key whose revision is the given one and returns the new one; else ErrRevision, also when the key does not exist.
	Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
	// Get reads a key; ErrKeyNotFound when it does not exist. The answer may lag behind the last write.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Delete removes a key whose revision is the given one; else ErrRevision, also when the key does not exist.
	Delete(ctx context.Context, key string, revision uint64) error
	// Watch calls freed with each key that is deleted from now on, one at a time, until the context ends (then it returns nil) or the
	// watch breaks. An expiry may pass unseen.
	Watch(ctx context.Context, freed func(key string)) error
}

var (
	// ErrKeyExists: the key to create exists.
	ErrKeyExists = errors.New("key exists")
	// ErrKeyNotFound: the key to read does not exist.
	ErrKeyNotFound = errors.New("key not found")
	// ErrRevision: the key is not at the revision given, or does not exist.
	ErrRevision = errors.New("key is at another revision")
)
