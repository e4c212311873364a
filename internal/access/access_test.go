package access_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// counting counts the reads of single records.
type counting struct {
	store.MemoryDocuments
	mu    sync.Mutex
	reads int
	puts  int
}

func (c *counting) Among(ctx context.Context, folder string, ids []string) ([]store.Document, error) {
	c.mu.Lock()
	c.reads++
	c.mu.Unlock()
	return c.MemoryDocuments.Among(ctx, folder, ids)
}

func (c *counting) Put(ctx context.Context, folder string, batch []store.Document) error {
	c.mu.Lock()
	c.puts++
	c.mu.Unlock()
	return c.MemoryDocuments.Put(ctx, folder, batch)
}

func bookOver(t *testing.T, documents store.Documents) *access.Book {
	t.Helper()
	book, err := access.New(access.Options{Documents: documents})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

var root = access.Caller{Key: access.Terminal, Role: access.Admin}

func makeKey(t *testing.T, book *access.Book, by access.Caller, wanted access.Wanted) (access.Key, string) {
	t.Helper()
	if wanted.Name == "" {
		wanted.Name = "A key"
	}
	key, secret, err := book.Create(t.Context(), by, wanted)
	if err != nil {
		t.Fatal(err)
	}
	return key, secret
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if err == nil || fault.As(err).Code != code {
		t.Errorf("the error is %v, want the code %s", err, code)
	}
}

func TestKeyIsShownOnceAndKeptAsDigest(t *testing.T) {
	t.Parallel()
	documents := &counting{}
	book := bookOver(t, documents)
	key, secret := makeKey(t, book, root, access.Wanted{Name: "App", Role: access.Operator, User: "ana"})
	if !strings.HasPrefix(secret, key.Prefix()+"_") || len(secret) < 60 {
		t.Errorf("the key %d characters long does not begin with its prefix", len(secret))
	}
	kept, err := documents.List(t.Context(), "access-keys", store.Page{})
	if err != nil || len(kept.Items) != 1 {
		t.Fatal(kept, err)
	}
	if _, part, _ := strings.Cut(strings.TrimPrefix(secret, "bcr_"), "_"); strings.Contains(string(kept.Items[0].Data), part) {
		t.Error("the store has the secret")
	}
	caller, err := book.Identify(t.Context(), secret)
	if err != nil || caller.Key != key.ID || caller.Name != "App" || caller.Role != access.Operator || caller.User != "ana" {
		t.Errorf("%+v, %v", caller, err)
	}
	if shown, err := json.Marshal(key); err != nil || strings.Contains(string(shown), secret) {
		t.Error("the record shows the key", err)
	}
}

func TestNoOtherTextIsAKey(t *testing.T) {
	t.Parallel()
	documents := &counting{}
	book := bookOver(t, documents)
	_, secret := makeKey(t, book, root, access.Wanted{Role: access.Admin})
	_, other := makeKey(t, book, root, access.Wanted{Role: access.Admin})
	publicPart, _, _ := strings.Cut(strings.TrimPrefix(secret, "bcr_"), "_")
	_, otherSecret, _ := strings.Cut(strings.TrimPrefix(other, "bcr_"), "_")
	documents.reads = 0
	for _, text := range []string{"", "bcr_", "bcr__", secret + "x", secret[:len(secret)-1], strings.ToUpper(secret), " " + secret, "bcl_" + publicPart, "bcr_" + publicPart + "_"} {
		if _, err := book.Identify(t.Context(), text); err == nil {
			t.Errorf("a text of %d characters is a key", len(text))
		}
	}
	if documents.reads != 0 {
		t.Errorf("texts without the form of a key were looked for %d times", documents.reads)
	}
	_, err := book.Identify(t.Context(), "bcr_"+publicPart+"_"+otherSecret)
	wantCode(t, err, "key_unknown")
	_, err = book.Identify(t.Context(), access.Generate(time.Now()))
	wantCode(t, err, "key_unknown")
}

func TestManyRequestsReadTheKeyOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		documents := &counting{}
		book := bookOver(t, documents)
		_, secret := makeKey(t, book, root, access.Wanted{Role: access.Viewer})
		documents.reads = 0
		for range 100 {
			if _, err := book.Identify(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
		}
		if documents.reads != 1 {
			t.Errorf("a hundred requests read the key %d times, want once", documents.reads)
		}
		time.Sleep(access.Fresh)
		_, _ = book.Identify(t.Context(), secret)
		if documents.reads != 2 {
			t.Errorf("it was read %d times, want once more after %s", documents.reads, access.Fresh)
		}
	})
}

