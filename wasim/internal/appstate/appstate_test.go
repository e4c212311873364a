package appstate

import (
	"errors"
	"testing"

	"go.mau.fi/whatsmeow/appstate"
	"go.mau.fi/whatsmeow/proto/waServerSync"
	"go.mau.fi/whatsmeow/store"
	waLog "go.mau.fi/whatsmeow/util/log"
	"google.golang.org/protobuf/proto"
)

// names reads the push names in the patches after a version, as a client that knows the key would.
func names(t *testing.T, state *State, version uint64) []string {
	t.Helper()
	memory := newMemory(state.memory.key)
	reader := appstate.NewProcessor(&store.Device{AppStateKeys: memory, AppState: memory}, waLog.Noop)
	patches, _ := state.Since("critical_block", version)
	list := &appstate.PatchList{Name: appstate.WAPatchCriticalBlock}
	for _, raw := range patches {
		var patch waServerSync.SyncdPatch
		if err := proto.Unmarshal(raw, &patch); err != nil {
			t.Fatal(err)
		}
		list.Patches = append(list.Patches, &patch)
	}
	mutations, _, err := reader.DecodePatches(t.Context(), list, appstate.HashState{}, version == 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, mutation := range mutations {
		found = append(found, mutation.Action.GetPushNameSetting().GetName())
	}
	return found
}

func TestNamesFollowEachOther(t *testing.T) {
	t.Parallel()
	state := New([32]byte{1})
	for i, name := range []string{"Ana", "Ana María", "Ana"} {
		collection, version, err := state.SetPushName(t.Context(), name)
		if err != nil || collection != "critical_block" || version != uint64(i+1) {
			t.Fatalf("%s is version %d of %q: %v", name, version, collection, err)
		}
	}
	if got := names(t, state, 0); len(got) != 3 || got[1] != "Ana María" {
		t.Errorf("from the start: %q", got)
	}
	if got := names(t, state, 2); len(got) != 1 || got[0] != "Ana" {
		t.Errorf("after version 2: %q", got)
	}
	if patches, newest := state.Since("critical_block", 99); len(patches) != 0 || newest != 3 {
		t.Errorf("after a version that does not exist: %d patches, newest %d", len(patches), newest)
	}
}

func TestClientsPatches(t *testing.T) {
	t.Parallel()
	state, client := New([32]byte{1}), New([32]byte{1})
	if _, _, err := client.SetPushName(t.Context(), "Ana"); err != nil {
		t.Fatal(err)
	}
	patches, _ := client.Since("critical_block", 0)
	if err := state.Append(t.Context(), "critical_block", 5, patches[0]); !errors.Is(err, ErrConflict) {
		t.Errorf("a patch against another version: %v", err)
	}
	if err := state.Append(t.Context(), "critical_block", 0, []byte{0xff}); err == nil {
		t.Error("an unreadable patch was taken")
	}
	if err := state.Append(t.Context(), "critical_block", 0, patches[0]); err != nil {
		t.Fatal(err)
	}
	if err := state.Append(t.Context(), "critical_block", 1, patches[0]); err == nil {
		t.Error("a patch that was made for another version was taken")
	}
	if got := names(t, state, 0); len(got) != 1 || got[0] != "Ana" {
		t.Errorf("names %q", got)
	}
}
