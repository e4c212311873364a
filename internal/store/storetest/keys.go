package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// RunKeys is the conformance suite of store.Keys. open gives an empty key store and closes it when the test that it is given ends. Whether a
// batch that fails half-way leaves nothing is tested beside the adapter: it needs a database that can be made to fail.
func RunKeys(t *testing.T, open func(t *testing.T) store.Keys) {
	t.Helper()
	checks := map[string]func(*testing.T, store.Keys){
		"WrittenRowsAreRead":               keysRoundTrip,
		"AnEmptyValueDeletes":              keysDelete,
		"ClearLeavesTheRowsOfTheBatchOnly": keysClear,
		"SessionsAndKindsAreApart":         keysApart,
		"FormerOwnersAreRefused":           keysFenced,
		"ARefusedBatchChangesNothing":      keysFencedWhole,
		"ScanIsInBytewiseOrder":            keysScan,
		"ScanShowsEachRowOnceWhileWritten": keysScanWhileWritten,
		"SessionsWithAKind":                keysSessions,
		"ResealLeavesWhatChanged":          keysReseal,
		"ExpiredRowsGo":                    keysExpire,
		"BadRowsAreRefused":                keysInvalid,
		"ABatchOfTheLargestSize":           keysLargest,
		"LikeAMap":                         keysModel,
		"OwnersOfManySessionsAtOnce":       keysConcurrent,
		"OneWinnerAmongEpochs":             keysRace,
	}
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

func keyPut(kind, key, value string) store.KeyChange {
	return store.KeyChange{Kind: kind, Key: key, Value: []byte(value)}
}

func keyWrite(t *testing.T, keys store.Keys, session string, epoch uint64, changes ...store.KeyChange) {
	t.Helper()
	keyOK(t, keys.Write(t.Context(), store.KeyBatch{Session: session, Epoch: epoch, Changes: changes}))
}

func keyOK(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// keyWant compares the rows of a kind with "key=value" texts, in the order of their keys.
func keyWant(t *testing.T, keys store.Keys, session, kind string, want ...string) {
	t.Helper()
	var got []string
	for _, row := range keyScan(t, keys, keyRange{session: session, kind: kind, size: 2}) {
		if row.Session != session || row.Kind != kind {
			t.Fatalf("a row of %s %s came among those of %s %s", row.Session, row.Kind, session, kind)
		}
		got = append(got, row.Key+"="+string(row.Value))
	}
	if difference := cmp.Diff(want, got, cmpopts.EquateEmpty()); difference != "" {
		t.Fatalf("rows of %s %s (-want +got):\n%s", session, kind, difference)
	}
}

// keyRange is what a scan reads, in pages of a size.
type keyRange struct {
	session, kind, prefix string
	size                  int
}

func keyScan(t *testing.T, keys store.Keys, r keyRange) (rows []store.KeyRow) {
	t.Helper()
	page := store.Page{Size: r.size}
	for {
		list, err := keys.Scan(t.Context(), r.session, r.kind, r.prefix, page)
		keyOK(t, err)
		rows = append(rows, list.Items...)
		if list.Next == "" {
			return rows
		}
		page.After = list.Next
	}
}

func keysRoundTrip(t *testing.T, keys store.Keys) {
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	value := make([]byte, 256)
	for i := range value {
		value[i] = byte(i)
	}
	keyOK(t, keys.Write(t.Context(), store.KeyBatch{Session: "a", Epoch: 1, Changes: []store.KeyChange{
		{Kind: "k", Key: "", Value: value}, {Kind: "k", Key: "ñandú % _ \\ ' \" |", Value: []byte("v"), Expires: expires}}}))
	got, err := keys.Get(t.Context(), "a", "k", []string{"", "missing", "ñandú % _ \\ ' \" |"})
	keyOK(t, err)
	slices.SortFunc(got, func(a, b store.KeyRow) int { return strings.Compare(a.Key, b.Key) })
	want := []store.KeyRow{{Session: "a", Kind: "k", Value: value}, {Session: "a", Kind: "k", Key: "ñandú % _ \\ ' \" |", Value: []byte("v"), Expires: expires}}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Fatalf("(-want +got):\n%s", difference)
	}
	keyWrite(t, keys, "a", 1, keyPut("k", "", "new"), keyPut("k", "ñandú % _ \\ ' \" |", "kept"))
	if got, err := keys.Get(t.Context(), "a", "k", []string{"ñandú % _ \\ ' \" |"}); err != nil || len(got) != 1 || !got[0].Expires.IsZero() {
		t.Fatalf("a row that was written anew without an expiry has one: %v, %v", got, err)
	}
	for _, none := range [][]string{nil, {"nothing"}} {
		if got, err := keys.Get(t.Context(), "a", "k", none); err != nil || len(got) != 0 {
			t.Fatalf("rows that are not there: %v, %v", got, err)
		}
	}
}

func keysDelete(t *testing.T, keys store.Keys) {
	keyWrite(t, keys, "a", 1, keyPut("k", "1", "x"), keyPut("k", "2", "y"))
	keyWrite(t, keys, "a", 1, store.KeyChange{Kind: "k", Key: "1"}, store.KeyChange{Kind: "k", Key: "absent"}, keyPut("k", "3", "z"))
	keyWant(t, keys, "a", "k", "2=y", "3=z")
	keyWrite(t, keys, "a", 1)
	keyWant(t, keys, "a", "k", "2=y", "3=z")
}

func keysClear(t *testing.T, keys store.Keys) {
	keyWrite(t, keys, "a", 1, keyPut("k", "1", "x"), keyPut("k", "2", "y"), keyPut("other", "", "o"))
	keyWrite(t, keys, "b", 1, keyPut("k", "1", "of b"))
	keyOK(t, keys.Write(t.Context(), store.KeyBatch{Session: "a", Epoch: 1, Clear: true, Changes: []store.KeyChange{keyPut("k", "2", "kept"), keyPut("tomb", "", "t")}}))
	keyWant(t, keys, "a", "k", "2=kept")
	keyWant(t, keys, "a", "other")
	keyWant(t, keys, "a", "tomb", "=t")
	keyWant(t, keys, "b", "k", "1=of b")
}

func keysApart(t *testing.T, keys store.Keys) {
	keyWrite(t, keys, "a", 1, keyPut("k", "1", "a k"), keyPut("kk", "1", "a kk"))
	keyWrite(t, keys, "aa", 9, keyPut("k", "1", "aa k"))
	keyWrite(t, keys, "a", 1, keyPut("k", "2", "after")) // the epoch of another session says nothing
	keyWant(t, keys, "a", "k", "1=a k", "2=after")
	keyWant(t, keys, "a", "kk", "1=a kk")
	keyWant(t, keys, "aa", "k", "1=aa k")
	keyWant(t, keys, "A", "k")
}

func keyRefused(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, store.ErrFenced) || fault.Of(err) != fault.RetryLater {
		t.Fatalf("a former owner got %v, want %v", err, store.ErrFenced)
	}
}