func TestRevocationHoldsAtOnceHereAndSoonElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		documents := &counting{}
		here, elsewhere := bookOver(t, documents), bookOver(t, documents)
		key, secret := makeKey(t, here, root, access.Wanted{Role: access.Viewer})
		caller, err := elsewhere.Identify(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := here.Revoke(t.Context(), root, key.ID); err != nil {
			t.Fatal(err)
		}
		_, err = here.Identify(t.Context(), secret)
		wantCode(t, err, "key_revoked")
		time.Sleep(access.Fresh)
		_, err = elsewhere.Identify(t.Context(), secret)
		wantCode(t, err, "key_revoked")
		wantCode(t, elsewhere.Recheck(t.Context(), caller), "key_revoked")
	})
}

func TestKeyEndsAtItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		book := bookOver(t, &counting{})
		_, secret := makeKey(t, book, root, access.Wanted{Role: access.Viewer, ExpiresAt: time.Now().Add(time.Second)})
		if _, err := book.Identify(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // less than what is remembered is fresh
		_, err := book.Identify(t.Context(), secret)
		wantCode(t, err, "key_expired")
	})
}

func TestNobodyMakesAKeyThatMayMore(t *testing.T) {
	t.Parallel()
	book := bookOver(t, &counting{})
	rows := []struct {
		name string
		by   access.Caller
		user string
		code string
	}{
		{"nobody", access.Caller{}, "", "role_too_low"},
		{"a viewer", access.Caller{Role: access.Viewer}, "", "role_too_low"},
		{"an operator", access.Caller{Role: access.Operator}, "", "role_too_low"},
		{"a link token", access.Caller{Role: access.Admin, Link: "ses_1"}, "", "role_too_low"},
		{"an admin of another user", access.Caller{Role: access.Admin, User: "ana"}, "bea", "other_user"},
		{"a role that is not known", access.Caller{Role: "root"}, "", "role_too_low"},
	}
	for _, row := range rows {
		_, _, err := book.Create(t.Context(), row.by, access.Wanted{Name: "x", Role: access.Viewer, User: row.user})
		if err == nil || fault.As(err).Code != row.code {
			t.Errorf("%s makes a key: %v", row.name, err)
		}
	}
	key, _ := makeKey(t, book, access.Caller{Role: access.Admin, User: "ana"}, access.Wanted{Role: access.Admin})
	if key.User != "ana" {
		t.Errorf("an admin of one user made a key for %q", key.User)
	}
	for _, wanted := range []access.Wanted{{Name: "x", Role: "root"}, {Name: " ", Role: access.Viewer}, {Name: "a\nb", Role: access.Viewer},
		{Name: "x", Role: access.Viewer, ExpiresAt: time.Now().Add(-time.Second)}} {
		_, _, err := book.Create(t.Context(), root, wanted)
		wantCode(t, err, "bad_key")
	}
}

