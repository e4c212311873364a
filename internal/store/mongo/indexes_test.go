package mongo_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/dannsalud/broadcaster/internal/store/mongo"
)

// leftToDocuments are the conditions that no index has to hold, and why that is no scan.
var leftToDocuments = map[string]string{
	"campaigns user_id": "a session has one user: the campaigns of the session are those of the user",
	"deliveries $or":    "the index of open deliveries holds both of its fields",
	"keys epoch":        "a former owner's rows are few: it is asked of rows that go with their session",
}

// unserved says why no index serves a command; empty when one does, or when it asks for nothing. Every test's database shows its commands to it.
func unserved(started *event.CommandStartedEvent) string {
	collection, _ := started.Command.Lookup(started.CommandName).StringValueOK()
	var queries []query
	switch started.CommandName {
	case "find":
		queries = append(queries, query{filter: document(started.Command, "filter"), order: keysOf(document(started.Command, "sort"))})
	case "aggregate":
		first := elements(started.Command, "pipeline")[0].Document()
		queries = append(queries, query{filter: document(first, "$match")})
	case "update", "delete":
		for _, each := range elements(started.Command, started.CommandName+"s") {
			queries = append(queries, query{filter: document(each.Document(), "q")})
		}
	case "count", "distinct", "findAndModify":
		return "teach this test where the filter of " + started.CommandName + " is"
	}
	for _, q := range queries {
		if !q.served(collection) {
			return fmt.Sprintf("no index of %s serves the filter %v in the order %v", collection, q.filter, q.order)
		}
	}
	return ""
}

// query is what a command asks of a collection.
type query struct {
	filter bson.Raw
	order  []string
}

func (q query) served(collection string) bool {
	keys, only := mongo.TableOfIndexes(collection)
	for i := range keys {
		if q.servedBy(collection, keys[i]) && (only[i] == "" || q.filter.Lookup(only[i]).Type != 0) {
			return true
		}
	}
	return false
}

// servedBy: the conditions of equality are the first keys, the order follows them, and whatever else is asked for is in the index or on the list.
func (q query) servedBy(collection string, keys []string) bool {
	asked := keysOf(q.filter)
	equal := 0
	for equal < len(keys) && q.isEqual(keys[equal]) {
		equal++
	}
	rest := keys[equal:]
	for i, key := range q.order {
		if slices.Contains(keys[:equal], key) {
			continue
		}
		if i >= len(rest) || rest[i] != key {
			return false
		}
	}
	bounded := equal > 0 || len(asked) == 0 || slices.Contains(asked, keys[0])
	one := equal > 0 && keys[0] == "_id" // what else is asked for is asked of the documents named
	for _, field := range asked {
		if !one && !slices.Contains(keys, field) && leftToDocuments[collection+" "+field] == "" {
			return false
		}
	}
	return bounded
}

// isEqual tells whether the filter names the values of a field.
func (q query) isEqual(field string) bool {
	value := q.filter.Lookup(field)
	condition, isDocument := value.DocumentOK()
	return value.Type != 0 && (!isDocument || condition.Lookup("$in").Type != 0)
}

func document(in bson.Raw, key string) bson.Raw {
	found, _ := in.Lookup(key).DocumentOK()
	return found
}

func elements(in bson.Raw, key string) []bson.RawValue {
	array, _ := in.Lookup(key).ArrayOK()
	values, _ := array.Values()
	return values
}

func keysOf(of bson.Raw) (keys []string) {
	found, _ := of.Elements()
	for _, each := range found {
		keys = append(keys, each.Key())
	}
	return keys
}

func TestQueriesWithoutAnIndexAreFound(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		collection, filter string
		order              []string
		served             bool
	}{
		{"sessions", `{}`, []string{"_id"}, true},
		{"sessions", `{"user_id": "a", "state": {"$in": ["x"]}, "_id": {"$gt": "b"}}`, []string{"_id"}, true},
		{"sessions", `{"name": "a"}`, nil, false},
		{"sessions", `{"user_id": "a", "name": "b"}`, nil, false},
		{"sessions", `{"user_id": "a"}`, []string{"name"}, false},
		{"sessions", `{"_id": "a", "revision": 3}`, nil, true},
		{"sessions", `{"_id": {"$gt": "a"}, "revision": 3}`, nil, false},
		{"deliveries", `{"campaign": "a", "state": "pending"}`, []string{"sequence"}, true},
		{"deliveries", `{"campaign": "a", "state": "pending"}`, []string{"phone"}, false},
		{"deliveries", `{"campaign": "a", "run": {"$ne": "b"}, "rank": {"$gte": 1}}`, []string{"sequence"}, true},
		{"deliveries", `{"campaign": "a", "run": {"$ne": "b"}}`, []string{"sequence"}, false},
		{"keys", `{"session": "a"}`, nil, false},
	} {
		var filter bson.Raw
		if err := bson.UnmarshalExtJSON([]byte(row.filter), false, &filter); err != nil {
			t.Fatal(err)
		}
		if got := (query{filter, row.order}).served(row.collection); got != row.served {
			t.Errorf("%s %s in the order %v: served is %v", row.collection, row.filter, row.order, got)
		}
	}
}

func TestEveryIndexIsMadeOnce(t *testing.T) {
	t.Parallel()
	o := fresh(t)
	open(t, o)
	before := listIndexes(t, o)
	open(t, o)
	if difference := cmp.Diff(before, listIndexes(t, o)); difference != "" {
		t.Errorf("the second start changed the indexes (-want +got):\n%s", difference)
	}
	all, collections := mongo.CountOfIndexes()
	if len(before) != all+collections { // each collection has that of its ids
		t.Errorf("there are %d indexes, want %d: %v", len(before), all+collections, before)
	}
	for _, name := range before {
		if !strings.HasSuffix(name, "._id_") && !strings.Contains(name, "_by_") && !strings.HasSuffix(name, "_open") {
			t.Errorf("the index %s has no name of its own", name)
		}
	}
}

// listIndexes gives the names of the indexes of the database.
func listIndexes(t *testing.T, o mongo.Options) (names []string) {
	t.Helper()
	client, err := driver.Connect(options.Client().ApplyURI(o.URI))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := client.Disconnect(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	for _, collection := range []string{"sessions", "campaigns", "deliveries", "rejections", "idempotency", "keys", "egresses", "documents"} {
		specifications, err := client.Database(o.Database).Collection(collection).Indexes().ListSpecifications(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, specification := range specifications {
			names = append(names, collection+"."+specification.Name)
		}
	}
	slices.Sort(names)
	return names
}
