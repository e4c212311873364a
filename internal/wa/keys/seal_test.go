package keys_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
	. "github.com/dannsalud/broadcaster/internal/wa/keys"
)

// TestTheDatabaseHoldsNoSecret looks for everything that is secret in all that the database has, and, with SQLite, in the bytes of its files.
func TestTheDatabaseHoldsNoSecret(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open opener) {
		owner, _, database := onDisk(t, open)
		secrets := fillWithDevice(t, owner)
		must(t, owner.Flush(t.Context()))
		var everything []byte
		for _, row := range rowsOf(t, database, "ses_1") {
			everything = append(append(everything, row.Key...), row.Value...)
		}
		searchSecrets(t, everything, secrets)
	})
}

func TestTheFilesHoldNoSecret(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	owner := own(t, openStore(t, openSQLiteAt(t, filepath.Join(folder, "keys.db")), newRing(t)), "ses_1", 1)
	secrets := fillWithDevice(t, owner)
	must(t, owner.Flush(t.Context()))
	var everything []byte
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	must(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(t, err)
		everything = append(everything, content...)
	}
	if !bytes.Contains(everything, []byte("5491140000001:0")) {
		t.Fatal("not even an address is there: the test looks in the wrong files")
	}
	searchSecrets(t, everything, secrets)
}

func fillWithDevice(t *testing.T, owner *Owner) map[string][]byte {
	t.Helper()
	device := save(t, owner.NewDevice())
	secrets := fill(t, owner)
	maps.Copy(secrets, map[string][]byte{"noise key": device.NoiseKey.Priv[:], "identity key": device.IdentityKey.Priv[:],
		"signed prekey": device.SignedPreKey.Priv[:], "ADV secret": device.AdvSecretKey})
	return secrets
}

func searchSecrets(t *testing.T, everything []byte, secrets map[string][]byte) {
	t.Helper()
	if len(secrets) < 20 {
		t.Fatalf("only %d secrets", len(secrets))
	}
	for name, secret := range secrets {
		forms := map[string][]byte{"raw": secret, "hex": []byte(hex.EncodeToString(secret)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(secret)))}
		for shift := range 3 { // base64 of a text depends on where in it the secret begins
			encoded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), secret...))
			forms[fmt.Sprint("base64 shifted by ", shift)] = []byte(encoded[4 : len(encoded)-4])
		}
		for form, text := range forms {
			if bytes.Contains(everything, text) {
				t.Errorf("the database holds the %s in %s", name, form)
			}
		}
	}
}

func TestAWrongOrMissingKeyIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open opener) {
		first, second := GenerateKey(), GenerateKey()
		rows := []struct {
			name, before, after, code string
		}{
			{"the same", first, first, ""},
			{"another", first, second, "keystore_key_missing"},
			{"another under the same name", "a:" + first, "a:" + second, "keystore_key_wrong"},
			{"a new one in front", first, second + "," + first, ""},
			{"a new one in front, with names", first, "b:" + second + ",a:" + first, ""},
			{"the new one alone", "a:" + first + ",b:" + second, "b:" + second, "keystore_key_missing"},
		}
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				database := open(t)
				openStore(t, database, parseRing(t, row.before))
				_, err := Open(t.Context(), Options{Keys: database, Ring: parseRing(t, row.after)})
				if row.code == "" {
					must(t, err)
					return
				}
				var refused *fault.Error
				if !errors.As(err, &refused) || refused.Code != row.code || refused.Class != fault.Internal {
					t.Fatalf("got %v, want %s", err, row.code)
				}
				if strings.Contains(err.Error(), first) || strings.Contains(err.Error(), second) {
					t.Error("the error shows a key")
				}
			})
		}
	})
}

