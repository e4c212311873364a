package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// LoginLife is how long a login of the console lasts.
const LoginLife = 12 * time.Hour

// login is a person at the console: who knows the random text, kept as its digest, is who had the key. The digest is the name of the record: finding it by
// an index tells nobody about the text, since nobody can choose a text by its digest.
type login struct {
	Key       string    `json:"key"`
	ExpiresAt time.Time `json:"expires_at"`
}

// LogIn trades a key for the secret of a login, which a browser keeps in its place. A link token is no key.
func (b *Book) LogIn(ctx context.Context, key string) (caller Caller, secret string, until time.Time, err error) {
	if strings.HasPrefix(key, linkMark) {
		return Caller{}, "", until, ErrUnknown
	}
	if caller, err = b.Identify(ctx, key); err != nil {
		return Caller{}, "", until, err
	}
	secret, until = random(), b.now().UTC().Add(LoginLife)
	document, err := encode(digest(secret), until, login{Key: caller.Key, ExpiresAt: until})
	if err == nil {
		err = b.documents.Create(ctx, loginsFolder, document)
	}
	if err != nil {
		return Caller{}, "", until, fmt.Errorf("keep a login: %w", err)
	}
	return caller, secret, until, nil
}

// IdentifyLogin gives who a login is of.
func (b *Book) IdentifyLogin(ctx context.Context, secret string) (Caller, error) {
	if !isRandom(secret) {
		return Caller{}, errSession
	}
	id := digest(secret)
	found, err := remember(ctx, b, &b.logins, loginsFolder, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && !b.now().Before(found.ExpiresAt) {
		return Caller{}, errSession
	}
	var key Key
	if err == nil {
		key, err = b.key(ctx, found.Key)
	}
	if err != nil {
		return Caller{}, fmt.Errorf("read a login: %w", err)
	}
	caller, err := b.admit(key)
	caller.until, caller.login = found.ExpiresAt, id
	return caller, err
}

// LogOut ends a login; one that has ended needs no end.
func (b *Book) LogOut(ctx context.Context, secret string) error {
	id := digest(secret)
	_, err := b.documents.Remove(ctx, loginsFolder, []string{id})
	b.logins.forget(id)
	if err != nil {
		return fmt.Errorf("end a login: %w", err)
	}
	return nil
}

// LinkTokenLife is how long a link token holds: long enough for a person to fetch a phone.
const LinkTokenLife = 15 * time.Minute

// linkToken lets a page show one link and do nothing else.
type linkToken struct {
	Session   session.ID `json:"session"`
	User      string     `json:"user_id"`
	Key       string     `json:"key"`
	ExpiresAt time.Time  `json:"expires_at"`
}

// GrantLink makes a token that only reads the link of one session of a user. It ends with the key that made it.
func (b *Book) GrantLink(ctx context.Context, by Caller, id session.ID, user string) (token string, until time.Time, err error) {
	if !by.May(Operator) || !by.Sees(user) {
		return "", until, fault.New(fault.Forbidden, "role_too_low", "An operator makes link tokens")
	}
	token, until = linkMark+random(), b.now().UTC().Add(LinkTokenLife)
	document, err := encode(digest(token), until, linkToken{Session: id, User: user, Key: by.Key, ExpiresAt: until})
	if err == nil {
		err = b.documents.Create(ctx, linksFolder, document)
	}
	if err != nil {
		return "", until, fmt.Errorf("keep a link token: %w", err)
	}
	return token, until, nil
}

func (b *Book) identifyLink(ctx context.Context, token string) (Caller, error) {
	if !isRandom(strings.TrimPrefix(token, linkMark)) {
		return Caller{}, errLink
	}
	found, err := remember(ctx, b, &b.links, linksFolder, digest(token))
	if errors.Is(err, store.ErrNotFound) || err == nil && !b.now().Before(found.ExpiresAt) {
		return Caller{}, errLink
	}
	var key Key
	if err == nil {
		key, err = b.key(ctx, found.Key)
	}
	if err != nil {
		return Caller{}, fmt.Errorf("read a link token: %w", err)
	}
	if _, err := b.admit(key); err != nil {
		return Caller{}, errLink
	}
	return Caller{Key: found.Key, Name: key.Name, User: found.User, Link: found.Session, until: found.ExpiresAt}, nil
}
