package keys_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	wastore "go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/internal/store"
	. "github.com/dannsalud/broadcaster/internal/wa/keys"
)

// The cases that other stores got wrong.

var (
	phoneJID = types.NewJID("5491140000001", types.DefaultUserServer)
	lidJID   = types.NewJID("100000000001", types.HiddenUserServer)
)

func TestADecryptionIsWrittenAsAWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open opener) {
		database := &watched{Keys: open(t)}
		owner := own(t, openStore(t, database, newRing(t)), "ses_1", 1)
		ctx := t.Context()
		must(t, owner.PutSession(ctx, "1:0", []byte("before")))
		_, err := owner.GenOnePreKey(ctx)
		must(t, err)
		database.count()
		decrypt := func(ctx context.Context) error {
			must(t, owner.PutSession(ctx, "1:0", []byte("after")))
			must(t, owner.PutIdentity(ctx, "1:0", [32]byte{1}))
			must(t, owner.RemovePreKey(ctx, 1))
			must(t, owner.PutBufferedEvent(ctx, [32]byte{9}, []byte("text"), time.Unix(1, 0)))
			if seen, err := owner.GetSession(ctx, "1:0"); err != nil || string(seen) != "after" {
				t.Errorf("the decryption does not see its own write: %q, %v", seen, err)
			}
			if seen, err := owner.GetSession(context.WithoutCancel(t.Context()), "1:0"); err != nil || string(seen) != "before" {
				t.Errorf("others see what is not decided: %q, %v", seen, err)
			}
			return nil
		}
		nothing := func(why string) {
			t.Helper()
			session, err := owner.GetSession(ctx, "1:0")
			prekey, prekeyErr := owner.GetPreKey(ctx, 1)
			event, eventErr := owner.GetBufferedEvent(ctx, [32]byte{9})
			if err := errors.Join(err, prekeyErr, eventErr); err != nil || string(session) != "before" || prekey == nil || event != nil {
				t.Errorf("%s left session %q, prekey %v, event %v, %v", why, session, prekey, event, err)
			}
			if writes, _ := database.count(); writes != 0 {
				t.Errorf("%s wrote %d times", why, writes)
			}
		}
		if err := owner.DoDecryptionTxn(ctx, func(ctx context.Context) error { return errors.Join(decrypt(ctx), errDecryption) }); !errors.Is(err, errDecryption) {
			t.Errorf("got %v", err)
		}
		nothing("a failed decryption")
		func() {
			defer func() { _ = recover() }()
			_ = owner.DoDecryptionTxn(ctx, func(ctx context.Context) error { panic(decrypt(ctx)) })
		}()
		nothing("a panic")
		database.set(errDisk, nil)
		if err := owner.DoDecryptionTxn(ctx, decrypt); !errors.Is(err, errDisk) {
			t.Errorf("got %v", err)
		}
		nothing("a failed write")
		database.set(nil, nil)
		must(t, owner.DoDecryptionTxn(ctx, decrypt))
		if writes, _ := database.count(); writes != 1 {
			t.Errorf("a decryption took %d writes", writes)
		}
		if session, err := owner.GetSession(ctx, "1:0"); err != nil || string(session) != "after" {
			t.Errorf("session %q, %v", session, err)
		}
	})
}