func TestARowThatWasAlteredIsAnError(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open opener) {
		owner, keyStore, database := onDisk(t, open)
		ctx := t.Context()
		must(t, owner.PutSession(ctx, "1:0", []byte("session one")))
		must(t, owner.PutSession(ctx, "2:0", []byte("session two")))
		must(t, owner.Close(ctx))
		row := func(key string) []byte {
			rows, err := database.Get(ctx, "ses_1", "session", []string{key})
			must(t, err)
			return rows[0].Value
		}
		one, two := row("1:0"), row("2:0")
		flipped := slices.Clone(one)
		flipped[len(flipped)-1] ^= 1
		unknown := slices.Clone(one)
		unknown[2] ^= 1
		epoch := uint64(1)
		for name, value := range map[string][]byte{"one bit": flipped, "swapped": two, "key unknown": unknown, "short": one[:20], "another form": {9}, "cut": {1, 200, 'a'}} {
			epoch++
			must(t, database.Write(ctx, store.KeyBatch{Session: "ses_1", Epoch: epoch, Changes: []store.KeyChange{{Kind: "session", Key: "1:0", Value: value}}}))
			reader := own(t, keyStore, "ses_1", epoch)
			if _, err := reader.GetSession(ctx, "1:0"); fault.Of(err) != fault.Internal || strings.Contains(err.Error(), "1:0") {
				t.Errorf("%s: %v", name, err)
			}
			if err := reader.DeleteAllSessions(ctx, "1"); fault.Of(err) != fault.Internal {
				t.Errorf("%s, in a scan: %v", name, err)
			}
			if session, err := reader.GetSession(ctx, "2:0"); err != nil || string(session) != "session two" {
				t.Errorf("%s: another row: %q, %v", name, session, err)
			}
		}
	})
}

func TestRotationWhileOwnersWrite(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open opener) {
		database := open(t)
		first, second := "2025:"+GenerateKey(), "2026:"+GenerateKey()
		old := openStore(t, database, parseRing(t, first))
		for _, session := range []string{"ses_1", "ses_2"} {
			owner := own(t, old, session, 3)
			fillWithDevice(t, owner)
			for i := range 600 { // more than a page
				must(t, owner.PutIdentity(t.Context(), fmt.Sprintf("%d:0", i), [32]byte{byte(i)}))
			}
			must(t, owner.Close(t.Context()))
		}
		must(t, own(t, old, "ses_3", 1).Bury(t.Context(), "logged_out"))
		both := openStore(t, database, parseRing(t, second+","+first))
		owner := own(t, both, "ses_1", 4)
		stop, stopped := context.WithCancel(t.Context())
		defer stopped()
		var writing sync.WaitGroup
		last := 0
		writing.Go(func() {
			for ; stop.Err() == nil; last++ {
				if err := owner.PutSession(t.Context(), "5491140000001:0", fmt.Append(nil, last)); err != nil {
					t.Errorf("an owner was disturbed: %v", err)
					return
				}
			}
		})
		interrupted, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := both.Rotate(interrupted); err == nil {
			t.Error("an interrupted rotation says that it is done")
		}
		rotation, err := both.Rotate(t.Context())
		must(t, err)
		stopped()
		writing.Wait()
		if rotation.Sessions != 3 || rotation.Resealed < 1200 || rotation.Damaged != 0 || !slices.Equal(rotation.Retired, []string{"2025"}) {
			t.Errorf("rotation %+v", rotation)
		}
		must(t, owner.Close(t.Context()))
		again, err := both.Rotate(t.Context())
		if err != nil || again.Resealed != 0 || again.Retired != nil {
			t.Errorf("a second rotation did %+v, %v", again, err)
		}
		rotated := map[string]bool{}
		for _, row := range append(rowsOf(t, database, "ses_1"), append(rowsOf(t, database, "ses_2"), rowsOf(t, database, "ses_3")...)...) {
			rotated[row.Kind] = true
			if !bytes.Contains(row.Value[:8], []byte("2026")) {
				t.Errorf("a row of kind %s was left out", row.Kind)
			}
		}
		if len(rotated) != len(kindsOfRows) {
			t.Errorf("%d kinds of rows of %d", len(rotated), len(kindsOfRows))
		}
		alone := openStore(t, database, parseRing(t, second))
		if _, err := alone.Own(t.Context(), OwnerOptions{Session: "ses_2", Epoch: 2}); !errors.Is(err, store.ErrFenced) {
			t.Errorf("the rotation moved a fence: %v", err)
		}
		next := own(t, alone, "ses_1", 5)
		if session, err := next.GetSession(t.Context(), "5491140000001:0"); err != nil || string(session) != fmt.Sprint(last-1) {
			t.Errorf("session %q, want %d, %v", session, last-1, err)
		}
		if device, err := next.Device(t.Context()); err != nil || device == nil {
			t.Errorf("device %v, %v", device, err)
		}
	})
}

