package keys_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	wastore "go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	. "github.com/dannsalud/broadcaster/internal/wa/keys"
)

// TestBehavesAsSQLStore drives whatsmeow's own store and ours with the same random operations and compares every answer. What is left out, because
// sqlstore's own answer is an accident: the removal of the newest prekey (its id comes again there), contacts and LIDs within a failed
// decryption (its caches keep what was taken back), and one message whose secret is stored under both names of a chat.
func TestBehavesAsSQLStore(t *testing.T) {
	t.Parallel()
	for name, open := range backends() {
		seeds, steps := 4, 1200
		if name != "sqlite" { // what depends on the database is little, and the server of the tests is slow
			seeds, steps = 1, 400
		}
		for range seeds {
			seed := rand.Uint64()
			t.Run(fmt.Sprint(name, " seed ", seed), func(t *testing.T) {
				t.Parallel()
				differential(t, open, seed, steps)
			})
		}
	}
}

func differential(t *testing.T, open opener, seed uint64, steps int) {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), macVersion: map[string]uint64{}}
	database, ring := open(t), newRing(t)
	cacheBytes := []int{1, 3000, 0}[g.IntN(3)] // none, a few rows, all
	keyStore, err := Open(t.Context(), Options{Keys: database, Ring: ring, CacheBytes: cacheBytes})
	must(t, err)
	epoch := uint64(1)
	owner := own(t, keyStore, "ses_1", epoch)
	container := yardstick(t)
	want := storesOf(t, save(t, container.NewDevice()))
	got := storesOf(t, save(t, owner.NewDevice()))
	for step := range steps {
		if g.IntN(100) == 0 { // a new owner knows only what is on the disk
			epoch++
			must(t, owner.Close(t.Context()))
			owner = own(t, keyStore, "ses_1", epoch)
			device, err := owner.Device(t.Context())
			must(t, err)
			got = storesOf(t, device)
			device, err = container.GetDevice(t.Context(), ourJID)
			must(t, err)
			want = storesOf(t, device)
		}
		o := g.operation()
		if g.IntN(12) == 0 {
			o = g.decryption()
		}
		wantAnswer, wantErr := o.run(t.Context(), want)
		gotAnswer, gotErr := o.run(t.Context(), got)
		if (wantErr == nil) != (gotErr == nil) {
			t.Fatalf("step %d, %s: the error is %v, want %v", step, o.name, gotErr, wantErr)
		}
		if difference := cmp.Diff(wantAnswer, gotAnswer, cmpopts.EquateEmpty()); wantErr == nil && difference != "" {
			t.Fatalf("step %d, %s (-want +got):\n%s", step, o.name, difference)
		}
		g.learn(o, wantAnswer)
	}
}

// operation is a call with its arguments.
type operation struct {
	name string
	run  func(ctx context.Context, s wastore.AllStores) (answer any, err error)
}

// generator makes operations on few things, so that they meet.
type generator struct {
	*rand.Rand
	lastPreKey uint32
	macVersion map[string]uint64
	clock      int64
}

func (g *generator) phone() types.JID {
	return types.JID{User: fmt.Sprint("549114000000", g.IntN(5)), Device: uint16(g.IntN(3)), Server: types.DefaultUserServer}
}

func (g *generator) lid() types.JID {
	return types.JID{User: fmt.Sprint("10000000000", g.IntN(5)), Device: uint16(g.IntN(3)), Server: types.HiddenUserServer}
}

func (g *generator) person() types.JID {
	if g.IntN(2) == 0 {
		return g.phone()
	}
	return g.lid()
}

func (g *generator) group() string   { return fmt.Sprint("12036300000000000", g.IntN(3), "@g.us") }
func (g *generator) address() string { return g.person().SignalAddress().String() }
func (g *generator) bytes() []byte   { return fmt.Appendf(nil, "value %d of %d", g.Uint32(), g.Uint32()) }
func (g *generator) array() [32]byte { return sha256.Sum256(fmt.Append(nil, g.IntN(4))) }
func (g *generator) name() string    { return []string{"", "Ana", "José | %", "日本"}[g.IntN(4)] }
func (g *generator) state() string   { return []string{"critical", "regular_low"}[g.IntN(2)] }

