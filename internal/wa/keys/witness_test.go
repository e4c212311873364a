package keys_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/dannsalud/broadcaster/internal/fault"
	. "github.com/dannsalud/broadcaster/internal/wa/keys"
)

// notebook is a witness in memory.
type notebook struct {
	mu     sync.Mutex
	epochs map[string]uint64
	broken error
}

func (n *notebook) Last(_ context.Context, session string) (uint64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.epochs[session], n.broken
}

func (n *notebook) Note(_ context.Context, session string, epoch uint64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.epochs[session] = max(n.epochs[session], epoch)
	return n.broken
}

// TestAnOlderCopyOfTheKeyStoreIsRefused: the file is copied, the device goes on, and the copy is put back.
func TestAnOlderCopyOfTheKeyStoreIsRefused(t *testing.T) {
	t.Parallel()
	ring, seen := newRing(t), &notebook{epochs: map[string]uint64{}}
	open := func(path string, epoch uint64) *Owner {
		t.Helper()
		keyStore, err := Open(t.Context(), Options{Keys: openSQLiteAt(t, path), Ring: ring, Witness: seen})
		must(t, err)
		return own(t, keyStore, "ses_1", epoch)
	}
	running := filepath.Join(t.TempDir(), "keys.db")
	first := open(running, 5)
	save(t, first.NewDevice())
	must(t, first.Attest(t.Context()))
	must(t, first.Flush(t.Context()))

	backup := filepath.Join(t.TempDir(), "keys.db")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		content, err := os.ReadFile(running + suffix)
		if err == nil {
			err = os.WriteFile(backup+suffix, content, 0o600)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	must(t, open(running, 7).Attest(t.Context()))
	if err := open(backup, 9).Attest(t.Context()); !errors.Is(err, ErrRestored) || fault.Of(err) != fault.Relink {
		t.Errorf("an older copy was opened: %v", err)
	}
	must(t, open(running, 11).Attest(t.Context()))

	linkedAgain := open(running, 13)
	must(t, linkedAgain.Bury(t.Context(), "logged_out"))
	linkedAgain = open(running, 15)
	save(t, linkedAgain.NewDevice())
	must(t, open(running, 17).Attest(t.Context()))
	if seen.epochs["ses_1"] != 17 {
		t.Errorf("the witness knows epoch %d", seen.epochs["ses_1"])
	}
}

func TestADeviceIsNotOpenedWithoutItsWitness(t *testing.T) {
	t.Parallel()
	broken := errors.New("no connection")
	keyStore, err := Open(t.Context(), Options{Keys: openSQLite(t), Ring: newRing(t), Witness: &notebook{broken: broken}})
	must(t, err)
	if err := own(t, keyStore, "ses_1", 1).Attest(t.Context()); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
