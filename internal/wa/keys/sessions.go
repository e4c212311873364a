package keys

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/internal/store"
)

// PutIdentity implements store.IdentityStore. It rides: the Signal session that is made with the identity is written behind it. libsignal tells the
// identities of known contacts again at each message; these are not written again.
func (o *Owner) PutIdentity(ctx context.Context, address string, key [32]byte) error {
	name := keyOf(address)
	if known, err := o.get(ctx, kindIdentity, name); err == nil && string(known.value) == string(key[:]) {
		return nil
	}
	return o.write(ctx, rides, put(kindIdentity, name, key[:]))
}

// DeleteAllIdentities implements store.IdentityStore.
func (o *Owner) DeleteAllIdentities(ctx context.Context, phone string) error {
	return o.eraseDevicesOf(ctx, kindIdentity, phone)
}

// DeleteIdentity implements store.IdentityStore.
func (o *Owner) DeleteIdentity(ctx context.Context, address string) error {
	return o.write(ctx, durable, deletion(kindIdentity, keyOf(address)))
}

// IsTrustedIdentity implements store.IdentityStore. Who is not known yet is trusted.
func (o *Owner) IsTrustedIdentity(ctx context.Context, address string, key [32]byte) (bool, error) {
	known, err := o.get(ctx, kindIdentity, keyOf(address))
	if err != nil {
		return false, err
	}
	return !known.exists() || string(known.value) == string(key[:]), nil
}

// GetSession implements store.SessionStore.
func (o *Owner) GetSession(ctx context.Context, address string) ([]byte, error) {
	found, err := o.get(ctx, kindSession, keyOf(address))
	return slices.Clone(found.value), err
}

// HasSession implements store.SessionStore.
func (o *Owner) HasSession(ctx context.Context, address string) (bool, error) {
	found, err := o.get(ctx, kindSession, keyOf(address))
	return found.exists(), err
}

// GetManySessions implements store.SessionStore: every address has an entry in the answer, nil when there is no session.
func (o *Owner) GetManySessions(ctx context.Context, addresses []string) (map[string][]byte, error) {
	if len(addresses) == 0 {
		return nil, nil
	}
	names := make([]string, len(addresses))
	for i, address := range addresses {
		names[i] = keyOf(address)
	}
	found, err := o.getMany(ctx, kindSession, names)
	if err != nil {
		return nil, err
	}
	sessions := make(map[string][]byte, len(addresses))
	for i, address := range addresses {
		sessions[address] = slices.Clone(found[names[i]].value)
	}
	return sessions, nil
}

// PutSession implements store.SessionStore.
func (o *Owner) PutSession(ctx context.Context, address string, session []byte) error {
	return o.write(ctx, durable, put(kindSession, keyOf(address), session))
}

// PutManySessions implements store.SessionStore.
func (o *Owner) PutManySessions(ctx context.Context, sessions map[string][]byte) error {
	changes := make([]change, 0, len(sessions))
	for _, address := range slices.Sorted(maps.Keys(sessions)) {
		changes = append(changes, put(kindSession, keyOf(address), sessions[address]))
	}
	return o.write(ctx, durable, changes...)
}

// DeleteAllSessions implements store.SessionStore.
func (o *Owner) DeleteAllSessions(ctx context.Context, phone string) error {
	return o.eraseDevicesOf(ctx, kindSession, phone)
}

// DeleteSession implements store.SessionStore.
func (o *Owner) DeleteSession(ctx context.Context, address string) error {
	return o.write(ctx, durable, deletion(kindSession, keyOf(address)))
}

// eraseDevicesOf deletes the rows of all devices of a user.
func (o *Owner) eraseDevicesOf(ctx context.Context, kind, user string) error {
	defer o.alone(ctx)()
	entries, err := o.scan(ctx, kind, escape(user+":"))
	if err != nil {
		return err
	}
	return o.erase(ctx, durable, kind, entries)
}

// PutSenderKey implements store.SenderKeyStore. The user stands first in the key, because users move (MigratePNToLID).
func (o *Owner) PutSenderKey(ctx context.Context, group, user string, session []byte) error {
	return o.write(ctx, durable, put(kindSenderKey, keyOf(user, group), session))
}

// GetSenderKey implements store.SenderKeyStore.
func (o *Owner) GetSenderKey(ctx context.Context, group, user string) ([]byte, error) {
	found, err := o.get(ctx, kindSenderKey, keyOf(user, group))
	return slices.Clone(found.value), err
}

// migrated remembers which phone numbers have no rows of their own any more, so that asking again costs nothing.
type migrated struct {
	mu    sync.Mutex
	users map[string]struct{}
}

// maxMigrated bounds the memory; beyond it the work is done, for nothing, once more.
const maxMigrated = 50_000

func (m *migrated) has(user string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, known := m.users[user]
	return known
}

func (m *migrated) add(user string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.users == nil || len(m.users) >= maxMigrated {
		m.users = map[string]struct{}{}
	}
	m.users[user] = struct{}{}
}

// MigratePNToLID implements store.SessionStore: the sessions, identities and sender keys of a phone number become those of its hidden id,
// every row or none. As in sqlstore, what the hidden id has is replaced, and a number is migrated once in the life of an owner; here only when
// it worked.
func (o *Owner) MigratePNToLID(ctx context.Context, pn, lid types.JID) error {
	from, to := pn.SignalAddressUser(), lid.SignalAddressUser()
	if o.migrated.has(from) {
		return nil
	}
	defer o.alone(ctx)()
	var changes []change
	for _, kind := range []string{kindSession, kindIdentity, kindSenderKey} {
		entries, err := o.scan(ctx, kind, escape(from+":"))
		if err != nil {
			return err
		}
		for _, moved := range entries {
			changes = append(changes, deletion(kind, moved.key), put(kind, escape(to)+moved.key[len(escape(from)):], moved.value))
		}
	}
	if len(changes) > store.MaxKeyBatch {
		return fmt.Errorf("move a contact to its hidden id: %d rows are more than can be moved at once", len(changes)/2)
	}
	if len(changes) > 0 {
		if err := o.write(ctx, durable, changes...); err != nil {
			return fmt.Errorf("move a contact to its hidden id: %w", err)
		}
	}
	if transactionOf(ctx, o) == nil {
		o.migrated.add(from)
	}
	return nil
}
