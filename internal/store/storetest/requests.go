package storetest

import (
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/store"
)

func idempotencyChecks() []check {
	return []check{
		{"AFinishedRequestIsAnsweredAgain", requestAnswered},
		{"ARequestInProgressIsNotBegunTwice", requestInProgress},
		{"AnotherRequestUnderTheKeyIsRefused", requestReused},
		{"AReleasedKeyBeginsAnew", requestReleased},
		{"AnAnswerIsForgottenAfterADay", requestExpired},
		{"OneOfManyAtOnceGoesOn", requestRace},
		{"RefusesWhatIsNoRequest", requestRefused},
	}
}

func answer() store.Saved {
	return store.Saved{Status: 202, ContentType: "application/json", Body: []byte(`{"id":"cmp_ñ"}`)}
}

func begin(t *testing.T, stores Stores, key, fingerprint string, when time.Time) *store.Saved {
	t.Helper()
	saved, err := stores.Idempotency.Begin(t.Context(), key, fingerprint, when)
	ok(t, err)
	return saved
}

func requestAnswered(t *testing.T, stores Stores) {
	same(t, begin(t, stores, "key", "print", at(0)), (*store.Saved)(nil))
	ok(t, stores.Idempotency.Finish(t.Context(), "key", answer()))
	ok(t, stores.Idempotency.Finish(t.Context(), "key", store.Saved{Status: 500})) // the first one stands
	stores = stores.Reopen(t)
	same(t, begin(t, stores, "key", "print", at(1)), new(answer()))
	ok(t, stores.Idempotency.Release(t.Context(), "key")) // too late: it is finished
	same(t, begin(t, stores, "key", "print", at(60)), new(answer()))

	same(t, begin(t, stores, "other", "print", at(2)), (*store.Saved)(nil))
	ok(t, stores.Idempotency.Finish(t.Context(), "other", store.Saved{Status: 204}))
	same(t, begin(t, stores, "other", "print", at(3)), &store.Saved{Status: 204})
}

func requestInProgress(t *testing.T, stores Stores) {
	begin(t, stores, "key", "print", at(0))
	_, err := stores.Idempotency.Begin(t.Context(), "key", "print", at(0).Add(store.IdempotencyPatience-time.Second))
	wantError(t, err, store.ErrIdempotencyInProgress)
	same(t, begin(t, stores, "key", "print", at(0).Add(store.IdempotencyPatience)), (*store.Saved)(nil)) // its process died
	ok(t, stores.Idempotency.Finish(t.Context(), "key", answer()))
	same(t, begin(t, stores, "key", "print", at(20)), new(answer()))
}

func requestReused(t *testing.T, stores Stores) {
	begin(t, stores, "key", "print", at(0))
	for _, minutes := range []int{1, 30} {
		_, err := stores.Idempotency.Begin(t.Context(), "key", "another", at(minutes))
		wantError(t, err, store.ErrIdempotencyReused)
	}
	ok(t, stores.Idempotency.Finish(t.Context(), "key", answer()))
	_, err := stores.Idempotency.Begin(t.Context(), "key", "another", at(2))
	wantError(t, err, store.ErrIdempotencyReused)
	same(t, begin(t, stores, "key", "print", at(3)), new(answer()))
}

func requestReleased(t *testing.T, stores Stores) {
	begin(t, stores, "key", "print", at(0))
	ok(t, stores.Idempotency.Release(t.Context(), "key"))
	ok(t, stores.Idempotency.Release(t.Context(), "never begun"))
	wantError(t, stores.Idempotency.Finish(t.Context(), "key", answer()), store.ErrNotFound)
	wantError(t, stores.Idempotency.Finish(t.Context(), "never begun", answer()), store.ErrNotFound)
	same(t, begin(t, stores, "key", "another", at(1)), (*store.Saved)(nil))
}

func requestExpired(t *testing.T, stores Stores) {
	begin(t, stores, "key", "print", at(0))
	ok(t, stores.Idempotency.Finish(t.Context(), "key", answer()))
	same(t, begin(t, stores, "key", "print", at(0).Add(store.IdempotencyExpiry-time.Second)), new(answer()))
	same(t, begin(t, stores, "key", "another", at(0).Add(store.IdempotencyExpiry)), (*store.Saved)(nil))
}

func requestRace(t *testing.T, stores Stores) {
	const callers = 8
	var group errgroup.Group
	var began atomic.Int64
	for range callers {
		group.Go(func() error {
			saved, err := stores.Idempotency.Begin(t.Context(), "key", "print", at(0))
			if err == nil && saved == nil {
				began.Add(1)
			}
			return nil
		})
	}
	ok(t, group.Wait())
	same(t, began.Load(), int64(1))
}

func requestRefused(t *testing.T, stores Stores) {
	for _, row := range []struct {
		key, fingerprint string
		at               time.Time
	}{{"", "print", at(0)}, {"key", "", at(0)}, {"key", "print", time.Time{}}} {
		_, err := stores.Idempotency.Begin(t.Context(), row.key, row.fingerprint, row.at)
		wantInvalid(t, err)
	}
	begin(t, stores, "key", "print", at(0))
	wantInvalid(t, stores.Idempotency.Finish(t.Context(), "key", store.Saved{}))
}