func keysFenced(t *testing.T, keys store.Keys) {
	ctx := t.Context()
	keyOK(t, keys.Fence(ctx, "a", 5))
	keyOK(t, keys.Fence(ctx, "a", 5))
	keyRefused(t, keys.Fence(ctx, "a", 4))
	keyRefused(t, keys.Write(ctx, store.KeyBatch{Session: "a", Epoch: 4, Changes: []store.KeyChange{keyPut("k", "1", "old")}}))
	keyWrite(t, keys, "a", 5, keyPut("k", "1", "five"))
	keyWrite(t, keys, "a", 7, keyPut("k", "1", "seven")) // a write fences as Fence does
	keyRefused(t, keys.Write(ctx, store.KeyBatch{Session: "a", Epoch: 6, Changes: []store.KeyChange{keyPut("k", "1", "six")}}))
	keyRefused(t, keys.Write(ctx, store.KeyBatch{Session: "a", Epoch: 6}))
	keyRefused(t, keys.Write(ctx, store.KeyBatch{Session: "a", Epoch: 6, Clear: true}))
	keyWant(t, keys, "a", "k", "1=seven")
	keyOK(t, keys.Write(ctx, store.KeyBatch{Session: "a", Epoch: 8, Clear: true}))
	keyRefused(t, keys.Write(ctx, store.KeyBatch{Session: "a", Epoch: 7, Changes: []store.KeyChange{keyPut("k", "1", "late")}}))
	keyWant(t, keys, "a", "k")
}