// second gives a time that was not given before.
func (g *generator) second() time.Time {
	g.clock++
	return time.Unix(1_700_000_000+int64(g.IntN(1000))*1000+g.clock%1000, 0)
}

// learn keeps what later operations need to know.
func (g *generator) learn(o operation, answer any) {
	if found, ok := answer.([]uint32); ok && (o.name == "GetOrGenPreKeys" || o.name == "GenOnePreKey") {
		g.lastPreKey = max(g.lastPreKey, slices.Max(append(found, 0)))
	}
}

func (g *generator) operation() operation {
	groups := []func() operation{g.signal, g.signal, g.preKeys, g.appState, g.contacts, g.chats, g.secrets, g.tokens, g.events, g.lids}
	return groups[g.IntN(len(groups))]()
}

// none is the call of something that only may fail.
func none(name string, call func(context.Context, wastore.AllStores) error) operation {
	return operation{name, func(ctx context.Context, s wastore.AllStores) (any, error) { return nil, call(ctx, s) }}
}

func one[T any](name string, call func(context.Context, wastore.AllStores) (T, error)) operation {
	return operation{name, func(ctx context.Context, s wastore.AllStores) (any, error) { return call(ctx, s) }}
}

func (g *generator) signal() operation {
	address, key, value, other := g.address(), g.array(), g.bytes(), g.address()
	phone, lid, person, group := g.phone(), g.lid(), g.person(), g.group()
	switch g.IntN(14) {
	case 0:
		return none("PutIdentity", func(ctx context.Context, s wastore.AllStores) error { return s.PutIdentity(ctx, address, key) })
	case 1:
		return none("DeleteAllIdentities", func(ctx context.Context, s wastore.AllStores) error { return s.DeleteAllIdentities(ctx, person.User) })
	case 2:
		return none("DeleteIdentity", func(ctx context.Context, s wastore.AllStores) error { return s.DeleteIdentity(ctx, address) })
	case 3:
		return one("IsTrustedIdentity", func(ctx context.Context, s wastore.AllStores) (bool, error) {
			return s.IsTrustedIdentity(ctx, address, key)
		})
	case 4:
		return one("GetSession", func(ctx context.Context, s wastore.AllStores) ([]byte, error) { return s.GetSession(ctx, address) })
	case 5:
		return one("HasSession", func(ctx context.Context, s wastore.AllStores) (bool, error) { return s.HasSession(ctx, address) })
	case 6:
		addresses := []string{address, other, g.address(), address}[:g.IntN(5)]
		return one("GetManySessions", func(ctx context.Context, s wastore.AllStores) (map[string][]byte, error) {
			return s.GetManySessions(ctx, addresses)
		})
	case 7, 8:
		return none("PutSession", func(ctx context.Context, s wastore.AllStores) error { return s.PutSession(ctx, address, value) })
	case 9:
		many := map[string][]byte{address: value, other: g.bytes()}
		return none("PutManySessions", func(ctx context.Context, s wastore.AllStores) error { return s.PutManySessions(ctx, many) })
	case 10:
		return none("DeleteAllSessions", func(ctx context.Context, s wastore.AllStores) error { return s.DeleteAllSessions(ctx, person.User) })
	case 11:
		return none("DeleteSession", func(ctx context.Context, s wastore.AllStores) error { return s.DeleteSession(ctx, address) })
	case 12:
		return none("PutSenderKey", func(ctx context.Context, s wastore.AllStores) error {
			return s.PutSenderKey(ctx, group, address, value)
		})
	}
	if g.IntN(4) == 0 { // rarely: a number is migrated once in the life of sqlstore
		return none("MigratePNToLID", func(ctx context.Context, s wastore.AllStores) error {
			if err := s.PutSenderKey(ctx, group, phone.SignalAddress().String(), value); err != nil {
				return err
			}
			return s.MigratePNToLID(ctx, phone, lid)
		})
	}
	return one("GetSenderKey", func(ctx context.Context, s wastore.AllStores) ([]byte, error) {
		return s.GetSenderKey(ctx, group, address)
	})
}

