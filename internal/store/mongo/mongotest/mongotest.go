// Package mongotest gives tests a server that speaks the MongoDB wire protocol: a real MongoDB when MONGODB_TEST_URI names one, else
// FerretDB with SQLite, built once from the module in internal/store/mongo/ferret and started as a process. Go alone is needed.
//
// Nouns: Server (a process on loopback, and its URI), Database (a fresh, empty database of the server that a test binary shares), Binary (the
// program, built into the user's cache folder).
//
// The program is FerretDB v1.24.2 with the changes that patch.go lists and explains: with them the tests meet MongoDB's atomic update of one document, and
// filters are served by indexes. It still lacks transactions, indexes that expire or are partial, and large bulk writes.
//
// Callers: tests of internal/store/mongo and of whatever stores through it, and the end-to-end run. The product must never import it, and it ends no
// process but those that it started.
package mongotest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// URIVariable names the environment variable with the URI of a MongoDB to test against. Its user may make and drop databases. Transactions
// are tested when it is a replica set.
const URIVariable = "MONGODB_TEST_URI"

// shared is the server of this test binary. It ends with the binary, because its input does: what is returned holds that input.
var shared = sync.OnceValues(func() (*Server, error) {
	if uri := os.Getenv(URIVariable); uri != "" {
		return &Server{URI: uri}, nil
	}
	return Start(context.Background(), ServerOptions{})
})

// names makes the names of databases differ within a test binary.
var names = counter()

func counter() func() int64 {
	var n atomic.Int64
	return func() int64 { return n.Add(1) }
}

// Real tells whether the tests run against a MongoDB of the environment.
func Real() bool { return os.Getenv(URIVariable) != "" }

// URI gives the URI of the server that the tests of this binary share, starting it when it is asked for the first time.
func URI(t testing.TB) string {
	t.Helper()
	server, err := shared()
	if err != nil {
		t.Fatalf("start a MongoDB-wire server: %v", err)
	}
	return server.URI
}

// Database gives the URI of the shared server and the name of a database that no other test uses. In a real MongoDB the database is dropped
// when the test ends; the other server forgets everything with its process.
func Database(t testing.TB) (uri, name string) {
	t.Helper()
	uri = URI(t)
	name = fmt.Sprintf("test_%d_%d_%d", os.Getpid(), time.Now().UnixNano(), names())
	if Real() {
		t.Cleanup(func() {
			if err := drop(context.Background(), uri, name); err != nil {
				t.Errorf("drop the database of the test: %v", err)
			}
		})
	}
	return uri, name
}

func drop(ctx context.Context, uri, name string) error {
	if !strings.HasPrefix(name, "test_") {
		return fmt.Errorf("%s is no database of a test", name)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetTimeout(time.Minute))
	if err != nil {
		return err
	}
	if err := client.Database(name).Drop(ctx); err != nil {
		return err
	}
	return client.Disconnect(ctx)
}
