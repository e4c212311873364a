package keys_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	wastore "go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite" // the driver of the yardstick

	"go.mau.fi/whatsmeow/proto/waAdv"

	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/store/mongo"
	"github.com/dannsalud/broadcaster/internal/store/mongo/mongotest"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	. "github.com/dannsalud/broadcaster/internal/wa/keys"
)

// TestMain also is the main of the process that a test kills.
func TestMain(m *testing.M) {
	if path := os.Getenv(crashPath); path != "" {
		fmt.Fprintln(os.Stderr, sendUntilKilled(context.Background(), path, os.Getenv(crashKey)))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// opener opens an empty database under the key store, and closes it when the test ends.
type opener func(t testing.TB) store.Keys

// backends are the databases that every test of behaviour runs on.
func backends() map[string]opener {
	return map[string]opener{"sqlite": openSQLite, "mongo": openMongo}
}

// onEach runs a test on every database.
func onEach(t *testing.T, test func(t *testing.T, open opener)) {
	t.Helper()
	for name, open := range backends() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

func openSQLite(t testing.TB) store.Keys {
	t.Helper()
	return openSQLiteAt(t, filepath.Join(t.TempDir(), "keys.db"))
}

func openSQLiteAt(t testing.TB, path string) store.Keys {
	t.Helper()
	opened, err := sqlite.OpenKeys(t.Context(), sqlite.Options{Path: path})
	must(t, err)
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	return opened
}

func openMongo(t testing.TB) store.Keys {
	t.Helper()
	uri, name := mongotest.Database(t)
	opened, err := mongo.Open(t.Context(), mongo.Options{URI: uri, Database: name})
	must(t, err)
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	return opened.Keys()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newRing(t testing.TB) *Ring {
	t.Helper()
	return parseRing(t, GenerateKey())
}

func parseRing(t testing.TB, text string) *Ring {
	t.Helper()
	ring, err := ParseRing(text)
	must(t, err)
	return ring
}

func openStore(t testing.TB, database store.Keys, ring *Ring) *Store {
	t.Helper()
	opened, err := Open(t.Context(), Options{Keys: database, Ring: ring})
	must(t, err)
	return opened
}

// own opens the rows of a session and closes them when the test ends.
func own(t testing.TB, keyStore *Store, session string, epoch uint64) *Owner {
	t.Helper()
	owner, err := keyStore.Own(t.Context(), OwnerOptions{Session: session, Epoch: epoch})
	must(t, err)
	t.Cleanup(func() {
		if err := owner.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("close the owner: %v", err)
		}
	})
	return owner
}

// onDisk is an owner on a database of its own.
func onDisk(t testing.TB, open opener) (*Owner, *Store, store.Keys) {
	t.Helper()
	database := open(t)
	keyStore := openStore(t, database, newRing(t))
	return own(t, keyStore, "ses_1", 1), keyStore, database
}

var ourJID = types.JID{User: "5491150000000", Device: 7, Server: types.DefaultUserServer}

// paired gives a device as it is after its pairing.
func paired(device *wastore.Device) *wastore.Device {
	jid := ourJID
	device.ID = &jid
	device.LID = types.JID{User: "900000000000000", Device: 7, Server: types.HiddenUserServer}
	device.Platform, device.BusinessName, device.PushName = "android", "Shop", "Ana"
	device.LIDMigrationTimestamp, device.CompanionMetaNonce = 1700000000, "nonce"
	device.Account = &waAdv.ADVSignedDeviceIdentity{Details: []byte("details"), AccountSignature: make([]byte, 64),
		AccountSignatureKey: make([]byte, 32), DeviceSignature: make([]byte, 64)}
	return device
}

// save stores a paired device, which gives it its stores.
func save(t testing.TB, device *wastore.Device) *wastore.Device {
	t.Helper()
	must(t, paired(device).Save(t.Context()))
	return device
}

// yardstick is whatsmeow's own store, in memory.
func yardstick(t testing.TB) *sqlstore.Container {
	t.Helper()
	return yardstickAt(t, "file::memory:?_pragma=foreign_keys(1)")
}

func yardstickAt(t testing.TB, dsn string) *sqlstore.Container {
	t.Helper()
	database, err := sql.Open("sqlite", dsn)
	must(t, err)
	database.SetMaxOpenConns(1)
	container := sqlstore.NewWithDB(database, "sqlite", nil)
	must(t, container.Upgrade(t.Context()))
	must(t, container.LIDMap.FillCache(t.Context()))
	t.Cleanup(func() {
		if err := container.Close(); err != nil {
			t.Error(err)
		}
	})
	return container
}

// stores puts a device's stores together, as whatsmeow uses them.
type stores struct {
	wastore.AllSessionSpecificStores
	wastore.LIDStore
}

func storesOf(t testing.TB, device *wastore.Device) wastore.AllStores {
	t.Helper()
	all, ok := device.Identities.(wastore.AllSessionSpecificStores)
	if !ok {
		t.Fatal("the device has no stores")
	}
	return stores{all, device.LIDs}
}

func ids(found []*keys.PreKey) []uint32 {
	all := make([]uint32, len(found))
	for i, key := range found {
		all[i] = key.KeyID
	}
	return all
}