func TestLastAdminKeyStays(t *testing.T) {
	t.Parallel()
	book := bookOver(t, &counting{})
	first, _ := makeKey(t, book, root, access.Wanted{Role: access.Admin})
	makeKey(t, book, root, access.Wanted{Role: access.Admin, User: "ana"})
	makeKey(t, book, root, access.Wanted{Role: access.Operator})
	_, err := book.Revoke(t.Context(), root, first.ID)
	wantCode(t, err, "last_admin_key")
	second, _ := makeKey(t, book, root, access.Wanted{Role: access.Admin})
	var refused, revoked int
	var group sync.WaitGroup
	results := make(chan error, 2)
	for _, id := range []string{first.ID, second.ID} {
		group.Go(func() {
			_, err := book.Revoke(context.WithoutCancel(t.Context()), root, id)
			results <- err
		})
	}
	group.Wait()
	close(results)
	for err := range results {
		if err == nil {
			revoked++
		} else {
			refused++
		}
	}
	if revoked != 1 || refused != 1 {
		t.Errorf("of two revocations at once %d were done and %d refused, want one each", revoked, refused)
	}
}

func TestScopedAdminSeesKeysOfItsUserOnly(t *testing.T) {
	t.Parallel()
	book := bookOver(t, &counting{})
	makeKey(t, book, root, access.Wanted{Role: access.Admin})
	theirs, _ := makeKey(t, book, root, access.Wanted{Role: access.Viewer, User: "bea"})
	own, _ := makeKey(t, book, root, access.Wanted{Role: access.Viewer, User: "ana"})
	ana := access.Caller{Role: access.Admin, User: "ana"}
	listed, err := book.List(t.Context(), ana)
	if err != nil || len(listed) != 1 || listed[0].ID != own.ID {
		t.Errorf("%+v, %v", listed, err)
	}
	_, err = book.Revoke(t.Context(), ana, theirs.ID)
	wantCode(t, err, "not_found")
	_, err = book.Get(t.Context(), ana, theirs.ID)
	wantCode(t, err, "not_found")
	if _, err := book.Revoke(t.Context(), ana, own.ID); err != nil {
		t.Error(err)
	}
}

func TestFirstKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	documents := &counting{}
	made := make(chan string, 20)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			book, err := access.New(access.Options{Documents: documents})
			if err != nil {
				t.Error(err)
				return
			}
			if _, secret, is, err := book.First(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			} else if is {
				made <- secret
			}
		})
	}
	group.Wait()
	close(made)
	if len(made) != 1 {
		t.Fatalf("%d processes made a first key, want one", len(made))
	}
	caller, err := bookOver(t, documents).Identify(t.Context(), <-made)
	if err != nil || caller.Role != access.Admin || caller.User != "" {
		t.Errorf("%+v, %v", caller, err)
	}
	if err := documents.Clear(t.Context(), "access-keys"); err != nil {
		t.Fatal(err)
	}
	if _, _, is, err := bookOver(t, documents).First(t.Context()); is || err != nil {
		t.Errorf("a product whose keys are gone got another first key: %v", err)
	}
}

