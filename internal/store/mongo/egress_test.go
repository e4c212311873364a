package mongo_test

import (
	"testing"

	"github.com/dannsalud/broadcaster/internal/store/storetest"
)

func TestEgressesKeepTheirPromises(t *testing.T) {
	t.Parallel()
	storetest.RunEgresses(t, func(t *testing.T) storetest.EgressStores {
		db := open(t, fresh(t))
		return storetest.EgressStores{Sessions: db.Sessions(), Egresses: db.Egresses()}
	})
}