func TestMigrationMovesEveryRowOrNone(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open opener) {
		database := &watched{Keys: open(t)}
		owner := own(t, openStore(t, database, newRing(t)), "ses_1", 1)
		ctx := t.Context()
		from, to := phoneJID.SignalAddressUser(), lidJID.SignalAddressUser()
		for device := range 3 {
			must(t, owner.PutSession(ctx, fmt.Sprintf("%s:%d", from, device), []byte{byte(device)}))
			must(t, owner.PutIdentity(ctx, fmt.Sprintf("%s:%d", from, device), [32]byte{byte(device)}))
			must(t, owner.PutSenderKey(ctx, "1@g.us", fmt.Sprintf("%s:%d", from, device), []byte{byte(device)}))
		}
		must(t, owner.PutSession(ctx, from+"9:0", []byte("somebody else")))
		must(t, owner.PutSession(ctx, to+":0", []byte("old")))
		must(t, owner.Flush(ctx))
		before := addresses(rowsOf(t, database, "ses_1"))
		database.set(errDisk, nil)
		if err := owner.MigratePNToLID(ctx, phoneJID, lidJID); !errors.Is(err, errDisk) {
			t.Fatalf("got %v", err)
		}
		database.set(nil, nil)
		if difference := cmp.Diff(before, addresses(rowsOf(t, database, "ses_1"))); difference != "" {
			t.Fatalf("a failed migration changed rows (-before +after):\n%s", difference)
		}
		database.count()
		must(t, owner.MigratePNToLID(ctx, phoneJID, lidJID))
		if writes, _ := database.count(); writes != 1 {
			t.Errorf("the migration took %d writes", writes)
		}
		want := []string{"identity " + to + ":0", "identity " + to + ":1", "identity " + to + ":2", "session " + to + ":0", "session " + to + ":1", "session " + to + ":2",
			"session " + from + "9:0", "sender_key " + to + ":0|1@g.us", "sender_key " + to + ":1|1@g.us", "sender_key " + to + ":2|1@g.us"}
		got := addresses(rowsOf(t, database, "ses_1"))
		slices.Sort(want)
		slices.Sort(got)
		if difference := cmp.Diff(want, got); difference != "" {
			t.Errorf("(-want +got):\n%s", difference)
		}
		if session, err := owner.GetSession(ctx, to+":0"); err != nil || len(session) != 1 || session[0] != 0 {
			t.Errorf("the session of the phone number must win: %v, %v", session, err)
		}
	})
}

func TestMessagesAreKeptSevenDaysAndHandledOnesFourteen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		database := openSQLite(t)
		owner := own(t, openStore(t, database, newRing(t)), "ses_1", 1)
		reference := storesOf(t, save(t, yardstick(t).NewDevice()))
		ctx := t.Context()
		for _, s := range []wastore.AllStores{owner, reference} {
			must(t, s.AddOutgoingEvent(ctx, phoneJID, "3EB0", "wa", []byte("text")))
			must(t, s.PutBufferedEvent(ctx, [32]byte{1}, []byte("text"), time.Now()))
			must(t, s.ClearBufferedEventPlaintext(ctx, [32]byte{1}))
		}
		const day = 24 * time.Hour
		passed := time.Duration(0)
		for _, row := range []struct {
			at                 time.Duration
			outgoing, buffered bool
		}{{7*day - time.Minute, true, true}, {7*day + time.Minute, false, true}, {14*day - time.Minute, false, true}, {14*day + 2*time.Hour, false, false}} {
			time.Sleep(row.at - passed)
			passed = row.at
			for name, s := range map[string]wastore.AllStores{"ours": owner, "sqlstore": reference} {
				must(t, s.DeleteOldOutgoingEvents(ctx))
				must(t, s.DeleteOldBufferedHashes(ctx))
				_, _, err := s.GetOutgoingEvent(ctx, phoneJID, types.EmptyJID, "3EB0")
				event, eventErr := s.GetBufferedEvent(ctx, [32]byte{1})
				if (err == nil) != row.outgoing || (event != nil) != row.buffered || eventErr != nil {
					t.Errorf("%s after %s: outgoing %v, buffered %v, %v", name, row.at, err == nil, event != nil, eventErr)
				}
			}
		}
		time.Sleep(time.Hour) // rows are cleared no more often
		must(t, owner.DeleteOldBufferedHashes(ctx))
		if rows := rowsOf(t, database, "ses_1"); len(rows) != 0 {
			t.Errorf("%v are left", addresses(rows))
		}
	})
}

func TestASecretIsFoundUnderTheOtherNames(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open opener) {
		owner, _, _ := onDisk(t, open)
		ctx := t.Context()
		must(t, owner.PutLIDMapping(ctx, lidJID, phoneJID))
		must(t, owner.PutMessageSecret(ctx, phoneJID, lidJID, "3EB0", []byte("first")))
		must(t, owner.PutMessageSecret(ctx, phoneJID, lidJID, "3EB0", []byte("second")))
		for _, chat := range []types.JID{phoneJID, lidJID} {
			for _, sender := range []types.JID{phoneJID, lidJID, {User: lidJID.User, Device: 4, Server: lidJID.Server}} {
				secret, stored, err := owner.GetMessageSecret(ctx, chat, sender, "3EB0")
				if err != nil || string(secret) != "first" || stored != lidJID {
					t.Errorf("chat %s, sender %s: %q of %s, %v", chat.Server, sender.Server, secret, stored, err)
				}
			}
		}
		if secret, _, err := owner.GetMessageSecret(ctx, phoneJID, lidJID, "another"); secret != nil || err != nil {
			t.Errorf("%q, %v", secret, err)
		}
	})
}