func TestConfiguredKeyIsNotBroughtBack(t *testing.T) {
	t.Parallel()
	documents := &counting{}
	book := bookOver(t, documents)
	secret := access.Generate(time.Now())
	for range 2 {
		if err := book.Configure(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	caller, err := book.Identify(t.Context(), secret)
	if err != nil || caller.Role != access.Admin {
		t.Fatalf("%+v, %v", caller, err)
	}
	makeKey(t, book, root, access.Wanted{Role: access.Admin})
	if _, err := book.Revoke(t.Context(), root, caller.Key); err != nil {
		t.Fatal(err)
	}
	if err := book.Configure(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	_, err = book.Identify(t.Context(), secret)
	wantCode(t, err, "key_revoked")
	other := access.Generate(time.Now())
	mixed := secret[:len("bcr_")+17] + other[len("bcr_")+17:]
	wantCode(t, book.Configure(t.Context(), mixed), "key_exists")
	wantCode(t, book.Configure(t.Context(), "a password"), "bad_key")
}

func TestLastUseIsWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		documents := &counting{}
		book := bookOver(t, documents)
		key, secret := makeKey(t, book, root, access.Wanted{Role: access.Viewer})
		caller, err := book.Identify(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		documents.puts = 0
		for range 61 {
			if err := book.Used(t.Context(), caller); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if documents.puts != 2 {
			t.Errorf("a minute of use was written %d times, want twice", documents.puts)
		}
		listed, err := book.Get(t.Context(), root, key.ID)
		if err != nil || time.Since(listed.UsedAt) > time.Minute {
			t.Errorf("the last use was %s, %v", listed.UsedAt, err)
		}
	})
}

func TestLoginEndsWithItsTimeItsKeyAndByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		documents := &counting{}
		book := bookOver(t, documents)
		key, secret := makeKey(t, book, root, access.Wanted{Role: access.Operator, User: "ana"})
		logIn := func() string {
			caller, cookie, until, err := book.LogIn(t.Context(), secret)
			if err != nil || caller.Key != key.ID || !until.Equal(time.Now().Add(access.LoginLife)) {
				t.Fatal(caller, until, err)
			}
			return cookie
		}
		cookie := logIn()
		caller, err := book.IdentifyLogin(t.Context(), cookie)
		if err != nil || caller.Role != access.Operator || caller.User != "ana" {
			t.Fatalf("%+v, %v", caller, err)
		}
		if err := book.LogOut(t.Context(), cookie); err != nil {
			t.Fatal(err)
		}
		_, err = book.IdentifyLogin(t.Context(), cookie)
		wantCode(t, err, "login_ended")
		wantCode(t, book.Recheck(t.Context(), caller), "not_found")

		cookie = logIn()
		time.Sleep(access.LoginLife)
		_, err = book.IdentifyLogin(t.Context(), cookie)
		wantCode(t, err, "login_ended")

		cookie = logIn()
		if _, err := book.Revoke(t.Context(), root, key.ID); err != nil {
			t.Fatal(err)
		}
		_, err = book.IdentifyLogin(t.Context(), cookie)
		wantCode(t, err, "key_revoked")
		for _, text := range []string{"", "x", secret} {
			_, err := book.IdentifyLogin(t.Context(), text)
			wantCode(t, err, "login_ended")
		}
	})
}

func TestLinkTokenIsForOneSessionAndMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		book := bookOver(t, &counting{})
		key, secret := makeKey(t, book, root, access.Wanted{Role: access.Operator})
		by, err := book.Identify(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		token, until, err := book.GrantLink(t.Context(), by, "ses_1", "ana")
		if err != nil || !until.Equal(time.Now().Add(access.LinkTokenLife)) {
			t.Fatal(until, err)
		}
		caller, err := book.Identify(t.Context(), token)
		if err != nil || caller.Link != "ses_1" || caller.May(access.Viewer) || !caller.Sees("ana") || caller.Sees("bea") {
			t.Errorf("%+v, %v", caller, err)
		}
		if _, _, _, err := book.LogIn(t.Context(), token); err == nil {
			t.Error("a link token logs in")
		}
		if _, _, err := book.GrantLink(t.Context(), access.Caller{Role: access.Operator, User: "bea"}, "ses_1", "ana"); err == nil {
			t.Error("the key of another user makes a link token")
		}
		time.Sleep(access.LinkTokenLife)
		_, err = book.Identify(t.Context(), token)
		wantCode(t, err, "link_token_unknown")
		wantCode(t, book.Recheck(t.Context(), caller), "login_ended")

		token, _, err = book.GrantLink(t.Context(), by, "ses_1", "ana")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := book.Revoke(t.Context(), root, key.ID); err != nil {
			t.Fatal(err)
		}
		_, err = book.Identify(t.Context(), token)
		wantCode(t, err, "link_token_unknown")
	})
}

func TestNobodyMayNothing(t *testing.T) {
	t.Parallel()
	nobody := access.From(t.Context())
	for _, role := range []access.Role{access.Viewer, access.Operator, access.Admin, ""} {
		if nobody.May(role) {
			t.Errorf("nobody may what needs %q", role)
		}
	}
	if nobody.Sees("ana") || nobody.Sees("") || !nobody.Scoped() {
		t.Error("nobody sees something")
	}
	if some := access.From(access.With(t.Context(), root)); !some.May(access.Admin) || !some.Sees("ana") || some.Scoped() {
		t.Errorf("%+v", some)
	}
}
