package mongotest_test

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/store/mongo/mongotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(t *testing.T, uri string) *mongo.Client {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetTimeout(20 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	return client
}

func TestServerKeepsItsFolderAndEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for run := range 2 {
		server, err := mongotest.Start(t.Context(), mongotest.ServerOptions{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		counter := connect(t, server.URI).Database("a").Collection("b")
		if _, err := counter.InsertOne(t.Context(), bson.D{{Key: "_id", Value: run}}); err != nil {
			t.Fatal(err)
		}
		if n, err := counter.CountDocuments(t.Context(), bson.D{}); err != nil || n != int64(run+1) {
			t.Errorf("run %d finds %d documents, %v", run, n, err)
		}
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
		at, err := url.Parse(server.URI)
		if err != nil {
			t.Fatal(err)
		}
		if connection, err := net.DialTimeout("tcp", at.Host, time.Second); err == nil {
			_ = connection.Close()
			t.Error("it listens although it was stopped")
		}
	}
}

// TestUpdatesOfOneDocumentAreAtomic: the promise of MongoDB for which the server is patched.
func TestUpdatesOfOneDocumentAreAtomic(t *testing.T) {
	t.Parallel()
	const writers, writes = 8, 20
	uri, name := mongotest.Database(t)
	collection := connect(t, uri).Database(name).Collection("counters")
	if _, err := collection.InsertOne(t.Context(), bson.D{{Key: "_id", Value: "a"}, {Key: "n", Value: 0}}); err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	for range writers {
		group.Go(func() error {
			for range writes {
				if _, err := collection.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "a"}}, bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var got struct{ N int }
	if err := collection.FindOne(t.Context(), bson.D{{Key: "_id", Value: "a"}}).Decode(&got); err != nil || got.N != writers*writes {
		t.Errorf("%d updates count %d, %v", writers*writes, got.N, err)
	}
}

func TestEachDatabaseIsFresh(t *testing.T) {
	t.Parallel()
	var names []string
	for range 3 {
		_, name := mongotest.Database(t)
		names = append(names, name)
	}
	if slices.Sort(names); len(slices.Compact(names)) != 3 {
		t.Errorf("the names are %v", names)
	}
}

// TestBuildIsReused: one program, complete, whoever asks and however many at once.
func TestBuildIsReused(t *testing.T) {
	t.Parallel()
	paths := make([]string, 4)
	var group errgroup.Group
	for i := range paths {
		group.Go(func() (err error) {
			paths[i], err = mongotest.Binary(t.Context())
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(slices.Compact(paths)) != 1 {
		t.Errorf("several programs: %v", paths)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(paths[0]), "build-*")); err != nil || len(left) > 0 {
		t.Errorf("a build left %v, %v", left, err)
	}
	program, err := os.ReadFile(paths[0])
	if err != nil || !bytes.Contains(program, []byte("FerretDB")) {
		t.Errorf("it is no FerretDB: %d bytes, %v", len(program), err)
	}
}
