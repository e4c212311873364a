package mongo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/store/mongo"
)

// replica opens a database of a server that says that it is a replica set, and forgets what was asked while it was opened.
func replica(t *testing.T) (*mongo.DB, *fake) {
	t.Helper()
	server := startFake(t)
	db := open(t, mongo.Options{URI: server.uri()})
	server.asked()
	return db, server
}

// told gives the commands as texts: name, collection, and those of its settings that matter here.
func told(commands []bson.Raw) (texts []string) {
	for _, command := range commands {
		parts := []string{nameOf(command)}
		if collection, ok := command.Lookup(nameOf(command)).StringValueOK(); ok {
			parts = append(parts, collection)
		}
		if command.Lookup("startTransaction").Type != 0 {
			parts = append(parts, "starts")
		}
		if command.Lookup("txnNumber").Type != 0 && command.Lookup("autocommit").Type == 0 {
			parts = append(parts, "retried")
		}
		if level, ok := command.Lookup("readConcern", "level").StringValueOK(); ok {
			parts = append(parts, "reads", level)
		}
		if command.Lookup("readConcern", "afterClusterTime").Type != 0 {
			parts = append(parts, "after")
		}
		if w, ok := command.Lookup("writeConcern", "w").StringValueOK(); ok {
			parts = append(parts, "kept by", w)
		}
		texts = append(texts, strings.Join(parts, " "))
	}
	return texts
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if difference := cmp.Diff(want, got); difference != "" {
		t.Fatalf("differs (-want +got):\n%s", difference)
	}
}