func keysFencedWhole(t *testing.T, keys store.Keys) {
	keyWrite(t, keys, "a", 2, keyPut("k", "1", "x"), keyPut("k", "2", "y"))
	keyRefused(t, keys.Write(t.Context(), store.KeyBatch{Session: "a", Epoch: 1, Clear: true,
		Changes: []store.KeyChange{keyPut("k", "3", "z"), {Kind: "k", Key: "1"}}}))
	keyWant(t, keys, "a", "k", "1=x", "2=y")
}

func keysScan(t *testing.T, keys store.Keys) {
	names := []string{"", "!", "1:", "1:0", "1:10", "1:9", "1;", "A", "a", "a%", "a%b", "a_", "aa", "z", "é", "\U0001F600"}
	var changes []store.KeyChange
	for _, name := range names {
		changes = append(changes, keyPut("k", name, "v"))
	}
	rand.Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] }) //nolint:gosec // a test
	keyWrite(t, keys, "s", 1, changes...)
	keyWrite(t, keys, "s", 1, keyPut("l", "a", "v"))
	slices.Sort(names)
	for _, prefix := range []string{"", "1:", "a", "a%", "a_", "é", "nothing", "\U0001F600"} {
		var want []string
		for _, name := range names {
			if strings.HasPrefix(name, prefix) {
				want = append(want, name)
			}
		}
		for _, size := range []int{1, 3, 0} {
			var got []string
			for _, row := range keyScan(t, keys, keyRange{"s", "k", prefix, size}) {
				got = append(got, row.Key)
			}
			if difference := cmp.Diff(want, got, cmpopts.EquateEmpty()); difference != "" {
				t.Errorf("prefix %q, pages of %d (-want +got):\n%s", prefix, size, difference)
			}
		}
	}
	if _, err := keys.Scan(t.Context(), "s", "k", "", store.Page{After: "nonsense!"}); fault.Of(err) != fault.Invalid {
		t.Errorf("a cursor that no page gave: %v", err)
	}
}

func keysScanWhileWritten(t *testing.T, keys store.Keys) {
	for i := range 20 {
		keyWrite(t, keys, "s", 1, keyPut("k", fmt.Sprintf("%02d", i*2), "v"))
	}
	seen := map[string]int{}
	page := store.Page{Size: 3}
	for round := 0; ; round++ {
		list, err := keys.Scan(t.Context(), "s", "k", "", page)
		keyOK(t, err)
		for _, row := range list.Items {
			seen[row.Key]++
		}
		keyWrite(t, keys, "s", 1, keyPut("k", fmt.Sprintf("%02d", round*2+1), "new"), keyPut("k", "00", "rewritten"))
		if list.Next == "" {
			break
		}
		page.After = list.Next
	}
	for i := range 20 {
		if key := fmt.Sprintf("%02d", i*2); seen[key] != 1 {
			t.Errorf("row %s was seen %d times", key, seen[key])
		}
	}
}