func TestPreKeyIDsNeverRepeat(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open opener) {
		database, ring := open(t), newRing(t)
		seen := map[uint32]int{}
		var mu sync.Mutex
		for epoch := range uint64(3) {
			owner := own(t, openStore(t, database, ring), "ses_1", epoch+1)
			var generators sync.WaitGroup
			for range 4 {
				generators.Go(func() {
					for range 3 {
						key, err := owner.GenOnePreKey(t.Context())
						if err != nil {
							t.Error(err)
							return
						}
						if err := owner.RemovePreKey(t.Context(), key.KeyID); err != nil {
							t.Error(err)
						}
						mu.Lock()
						seen[key.KeyID]++
						mu.Unlock()
					}
				})
			}
			generators.Wait()
			fresh, err := owner.GetOrGenPreKeys(t.Context(), 50)
			must(t, err)
			again, err := owner.GetOrGenPreKeys(t.Context(), 50)
			must(t, err)
			if difference := cmp.Diff(ids(fresh), ids(again)); difference != "" {
				t.Errorf("keys that are not uploaded yet are offered again (-first +second):\n%s", difference)
			}
			for _, id := range ids(fresh) {
				seen[id]++
			}
			must(t, owner.MarkPreKeysAsUploaded(t.Context(), slices.Max(ids(fresh))))
		}
		for id, times := range seen {
			if times != 1 {
				t.Errorf("prekey %d was given out %d times", id, times)
			}
		}
		if len(seen) != 3*(12+50) {
			t.Errorf("%d prekeys", len(seen))
		}
	})
}

func TestADeletedDeviceLeavesATombstoneAndNothingElse(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open opener) {
		owner, keyStore, database := onDisk(t, open)
		ctx := t.Context()
		device := save(t, owner.NewDevice())
		fill(t, owner)
		must(t, owner.Flush(ctx))
		var kinds []string
		for _, row := range rowsOf(t, database, "ses_1") {
			if !slices.Contains(kinds, row.Kind) {
				kinds = append(kinds, row.Kind)
			}
		}
		if len(kinds) != len(kindsOfRows)-1 { // all but the tombstone
			t.Fatalf("the test fills %d kinds of %d: %v", len(kinds), len(kindsOfRows)-1, kinds)
		}
		must(t, owner.PutPrivacyTokens(ctx, wastore.PrivacyToken{User: phoneJID, Token: []byte("rides"), Timestamp: time.Now()}))
		must(t, device.Delete(ctx))
		if difference := cmp.Diff([]string{"tombstone "}, addresses(rowsOf(t, database, "ses_1"))); difference != "" {
			t.Errorf("(-want +got):\n%s", difference)
		}
		if err := owner.PutSession(ctx, "1:0", []byte("late")); !errors.Is(err, wastore.ErrDeviceDeleted) {
			t.Errorf("a write after the deletion: %v", err)
		}
		must(t, owner.Bury(ctx, "logged_out"))
		must(t, owner.Bury(ctx, "something else"))
		next := own(t, keyStore, "ses_1", 2)
		if found, err := next.Device(ctx); found != nil || err != nil {
			t.Errorf("device %v, %v", found, err)
		}
		tombstone, err := next.Tombstone(ctx)
		must(t, err)
		if tombstone == nil || tombstone.Reason != "logged_out" || time.Since(tombstone.At) > time.Minute {
			t.Errorf("tombstone %+v", tombstone)
		}
		save(t, next.NewDevice())
		if difference := cmp.Diff([]string{"device "}, addresses(rowsOf(t, database, "ses_1"))); difference != "" {
			t.Errorf("after the session was linked again (-want +got):\n%s", difference)
		}
	})
}

