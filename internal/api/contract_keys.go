package api

import (
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/fault"
)

const storyKey = "key_0197a1b20000700080000008"

// refusalsOfKeys are those of every operation that needs a key.
func refusalsOfKeys(operation *huma.Operation) []*fault.Error {
	if len(operation.Security) == 0 {
		return nil
	}
	all := []*fault.Error{
		fault.As(access.ErrMissing), fault.As(access.ErrUnknown), fault.As(access.ErrExpired), fault.As(access.ErrRevoked),
		refuses(fault.Unauthorized, "key_in_address", "A key does not belong into an address, where logs keep it; send it as the header Authorization"),
		refuses(fault.Unauthorized, "login_ended", "The login has ended; log in again"),
		refuses(fault.Unauthorized, "link_token_unknown", "There is no such link token, or its time is over; ask for a new one with POST /v1/sessions/{id}/link/token"),
		refuses(fault.Forbidden, "role_too_low", "This needs the role operator, and the key has the role viewer; use another key"),
		fault.As(errOtherOrigin), fault.As(errOtherUser),
		refuses(fault.CoolingDown, "too_many_requests", "This key asks too often; wait as long as Retry-After says, and ask for larger pages rather than more of them").WithAfter(time.Second),
		fault.As(errTooSlow),
	}
	if operation.Extensions["x-closed-to-keys-of-one-user"] != nil {
		all = append(all, refuses(fault.Forbidden, "key_of_one_user", "This key is for one user, and the queue is that of all users; use a key that is for all users"))
	}
	if len(operation.Security) < 3 { // the others take link tokens
		all = append(all, refuses(fault.Forbidden, "link_token_only", "A link token only shows the link of its session; this needs an API key"))
	} else {
		all = append(all, noRecord())
	}
	return all
}

func contractOfKeys() map[string]described {
	view := KeyView{ID: storyKey, Prefix: "bcr_0ln9k2m4a1b2c3d4", Name: "Web app", Role: access.Operator, UserID: storyUser, Active: true, CreatedAt: storyTime(), CreatedBy: "first-start"}
	revoked := view
	revoked.Active, revoked.RevokedAt, revoked.RevokedBy = false, pointer(after(time.Hour)), "terminal"
	shown := newKeyOutput{}.Body
	shown.KeyView, shown.Key = view, "bcr_0ln9k2m4a1b2c3d4_an_example_and_no_key"
	token := linkTokenOutput{}.Body
	token.Token, token.ExpiresAt = "bcl_an_example_and_no_token", after(10*time.Minute)
	onlyAdmins := refuses(fault.Forbidden, "role_too_low", "Only an admin makes keys")
	return map[string]described{
		"create-key": {tag: "Keys", text: "Makes an API key. The answer alone shows it; the service keeps a digest. A request that is repeated under the same Idempotency-Key makes no second one.",
			body: bodyOf(func(input *createKeyInput) any {
				input.Body.Name, input.Body.Role, input.Body.UserID = view.Name, view.Role, storyUser
				return input.Body
			}),
			answer: shown, refusals: []*fault.Error{onlyAdmins,
				refuses(fault.Invalid, "bad_key", "A key expires in the future"),
				refuses(fault.Conflict, "key_exists", "This request made its key before, and a key is shown once; revoke it and make another one")}},
		"list-keys": {tag: "Keys", text: "Lists API keys, those that were revoked too, without the keys themselves.", answer: object{"items": []KeyView{view}}},
		"get-key":   {tag: "Keys", text: "Gives what is known of a key: whose it is, what it may, when it was last used.", answer: view, refusals: []*fault.Error{noRecord()}},
		"revoke-key": {tag: "Keys", text: "Revokes a key: within seconds nothing is answered to it any more, and streams that it opened end. It stays in the list.", answer: revoked,
			refusals: []*fault.Error{noRecord(), changedMeanwhile(),
				refuses(fault.Conflict, "revocation_in_progress", "Another key is being revoked at this moment; try again in a few seconds"),
				refuses(fault.Conflict, "last_admin_key", "This is the last admin key, and without it nobody can make keys; make another one first")}},
		"get-caller": {tag: "Keys", text: "Gives who the key of this request is: a way to try a key.",
			answer: CallerView{KeyID: storyKey, Name: view.Name, Role: view.Role, UserID: storyUser}},
		"create-link-token": {tag: "Links", text: "Makes a token that shows the link of this session for some minutes and does nothing else: a web page may have it, to show the QR.",
			answer: token, refusals: []*fault.Error{noRecord()}},
	}
}
