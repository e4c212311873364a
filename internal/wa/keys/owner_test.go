package keys_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	wastore "go.mau.fi/whatsmeow/store"

	. "github.com/dannsalud/broadcaster/internal/wa/keys"
)

// send is the traffic of one message to a person with some devices, in whatsmeow's order. Its error is that of the first call that fails.
func send(ctx context.Context, s wastore.AllStores, id string, addresses []string) error {
	if err := s.AddOutgoingEvent(ctx, phoneJID, id, "wa", []byte(strings.Repeat("text ", 20))); err != nil {
		return err
	}
	if err := s.PutMessageSecret(ctx, phoneJID, ourJID, id, []byte("a secret of thirty-two bytes ...")); err != nil {
		return err
	}
	found, err := s.GetManySessions(ctx, addresses)
	if err != nil {
		return err
	}
	for _, address := range addresses {
		if found[address] == nil {
			if err := s.PutIdentity(ctx, address, [32]byte{1}); err != nil {
				return err
			}
		}
		if trusted, err := s.IsTrustedIdentity(ctx, address, [32]byte{1}); err != nil || !trusted {
			return errors.Join(err, errors.New("the identity that was just put is not trusted"))
		}
		found[address] = []byte(id + strings.Repeat(" session", 150))
	}
	return s.PutManySessions(ctx, found)
}

var threeDevices = []string{"100000000001_1:0", "100000000001_1:1", "100000000001_1:2"}

func TestASendIsOneWriteAndNoRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // its clock stands still, so that nothing is written for having waited
		database := &watched{Keys: openSQLite(t)}
		keyStore := openStore(t, database, newRing(t))
		owner := own(t, keyStore, "ses_1", 1)
		database.count()
		must(t, send(t.Context(), owner, "first", threeDevices))
		if writes, _ := database.count(); writes != 1 {
			t.Errorf("the first message took %d writes", writes)
		}
		for i := range 5 {
			must(t, send(t.Context(), owner, fmt.Sprint("message ", i), threeDevices))
		}
		if writes, reads := database.count(); writes != 5 || reads != 5 { // whether the secret of a message is there is asked once for each
			t.Errorf("5 messages took %d writes and %d reads", writes, reads)
		}
		// What the next owner finds when this one was killed here: all of it, because what rides stood in front of the sessions.
		next := own(t, keyStore, "ses_1", 2)
		for i := range 5 {
			if _, _, err := next.GetOutgoingEvent(t.Context(), phoneJID, phoneJID, fmt.Sprint("message ", i)); err != nil {
				t.Errorf("message %d: %v", i, err)
			}
		}
		if found, err := next.GetManySessions(t.Context(), threeDevices); err != nil || !strings.HasPrefix(string(found[threeDevices[2]]), "message 4") {
			t.Errorf("%.20q, %v", found[threeDevices[2]], err)
		}
	})
}

// TestAKnownIdentityIsNotWrittenAgain: libsignal tells it at each message. One that changed is written, also behind one that is known again.
func TestAKnownIdentityIsNotWrittenAgain(t *testing.T) {
	t.Parallel()
	database := &watched{Keys: openSQLite(t)}
	keyStore := openStore(t, database, newRing(t))
	owner := own(t, keyStore, "ses_1", 1)
	written := func(identity byte) int {
		t.Helper()
		must(t, owner.Flush(t.Context()))
		database.count()
		must(t, owner.PutIdentity(t.Context(), "1:0", [32]byte{identity}))
		must(t, owner.Flush(t.Context()))
		writes, _ := database.count()
		return writes
	}
	for i, step := range []struct {
		identity byte
		writes   int
	}{{1, 1}, {1, 0}, {2, 1}, {2, 0}, {1, 1}} {
		if writes := written(step.identity); writes != step.writes {
			t.Errorf("step %d: %d writes, not %d", i, writes, step.writes)
		}
	}
	must(t, owner.DeleteIdentity(t.Context(), "1:0"))
	if writes := written(1); writes != 1 {
		t.Errorf("an identity that was deleted took %d writes", writes)
	}
	owner = own(t, keyStore, "ses_1", 2)
	if writes := written(1); writes != 0 {
		t.Errorf("what the owner before wrote took %d writes", writes)
	}
}

func TestRidersAreWrittenAfterAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		database := &watched{Keys: openSQLite(t)}
		owner := own(t, openStore(t, database, newRing(t)), "ses_1", 1)
		database.count()
		for i := range 3 {
			must(t, owner.PutPinned(t.Context(), phoneJID, i%2 == 0))
			must(t, owner.PutIdentity(t.Context(), "1:0", [32]byte{byte(i)}))
		}
		if trusted, err := owner.IsTrustedIdentity(t.Context(), "1:0", [32]byte{2}); err != nil || !trusted {
			t.Errorf("what rides is not seen: %v, %v", trusted, err)
		}
		if writes, _ := database.count(); writes != 0 {
			t.Errorf("%d writes at once", writes)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if writes, _ := database.count(); writes != 1 {
			t.Errorf("%d writes after a second", writes)
		}
		if got := addresses(rowsOf(t, database, "ses_1")); len(got) != 2 {
			t.Errorf("rows %v", got)
		}
	})
}

func TestRidersThatFillMoreThanABatchAllArrive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		database := &watched{Keys: openSQLite(t)}
		owner := own(t, openStore(t, database, newRing(t)), "ses_1", 1)
		database.count()
		mappings := make([]wastore.LIDMapping, 1500) // two rows each
		for i := range mappings {
			mappings[i].LID, mappings[i].PN = lidJID, phoneJID
			mappings[i].LID.User, mappings[i].PN.User = fmt.Sprint(200000+i), fmt.Sprint(300000+i)
		}
		must(t, owner.PutManyLIDMappings(t.Context(), mappings))
		time.Sleep(time.Second)
		synctest.Wait()
		if rows := rowsOf(t, database, "ses_1"); len(rows) != 2*len(mappings) {
			t.Errorf("%d rows", len(rows))
		}
		if writes, _ := database.count(); writes != 2 {
			t.Errorf("%d writes", writes)
		}
	})
}

func TestWaitingCallersShareAWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		database := &watched{Keys: openSQLite(t)}
		owner := own(t, openStore(t, database, newRing(t)), "ses_1", 1)
		database.count()
		gate := make(chan struct{})
		database.set(nil, func() { <-gate })
		var writers sync.WaitGroup
		for i := range 30 {
			writers.Go(func() {
				if err := owner.PutSession(t.Context(), fmt.Sprintf("%d:0", i), []byte("session")); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // one writes, 29 wait
		impatient, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() { gone <- owner.PutSession(impatient, "gone:0", []byte("session")) }()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that gave up: %v", err)
		}
		close(gate)
		writers.Wait()
		if writes, _ := database.count(); writes != 2 {
			t.Errorf("31 callers took %d writes", writes)
		}
		if has, err := owner.HasSession(t.Context(), "gone:0"); has || err != nil {
			t.Errorf("the write of a caller that gave up before its turn: %v, %v", has, err)
		}
		if rows := rowsOf(t, database, "ses_1"); len(rows) != 30 {
			t.Errorf("%d rows", len(rows))
		}
	})
}