// fill stores something of every kind, and gives the secrets among it.
func fill(t testing.TB, owner *Owner) (secrets map[string][]byte) {
	t.Helper()
	ctx := t.Context()
	secrets = map[string][]byte{}
	secret := func(name string) []byte {
		value := fmt.Appendf(nil, "the very secret %s, long enough", name)
		secrets[name] = value
		return value
	}
	must(t, owner.PutIdentity(ctx, "5491140000001:0", [32]byte(secret("identity of a contact"))))
	must(t, owner.PutSession(ctx, "5491140000001:0", secret("Signal session")))
	must(t, owner.PutSenderKey(ctx, "1@g.us", "5491140000001:0", secret("sender key")))
	prekeys, err := owner.GetOrGenPreKeys(ctx, 5)
	must(t, err)
	for _, prekey := range prekeys {
		secrets[fmt.Sprint("prekey ", prekey.KeyID)] = prekey.Priv[:]
	}
	must(t, owner.PutAppStateSyncKey(ctx, []byte{1}, wastore.AppStateSyncKey{Data: secret("app-state key"), Fingerprint: []byte("f"), Timestamp: 1}))
	must(t, owner.PutAppStateVersion(ctx, "critical", 1, [128]byte{}))
	must(t, owner.PutAppStateMutationMACs(ctx, "critical", 1, []wastore.AppStateMutationMAC{{IndexMAC: []byte("index"), ValueMAC: secret("value MAC")}}))
	must(t, owner.PutContactName(ctx, phoneJID, "Ana", string(secret("name"))))
	must(t, owner.PutPinned(ctx, phoneJID, true))
	must(t, owner.PutMessageSecret(ctx, phoneJID, phoneJID, "3EB0", secret("message secret")))
	must(t, owner.PutPrivacyTokens(ctx, wastore.PrivacyToken{User: phoneJID, Token: secret("privacy token"), Timestamp: time.Now()}))
	must(t, owner.PutNCTSalt(ctx, secret("NCT salt")))
	must(t, owner.PutBufferedEvent(ctx, [32]byte{1}, secret("buffered plaintext"), time.Now()))
	must(t, owner.AddOutgoingEvent(ctx, phoneJID, "3EB0", "wa", secret("outgoing plaintext")))
	must(t, owner.PutLIDMapping(ctx, lidJID, phoneJID))
	return secrets
}

func TestADeviceIsReadAsItWasSaved(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open opener) {
		owner, keyStore, _ := onDisk(t, open)
		ctx := t.Context()
		if found, err := owner.Device(ctx); found != nil || err != nil {
			t.Fatalf("a device before the pairing: %v, %v", found, err)
		}
		if err := owner.PutDevice(ctx, owner.NewDevice()); !errors.Is(err, ErrNoAddress) {
			t.Errorf("a device without an address: %v", err)
		}
		saved := save(t, owner.NewDevice())
		saved.PushName = "Zoe"
		keyPair := saved.NoiseKey
		saved.NoiseKey = saved.IdentityKey // as with sqlstore, keys do not change any more
		must(t, saved.Save(ctx))
		saved.NoiseKey = keyPair
		must(t, owner.Close(ctx))
		found, err := own(t, keyStore, "ses_1", 2).Device(ctx)
		must(t, err)
		type flattened struct {
			Noise, Identity, SignedPreKey [32]byte
			Signature                     [64]byte
			Account                       string
			Rest                          []any
		}
		flat := func(d *wastore.Device) flattened {
			return flattened{*d.NoiseKey.Priv, *d.IdentityKey.Priv, *d.SignedPreKey.Priv, *d.SignedPreKey.Signature, d.Account.String(),
				[]any{*d.ID, d.LID, d.RegistrationID, d.AdvSecretKey, d.SignedPreKey.KeyID, d.Platform, d.BusinessName, d.PushName,
					d.LIDMigrationTimestamp, d.CompanionMetaNonce, d.FacebookUUID, d.Initialized, *d.NoiseKey.Pub}}
		}
		if difference := cmp.Diff(flat(saved), flat(found)); difference != "" {
			t.Errorf("(-saved +found):\n%s", difference)
		}
	})
}