// TestRotationFindsWhatWasSealedBehindIt: a process that has not got the new key yet writes rows of a kind that the rotation is done with.
func TestRotationFindsWhatWasSealedBehindIt(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open opener) {
		database := &watched{Keys: open(t)}
		first, second := "old:"+GenerateKey(), "new:"+GenerateKey()
		former := own(t, openStore(t, database, parseRing(t, first)), "ses_1", 1)
		must(t, former.PutSession(t.Context(), "1:0", []byte("session")))
		must(t, former.PutNCTSalt(t.Context(), []byte("salt")))
		calls := 0
		database.resealing = func() {
			if calls++; calls == 2 { // the salts come behind the sessions
				must(t, former.PutSession(t.Context(), "2:0", []byte("late")))
			}
		}
		both := openStore(t, database, parseRing(t, second+","+first))
		rotation, err := both.Rotate(t.Context())
		if err != nil || rotation.Resealed != 3 || !slices.Equal(rotation.Retired, []string{"old"}) {
			t.Errorf("%+v, %v", rotation, err)
		}
		late := own(t, openStore(t, database, parseRing(t, second)), "ses_1", 2)
		if session, err := late.GetSession(t.Context(), "2:0"); err != nil || string(session) != "late" {
			t.Errorf("session %q, %v", session, err)
		}
		// A process that never gets the new key is named instead of being waited for without end.
		database.resealing = func() { must(t, database.Write(t.Context(), sealedBy(t, first))) }
		stubborn := openStore(t, database, parseRing(t, second+","+first))
		must(t, database.Write(t.Context(), sealedBy(t, first)))
		if _, err := stubborn.Rotate(t.Context()); fault.Of(err) != fault.Conflict {
			t.Errorf("got %v", err)
		}
	})
}

// sealedBy gives a batch with a row that was sealed with a key, as a process that knows no other writes it.
func sealedBy(t *testing.T, key string) store.KeyBatch {
	t.Helper()
	aside := &watched{Keys: openSQLite(t)}
	owner := own(t, openStore(t, aside, parseRing(t, key)), "ses_1", 1)
	must(t, owner.PutNCTSalt(t.Context(), []byte("salt")))
	batch := aside.writes[len(aside.writes)-1]
	batch.Epoch = 2
	return batch
}

func TestRotationLeavesADamagedRowAndTheOldKey(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open opener) {
		database := open(t)
		first, second := "a:"+GenerateKey(), "b:"+GenerateKey()
		owner := own(t, openStore(t, database, parseRing(t, first)), "ses_1", 1)
		must(t, owner.PutSession(t.Context(), "1:0", []byte("session")))
		must(t, owner.PutSession(t.Context(), "2:0", []byte("session")))
		must(t, owner.Close(t.Context()))
		rows, err := database.Get(t.Context(), "ses_1", "session", []string{"1:0"})
		must(t, err)
		rows[0].Value[len(rows[0].Value)-1] ^= 1
		must(t, database.Write(t.Context(), store.KeyBatch{Session: "ses_1", Epoch: 1, Changes: []store.KeyChange{{Kind: "session", Key: "1:0", Value: rows[0].Value}}}))
		both := openStore(t, database, parseRing(t, second+","+first))
		rotation, err := both.Rotate(t.Context())
		if fault.Of(err) != fault.Internal || rotation.Damaged != 1 || rotation.Resealed != 1 || rotation.Retired != nil {
			t.Errorf("%+v, %v", rotation, err)
		}
		if _, err := Open(t.Context(), Options{Keys: database, Ring: parseRing(t, second)}); err == nil {
			t.Error("the old key may be left out although a row needs it")
		}
	})
}

