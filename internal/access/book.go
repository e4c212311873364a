package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// The folders of the port of documents. The last use of a key has a record of its own, so that who writes it never writes over a revocation.
const (
	keysFolder   = "access-keys"
	usesFolder   = "access-uses"
	loginsFolder = "access-logins"
	linksFolder  = "access-links"
	// onceFolder has what only one process may do: the first start, and one revocation at a time.
	onceFolder = "access-once"
)

// Options are the parts of a Book.
type Options struct {
	Documents store.Documents
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Book keeps keys, logins and link tokens. It may be used by many goroutines, and several processes may have one over the same store.
type Book struct {
	documents store.Documents
	now       func() time.Time
	keys      cache[Key]
	logins    cache[login]
	links     cache[linkToken]

	mu sync.Mutex
	// used is when this process last wrote down that a key was used.
	used map[string]time.Time
}

// New checks the options and makes a book.
func New(options Options) (*Book, error) {
	if options.Documents == nil {
		return nil, errors.New("access: Documents is required")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Book{documents: options.Documents, now: options.Now, used: map[string]time.Time{}}, nil
}

// The answers to who has no key that holds. Each says what to do, and only who has the whole secret is told more than that there is no such key.
var (
	ErrMissing = fault.New(fault.Unauthorized, "key_missing", "This needs an API key; send it as the header Authorization: Bearer bcr_…, or log in")
	ErrUnknown = fault.New(fault.Unauthorized, "key_unknown", "There is no such key; check that it was copied whole, or ask an administrator for one")
	ErrExpired = fault.New(fault.Unauthorized, "key_expired", "This key has expired; ask an administrator for a new one")
	ErrRevoked = fault.New(fault.Unauthorized, "key_revoked", "This key was revoked; ask an administrator for a new one")
	errSession = fault.New(fault.Unauthorized, "login_ended", "The login has ended; log in again")
	errLink    = fault.New(fault.Unauthorized, "link_token_unknown", "There is no such link token, or its time is over; ask for a new one with POST /v1/sessions/{id}/link/token")
)

// Identify gives who a credential is of: of a key, or of a link token.
func (b *Book) Identify(ctx context.Context, credential string) (Caller, error) {
	if strings.HasPrefix(credential, linkMark) {
		return b.identifyLink(ctx, credential)
	}
	id, ok := parse(credential)
	if !ok {
		return Caller{}, ErrUnknown
	}
	key, err := b.key(ctx, id)
	// Also the zero key is compared, so that an id that exists takes no longer than one that does not.
	holds := key.holds(credential)
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return Caller{}, fmt.Errorf("read a key: %w", err)
	case err != nil || !holds:
		return Caller{}, ErrUnknown
	}
	return b.admit(key)
}

// admit gives the caller of a key that holds now.
func (b *Book) admit(key Key) (Caller, error) {
	switch {
	case !key.RevokedAt.IsZero():
		return Caller{}, ErrRevoked
	case key.expired(b.now()):
		return Caller{}, ErrExpired
	}
	return key.caller(), nil
}

// Recheck tells whether a caller that was let in may still be: its key, login or token may have ended meanwhile. Long answers ask it now and then.
func (b *Book) Recheck(ctx context.Context, caller Caller) error {
	if caller.until.IsZero() || b.now().Before(caller.until) {
		key, err := b.key(ctx, caller.Key)
		if err != nil {
			return err
		}
		_, err = b.admit(key)
		if err == nil && caller.login != "" {
			_, err = remember(ctx, b, &b.logins, loginsFolder, caller.login)
		}
		return err
	}
	return errSession
}

// key gives a key as it is or was a moment ago.
func (b *Book) key(ctx context.Context, id string) (Key, error) {
	return remember(ctx, b, &b.keys, keysFolder, id)
}

// remember reads a record, unless it was read a moment ago.
func remember[T any](ctx context.Context, b *Book, known *cache[T], folder, id string) (value T, err error) {
	now := b.now()
	if value, found, is := known.get(id, now); is {
		if !found {
			return value, store.ErrNotFound
		}
		return value, nil
	}
	round := known.round()
	value, err = read[T](ctx, b.documents, folder, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return value, err
	}
	known.put(id, remembered[T]{value: value, found: err == nil, until: now.Add(Fresh)}, round)
	return value, err
}

// Wanted is what a new key is to be.
type Wanted struct {
	Name string
	Role Role
	// User is the only user whose things it is for; empty: everybody's, or those of the scope of who makes it.
	User string
	// ExpiresAt is when it ceases to hold; zero: never.
	ExpiresAt time.Time
	// Once makes the same id of the same text, where a repeated request must not make a second key; empty: a new id.
	Once string
}

const longestName = 200

// Create makes a key and gives it, which nobody can do again. Nobody makes a key that may more than their own.
func (b *Book) Create(ctx context.Context, by Caller, wanted Wanted) (Key, string, error) {
	if wanted.User == "" {
		wanted.User = by.User
	}
	wanted.Name = strings.TrimSpace(wanted.Name)
	now := b.now().UTC()
	switch {
	case !by.May(Admin):
		return Key{}, "", fault.New(fault.Forbidden, "role_too_low", "Only an admin makes keys")
	case !by.Sees(wanted.User):
		return Key{}, "", fault.New(fault.Forbidden, "other_user", "A key that is for one user makes keys for this user only")
	case !Admin.Includes(wanted.Role):
		return Key{}, "", invalid("role", "The role is viewer, operator or admin")
	case wanted.Name == "" || utf8.RuneCountInString(wanted.Name) > longestName || strings.ContainsFunc(wanted.Name, unicode.IsControl):
		return Key{}, "", invalid("name", "A key has a name of 1 to 200 visible characters")
	case !wanted.ExpiresAt.IsZero() && !wanted.ExpiresAt.After(now):
		return Key{}, "", invalid("expires_at", "The end of a key must be in the future")
	}
	part := publicPart(now)
	if wanted.Once != "" {
		part = digest(wanted.Once)[:16] // hex digits are among those of the public part
	}
	secret := assemble(part)
	return b.keep(ctx, secret, Key{Name: wanted.Name, Role: wanted.Role, User: wanted.User, ExpiresAt: wanted.ExpiresAt.UTC(), CreatedAt: now, CreatedBy: by.Key})
}

func invalid(where, message string) error {
	return fault.New(fault.Invalid, "bad_key", message).WithDetails(fault.Detail{Location: where, Reason: message})
}

func (b *Book) keep(ctx context.Context, secret string, key Key) (Key, string, error) {
	id, ok := parse(secret)
	if !ok {
		return Key{}, "", fault.New(fault.Invalid, "bad_key", "This is no key: it must be one that was generated")
	}
	key.ID, key.Digest = id, digest(secret)
	document, err := encode(id, time.Time{}, key)
	if err == nil {
		err = b.documents.Create(ctx, keysFolder, document)
	}
	if errors.Is(err, store.ErrConflict) {
		err = fault.Wrap(err, fault.Conflict, "key_exists", "This request made its key before, and a key is shown once; revoke it and make another one")
	}
	b.keys.forget(id)
	if err != nil {
		return Key{}, "", err
	}
	return key, secret, nil
}

// First makes the first admin key of a product, once in its life: made is false when it was made before, or there is a key. A product whose keys are all gone
// gets none by itself, since that would let in whoever restarts it.
func (b *Book) First(ctx context.Context) (key Key, secret string, made bool, err error) {
	keys, err := b.documents.List(ctx, keysFolder, store.Page{Size: 1})
	if err != nil || len(keys.Items) > 0 {
		return key, "", false, err
	}
	err = b.documents.Create(ctx, onceFolder, store.Document{ID: "first", Data: []byte("{}")})
	if errors.Is(err, store.ErrConflict) { // another process, or another start
		return key, "", false, nil
	}
	if err != nil {
		return key, "", false, err
	}
	now := b.now().UTC()
	key, secret, err = b.keep(ctx, Generate(now), Key{Name: "First key", Role: Admin, CreatedAt: now, CreatedBy: First})
	return key, secret, err == nil, err
}

// Configure keeps an admin key that was generated elsewhere. One that is known stays as it is: what was revoked is not brought back by a setting.
func (b *Book) Configure(ctx context.Context, secret string) error {
	_, _, err := b.keep(ctx, secret, Key{Name: "Configured key", Role: Admin, CreatedAt: b.now().UTC(), CreatedBy: Configured})
	if !errors.Is(err, store.ErrConflict) {
		return err
	}
	id, _ := parse(secret)
	known, err := read[Key](ctx, b.documents, keysFolder, id)
	if err == nil && !known.holds(secret) {
		err = fault.New(fault.Conflict, "key_exists", "There is another key with the public part of the configured one; generate a new one")
	}
	return err
}

// Listed is a key with its last use.
type Listed struct {
	Key
	// UsedAt is when it was last used, within a minute; zero: never.
	UsedAt time.Time
}

// List gives all keys that a caller may see, oldest first. They are few.
func (b *Book) List(ctx context.Context, by Caller) ([]Listed, error) {
	keys, err := b.all(ctx)
	if err != nil {
		return nil, err
	}
	keys = slices.DeleteFunc(keys, func(k Key) bool { return !by.Sees(k.User) })
	listed := make([]Listed, len(keys))
	for i, key := range keys {
		if listed[i], err = b.withUse(ctx, key); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(listed, func(a, b Listed) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return listed, nil
}

func (b *Book) withUse(ctx context.Context, key Key) (Listed, error) {
	at, err := read[time.Time](ctx, b.documents, usesFolder, key.ID)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return Listed{Key: key, UsedAt: at}, err
}

func (b *Book) all(ctx context.Context) (all []Key, err error) {
	for page := (store.Page{Size: store.MaxPageSize}); ; {
		found, err := b.documents.List(ctx, keysFolder, page)
		if err != nil {
			return nil, err
		}
		for _, document := range found.Items {
			var key Key
			if err := decode(document, &key); err != nil {
				return nil, err
			}
			all = append(all, key)
		}
		if page.After = found.Next; found.Next == "" {
			return all, nil
		}
	}
}

// Get gives a key that a caller may see; store.ErrNotFound otherwise.
func (b *Book) Get(ctx context.Context, by Caller, id string) (Listed, error) {
	key, err := read[Key](ctx, b.documents, keysFolder, id)
	if err == nil && !by.Sees(key.User) {
		err = store.ErrNotFound
	}
	if err != nil {
		return Listed{}, err
	}
	return b.withUse(ctx, key)
}

// revocationTime bounds how long one revocation keeps another one out when its process died in it.
const revocationTime = 10 * time.Second

// Revoke ends a key, in this process at once and in the others within Fresh. The last admin key that holds for everybody is not revoked: nobody could make
// another one. Revocations come one after the other, so that two of them do not each take the other's for the last.
func (b *Book) Revoke(ctx context.Context, by Caller, id string) (Listed, error) {
	if !by.May(Admin) {
		return Listed{}, fault.New(fault.Forbidden, "role_too_low", "Only an admin revokes keys")
	}
	const name = "revocation"
	err := b.documents.Create(ctx, onceFolder, store.Document{ID: name, Data: []byte("{}"), ExpiresAt: b.now().Add(revocationTime)})
	if errors.Is(err, store.ErrConflict) {
		err = fault.New(fault.Conflict, "revocation_in_progress", "Another key is being revoked at this moment; try again in a few seconds")
	}
	if err != nil {
		return Listed{}, err
	}
	revoked, err := b.revoke(ctx, by, id)
	_, removeErr := b.documents.Remove(context.WithoutCancel(ctx), onceFolder, []string{name})
	return revoked, errors.Join(err, removeErr)
}

func (b *Book) revoke(ctx context.Context, by Caller, id string) (Listed, error) {
	found, err := b.Get(ctx, by, id)
	if err != nil || !found.RevokedAt.IsZero() {
		return found, err
	}
	keys, err := b.all(ctx)
	if err != nil {
		return found, err
	}
	now := b.now().UTC()
	reigns := func(k Key) bool { return k.Role == Admin && k.User == "" && k.Active(now) }
	if reigns(found.Key) && !slices.ContainsFunc(keys, func(k Key) bool { return k.ID != id && reigns(k) }) {
		return found, fault.New(fault.Conflict, "last_admin_key", "This is the last admin key, and without it nobody can make keys; make another one first")
	}
	found.RevokedAt, found.RevokedBy = now, by.Key
	document, err := encode(id, time.Time{}, found.Key)
	if err == nil {
		err = b.documents.Put(ctx, keysFolder, []store.Document{document})
	}
	b.keys.forget(id)
	return found, err
}

// useEvery is how often the last use of a key is written.
const useEvery = time.Minute

// Used writes down that a key was used, at most once a minute.
func (b *Book) Used(ctx context.Context, caller Caller) error {
	now := b.now().UTC()
	b.mu.Lock()
	due := caller.Key != "" && now.Sub(b.used[caller.Key]) >= useEvery
	if due {
		b.used[caller.Key] = now
	}
	b.mu.Unlock()
	if !due {
		return nil
	}
	document, err := encode(caller.Key, time.Time{}, now)
	if err == nil {
		err = b.documents.Put(ctx, usesFolder, []store.Document{document})
	}
	if err != nil {
		return fmt.Errorf("write the last use of a key: %w", err)
	}
	return nil
}

func encode(id string, expires time.Time, record any) (store.Document, error) {
	encoded, err := json.Marshal(record)
	if err != nil {
		return store.Document{}, fmt.Errorf("encode the record %s: %w", id, err)
	}
	return store.Document{ID: id, Data: encoded, ExpiresAt: expires}, nil
}

func decode[T any](document store.Document, into *T) error {
	if err := json.Unmarshal(document.Data, into); err != nil {
		return fmt.Errorf("decode the record %s: %w", document.ID, err)
	}
	return nil
}

func read[T any](ctx context.Context, documents store.Documents, folder, id string) (value T, err error) {
	found, err := documents.Among(ctx, folder, []string{id})
	if err == nil && len(found) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return value, err
	}
	return value, decode(found[0], &value)
}
