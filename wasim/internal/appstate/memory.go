package appstate

import (
	"context"
	"time"

	"go.mau.fi/whatsmeow/store"
)

// keyID names the account's only key: two bytes of epoch and four of index, as real ones have.
func keyID() []byte { return []byte{0, 1, 0, 0, 0, 1} }

// memory is what whatsmeow's Processor needs to remember between patches: the key, and the MAC of each index's last value.
type memory struct {
	key  [32]byte
	made time.Time
	macs map[macKey][]byte
}

type macKey struct{ collection, index string }

var (
	_ store.AppStateStore        = (*memory)(nil)
	_ store.AppStateSyncKeyStore = (*memory)(nil)
)

func newMemory(key [32]byte) *memory {
	return &memory{key: key, made: time.Now(), macs: make(map[macKey][]byte)}
}

func (m *memory) GetAppStateSyncKey(_ context.Context, id []byte) (*store.AppStateSyncKey, error) {
	if string(id) != string(keyID()) {
		return nil, nil
	}
	return &store.AppStateSyncKey{Data: m.key[:], Timestamp: m.made.UnixMilli()}, nil
}

func (m *memory) GetLatestAppStateSyncKeyID(context.Context) ([]byte, error) { return keyID(), nil }

func (m *memory) GetAllAppStateSyncKeys(ctx context.Context) ([]*store.AppStateSyncKey, error) {
	key, err := m.GetAppStateSyncKey(ctx, keyID())
	return []*store.AppStateSyncKey{key}, err
}

func (m *memory) PutAppStateSyncKey(context.Context, []byte, store.AppStateSyncKey) error { return nil }

func (m *memory) PutAppStateVersion(context.Context, string, uint64, [128]byte) error { return nil }

func (m *memory) GetAppStateVersion(context.Context, string) (uint64, [128]byte, error) {
	return 0, [128]byte{}, nil
}

func (m *memory) DeleteAppStateVersion(context.Context, string) error { return nil }

func (m *memory) PutAppStateMutationMACs(_ context.Context, name string, _ uint64, mutations []store.AppStateMutationMAC) error {
	for _, mutation := range mutations {
		m.macs[macKey{name, string(mutation.IndexMAC)}] = mutation.ValueMAC
	}
	return nil
}

func (m *memory) DeleteAppStateMutationMACs(_ context.Context, name string, indexMACs [][]byte) error {
	for _, index := range indexMACs {
		delete(m.macs, macKey{name, string(index)})
	}
	return nil
}

func (m *memory) GetAppStateMutationMAC(_ context.Context, name string, indexMAC []byte) ([]byte, error) {
	return m.macs[macKey{name, string(indexMAC)}], nil
}
