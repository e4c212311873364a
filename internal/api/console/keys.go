package console

import (
	"cmp"
	"crypto/rand"
	"math"
	"slices"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
)

func keyRoutes() []route {
	return []route{
		{"GET /keys", access.Admin, listKeys},
		{"POST /keys", access.Admin, createKey},
		{"POST /keys/{id}/revoke", access.Admin, revokeKey},
	}
}

// soonExpires is how long before its end a key is pointed out: whoever has it needs time to put another one in its place.
const soonExpires = 14 * 24 * time.Hour

// The states of a key, in the order in which a list shows them.
const (
	keySoon    = "soon"
	keyActive  = "active"
	keyExpired = "expired"
	keyRevoked = "revoked"
)

func keyStates() []string { return []string{keySoon, keyActive, keyExpired, keyRevoked} }

// keyRow is a key as the list shows it. The key itself is in no list.
type keyRow struct {
	client.Key
	State string
	// Days are those that are left of one that expires soon.
	Days int
	// Own says that this browser was let in by it.
	Own bool
}

// Tone is how a key's state is coloured.
func (r keyRow) Tone() string {
	switch r.State {
	case keySoon:
		return "warn"
	case keyActive:
		return "good"
	}
	return ""
}

func (v *visit) keyRow(key client.Key) keyRow {
	row := keyRow{Key: key, State: keyActive, Own: key.ID == v.caller.Key}
	left := key.ExpiresAt.Sub(v.console.now())
	switch {
	case !key.RevokedAt.IsZero():
		row.State = keyRevoked
	case !key.Active:
		row.State = keyExpired
	case !key.ExpiresAt.IsZero() && left < soonExpires:
		row.State, row.Days = keySoon, max(0, int(math.Ceil(left.Hours()/24)))
	}
	return row
}

// keysPage is the list of keys, with the form for another one.
type keysPage struct {
	form
	Keys []keyRow
	// User is the only user that the caller may make keys for; empty: any.
	User  string
	Roles []access.Role
}

func (v *visit) keysPage(filled form) (*keysPage, error) {
	page := &keysPage{form: filled, User: v.caller.User, Roles: []access.Role{access.Viewer, access.Operator, access.Admin}}
	found, err := v.api.Operations().ListKeys(v.context())
	if err != nil {
		return nil, err
	}
	for _, key := range found.Items {
		page.Keys = append(page.Keys, v.keyRow(key))
	}
	order := keyStates()
	slices.SortStableFunc(page.Keys, func(a, b keyRow) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.State), slices.Index(order, b.State)), b.CreatedAt.Compare(a.CreatedAt))
	})
	return page, nil
}

// newSecretForm makes a form whose answer shows a secret. It is for once: sent a second time, as by loading its answer again, it makes nothing more.
func newSecretForm(values ...string) form {
	made := newForm(values...)
	made.Values.Set("once", rand.Text())
	return made
}

func listKeys(v *visit) error {
	page, err := v.keysPage(newSecretForm("role", string(access.Operator), "user_id", v.caller.User))
	if err != nil {
		return err
	}
	return v.show("keys/list", page)
}

// shownKey is a key that was made, and the secret that is shown this once.
type shownKey struct {
	keyRow
	Secret string
}

// createKey answers with the key at once: a page that the browser is sent on to would need it in between, in a cookie or an address.
func createKey(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	wanted := client.CreateKeyRequest{Name: filled.Value("name"), Role: filled.Value("role"), UserID: filled.Value("user_id")}
	if day := filled.Value("expires_at"); day != "" {
		begins, failed := time.ParseInLocation(time.DateOnly, day, v.console.options.Zone)
		if failed != nil {
			filled.Wrong["expires_at"], err = v.language.text("keys.wrong_day"), notFilledIn()
		}
		wanted.ExpiresAt = begins.AddDate(0, 0, 1) // it holds until the day is over
	}
	var made client.NewKeyAnswer
	if err == nil {
		made, err = v.api.Operations().CreateKey(v.context(), wanted, client.Once(filled.Value("once")))
	}
	if err != nil {
		page, pageErr := v.keysPage(filled)
		if pageErr != nil {
			return pageErr
		}
		return v.again(err, "keys/list", page)
	}
	listed := client.Key{Active: made.Active, CreatedAt: made.CreatedAt, ExpiresAt: made.ExpiresAt, ID: made.ID, Name: made.Name, Prefix: made.Prefix, Role: made.Role,
		UserID: made.UserID}
	return v.show("keys/made", shownKey{keyRow: v.keyRow(listed), Secret: made.Key})
}

func revokeKey(v *visit) error {
	revoked, err := v.api.Operations().RevokeKey(v.context(), v.request.PathValue("id"))
	if err != nil {
		return v.back(err, "/keys")
	}
	return v.done("/keys", "keys.revoked", "Name", revoked.Name)
}
