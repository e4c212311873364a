package bus

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

func openBucket(t *testing.T, bus *Bus, name string) *Bucket {
	t.Helper()
	bucket, err := bus.Bucket(t.Context(), name)
	handle(t, err)
	return bucket
}

func TestOfTwoWritersOneIsRefused(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	// Any text may be a key.
	for _, key := range []string{"ses_1", "10.0.0.1:1080", "socks5://a b/*>", "ñ", "=41"} {
		bucket := openBucket(t, bus, BucketPacing)
		first, err := bucket.Create(t.Context(), key, []byte("one"))
		handle(t, err)
		if _, err := bucket.Create(t.Context(), key, []byte("two")); !errors.Is(err, ErrExists) {
			t.Errorf("%s: a second create: %v", key, err)
		}
		second, err := bucket.Update(t.Context(), key, []byte("two"), first)
		if err != nil || second <= first {
			t.Fatalf("%s: update: revision %d after %d, %v", key, second, first, err)
		}
		if _, err := bucket.Update(t.Context(), key, []byte("three"), first); !errors.Is(err, ErrRevision) {
			t.Errorf("%s: an update of an old revision: %v", key, err)
		}
		if err := bucket.Delete(t.Context(), key, first); !errors.Is(err, ErrRevision) {
			t.Errorf("%s: a delete of an old revision: %v", key, err)
		}
		value, revision, err := bucket.Get(t.Context(), key)
		if err != nil || string(value) != "two" || revision != second {
			t.Errorf("%s: %q at %d, %v", key, value, revision, err)
		}
		if keys, err := bucket.Keys(t.Context()); err != nil || !slices.Equal(keys, []string{key}) {
			t.Errorf("the keys are %q, %v", keys, err)
		}
		handle(t, bucket.Delete(t.Context(), key, second))
		checkGone(t, bucket, key, second)
		if _, err := bucket.Create(t.Context(), key, nil); err != nil {
			t.Errorf("%s: create after a delete: %v", key, err)
		}
		handle(t, bucket.Remove(t.Context(), key))
		handle(t, bucket.Remove(t.Context(), key))
	}
}

func checkGone(t *testing.T, bucket *Bucket, key string, old uint64) {
	t.Helper()
	if _, _, err := bucket.Get(t.Context(), key); !errors.Is(err, ErrMissing) {
		t.Errorf("%s: get of a deleted key: %v", key, err)
	}
	for _, revision := range []uint64{0, old} {
		if _, err := bucket.Update(t.Context(), key, nil, revision); !errors.Is(err, ErrRevision) {
			t.Errorf("%s: update of a deleted key: %v", key, err)
		}
	}
	if err := bucket.Delete(t.Context(), key, 0); !errors.Is(err, ErrRevision) {
		t.Errorf("%s: delete of a deleted key: %v", key, err)
	}
	if keys, err := bucket.Keys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("the keys are %q, %v", keys, err)
	}
}

// watch reports the changes of a bucket. It may begin a little after it returned, so the caller writes until the first one is seen.
func watch(t *testing.T, bucket *Bucket, key string) <-chan Change {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	changes, ended := make(chan Change, 100), make(chan error, 1)
	go func() { ended <- bucket.Watch(ctx, key, func(change Change) { changes <- change }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the watch ended with %v", err)
		}
	})
	eventually(t, "the watch has begun", func() bool {
		_, err := bucket.Put(t.Context(), orDefault(key, "begin"), nil)
		handle(t, err)
		return len(changes) > 0
	})
	for len(changes) > 0 {
		<-changes
	}
	return changes
}

func TestAWatcherSeesEveryWriteAndTheExpiry(t *testing.T) {
	t.Parallel()
	bus := newBroker(t).connect(Options{LeaseTTL: 700 * time.Millisecond})
	bucket := openBucket(t, bus, BucketLeases)
	changes := watch(t, bucket, "")
	// A bucket keeps the last value of a key: who looks later sees that one only. So each write is seen before the next.
	seen := func(want string) {
		t.Helper()
		for {
			change := receive(t, "change", changes)
			if change.Key == "begin" || change.Gone { // Written by watch; it expires too.
				continue
			}
			if got := change.Key + " " + string(change.Value); got != want {
				t.Errorf("saw %q, want %q", got, want)
			}
			return
		}
	}
	revision, err := bucket.Create(t.Context(), "ses_1", []byte("mine"))
	handle(t, err)
	seen("ses_1 mine")
	revision, err = bucket.Update(t.Context(), "ses_1", []byte("still mine"), revision)
	handle(t, err)
	seen("ses_1 still mine")
	var deadline Change
	for !deadline.Gone {
		if change := receive(t, "change", changes); change.Key == "ses_1" {
			deadline = change
		}
	}
	if deadline.Revision <= revision || len(deadline.Value) != 0 {
		t.Errorf("the expiry is reported as %+v, after revision %d", deadline, revision)
	}
	if _, err := bucket.Update(t.Context(), "ses_1", []byte("too late"), revision); !errors.Is(err, ErrRevision) {
		t.Errorf("an expired lease was renewed: %v", err)
	}
	if _, err := bucket.Create(t.Context(), "ses_1", []byte("next")); err != nil {
		t.Errorf("an expired lease cannot be taken: %v", err)
	}
}

func TestAWatcherOfOneKeySeesOnlyThat(t *testing.T) {
	t.Parallel()
	bucket := openBucket(t, newBus(t), BucketPacing)
	changes := watch(t, bucket, "a.b")
	for _, key := range []string{"a", "a.b.c", "a.b"} {
		_, err := bucket.Put(t.Context(), key, []byte("x"))
		handle(t, err)
	}
	for {
		if change := receive(t, "change", changes); change.Key != "a.b" {
			t.Fatalf("saw %s", change.Key)
		} else if string(change.Value) == "x" {
			break
		}
	}
	handle(t, bucket.Remove(t.Context(), "a.b"))
	if change := receive(t, "removal", changes); !change.Gone || change.Key != "a.b" {
		t.Errorf("the removal is reported as %+v", change)
	}
}

func TestABucketTellsWhenItWasMade(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	bucket := openBucket(t, bus, BucketLeases)
	made, err := bucket.Made(t.Context())
	if err != nil || made.IsZero() {
		t.Fatalf("made at %v, %v", made, err)
	}
	handle(t, bus.js.DeleteKeyValue(t.Context(), BucketLeases))
	handle(t, bus.EnsureTopology(t.Context()))
	again, err := openBucket(t, bus, BucketLeases).Made(t.Context())
	if err != nil || !again.After(made) {
		t.Errorf("made anew at %v, before at %v, %v", again, made, err)
	}
	if _, err := bus.Bucket(t.Context(), "nothing"); err == nil {
		t.Error("a bucket outside of the topology was opened")
	}
}

func TestKeysComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"a", "a.b", "*", ">", " ", "=", "=4", "=41", "ñ", "\xff\x00", "+5491155550101"} {
		encoded := encodeKey(key)
		if got := decodeKey(encoded); got != key {
			t.Errorf("%q comes back as %q", key, got)
		}
		for i := range len(encoded) {
			if !plainKeyByte(encoded[i]) && encoded[i] != '=' {
				t.Errorf("%q is written %q", key, encoded)
			}
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("ses_1", "a.b")
	f.Fuzz(func(t *testing.T, a, b string) {
		if decodeKey(encodeKey(a)) != a || (encodeKey(a) == encodeKey(b)) != (a == b) {
			t.Errorf("%q and %q are written %q and %q", a, b, encodeKey(a), encodeKey(b))
		}
	})
}