func keysSessions(t *testing.T, keys store.Keys) {
	for _, session := range []string{"c", "a", "b", "B", "é"} {
		keyWrite(t, keys, session, 1, keyPut("k", "1", "v"), keyPut("k", "2", "v"))
	}
	keyWrite(t, keys, "other", 1, keyPut("l", "1", "v"))
	keyOK(t, keys.Fence(t.Context(), "fenced", 1))
	keyWrite(t, keys, "gone", 1, keyPut("k", "1", "v"))
	keyOK(t, keys.Write(t.Context(), store.KeyBatch{Session: "gone", Epoch: 1, Clear: true}))
	for _, size := range []int{1, 2, 0} {
		var got []string
		page := store.Page{Size: size}
		for {
			list, err := keys.Sessions(t.Context(), "k", page)
			keyOK(t, err)
			got = append(got, list.Items...)
			if list.Next == "" {
				break
			}
			page.After = list.Next
		}
		if difference := cmp.Diff([]string{"B", "a", "b", "c", "é"}, got); difference != "" {
			t.Errorf("pages of %d (-want +got):\n%s", size, difference)
		}
	}
}

func keysReseal(t *testing.T, keys store.Keys) {
	ctx := t.Context()
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	keyOK(t, keys.Write(ctx, store.KeyBatch{Session: "a", Epoch: 5, Changes: []store.KeyChange{
		{Kind: "k", Key: "1", Value: []byte("one"), Expires: expires}, keyPut("k", "2", "two"), keyPut("l", "", "three")}}))
	resealed, err := keys.Reseal(ctx, "a", []store.KeyReseal{
		{Kind: "k", Key: "1", Old: []byte("one"), New: []byte("ONE")},
		{Kind: "k", Key: "2", Old: []byte("changed since"), New: []byte("TWO")},
		{Kind: "k", Key: "absent", Old: []byte("x"), New: []byte("X")},
		{Kind: "l", Key: "", Old: []byte("three"), New: []byte("THREE")}})
	if err != nil || resealed != 2 {
		t.Fatalf("resealed %d rows, %v; want 2", resealed, err)
	}
	keyWant(t, keys, "a", "k", "1=ONE", "2=two")
	keyWant(t, keys, "a", "l", "=THREE")
	if got, err := keys.Get(ctx, "a", "k", []string{"1"}); err != nil || len(got) != 1 || !got[0].Expires.Equal(expires) {
		t.Errorf("the expiry was not kept: %v, %v", got, err)
	}
	keyRefused(t, keys.Write(ctx, store.KeyBatch{Session: "a", Epoch: 4}))
	keyWrite(t, keys, "a", 5, keyPut("k", "1", "owner"))
	if resealed, err := keys.Reseal(ctx, "nobody", []store.KeyReseal{{Kind: "k", Key: "1", Old: []byte("x"), New: []byte("y")}}); err != nil || resealed != 0 {
		t.Errorf("resealed %d rows of nobody, %v", resealed, err)
	}
	keyWrite(t, keys, "nobody", 1) // and no fence came of it
}

func keysExpire(t *testing.T, keys store.Keys) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	change := func(key string, expires time.Time) store.KeyChange {
		return store.KeyChange{Kind: "k", Key: key, Value: []byte("v"), Expires: expires}
	}
	for _, session := range []string{"a", "b"} {
		keyWrite(t, keys, session, 1, change("old", now.Add(time.Hour)), change("young", now.Add(3*time.Hour)), change("for ever", time.Time{}))
	}
	if _, err := keys.DeleteExpired(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	keyWant(t, keys, "a", "k", "for ever=v", "old=v", "young=v")
	deleted, err := keys.DeleteExpired(t.Context(), now.Add(2*time.Hour))
	keyOK(t, err)
	if deleted == 0 { // a database that does it by itself may take its time
		return
	}
	if deleted != 2 {
		t.Errorf("deleted %d rows, want 2", deleted)
	}
	keyWant(t, keys, "a", "k", "for ever=v", "young=v")
	keyWant(t, keys, "b", "k", "for ever=v", "young=v")
}

