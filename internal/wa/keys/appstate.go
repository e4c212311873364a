package keys

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	wastore "go.mau.fi/whatsmeow/store"

	"github.com/dannsalud/broadcaster/internal/store"
)

// PutAppStateSyncKey implements store.AppStateSyncKeyStore: an older key never replaces a newer one of the same id.
func (o *Owner) PutAppStateSyncKey(ctx context.Context, id []byte, key wastore.AppStateSyncKey) error {
	defer o.alone(ctx)()
	name := hex.EncodeToString(id)
	found, err := o.get(ctx, kindAppStateKey, name)
	if err != nil {
		return err
	}
	if found.exists() {
		known, err := decodeAppStateKey(found.value)
		if err != nil || key.Timestamp <= known.Timestamp {
			return err
		}
	}
	encoded, err := json.Marshal(key)
	if err != nil {
		return fmt.Errorf("encode an app-state key: %w", err)
	}
	return o.write(ctx, durable, put(kindAppStateKey, name, encoded))
}

func decodeAppStateKey(value []byte) (*wastore.AppStateSyncKey, error) {
	var key wastore.AppStateSyncKey
	if err := json.Unmarshal(value, &key); err != nil {
		return nil, unreadable(kindAppStateKey, err)
	}
	return &key, nil
}

// GetAppStateSyncKey implements store.AppStateSyncKeyStore.
func (o *Owner) GetAppStateSyncKey(ctx context.Context, id []byte) (*wastore.AppStateSyncKey, error) {
	found, err := o.get(ctx, kindAppStateKey, hex.EncodeToString(id))
	if err != nil || !found.exists() {
		return nil, err
	}
	return decodeAppStateKey(found.value)
}

// appStateKeys gives all keys with their ids, the newest first.
func (o *Owner) appStateKeys(ctx context.Context) (ids [][]byte, all []*wastore.AppStateSyncKey, err error) {
	entries, err := o.scan(ctx, kindAppStateKey, "")
	if err != nil {
		return nil, nil, err
	}
	type named struct {
		id  []byte
		key *wastore.AppStateSyncKey
	}
	var found []named
	for _, entry := range entries {
		id, err := hex.DecodeString(entry.key)
		if err != nil {
			return nil, nil, unreadable(kindAppStateKey, err)
		}
		key, err := decodeAppStateKey(entry.value)
		if err != nil {
			return nil, nil, err
		}
		found = append(found, named{id, key})
	}
	slices.SortStableFunc(found, func(a, b named) int { return cmp.Compare(b.key.Timestamp, a.key.Timestamp) })
	for _, each := range found {
		ids, all = append(ids, each.id), append(all, each.key)
	}
	return ids, all, nil
}

// GetLatestAppStateSyncKeyID implements store.AppStateSyncKeyStore.
func (o *Owner) GetLatestAppStateSyncKeyID(ctx context.Context) ([]byte, error) {
	ids, _, err := o.appStateKeys(ctx)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return ids[0], nil
}

// GetAllAppStateSyncKeys implements store.AppStateSyncKeyStore.
func (o *Owner) GetAllAppStateSyncKeys(ctx context.Context) ([]*wastore.AppStateSyncKey, error) {
	_, all, err := o.appStateKeys(ctx)
	return all, err
}

// PutAppStateVersion implements store.AppStateStore.
func (o *Owner) PutAppStateVersion(ctx context.Context, name string, version uint64, hash [128]byte) error {
	return o.write(ctx, rides, put(kindAppStateVersion, keyOf(name), append(binary.BigEndian.AppendUint64(nil, version), hash[:]...)))
}

// GetAppStateVersion implements store.AppStateStore; zero for a name that is not known.
func (o *Owner) GetAppStateVersion(ctx context.Context, name string) (version uint64, hash [128]byte, err error) {
	found, err := o.get(ctx, kindAppStateVersion, keyOf(name))
	if err != nil || !found.exists() {
		return 0, hash, err
	}
	if len(found.value) != 8+128 {
		return 0, hash, unreadable(kindAppStateVersion, errors.New("wrong length"))
	}
	version = binary.BigEndian.Uint64(found.value)
	if version == 0 {
		return 0, hash, unreadable(kindAppStateVersion, errors.New("version 0"))
	}
	return version, [128]byte(found.value[8:]), nil
}

// DeleteAppStateVersion implements store.AppStateStore. What was known of the name's mutations goes with it.
func (o *Owner) DeleteAppStateVersion(ctx context.Context, name string) error {
	defer o.alone(ctx)()
	entries, err := o.scan(ctx, kindAppStateMAC, escape(name)+separator)
	if err != nil {
		return err
	}
	if err := o.write(ctx, rides, deletion(kindAppStateVersion, keyOf(name))); err != nil {
		return err
	}
	return o.erase(ctx, rides, kindAppStateMAC, entries)
}

// errMutation: whatsmeow gave a mutation that its own store refuses too.
var errMutation = errors.New("the mutation is of a state that is not known, or is known already")

// PutAppStateMutationMACs implements store.AppStateStore. Only the newest version of a mutation is kept, which is the one that is asked for. As
// in sqlstore, the state must be known, and a mutation must not come twice in one version.
func (o *Owner) PutAppStateMutationMACs(ctx context.Context, name string, version uint64, mutations []wastore.AppStateMutationMAC) error {
	if len(mutations) == 0 {
		return nil
	}
	defer o.alone(ctx)()
	if state, err := o.get(ctx, kindAppStateVersion, keyOf(name)); err != nil || !state.exists() {
		return errors.Join(err, errMutation)
	}
	names := make([]string, len(mutations))
	for i, mutation := range mutations {
		names[i] = macName(name, mutation.IndexMAC)
	}
	known, err := o.getMany(ctx, kindAppStateMAC, names)
	if err != nil {
		return err
	}
	newest := make(map[string]uint64, len(mutations))
	for name, found := range known {
		if len(found.value) >= 8 {
			newest[name] = binary.BigEndian.Uint64(found.value)
		}
	}
	changes := make([]change, 0, len(mutations))
	for i, mutation := range mutations {
		before, twice := newest[names[i]]
		if twice && before == version {
			return errMutation
		}
		if twice && before > version {
			continue
		}
		newest[names[i]] = version
		changes = append(changes, put(kindAppStateMAC, names[i], append(binary.BigEndian.AppendUint64(nil, version), mutation.ValueMAC...)))
	}
	for chunk := range slices.Chunk(changes, store.MaxKeyBatch) {
		if err := o.write(ctx, rides, chunk...); err != nil {
			return err
		}
	}
	return nil
}

func macName(name string, index []byte) string { return keyOf(name, hex.EncodeToString(index)) }

// DeleteAppStateMutationMACs implements store.AppStateStore.
func (o *Owner) DeleteAppStateMutationMACs(ctx context.Context, name string, indexMACs [][]byte) error {
	defer o.alone(ctx)()
	entries := make([]entry, len(indexMACs))
	for i, index := range indexMACs {
		entries[i].key = macName(name, index)
	}
	return o.erase(ctx, rides, kindAppStateMAC, entries)
}

// GetAppStateMutationMAC implements store.AppStateStore.
func (o *Owner) GetAppStateMutationMAC(ctx context.Context, name string, indexMAC []byte) ([]byte, error) {
	found, err := o.get(ctx, kindAppStateMAC, macName(name, indexMAC))
	if err != nil || !found.exists() {
		return nil, err
	}
	if len(found.value) < 8 {
		return nil, unreadable(kindAppStateMAC, errors.New("too short"))
	}
	return slices.Clone(found.value[8:]), nil
}
