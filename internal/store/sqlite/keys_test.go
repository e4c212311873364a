package sqlite_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/store/storetest"
)

func openKeys(t *testing.T, path string) *sqlite.Keys {
	t.Helper()
	keys, err := sqlite.OpenKeys(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := keys.Close(); err != nil {
			t.Error(err)
		}
	})
	return keys
}

func TestKeysConform(t *testing.T) {
	t.Parallel()
	storetest.RunKeys(t, func(t *testing.T) store.Keys { return openKeys(t, filepath.Join(t.TempDir(), "keys.db")) })
}

// TestAKeyBatchThatFailsLeavesNothing: a trigger stands for whatever may go wrong in the middle of a batch.
func TestAKeyBatchThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.db")
	keys := openKeys(t, path)
	value := func(key, value string) store.KeyChange {
		return store.KeyChange{Kind: "session", Key: key, Value: []byte(value)}
	}
	write := func(epoch uint64, all bool, changes ...store.KeyChange) error {
		return keys.Write(t.Context(), store.KeyBatch{Session: "a", Epoch: epoch, Changes: changes, Clear: all})
	}
	if err := write(1, false, value("1", "before"), value("2", "before")); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	if _, err := raw.ExecContext(t.Context(), `CREATE TRIGGER refuse BEFORE INSERT ON key_rows WHEN new.key = 'bad' BEGIN SELECT RAISE(ABORT, 'refused'); END`); err != nil {
		t.Fatal(err)
	}
	for name, clear := range map[string]bool{"changes": false, "with a clear": true} {
		if err := write(2, clear, value("1", "after"), store.KeyChange{Kind: "session", Key: "2"}, value("bad", "x"), value("4", "x")); err == nil {
			t.Fatalf("%s: the trigger refused nothing", name)
		}
		list, err := keys.Scan(t.Context(), "a", "session", "", store.Page{})
		if err != nil {
			t.Fatal(err)
		}
		want := []store.KeyRow{{Session: "a", Kind: "session", Key: "1", Value: []byte("before")}, {Session: "a", Kind: "session", Key: "2", Value: []byte("before")}}
		if difference := cmp.Diff(want, list.Items); difference != "" {
			t.Errorf("%s (-want +got):\n%s", name, difference)
		}
	}
	if err := write(1, false, value("1", "same owner")); err != nil {
		t.Errorf("the fence of a batch that failed stayed: %v", err)
	}
}

func TestKeysOutliveTheirProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.db")
	first := openKeys(t, path)
	if err := first.Write(t.Context(), store.KeyBatch{Session: "a", Epoch: 3, Changes: []store.KeyChange{{Kind: "k", Key: "1", Value: []byte("v")}}}); err != nil {
		t.Fatal(err)
	}
	second := openKeys(t, path) // the first is still open, as a process is that was killed a moment ago
	rows, err := second.Get(t.Context(), "a", "k", []string{"1"})
	if err != nil || len(rows) != 1 {
		t.Errorf("%v, %v", rows, err)
	}
	if err := second.Fence(t.Context(), "a", 2); !errors.Is(err, store.ErrFenced) {
		t.Errorf("the fence was forgotten: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestAFileThatIsNoKeyStoreIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "books.db")
	books, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := books.Close(); err != nil {
		t.Fatal(err)
	}
	var refused *fault.Error
	if _, err := sqlite.OpenKeys(t.Context(), sqlite.Options{Path: path}); !errors.As(err, &refused) || refused.Code != "foreign_database" {
		t.Errorf("got %v", err)
	}
	if _, err := sqlite.OpenKeys(t.Context(), sqlite.Options{}); err == nil {
		t.Error("a key store without a file")
	}
}