func TestAFormerOwnerWritesNothing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open opener) {
		former, keyStore, database := onDisk(t, open)
		ctx := t.Context()
		must(t, former.PutSession(ctx, "1:0", []byte("former")))
		must(t, former.PutIdentity(ctx, "1:0", [32]byte{1})) // it rides, and never arrives
		next := own(t, keyStore, "ses_1", 2)
		must(t, next.PutSession(ctx, "1:0", []byte("next")))
		before := addresses(rowsOf(t, database, "ses_1"))
		for name, write := range map[string]func() error{
			"session": func() error { return former.PutSession(ctx, "1:0", []byte("late")) },
			"many": func() error {
				return former.PutManySessions(ctx, map[string][]byte{"1:0": []byte("late"), "2:0": []byte("late")})
			},
			"decryption": func() error {
				return former.DoDecryptionTxn(ctx, func(ctx context.Context) error { return former.PutSession(ctx, "3:0", []byte("late")) })
			},
			"device":   func() error { return former.PutDevice(ctx, paired(former.NewDevice())) },
			"deletion": func() error { return former.Bury(ctx, "late") },
		} {
			if err := write(); !errors.Is(err, store.ErrFenced) {
				t.Errorf("%s of a former owner: %v", name, err)
			}
		}
		if _, err := former.GetSession(ctx, "1:0"); !errors.Is(err, store.ErrFenced) {
			t.Errorf("a former owner, who knows it by now, still reads: %v", err)
		}
		select {
		case <-former.Lost():
		default:
			t.Error("the former owner does not know that it is one")
		}
		must(t, former.Close(ctx))
		if difference := cmp.Diff(before, addresses(rowsOf(t, database, "ses_1"))); difference != "" {
			t.Errorf("a former owner changed rows (-before +after):\n%s", difference)
		}
		if session, err := next.GetSession(ctx, "1:0"); err != nil || string(session) != "next" {
			t.Errorf("session %q, %v", session, err)
		}
		if _, err := keyStore.Own(ctx, OwnerOptions{Session: "ses_1", Epoch: 1}); !errors.Is(err, store.ErrFenced) {
			t.Errorf("a former owner came back: %v", err)
		}
	})
}

// TestAwkwardNamesAreApart: names come from outside, and may hold anything.
func TestAwkwardNamesAreApart(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open opener) {
		owner, keyStore, _ := onDisk(t, open)
		ctx := t.Context()
		long := strings.Repeat("x", 2000)
		names := [][2]string{{"a", "b|c"}, {"a|b", "c"}, {"a%7cb", "c"}, {"a", ""}, {"", "a"}, {"|", "|"}, {"", "||"}, {"\x00", "\xff"}, {"\xff", "\x00"},
			{"é", "日本"}, {long, "1"}, {long, "2"}, {"~", long}, {"A", "b"}, {"a", "B"}}
		for i, name := range names {
			must(t, owner.PutSenderKey(ctx, name[1], name[0], fmt.Append(nil, i)))
		}
		must(t, owner.Close(ctx))
		next := own(t, keyStore, "ses_1", 2)
		for i, name := range names {
			if got, err := next.GetSenderKey(ctx, name[1], name[0]); err != nil || string(got) != fmt.Sprint(i) {
				t.Errorf("%.20q and %.20q give %q, want %d, %v", name[0], name[1], got, i, err)
			}
		}
	})
}

// TestChangesBesideADecryptionAreKept: what a decryption has read is not changed by others before it is written.
func TestChangesBesideADecryptionAreKept(t *testing.T) {
	t.Parallel()
	owner, _, _ := onDisk(t, openSQLite)
	for round := range 100 {
		chat := types.NewJID(fmt.Sprint(round), types.DefaultUserServer)
		var beside sync.WaitGroup
		must(t, owner.DoDecryptionTxn(t.Context(), func(ctx context.Context) error {
			if err := owner.PutPinned(ctx, chat, true); err != nil {
				return err
			}
			beside.Go(func() {
				if err := owner.PutArchived(t.Context(), chat, true); err != nil {
					t.Error(err)
				}
			})
			for range 100 {
				runtime.Gosched()
			}
			return nil
		}))
		beside.Wait()
		if settings, err := owner.GetChatSettings(t.Context(), chat); err != nil || !settings.Pinned || !settings.Archived {
			t.Fatalf("round %d: %+v, %v", round, settings, err)
		}
	}
}