func TestKeysAreReadInEveryForm(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{0xfb, 0xef}, 16)
	standard, url, hexed := base64.StdEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key), hex.EncodeToString(key)
	for _, good := range []string{standard, url, hexed, strings.ToUpper(hexed), " " + standard + " ", "name:" + standard, "a:" + standard + ", b:" + GenerateKey(), standard + "," + hexed, "a:" + standard + "\nb:" + GenerateKey() + "\n"} {
		if _, err := ParseRing(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", ",", "short", standard[:40], standard + standard, "bad name:" + standard, ":" + standard, "a:" + standard + ",a:" + GenerateKey(),
		strings.Repeat("n", 33) + ":" + standard} {
		if _, err := ParseRing(bad); fault.Of(err) != fault.Invalid || len(bad) > 8 && strings.Contains(err.Error(), standard[:16]) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if one, other := GenerateKey(), GenerateKey(); one == other {
		t.Error("the same key twice")
	}
}

func TestAKeyFileIsMadeOnceAndForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keystore.key")
	if _, err := ReadRing(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	made, err := MakeRing(path)
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %s", info.Mode())
	}
	database := openSQLite(t)
	openStore(t, database, made)
	again, err := MakeRing(path)
	must(t, err)
	openStore(t, database, again)
	content, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, append([]byte("new:"+GenerateKey()+"\n"), content...), 0o600))
	two, err := ReadRing(path)
	must(t, err)
	openStore(t, database, two)
	must(t, os.Chmod(path, 0o644))
	if _, err := MakeRing(path); fault.Of(err) != fault.Invalid {
		t.Errorf("a file that all can read: %v", err)
	}
}

// FuzzAnyBytesInARow: whatever a row holds, it is an error or the value that was sealed, and never a panic.
func FuzzAnyBytesInARow(f *testing.F) {
	database := openSQLite(f)
	keyStore := openStore(f, database, newRing(f))
	owner := own(f, keyStore, "ses_1", 1)
	must(f, owner.PutSession(f.Context(), "1:0", []byte("session")))
	must(f, owner.Close(f.Context()))
	rows, err := database.Get(f.Context(), "ses_1", "session", []string{"1:0"})
	must(f, err)
	sealed := rows[0].Value
	f.Add(sealed)
	f.Add(sealed[:len(sealed)-1])
	f.Add([]byte{1, 255})
	epoch := uint64(1)
	f.Fuzz(func(t *testing.T, value []byte) {
		if len(value) == 0 || len(value) > store.MaxKeyValue {
			return
		}
		epoch++
		must(t, database.Write(t.Context(), store.KeyBatch{Session: "ses_1", Epoch: epoch, Changes: []store.KeyChange{{Kind: "session", Key: "1:0", Value: value}}}))
		reader := own(t, keyStore, "ses_1", epoch)
		session, err := reader.GetSession(t.Context(), "1:0")
		if want := bytes.Equal(value, sealed); want != (err == nil) {
			t.Errorf("got %q, %v", session, err)
		}
	})
}

// FuzzParseRing: no text makes a ring that cannot seal.
func FuzzParseRing(f *testing.F) {
	f.Add("a:" + GenerateKey() + ",b:" + GenerateKey())
	f.Add(strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, text string) {
		ring, err := ParseRing(text)
		if err != nil {
			if fault.Of(err) != fault.Invalid {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		openStore(t, nothing{}, ring)
	})
}

// nothing is a database that is always empty.
type nothing struct{ store.Keys }

func (nothing) Scan(context.Context, string, string, string, store.Page) (store.List[store.KeyRow], error) {
	return store.List[store.KeyRow]{}, nil
}

func (nothing) Write(_ context.Context, batch store.KeyBatch) error {
	return store.CheckKeyBatch(batch)
}
