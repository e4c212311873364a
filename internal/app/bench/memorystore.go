package bench

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"sync"

	wastore "go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	waKeys "go.mau.fi/whatsmeow/util/keys"
	waLog "go.mau.fi/whatsmeow/util/log"
)

// memoryStore keeps what a send needs in maps, and forgets the rest: the fastest store that there can be. Nothing of it survives.
type memoryStore struct {
	*wastore.NoopStore

	mu         sync.Mutex
	sessions   map[string][]byte
	identities map[string][32]byte
	preKeys    map[uint32]*waKeys.PreKey
	lastPreKey uint32
	lids, pns  map[string]types.JID
}

func newMemoryDevice() *wastore.Device {
	device := &wastore.Device{Log: waLog.Noop, NoiseKey: waKeys.NewKeyPair(), IdentityKey: waKeys.NewKeyPair(),
		RegistrationID: mathrand.Uint32(), //nolint:gosec // it tells devices apart and is no secret
		AdvSecretKey:   make([]byte, 32)}
	_, _ = rand.Read(device.AdvSecretKey) // never fails
	device.SignedPreKey = device.IdentityKey.CreateSignedPreKey(1)
	store := &memoryStore{NoopStore: &wastore.NoopStore{}, sessions: map[string][]byte{}, identities: map[string][32]byte{}, preKeys: map[uint32]*waKeys.PreKey{},
		lids: map[string]types.JID{}, pns: map[string]types.JID{}}
	device.Container = store
	device.SetAllStores(store)
	device.LIDs = store
	device.Initialized = true
	return device
}

// PutIdentity implements store.IdentityStore.
func (s *memoryStore) PutIdentity(_ context.Context, address string, key [32]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.identities[address] = key
	return nil
}

// IsTrustedIdentity implements store.IdentityStore.
func (s *memoryStore) IsTrustedIdentity(_ context.Context, address string, key [32]byte) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, is := s.identities[address]
	return !is || known == key, nil
}

// GetSession implements store.SessionStore.
func (s *memoryStore) GetSession(_ context.Context, address string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[address], nil
}

// HasSession implements store.SessionStore.
func (s *memoryStore) HasSession(_ context.Context, address string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[address] != nil, nil
}

// GetManySessions implements store.SessionStore.
func (s *memoryStore) GetManySessions(_ context.Context, addresses []string) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make(map[string][]byte, len(addresses))
	for _, address := range addresses {
		found[address] = s.sessions[address]
	}
	return found, nil
}

// PutSession implements store.SessionStore.
func (s *memoryStore) PutSession(_ context.Context, address string, session []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[address] = session
	return nil
}

// PutManySessions implements store.SessionStore.
func (s *memoryStore) PutManySessions(_ context.Context, sessions map[string][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for address, session := range sessions {
		s.sessions[address] = session
	}
	return nil
}

// GetOrGenPreKeys implements store.PreKeyStore. It gives new ones each time, which whatsmeow asks for once.
func (s *memoryStore) GetOrGenPreKeys(_ context.Context, count uint32) ([]*waKeys.PreKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := make([]*waKeys.PreKey, count)
	for i := range made {
		s.lastPreKey++
		made[i] = waKeys.NewPreKey(s.lastPreKey)
		s.preKeys[s.lastPreKey] = made[i]
	}
	return made, nil
}

// GetPreKey implements store.PreKeyStore.
func (s *memoryStore) GetPreKey(_ context.Context, id uint32) (*waKeys.PreKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.preKeys[id], nil
}

// RemovePreKey implements store.PreKeyStore.
func (s *memoryStore) RemovePreKey(_ context.Context, id uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.preKeys, id)
	return nil
}

// UploadedPreKeyCount implements store.PreKeyStore.
func (s *memoryStore) UploadedPreKeyCount(context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.preKeys), nil
}

// PutLIDMapping implements store.LIDStore.
func (s *memoryStore) PutLIDMapping(_ context.Context, lid, pn types.JID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lids[pn.User], s.pns[lid.User] = lid.ToNonAD(), pn.ToNonAD()
	return nil
}

// PutManyLIDMappings implements store.LIDStore.
func (s *memoryStore) PutManyLIDMappings(ctx context.Context, mappings []wastore.LIDMapping) error {
	for _, mapping := range mappings {
		if err := s.PutLIDMapping(ctx, mapping.LID, mapping.PN); err != nil {
			return err
		}
	}
	return nil
}

// GetLIDForPN implements store.LIDStore.
func (s *memoryStore) GetLIDForPN(_ context.Context, pn types.JID) (types.JID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return like(s.lids[pn.User], pn), nil
}

// GetPNForLID implements store.LIDStore.
func (s *memoryStore) GetPNForLID(_ context.Context, lid types.JID) (types.JID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return like(s.pns[lid.User], lid), nil
}

// GetManyLIDsForPNs implements store.LIDStore.
func (s *memoryStore) GetManyLIDsForPNs(_ context.Context, pns []types.JID) (map[types.JID]types.JID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make(map[types.JID]types.JID, len(pns))
	for _, pn := range pns {
		if lid := s.lids[pn.User]; !lid.IsEmpty() {
			found[pn] = like(lid, pn)
		}
	}
	return found, nil
}

// like is an address with the device of another.
func like(address, other types.JID) types.JID {
	if !address.IsEmpty() {
		address.Device = other.Device
	}
	return address
}
