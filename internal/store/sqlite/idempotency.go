package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/dannsalud/broadcaster/internal/store"
)

// Idempotency implements store.Idempotency.
type Idempotency struct{ db *DB }

const (
	selectRequest  = `SELECT fingerprint, begun_at, status, content_type, body FROM idempotency WHERE key = ?`
	replaceRequest = `INSERT INTO idempotency (key, fingerprint, begun_at, status, content_type, body) VALUES (?, ?, ?, 0, '', x'')
		ON CONFLICT (key) DO UPDATE SET (fingerprint, begun_at, status, content_type, body)
			= (excluded.fingerprint, excluded.begun_at, 0, '', x'')`
	finishRequest  = `UPDATE idempotency SET status = ?2, content_type = ?3, body = ?4 WHERE key = ?1 AND status = 0`
	requestExists  = `SELECT 1 FROM idempotency WHERE key = ?`
	releaseRequest = `DELETE FROM idempotency WHERE key = ? AND status = 0`
	purgeRequests  = `DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency WHERE begun_at <= ? ORDER BY begun_at LIMIT 10)`
)

// Begin implements store.Idempotency. It clears away a few expired keys each time, so that they never pile up.
func (i *Idempotency) Begin(ctx context.Context, key, fingerprint string, at time.Time) (saved *store.Saved, err error) {
	if err := store.CheckRequest(key, fingerprint, at); err != nil {
		return nil, err
	}
	err = i.db.write(ctx, "begin idempotent request", func(tx *transaction) error {
		var known store.Request
		err := queryOne(ctx, tx, selectRequest, []any{key}, &known.Fingerprint, (*instant)(&known.BegunAt),
			&known.Answer.Status, &known.Answer.ContentType, &known.Answer.Body)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err == nil {
			if saved, err = known.Verdict(fingerprint, at); saved != nil || err != nil {
				return err
			}
		}
		if _, err := exec(ctx, tx, replaceRequest, key, fingerprint, instant(at)); err != nil {
			return err
		}
		_, err = exec(ctx, tx, purgeRequests, instant(at.Add(-store.IdempotencyExpiry)))
		return err
	})
	if err != nil {
		return nil, err
	}
	return saved, nil
}

// Finish implements store.Idempotency.
func (i *Idempotency) Finish(ctx context.Context, key string, answer store.Saved) error {
	if err := store.CheckAnswer(answer); err != nil {
		return err
	}
	body := answer.Body
	if body == nil {
		body = []byte{} // NULL is no body, and the column takes none
	}
	return i.db.write(ctx, "finish idempotent request", func(tx *transaction) error {
		changed, err := exec(ctx, tx, finishRequest, key, answer.Status, answer.ContentType, body)
		if err != nil || changed == 1 {
			return err
		}
		var finished int
		return queryOne(ctx, tx, requestExists, []any{key}, &finished)
	})
}

// Release implements store.Idempotency.
func (i *Idempotency) Release(ctx context.Context, key string) error {
	return i.db.write(ctx, "release idempotent request", func(tx *transaction) error {
		_, err := exec(ctx, tx, releaseRequest, key)
		return err
	})
}