func (g *generator) preKeys() operation {
	id := uint32(g.IntN(int(g.lastPreKey) + 1))
	switch g.IntN(6) {
	case 0:
		count := uint32(g.IntN(6))
		return one("GetOrGenPreKeys", func(ctx context.Context, s wastore.AllStores) ([]uint32, error) {
			found, err := s.GetOrGenPreKeys(ctx, count)
			return ids(found), err
		})
	case 1:
		return one("GenOnePreKey", func(ctx context.Context, s wastore.AllStores) ([]uint32, error) {
			found, err := s.GenOnePreKey(ctx)
			if err != nil {
				return nil, err
			}
			return []uint32{found.KeyID}, nil
		})
	case 2:
		return one("GetPreKey", func(ctx context.Context, s wastore.AllStores) (uint32, error) {
			found, err := s.GetPreKey(ctx, id)
			if found == nil {
				return 0, err
			}
			return found.KeyID, err
		})
	case 3:
		if id == g.lastPreKey {
			id = 0
		}
		return none("RemovePreKey", func(ctx context.Context, s wastore.AllStores) error { return s.RemovePreKey(ctx, id) })
	case 4:
		return none("MarkPreKeysAsUploaded", func(ctx context.Context, s wastore.AllStores) error { return s.MarkPreKeysAsUploaded(ctx, id) })
	}
	return one("UploadedPreKeyCount", func(ctx context.Context, s wastore.AllStores) (int, error) { return s.UploadedPreKeyCount(ctx) })
}

func (g *generator) appState() operation {
	name, id, value := g.state(), []byte{byte(g.IntN(3)), 9}, g.bytes()
	switch g.IntN(10) {
	case 0:
		key := wastore.AppStateSyncKey{Data: value, Fingerprint: g.bytes(), Timestamp: g.second().Unix()}
		return none("PutAppStateSyncKey", func(ctx context.Context, s wastore.AllStores) error { return s.PutAppStateSyncKey(ctx, id, key) })
	case 1:
		return one("GetAppStateSyncKey", func(ctx context.Context, s wastore.AllStores) (*wastore.AppStateSyncKey, error) {
			return s.GetAppStateSyncKey(ctx, id)
		})
	case 2:
		return one("GetLatestAppStateSyncKeyID", func(ctx context.Context, s wastore.AllStores) ([]byte, error) {
			return s.GetLatestAppStateSyncKeyID(ctx)
		})
	case 3:
		return one("GetAllAppStateSyncKeys", func(ctx context.Context, s wastore.AllStores) ([]*wastore.AppStateSyncKey, error) {
			return s.GetAllAppStateSyncKeys(ctx)
		})
	case 4:
		version, hash := 1+g.Uint64N(1000), [128]byte{1, byte(g.IntN(200))}
		return none("PutAppStateVersion", func(ctx context.Context, s wastore.AllStores) error {
			return s.PutAppStateVersion(ctx, name, version, hash)
		})
	case 5:
		return operation{"GetAppStateVersion", func(ctx context.Context, s wastore.AllStores) (any, error) {
			version, hash, err := s.GetAppStateVersion(ctx, name)
			return []any{version, hash}, err
		}}
	case 6:
		if g.IntN(4) > 0 {
			return g.mutations(name)
		}
		return none("DeleteAppStateVersion", func(ctx context.Context, s wastore.AllStores) error { return s.DeleteAppStateVersion(ctx, name) })
	case 7:
		return g.mutations(name)
	case 8:
		index := []([]byte){slices.Clone(g.mac()), g.mac()}[:g.IntN(3)]
		return none("DeleteAppStateMutationMACs", func(ctx context.Context, s wastore.AllStores) error {
			return s.DeleteAppStateMutationMACs(ctx, name, index)
		})
	}
	index := g.mac()
	return one("GetAppStateMutationMAC", func(ctx context.Context, s wastore.AllStores) ([]byte, error) {
		return s.GetAppStateMutationMAC(ctx, name, index)
	})
}