func TestReplicaSetHasItAll(t *testing.T) {
	t.Parallel()
	server := startFake(t)
	var log bytes.Buffer
	db := open(t, mongo.Options{URI: server.uri(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	same(t, db.Capabilities(), mongo.Capabilities{ReplicaSet: true, Transactions: true, Snapshots: true, PartialIndexes: true, ExpiringIndexes: true,
		BulkLimit: 1000})
	if log.Len() > 0 {
		t.Errorf("it complains of a replica set: %s", log.String())
	}
	var special []string
	for _, command := range server.asked() {
		if nameOf(command) != "createIndexes" {
			continue
		}
		index := elements(command, "indexes")[0].Document()
		for _, feature := range []string{"unique", "partialFilterExpression", "expireAfterSeconds"} {
			if value := index.Lookup(feature); value.Type != 0 {
				special = append(special, fmt.Sprint(index.Lookup("name").StringValue(), " ", feature, " ", value))
			}
		}
	}
	same(t, special, []string{
		`deliveries_by_sequence unique true`,
		`deliveries_open partialFilterExpression {"rank": {"$gte": {"$numberInt":"1"},"$lte": {"$numberInt":"2"}}}`,
		`rejections_by_row unique true`,
		`documents_by_expiry partialFilterExpression {"expires_at": {"$exists": true}}`,
		`documents_by_expiry expireAfterSeconds {"$numberInt":"0"}`,
		`idempotency_by_expiry expireAfterSeconds {"$numberInt":"0"}`,
		`keys_by_expiry partialFilterExpression {"expires_at": {"$exists": true}}`,
		`keys_by_expiry expireAfterSeconds {"$numberInt":"0"}`,
	})
}

func TestConcernsAreThoseOfThePorts(t *testing.T) {
	t.Parallel()
	server := startFake(t)
	db := open(t, mongo.Options{URI: server.uri() + "&w=1&readConcernLevel=local&retryWrites=false&readPreference=secondary"})
	ctx := t.Context()
	for _, row := range []struct {
		call func() error
		want string
	}{
		{func() error { return db.Sessions().Create(ctx, session.Session{ID: "s"}) }, "insert sessions retried kept by majority"},
		{func() error { return db.Sessions().Update(ctx, session.Session{ID: "s"}) }, "update sessions retried kept by majority"},
		{func() error { return db.Keys().Fence(ctx, "s", 3) }, "update key_fences retried kept by majority"},
		{func() error { _, err := db.Sessions().List(ctx, session.Filter{}, store.Page{}); return err }, "find sessions reads majority"},
		{func() error { _, err := db.Deliveries().Counts(ctx, "c"); return err }, "aggregate deliveries reads snapshot"},
	} {
		server.asked()
		if err := row.call(); err != nil {
			t.Fatalf("%s: %v", row.want, err)
		}
		same(t, told(server.asked()), []string{row.want})
	}
	server.says("aggregate", fails(246, ""))
	if _, err := db.Deliveries().Counts(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	same(t, told(server.asked()), []string{"aggregate deliveries reads snapshot", "aggregate deliveries reads majority"})
	server.says("find", found(bson.D{{Key: "state", Value: "paused"}}))
	state, err := db.Campaigns().State(ctx, "c")
	if err != nil || state != campaign.Paused {
		t.Fatal(state, err)
	}
	same(t, told(server.asked()), []string{"find campaigns reads linearizable"})
}

// keyBatch is a batch that puts one row and deletes another.
func keyBatch(epoch uint64) store.KeyBatch {
	return store.KeyBatch{Session: "s/1", Epoch: epoch, Changes: []store.KeyChange{{Kind: "k", Key: "a/b", Value: []byte("v")}, {Kind: "k", Key: "c"}}}
}

func TestBatchOfKeysIsOneTransaction(t *testing.T) {
	t.Parallel()
	db, server := replica(t)
	batch := keyBatch(7)
	batch.Clear = true
	if err := db.Keys().Write(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	commands := server.asked()
	same(t, told(commands), []string{"update key_fences starts reads snapshot", "delete keys", "update keys", "delete keys", "commitTransaction kept by majority"})
	for _, command := range commands[1:] {
		for _, field := range []string{"lsid", "txnNumber", "autocommit"} {
			if !command.Lookup(field).Equal(commands[0].Lookup(field)) {
				t.Errorf("%s has another %s: %v", nameOf(command), field, command.Lookup(field))
			}
		}
	}
	fence := elements(commands[0], "updates")[0].Document()
	same(t, fence.Lookup("q").String(), `{"_id": "s/1","epoch": {"$lte": {"$numberLong":"7"}}}`)
	same(t, fence.Lookup("u").String(), `{"$set": {"epoch": {"$numberLong":"7"}},"$inc": {"writes": {"$numberLong":"1"}}}`)
	same(t, elements(commands[1], "deletes")[0].Document().Lookup("q").String(), `{"_id": {"$gte": "s%2F1/","$lt": "s%2F10"}}`)
	same(t, elements(commands[2], "updates")[0].Document().Lookup("q").String(), `{"_id": "s%2F1/k/a/b"}`)
}

func TestFormerOwnersBatchIsTakenBack(t *testing.T) {
	t.Parallel()
	db, server := replica(t)
	server.says("update", refuses("s/1"))
	server.says("find", found(bson.D{{Key: "_id", Value: "s/1"}}))
	if err := db.Keys().Write(t.Context(), keyBatch(7)); !errors.Is(err, store.ErrFenced) {
		t.Fatalf("got %v", err)
	}
	same(t, told(server.asked()), []string{"update key_fences starts reads snapshot", "abortTransaction kept by majority", "find key_fences reads majority after"})
}

func TestBatchThatMetAnotherIsRepeated(t *testing.T) {
	t.Parallel()
	db, server := replica(t)
	const writeConflict = 112
	server.says("update", fails(writeConflict, "TransientTransactionError"), refuses("s/1")) // and then a fence that came into being meanwhile
	if err := db.Keys().Write(t.Context(), keyBatch(7)); err != nil {
		t.Fatal(err)
	}
	same(t, told(server.asked()), []string{
		"update key_fences starts reads snapshot", "abortTransaction kept by majority",
		"update key_fences starts reads snapshot after", "abortTransaction kept by majority",
		"find key_fences reads majority after",
		"update key_fences starts reads snapshot after", "update keys", "delete keys", "commitTransaction kept by majority",
	})
}

// TestWhatAWriteMetIsReadBehindIt: a plan that meets the row of another planner, which a majority does not have yet, must not take it for a conflict
// of sequences.
func TestWhatAWriteMetIsReadBehindIt(t *testing.T) {
	t.Parallel()
	db, server := replica(t)
	server.says("insert", refuses("d"))
	server.says("find", found(bson.D{{Key: "_id", Value: "c"}}), found(bson.D{{Key: "_id", Value: "d"}}))
	left, err := db.Deliveries().Plan(t.Context(), []campaign.Delivery{{ID: "d", CampaignID: "c", Sequence: 1, State: campaign.Pending}})
	if err != nil {
		t.Fatal(err)
	}
	same(t, left, []int{0})
	same(t, told(server.asked()), []string{"find campaigns reads majority", "insert deliveries retried after kept by majority", "find deliveries reads majority after"})

	server.says("update", bson.D{{Key: "ok", Value: 1}, {Key: "n", Value: 0}, {Key: "nModified", Value: 0}})
	if err := db.Sessions().Update(t.Context(), session.Session{ID: "s"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	same(t, told(server.asked()), []string{"update sessions retried kept by majority", "find sessions reads majority after"})
}

func TestServersWordsStayWithTheServer(t *testing.T) {
	t.Parallel()
	db, server := replica(t)
	const phone = "+5491122334455"
	for _, row := range []struct {
		name   string
		answer bson.D
		class  fault.Class
		code   string
	}{
		{"a duplicate key", refuses(phone), fault.Conflict, "conflict"},
		{"a refused user", fails(13, ""), fault.Internal, "store_unauthorized"},
		{"a full disk", fails(14031, ""), fault.RetryLater, "store_full"},
		{"too slow", fails(50, ""), fault.RetryLater, "store_unreachable"},
		{"a busy server", fails(112, "TransientTransactionError"), fault.RetryLater, "store_busy"},
		{"a defect", fails(2, ""), fault.Internal, "internal"},
	} {
		server.says("insert", row.answer, row.answer)
		err := db.Sessions().Create(t.Context(), session.Session{ID: "s"})
		if fault.Of(err) != row.class || fault.As(err).Code != row.code {
			t.Errorf("%s: class %s and code %s: %v", row.name, fault.Of(err), fault.As(err).Code, err)
		}
		if err == nil || strings.Contains(err.Error(), phone) || !strings.Contains(err.Error(), "create session s") {
			t.Errorf("%s: the error is %v", row.name, err)
		}
	}
}

func TestRefusedUserIsSaidAndWaitedFor(t *testing.T) {
	t.Parallel()
	const secret = "s3cret-word"
	server := startFake(t)
	for _, name := range []string{"saslStart", "saslContinue"} {
		server.says(name, slices.Repeat([]bson.D{fails(18, "")}, 100)...)
	}
	log, logger := newLines()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-log.logged
		cancel()
	}()
	_, err := mongo.Open(ctx, mongo.Options{URI: strings.Replace(server.uri(), "://", "://me:"+secret+"@", 1), Log: logger})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if text := log.String(); !strings.Contains(text, "refuses the user or password") || strings.Contains(text, secret) || strings.Contains(text, "it said") {
		t.Errorf("the log is\n%s", text)
	}
}

func TestRefusedSpecialIndexesBecomePlainOnes(t *testing.T) {
	t.Parallel()
	server := startFake(t)
	made := bson.D{{Key: "ok", Value: 1}}
	// The answers are those to deliveries_open, as the eleventh, and to what follows: this server has indexes that expire, and no partial ones.
	answers := []bson.D{made, made, made, made, made, made, made, made, made, made, fails(67, "")}
	server.says("createIndexes", answers...)
	db := open(t, mongo.Options{URI: server.uri()})
	if got := db.Capabilities(); got.PartialIndexes || !got.ExpiringIndexes {
		t.Errorf("got %+v", got)
	}
	server.says("createIndexes", append(answers[:10:10], fails(1, ""))...)
	if _, err := mongo.Open(t.Context(), mongo.Options{URI: server.uri(), OperationTimeout: time.Minute}); err == nil {
		t.Error("an index that could not be made was no error")
	}
}