func TestAFailedWriteIsToldAndWhatRidesGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		database := &watched{Keys: openSQLite(t)}
		owner := own(t, openStore(t, database, newRing(t)), "ses_1", 1)
		ctx := t.Context()
		must(t, owner.PutSession(ctx, "1:0", []byte("old")))
		database.set(errDisk, nil)
		must(t, owner.PutIdentity(ctx, "1:0", [32]byte{1}))
		if err := owner.PutSession(ctx, "1:0", []byte("new")); !errors.Is(err, errDisk) {
			t.Errorf("got %v", err)
		}
		if session, err := owner.GetSession(ctx, "1:0"); err != nil || string(session) != "old" {
			t.Errorf("session %q, %v", session, err)
		}
		database.set(nil, nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if difference := cmp.Diff([]string{"identity 1:0", "session 1:0"}, addresses(rowsOf(t, database, "ses_1"))); difference != "" {
			t.Errorf("(-want +got):\n%s", difference)
		}
		must(t, owner.Close(ctx))
		if err := owner.PutIdentity(ctx, "2:0", [32]byte{1}); !errors.Is(err, ErrClosed) {
			t.Errorf("a write after Close: %v", err)
		}
		must(t, owner.Close(ctx))
	})
}

// TestManyCallersAtOnce: every goroutine has rows of its own and must always read what it wrote last, whatever is evicted, flushed or scanned
// meanwhile.
func TestManyCallersAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open opener) {
		keyStore, err := Open(t.Context(), Options{Keys: open(t), Ring: newRing(t), CacheBytes: 2000})
		must(t, err)
		owner := own(t, keyStore, "ses_1", 1)
		var callers sync.WaitGroup
		for number := range 6 {
			callers.Go(func() {
				if err := hammer(t.Context(), owner, number); err != nil {
					t.Errorf("caller %d: %v", number, err)
				}
			})
		}
		callers.Wait()
	})
}

func hammer(ctx context.Context, owner *Owner, number int) error {
	random := rand.New(rand.NewPCG(uint64(number), rand.Uint64()))
	wrote := map[string]string{}
	trusted := map[string]byte{}
	for round := range 60 {
		address := fmt.Sprintf("%d:%d", number, random.IntN(4))
		var err error
		switch random.IntN(6) {
		case 0, 1:
			wrote[address] = fmt.Sprint(number, " ", round)
			err = owner.PutSession(ctx, address, []byte(wrote[address]))
		case 2:
			trusted[address] = byte(round)
			err = owner.PutIdentity(ctx, address, [32]byte{byte(round)})
		case 3:
			wrote = map[string]string{}
			err = owner.DeleteAllSessions(ctx, fmt.Sprint(number))
		case 4:
			wrote[address] = fmt.Sprint(number, " in a decryption ", round)
			err = owner.DoDecryptionTxn(ctx, func(ctx context.Context) error { return owner.PutSession(ctx, address, []byte(wrote[address])) })
		}
		if err != nil {
			return err
		}
		for address := range trusted {
			if is, err := owner.IsTrustedIdentity(ctx, address, [32]byte{trusted[address]}); err != nil || !is {
				return fmt.Errorf("round %d: the identity that was put last is not trusted: %w", round, err)
			}
		}
		for device := range 4 {
			address := fmt.Sprintf("%d:%d", number, device)
			if got, err := owner.GetSession(ctx, address); err != nil || string(got) != wrote[address] {
				return fmt.Errorf("round %d: session %q, want %q: %w", round, got, wrote[address], err)
			}
		}
	}
	return nil
}

// TestASlowReadDoesNotHideAWrite: a row is written while an earlier read of it is still on its way.
func TestASlowReadDoesNotHideAWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		database := &watched{Keys: openSQLite(t)}
		owner := own(t, openStore(t, database, newRing(t)), "ses_1", 1)
		ctx := t.Context()
		gate := make(chan struct{})
		database.mu.Lock()
		database.read = func() { <-gate }
		database.mu.Unlock()
		var reading sync.WaitGroup
		reading.Go(func() {
			if _, err := owner.GetSession(ctx, "1:0"); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait() // the read has found nothing and has not returned
		must(t, owner.PutSession(ctx, "1:0", []byte("new")))
		close(gate)
		reading.Wait()
		if session, err := owner.GetSession(ctx, "1:0"); err != nil || string(session) != "new" {
			t.Errorf("session %q, %v", session, err)
		}
	})
}