func (g *generator) mac() []byte {
	sum := g.array()
	return sum[:]
}

// mutations puts mutations of a version that is not below an earlier one.
func (g *generator) mutations(name string) operation {
	g.macVersion[name] += uint64(g.IntN(2))
	version := g.macVersion[name]
	mutations := make([]wastore.AppStateMutationMAC, g.IntN(4))
	for i := range mutations {
		value := sha256.Sum256(g.bytes())
		mutations[i] = wastore.AppStateMutationMAC{IndexMAC: g.mac(), ValueMAC: value[:]}
	}
	return none("PutAppStateMutationMACs", func(ctx context.Context, s wastore.AllStores) error {
		return s.PutAppStateMutationMACs(ctx, name, version, mutations)
	})
}

func (g *generator) contacts() operation {
	user, name, other := g.person(), g.name(), g.name()
	changed := func(changed bool, previous string, err error) (any, error) { return []any{changed, previous}, err }
	switch g.IntN(8) {
	case 0:
		return operation{"PutPushName", func(ctx context.Context, s wastore.AllStores) (any, error) {
			return changed(s.PutPushName(ctx, user, name))
		}}
	case 1:
		return operation{"PutBusinessName", func(ctx context.Context, s wastore.AllStores) (any, error) {
			return changed(s.PutBusinessName(ctx, user, name))
		}}
	case 2:
		return none("PutContactName", func(ctx context.Context, s wastore.AllStores) error { return s.PutContactName(ctx, user, name, other) })
	case 3:
		var entries []wastore.ContactEntry
		for range g.IntN(4) {
			entries = append(entries, wastore.ContactEntry{JID: g.person(), FirstName: g.name(), FullName: g.name()})
		}
		return none("PutAllContactNames", func(ctx context.Context, s wastore.AllStores) error {
			return s.PutAllContactNames(ctx, slices.Clone(entries))
		})
	case 4:
		var entries []wastore.RedactedPhoneEntry
		for range g.IntN(4) {
			entries = append(entries, wastore.RedactedPhoneEntry{JID: g.person(), RedactedPhone: fmt.Sprint("+54 ··· ", g.IntN(9))})
		}
		return none("PutManyRedactedPhones", func(ctx context.Context, s wastore.AllStores) error {
			return s.PutManyRedactedPhones(ctx, slices.Clone(entries))
		})
	case 5:
		return one("GetAllContacts", func(ctx context.Context, s wastore.AllStores) (map[types.JID]types.ContactInfo, error) {
			return s.GetAllContacts(ctx)
		})
	}
	return one("GetContact", func(ctx context.Context, s wastore.AllStores) (types.ContactInfo, error) {
		return s.GetContact(ctx, user)
	})
}

func (g *generator) chats() operation {
	chat, yes := g.person(), g.IntN(2) == 0
	until := []time.Time{{}, wastore.MutedForever, g.second()}[g.IntN(3)]
	switch g.IntN(5) {
	case 0:
		return none("PutMutedUntil", func(ctx context.Context, s wastore.AllStores) error { return s.PutMutedUntil(ctx, chat, until) })
	case 1:
		return none("PutPinned", func(ctx context.Context, s wastore.AllStores) error { return s.PutPinned(ctx, chat, yes) })
	case 2:
		return none("PutArchived", func(ctx context.Context, s wastore.AllStores) error { return s.PutArchived(ctx, chat, yes) })
	}
	return one("GetChatSettings", func(ctx context.Context, s wastore.AllStores) (types.LocalChatSettings, error) {
		return s.GetChatSettings(ctx, chat)
	})
}

