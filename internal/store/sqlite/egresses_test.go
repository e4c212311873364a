package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/dannsalud/broadcaster/internal/store/storetest"
)

func TestEgressesKeepTheirPromises(t *testing.T) {
	t.Parallel()
	storetest.RunEgresses(t, func(t *testing.T) storetest.EgressStores {
		db := open(t, filepath.Join(t.TempDir(), "books.db"))
		t.Cleanup(func() { wantIndexes(t, db) })
		return storetest.EgressStores{Sessions: db.Sessions(), Egresses: db.Egresses()}
	})
}
