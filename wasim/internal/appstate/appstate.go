// Package appstate is an account's app state ("syncd") as the server and the phone keep it: numbered, encrypted patches per collection,
// and the key that the phone shares with its linked devices. The simulator uses it for the account's push name, and takes what clients
// patch themselves.
//
// Nouns: State (one account's), collection (a named list of patches), KeyShare (the peer message that gives a device the key).
//
// The patches are made and checked by whatsmeow's own Processor over a small store in memory; the server's part is to number them,
// because the encoder leaves the version out. Callers: the simulator. It must never know connections or stanzas.
package appstate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/appstate"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/proto/waServerSync"
	"go.mau.fi/whatsmeow/store"
	waLog "go.mau.fi/whatsmeow/util/log"
	"google.golang.org/protobuf/proto"
)

// ErrConflict is returned for a patch that was made against another version than the newest.
var ErrConflict = errors.New("the patch was made against an old version of the collection")

// State is one account's app state. It is safe for concurrent use.
type State struct {
	mu          sync.Mutex
	memory      *memory
	processor   *appstate.Processor
	collections map[string]*collection
}

type collection struct {
	state   appstate.HashState
	patches [][]byte
}

// New makes an empty app state with the given key.
func New(key [32]byte) *State {
	memory := newMemory(key)
	device := &store.Device{AppStateKeys: memory, AppState: memory}
	return &State{
		memory:      memory,
		processor:   appstate.NewProcessor(device, waLog.Noop),
		collections: make(map[string]*collection),
	}
}

// KeyShare is the message with which the phone gives a linked device the key.
func (s *State) KeyShare() *waE2E.Message {
	return &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
		Type: waE2E.ProtocolMessage_APP_STATE_SYNC_KEY_SHARE.Enum(),
		AppStateSyncKeyShare: &waE2E.AppStateSyncKeyShare{Keys: []*waE2E.AppStateSyncKey{{
			KeyID: &waE2E.AppStateSyncKeyId{KeyID: keyID()},
			KeyData: &waE2E.AppStateSyncKeyData{
				KeyData:     s.memory.key[:],
				Fingerprint: &waE2E.AppStateSyncKeyFingerprint{RawID: proto.Uint32(1), CurrentIndex: proto.Uint32(0)},
				Timestamp:   proto.Int64(time.Now().UnixMilli()),
			},
		}}},
	}}
}

// SetPushName writes the account's name; it returns the collection that changed and its new version.
func (s *State) SetPushName(ctx context.Context, name string) (string, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := appstate.BuildSettingPushName(name)
	current := s.collection(string(info.Type))
	raw, err := s.processor.EncodePatch(ctx, keyID(), current.state, info)
	if err != nil {
		return "", 0, fmt.Errorf("encode push name: %w", err)
	}
	if err := s.append(ctx, string(info.Type), raw); err != nil {
		return "", 0, err
	}
	return string(info.Type), current.state.Version, nil
}

// Append takes a patch that a client made against a version of a collection.
func (s *State) Append(ctx context.Context, name string, against uint64, patch []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.collection(name).state.Version != against {
		return ErrConflict
	}
	return s.append(ctx, name, patch)
}

// Since gives the patches of a collection after a version, and the newest version.
func (s *State) Since(name string, version uint64) (patches [][]byte, newest uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.collection(name)
	if version > current.state.Version {
		version = current.state.Version
	}
	return current.patches[version:], current.state.Version
}

func (s *State) collection(name string) *collection {
	if s.collections[name] == nil {
		s.collections[name] = &collection{}
	}
	return s.collections[name]
}

// append numbers a patch and checks it as a client would; the lock is held.
func (s *State) append(ctx context.Context, name string, raw []byte) error {
	current := s.collection(name)
	var patch waServerSync.SyncdPatch
	if err := proto.Unmarshal(raw, &patch); err != nil {
		return fmt.Errorf("read patch: %w", err)
	}
	patch.Version = &waServerSync.SyncdVersion{Version: proto.Uint64(current.state.Version + 1)}
	list := &appstate.PatchList{Name: appstate.WAPatchName(name), Patches: []*waServerSync.SyncdPatch{&patch}}
	_, state, err := s.processor.DecodePatches(ctx, list, current.state, true)
	if err != nil {
		return fmt.Errorf("check patch: %w", err)
	}
	numbered, err := proto.Marshal(&patch)
	if err != nil {
		return fmt.Errorf("encode patch: %w", err)
	}
	current.state = state
	current.patches = append(current.patches, numbered)
	return nil
}