// secrets asks for messages under any name; each is stored under names that its id decides.
func (g *generator) secrets() operation {
	number := g.IntN(6)
	id := types.MessageID(fmt.Sprint("3EB0 odd|id %", number, "\xff"))
	chat, sender := g.person(), g.person()
	insert := func(number int) wastore.MessageSecretInsert {
		forms := []types.JID{{User: "5491140000001", Device: 2, Server: types.DefaultUserServer}, {User: "100000000002", Server: types.HiddenUserServer}}
		return wastore.MessageSecretInsert{Chat: forms[number%2], Sender: forms[number/2%2], Secret: g.bytes(),
			ID: types.MessageID(fmt.Sprint("3EB0 odd|id %", number, "\xff"))}
	}
	switch g.IntN(5) {
	case 0:
		single := insert(number)
		return none("PutMessageSecret", func(ctx context.Context, s wastore.AllStores) error {
			return s.PutMessageSecret(ctx, single.Chat, single.Sender, single.ID, single.Secret)
		})
	case 1:
		many := []wastore.MessageSecretInsert{insert(number), insert(g.IntN(6)), insert(number)}[:g.IntN(4)]
		return none("PutMessageSecrets", func(ctx context.Context, s wastore.AllStores) error { return s.PutMessageSecrets(ctx, many) })
	}
	return operation{"GetMessageSecret", func(ctx context.Context, s wastore.AllStores) (any, error) {
		secret, realSender, err := s.GetMessageSecret(ctx, chat, sender, id)
		return []any{secret, realSender}, err
	}}
}

func (g *generator) tokens() operation {
	user, salt := g.person(), g.bytes()
	switch g.IntN(9) {
	case 0, 1, 2:
		tokens := make([]wastore.PrivacyToken, 1+g.IntN(3))
		for i := range tokens {
			tokens[i] = wastore.PrivacyToken{User: g.person(), Token: g.bytes(), Timestamp: g.second()}
			tokens[i].SenderTimestamp = []time.Time{{}, time.Unix(0, 0), g.second()}[g.IntN(3)]
		}
		return none("PutPrivacyTokens", func(ctx context.Context, s wastore.AllStores) error { return s.PutPrivacyTokens(ctx, tokens...) })
	case 3:
		cutoff := g.second()
		return one("DeleteExpiredPrivacyTokens", func(ctx context.Context, s wastore.AllStores) (int64, error) {
			return s.DeleteExpiredPrivacyTokens(ctx, cutoff)
		})
	case 4:
		return none("PutNCTSalt", func(ctx context.Context, s wastore.AllStores) error { return s.PutNCTSalt(ctx, salt) })
	case 5:
		return one("GetNCTSalt", func(ctx context.Context, s wastore.AllStores) ([]byte, error) { return s.GetNCTSalt(ctx) })
	case 6:
		return none("DeleteNCTSalt", func(ctx context.Context, s wastore.AllStores) error { return s.DeleteNCTSalt(ctx) })
	}
	return one("GetPrivacyToken", func(ctx context.Context, s wastore.AllStores) (*wastore.PrivacyToken, error) {
		return s.GetPrivacyToken(ctx, user)
	})
}

