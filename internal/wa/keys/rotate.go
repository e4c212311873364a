package keys

import (
	"context"
	"fmt"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Rotation is what a rotation did.
type Rotation struct {
	// Sessions is how many sessions were looked through, Resealed how many rows were sealed anew.
	Sessions int `json:"sessions"`
	Resealed int `json:"resealed"`
	// Damaged is how many rows could not be opened and were left as they are.
	Damaged int `json:"damaged"`
	// Retired are the names of the keys that nothing is sealed with any more: they may be taken out of KEYSTORE_KEY.
	Retired []string `json:"retired"`

	// stale is how many rows of a pass were not sealed with the first key. Not all of them need have been replaced: their owner may have been faster.
	stale int
}

// maxPasses is how often a rotation looks for rows that owners went on sealing with an old key.
const maxPasses = 5

// Rotate seals every row with the first key of the ring. It may be interrupted and begun anew at any time, and owners may write meanwhile: a row is
// replaced only where it is still the one that was read, so that neither a fence nor an epoch is touched. When a whole pass found nothing to do, the other
// keys are forgotten.
//
// Every process must have the new key as its first one before: one that still seals with an old key would go on doing so. Such rows
// are found by the next rotation, as long as the old key is configured.
func (s *Store) Rotate(ctx context.Context) (Rotation, error) {
	var done Rotation
	for range maxPasses {
		pass, err := s.rotateOnce(ctx)
		done.Resealed += pass.Resealed
		done.Sessions, done.Damaged = pass.Sessions, pass.Damaged
		if err != nil {
			return done, err
		}
		if pass.Damaged > 0 {
			return done, fault.New(fault.Internal, "keystore_row_damaged", fmt.Sprintf("%d rows of the key store cannot be opened; the others are sealed "+
				"with the first key, and the old keys must stay configured", pass.Damaged))
		}
		if pass.stale == 0 {
			done.Retired, err = s.retire(ctx)
			return done, err
		}
	}
	return done, fault.New(fault.Conflict, "keystore_key_in_use", "A running process still seals with an old key; give every process the new key as the "+
		"first one of KEYSTORE_KEY, then rotate again")
}

func (s *Store) rotateOnce(ctx context.Context) (pass Rotation, err error) {
	sessions := map[string]struct{}{}
	for _, kind := range kinds() {
		page := store.Page{Size: store.MaxPageSize}
		for {
			list, err := s.options.Keys.Sessions(ctx, kind, page)
			if err != nil {
				return pass, fmt.Errorf("list the sessions of the key store: %w", err)
			}
			for _, session := range list.Items {
				sessions[session] = struct{}{}
				pass.Sessions = len(sessions)
				if err := s.rotateKind(ctx, session, kind, &pass); err != nil {
					return pass, err
				}
			}
			if page.After = list.Next; page.After == "" {
				break
			}
		}
	}
	return pass, nil
}

// rotateKind looks through one kind of rows of a session, page by page.
func (s *Store) rotateKind(ctx context.Context, session, kind string, pass *Rotation) error {
	page := store.Page{Size: store.MaxPageSize}
	for {
		list, err := s.options.Keys.Scan(ctx, session, kind, "", page)
		if err != nil {
			return fmt.Errorf("read the key store: %w", err)
		}
		var rows []store.KeyReseal
		for _, found := range list.Items {
			if id, _, valid := split(found.Value); valid && id == s.options.Ring.sealing() {
				continue
			}
			pass.stale++
			resealed, err := s.reseal(found)
			if err != nil {
				pass.Damaged++
				continue
			}
			rows = append(rows, resealed)
		}
		if len(rows) > 0 {
			replaced, err := s.options.Keys.Reseal(ctx, session, rows)
			if err != nil {
				return fmt.Errorf("seal rows anew: %w", err)
			}
			pass.Resealed += replaced
		}
		if page.After = list.Next; page.After == "" {
			return nil
		}
	}
}

func (s *Store) reseal(found store.KeyRow) (store.KeyReseal, error) {
	value, err := s.options.Ring.open(found.Session, found.Kind, found.Key, found.Value)
	if err != nil {
		return store.KeyReseal{}, err
	}
	envelope, err := s.options.Ring.seal(found.Session, found.Kind, found.Key, value)
	return store.KeyReseal{Kind: found.Kind, Key: found.Key, Old: found.Value, New: envelope}, err
}

// retire forgets the keys that nothing is sealed with any more, and names them.
func (s *Store) retire(ctx context.Context) (retired []string, err error) {
	used, err := s.usedKeys(ctx)
	if err != nil {
		return nil, err
	}
	var changes []change
	for id := range used {
		if id == s.options.Ring.sealing() {
			continue
		}
		changes = append(changes, deletion(kindCheck, id))
		if !s.options.Ring.same(id, s.options.Ring.sealing()) {
			retired = append(retired, id)
		}
	}
	if err := s.rows.write(ctx, writing{session: checkSession, epoch: checkEpoch, changes: changes}); err != nil {
		return nil, fmt.Errorf("forget the old keys: %w", err)
	}
	return retired, nil
}