func keysInvalid(t *testing.T, keys store.Keys) {
	ctx := t.Context()
	write := func(batch store.KeyBatch) func() error { return func() error { return keys.Write(ctx, batch) } }
	one := func(change store.KeyChange) func() error {
		return write(store.KeyBatch{Session: "a", Epoch: 1, Changes: []store.KeyChange{change}})
	}
	rows := map[string]func() error{
		"no session":      write(store.KeyBatch{Epoch: 1}),
		"no epoch":        write(store.KeyBatch{Session: "a"}),
		"an epoch beyond": write(store.KeyBatch{Session: "a", Epoch: 1 << 63}),
		"a row twice":     write(store.KeyBatch{Session: "a", Epoch: 1, Changes: []store.KeyChange{keyPut("k", "1", "x"), keyPut("k", "1", "y")}}),
		"too many rows":   write(store.KeyBatch{Session: "a", Epoch: 1, Changes: make([]store.KeyChange, store.MaxKeyBatch+1)}),
		"no kind":         one(keyPut("", "1", "x")),
		"a wild kind":     one(keyPut("K k", "1", "x")),
		"a long kind":     one(keyPut(strings.Repeat("k", 33), "1", "x")),
		"a NUL":           one(keyPut("k", "a\x00b", "x")),
		"no text":         one(keyPut("k", "a\xff", "x")),
		"a long key":      one(keyPut("k", strings.Repeat("k", 513), "x")),
		"a long value":    one(store.KeyChange{Kind: "k", Key: "1", Value: make([]byte, store.MaxKeyValue+1)}),
		"a fence at zero": func() error { return keys.Fence(ctx, "a", 0) },
		"reading too many": func() error {
			_, err := keys.Get(ctx, "a", "k", make([]string, store.MaxKeyBatch+1))
			return err
		},
		"sealing nothing": func() error {
			_, err := keys.Reseal(ctx, "a", []store.KeyReseal{{Kind: "k", Key: "1", Old: []byte("x")}})
			return err
		},
	}
	for name, call := range rows {
		if err := call(); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
	keyWant(t, keys, "a", "k")
}

func keysLargest(t *testing.T, keys store.Keys) {
	batch := store.KeyBatch{Session: "a", Epoch: 1}
	names := make([]string, store.MaxKeyBatch)
	for i := range names {
		names[i] = fmt.Sprintf("%04d", i)
		batch.Changes = append(batch.Changes, keyPut("k", names[i], "v"))
	}
	keyOK(t, keys.Write(t.Context(), batch))
	got, err := keys.Get(t.Context(), "a", "k", names)
	if err != nil || len(got) != store.MaxKeyBatch {
		t.Fatalf("read %d rows, %v", len(got), err)
	}
	long := strings.Repeat("k", 512)
	value := make([]byte, 1<<20)
	value[len(value)-1] = 1
	keyOK(t, keys.Write(t.Context(), store.KeyBatch{Session: "a", Epoch: 1, Changes: []store.KeyChange{{Kind: strings.Repeat("l", 32), Key: long, Value: value}}}))
	got, err = keys.Get(t.Context(), "a", strings.Repeat("l", 32), []string{long})
	if err != nil || len(got) != 1 || !slices.Equal(got[0].Value, value) {
		t.Fatalf("the longest row: %d rows, %v", len(got), err)
	}
}

// keysModel drives a random sequence of batches and compares with a map.
func keysModel(t *testing.T, keys store.Keys) {
	seed := rand.Uint64() //nolint:gosec // a test
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test, not a secret
	sessions, kinds := []string{"a", "b"}, []string{"k", "l"}
	model := map[[3]string]string{}
	epoch := map[string]uint64{"a": 1, "b": 1}
	for step := range 120 {
		session := sessions[random.IntN(2)]
		batch := store.KeyBatch{Session: session, Epoch: epoch[session] + uint64(random.IntN(3)), Clear: random.IntN(20) == 0}
		stale := random.IntN(8) == 0 && epoch[session] > 1
		if stale {
			batch.Epoch = epoch[session] - 1
		}
		touched := map[[3]string]bool{}
		for range random.IntN(6) {
			row := [3]string{session, kinds[random.IntN(2)], fmt.Sprint(random.IntN(12))}
			if touched[row] {
				continue
			}
			touched[row] = true
			change := keyPut(row[1], row[2], fmt.Sprint("value ", step))
			if random.IntN(3) == 0 {
				change.Value = nil
			}
			batch.Changes = append(batch.Changes, change)
		}
		err := keys.Write(t.Context(), batch)
		if stale {
			keyRefused(t, err)
			continue
		}
		keyOK(t, err)
		epoch[session] = batch.Epoch
		applyKeys(model, batch)
		if step%20 == 19 {
			keysLikeModel(t, keys, model, sessions, kinds)
		}
	}
}

func applyKeys(model map[[3]string]string, batch store.KeyBatch) {
	for row := range model {
		if batch.Clear && row[0] == batch.Session {
			delete(model, row)
		}
	}
	for _, change := range batch.Changes {
		row := [3]string{batch.Session, change.Kind, change.Key}
		if len(change.Value) == 0 {
			delete(model, row)
		} else {
			model[row] = string(change.Value)
		}
	}
}

func keysLikeModel(t *testing.T, keys store.Keys, model map[[3]string]string, sessions, kinds []string) {
	t.Helper()
	for _, session := range sessions {
		for _, kind := range kinds {
			var want []string
			for row, value := range model {
				if row[0] == session && row[1] == kind {
					want = append(want, row[2]+"="+value)
				}
			}
			slices.SortFunc(want, func(a, b string) int { return strings.Compare(a[:strings.Index(a, "=")], b[:strings.Index(b, "=")]) })
			keyWant(t, keys, session, kind, want...)
		}
	}
}

func keysConcurrent(t *testing.T, keys store.Keys) {
	const rounds = 8
	var owners sync.WaitGroup
	for number := range 4 {
		session := fmt.Sprint("s", number)
		owners.Go(func() {
			for round := range rounds {
				err := keys.Write(t.Context(), store.KeyBatch{Session: session, Epoch: 1, Changes: []store.KeyChange{
					keyPut("k", fmt.Sprint(round), session), keyPut("k", "last", fmt.Sprint(round))}})
				if err != nil {
					t.Errorf("%s: %v", session, err)
					return
				}
				got, err := keys.Get(t.Context(), session, "k", []string{"last"})
				if err != nil || len(got) != 1 || string(got[0].Value) != fmt.Sprint(round) {
					t.Errorf("%s does not read what it wrote: %v, %v", session, got, err)
				}
			}
		})
	}
	owners.Wait()
	for number := range 4 {
		if got := keyScan(t, keys, keyRange{session: fmt.Sprint("s", number), kind: "k"}); len(got) != rounds+1 {
			t.Errorf("session %d has %d rows", number, len(got))
		}
	}
}

// keysRace lets owners of different epochs write at once: after the highest has written, no lower one may.
func keysRace(t *testing.T, keys store.Keys) {
	const highest = 6
	var owners sync.WaitGroup
	for epoch := uint64(1); epoch <= highest; epoch++ {
		owners.Go(func() {
			for round := range 5 {
				err := keys.Write(context.WithoutCancel(t.Context()), store.KeyBatch{Session: "a", Epoch: epoch,
					Changes: []store.KeyChange{keyPut("k", "owner", fmt.Sprint(epoch, ".", round))}})
				if err != nil {
					if epoch == highest {
						t.Errorf("the owner was refused: %v", err)
					}
					return
				}
			}
		})
	}
	owners.Wait()
	keyWant(t, keys, "a", "k", fmt.Sprintf("owner=%d.4", highest))
}