func (g *generator) events() operation {
	hash, value, at := g.array(), g.bytes(), g.second()
	chat, other, id := g.person(), g.person(), types.MessageID(fmt.Sprint("3EB0", g.IntN(4)))
	switch g.IntN(7) {
	case 0:
		return none("PutBufferedEvent", func(ctx context.Context, s wastore.AllStores) error { return s.PutBufferedEvent(ctx, hash, value, at) })
	case 1:
		return none("ClearBufferedEventPlaintext", func(ctx context.Context, s wastore.AllStores) error { return s.ClearBufferedEventPlaintext(ctx, hash) })
	case 2:
		return none("DeleteOldBufferedHashes", func(ctx context.Context, s wastore.AllStores) error { return s.DeleteOldBufferedHashes(ctx) })
	case 3:
		return one("GetBufferedEvent", func(ctx context.Context, s wastore.AllStores) (*wastore.BufferedEvent, error) {
			event, err := s.GetBufferedEvent(ctx, hash)
			if event != nil {
				event.InsertTime = time.Time{}
			}
			return event, err
		})
	case 4:
		return none("AddOutgoingEvent", func(ctx context.Context, s wastore.AllStores) error {
			return s.AddOutgoingEvent(ctx, chat, id, "wa", value)
		})
	case 5:
		return none("DeleteOldOutgoingEvents", func(ctx context.Context, s wastore.AllStores) error { return s.DeleteOldOutgoingEvents(ctx) })
	}
	if g.IntN(3) == 0 {
		other = types.EmptyJID
	}
	return operation{"GetOutgoingEvent", func(ctx context.Context, s wastore.AllStores) (any, error) {
		format, plaintext, err := s.GetOutgoingEvent(ctx, chat, types.EmptyJID, id)
		if err != nil {
			format, plaintext, err = s.GetOutgoingEvent(ctx, types.EmptyJID, other, id)
		}
		return []any{format, plaintext}, err
	}}
}

func (g *generator) lids() operation {
	lid, phone := g.lid(), g.phone()
	switch g.IntN(6) {
	case 0:
		if g.IntN(10) == 0 {
			lid, phone = phone, lid
		}
		return none("PutLIDMapping", func(ctx context.Context, s wastore.AllStores) error { return s.PutLIDMapping(ctx, lid, phone) })
	case 1:
		var mappings []wastore.LIDMapping
		for i, at := range g.Perm(5)[:g.IntN(4)] { // nobody twice
			mappings = append(mappings, wastore.LIDMapping{LID: types.NewJID(fmt.Sprint("10000000000", at), types.HiddenUserServer),
				PN: types.NewJID(fmt.Sprint("549114000000", i), types.DefaultUserServer)})
		}
		return none("PutManyLIDMappings", func(ctx context.Context, s wastore.AllStores) error {
			return s.PutManyLIDMappings(ctx, slices.Clone(mappings))
		})
	case 2:
		jid := g.person()
		return one("GetPNForLID", func(ctx context.Context, s wastore.AllStores) (types.JID, error) { return s.GetPNForLID(ctx, jid) })
	case 3:
		jid := g.person()
		return one("GetLIDForPN", func(ctx context.Context, s wastore.AllStores) (types.JID, error) { return s.GetLIDForPN(ctx, jid) })
	}
	pns := []types.JID{g.person(), g.phone(), g.phone()}[:g.IntN(4)]
	return one("GetManyLIDsForPNs", func(ctx context.Context, s wastore.AllStores) (map[types.JID]types.JID, error) {
		return s.GetManyLIDsForPNs(ctx, slices.Clone(pns))
	})
}

// errDecryption ends a decryption that has written something.
var errDecryption = errors.New("the message authentication code is wrong")

// decryption is a transaction of some operations, which fails now and then.
func (g *generator) decryption() operation {
	var parts []operation
	for len(parts) < 1+g.IntN(5) {
		part := []func() operation{g.signal, g.preKeys, g.events, g.secrets, g.tokens}[g.IntN(5)]()
		if part.name != "MigratePNToLID" && part.name != "GetOrGenPreKeys" && part.name != "GenOnePreKey" {
			parts = append(parts, part)
		}
	}
	fails := g.IntN(2) == 0
	name := "DoDecryptionTxn"
	for _, part := range parts {
		name += " " + part.name
	}
	return operation{name, func(ctx context.Context, s wastore.AllStores) (any, error) {
		var answers []any
		err := s.DoDecryptionTxn(ctx, func(ctx context.Context) error {
			for _, part := range parts {
				answer, err := part.run(ctx, s)
				if err != nil {
					return err
				}
				answers = append(answers, answer)
			}
			if fails {
				return errDecryption
			}
			return nil
		})
		if errors.Is(err, errDecryption) {
			return answers, nil
		}
		return answers, err
	}}
}
