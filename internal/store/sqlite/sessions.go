package sqlite

import (
	"context"

	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Sessions implements session.Store.
type Sessions struct{ db *DB }

const sessionColumns = `id, revision, user_id, name, state, reason, paused_until, device_jid, device_lid, device_phone, egress,
	created_at, updated_at, linked_at, link_id, link_method, link_phone, link_state, link_reason, link_qr_index, link_deadline,
	link_queued_at, link_started_at, link_ended_at, phone_seen_at, link_holder`

const (
	insertSession = `INSERT INTO sessions (` + sessionColumns + `)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	updateSession = `UPDATE sessions SET (` + sessionColumns + `)
		= (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)
		WHERE id = ?1 AND revision = ?2 - 1`
	sessionExists = `SELECT 1 FROM sessions WHERE id = ?`
	selectSession = `SELECT ` + sessionColumns + ` FROM sessions WHERE id = ?`
	deleteSession = `DELETE FROM sessions WHERE id = ?`
)

// sessionValues are the values of sessionColumns, for a write that leads to the given revision.
func sessionValues(s session.Session, revision int64) []any {
	return []any{s.ID, revision, s.UserID, s.Name, s.State, s.Reason, instant(s.Until), s.Device.JID, s.Device.LID, s.Device.Phone, s.Egress,
		instant(s.CreatedAt), instant(s.UpdatedAt), instant(s.LinkedAt), s.Link.ID, s.Link.Method, s.Link.Phone, s.Link.State,
		s.Link.Reason, s.Link.QRIndex, instant(s.Link.Deadline), instant(s.Link.QueuedAt), instant(s.Link.StartedAt), instant(s.Link.EndedAt),
		instant(s.PhoneSeenAt), s.Link.Holder}
}

func scanSession(from row) (s session.Session, err error) {
	err = from.Scan(&s.ID, &s.Revision, &s.UserID, &s.Name, &s.State, &s.Reason, (*instant)(&s.Until), &s.Device.JID, &s.Device.LID,
		&s.Device.Phone, &s.Egress, (*instant)(&s.CreatedAt), (*instant)(&s.UpdatedAt), (*instant)(&s.LinkedAt), &s.Link.ID, &s.Link.Method,
		&s.Link.Phone, &s.Link.State, &s.Link.Reason, &s.Link.QRIndex, (*instant)(&s.Link.Deadline), (*instant)(&s.Link.QueuedAt),
		(*instant)(&s.Link.StartedAt), (*instant)(&s.Link.EndedAt), (*instant)(&s.PhoneSeenAt), &s.Link.Holder)
	return s, err
}

// Create implements session.Store.
func (s *Sessions) Create(ctx context.Context, created session.Session) error {
	return s.db.write(ctx, "create session "+string(created.ID), func(tx *transaction) error {
		_, err := exec(ctx, tx, insertSession, sessionValues(created, 1)...)
		return err
	})
}

// Get implements session.Store.
func (s *Sessions) Get(ctx context.Context, id session.ID) (session.Session, error) {
	found, err := single(queryAll(ctx, s.db.reader, selectSession, []any{id}, scanSession))
	return found, s.db.explain(ctx, "get session "+string(id), err)
}

// List implements session.Store.
func (s *Sessions) List(ctx context.Context, filter session.Filter, page store.Page) (store.List[session.Session], error) {
	list := listing[session.Session]{table: "sessions", columns: sessionColumns, scan: scanSession, cursor: sessionCursor,
		key: func(s session.Session) string { return string(s.ID) }}
	question := narrowed{states: chosen(filter.States, session.States())}
	question.to("user_id", filter.UserID)
	return listPage(ctx, s.db, list, question, page)
}

// Update implements session.Store.
func (s *Sessions) Update(ctx context.Context, changed session.Session) error {
	return s.db.write(ctx, "update session "+string(changed.ID), func(tx *transaction) error {
		return replace(ctx, tx, replacement{update: updateSession, exists: sessionExists, id: string(changed.ID),
			values: sessionValues(changed, changed.Revision+1)})
	})
}

// Delete implements session.Store.
func (s *Sessions) Delete(ctx context.Context, id session.ID) error {
	return s.db.write(ctx, "delete session "+string(id), func(tx *transaction) error {
		return existed(exec(ctx, tx, deleteSession, id))
	})
}
