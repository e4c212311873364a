package mongo_test

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.uber.org/goleak"

	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/store/mongo"
	"github.com/dannsalud/broadcaster/internal/store/mongo/mongotest"
	"github.com/dannsalud/broadcaster/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a database and closes it when the test ends. The test fails when a query is served by no index.
func open(t testing.TB, o mongo.Options) *mongo.DB {
	t.Helper()
	db, err := mongo.Open(t.Context(), mongo.Watching(o, func(started *event.CommandStartedEvent) {
		if why := unserved(started); why != "" {
			t.Error(why)
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// fresh gives the options of an empty database.
func fresh(t testing.TB) mongo.Options {
	t.Helper()
	uri, name := mongotest.Database(t)
	return mongo.Options{URI: uri, Database: name}
}

func TestStoresKeepTheirPromises(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Stores { return stores(t, fresh(t)) })
}

func stores(t *testing.T, o mongo.Options) storetest.Stores {
	t.Helper()
	db := open(t, o)
	return storetest.Stores{Sessions: db.Sessions(), Campaigns: db.Campaigns(), Deliveries: db.Deliveries(), Suppressions: db.Suppressions(), Histories: db.Histories(),
		Idempotency: db.Idempotency(), Documents: db.Documents(),
		Reopen: func(t *testing.T) storetest.Stores {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			return stores(t, o)
		}}
}

func TestKeysKeepTheirPromises(t *testing.T) {
	t.Parallel()
	storetest.RunKeys(t, func(t *testing.T) store.Keys { return open(t, fresh(t)).Keys() })
}
