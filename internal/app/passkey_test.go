package app_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/session"
)

// scanned is a phone that scans and then waits for a passkey.
func (w *world) scanWithPasskey(id, number string) (answer func(options []byte) json.RawMessage, code func() string, scanned chan error) {
	w.t.Helper()
	phone, err := w.simulator.NewPhone(number)
	if err != nil {
		w.t.Fatal(err)
	}
	passkey, err := phone.AskPasskey()
	if err != nil {
		w.t.Fatal(err)
	}
	scanned = make(chan error, 1)
	if _, err := w.api.StartLink(w.t.Context(), id, "qr", ""); err != nil {
		w.t.Fatal(err)
	}
	link := w.awaitLink(id, "qr")
	go func() { scanned <- phone.ScanQR(w.t.Context(), link.Prompt.QR) }()
	answer = func(options []byte) json.RawMessage {
		response, err := passkey.Respond(options)
		if err != nil {
			w.t.Fatal(err)
		}
		encoded, err := json.Marshal(response)
		if err != nil {
			w.t.Fatal(err)
		}
		return encoded
	}
	return answer, phone.PasskeyCode, scanned
}

// awaitLink waits until a link is in a state, with its prompt where the state has one.
func (w *world) awaitLink(id, state string) (link client.Link) {
	w.t.Helper()
	w.await("link is "+state, func(ctx context.Context) (done bool, err error) {
		link, err = w.api.Link(ctx, id)
		return link.State == state && (link.Prompt != nil || link.Ended()), err
	})
	return link
}

func TestLinkWithAPasskeyThroughTheAPI(t *testing.T) {
	t.Parallel()
	w := start(t)
	created, err := w.api.CreateSession(t.Context(), "ana", "")
	if err != nil {
		t.Fatal(err)
	}
	answer, code, scanned := w.scanWithPasskey(created.ID, "+5491150000001")
	asked := w.awaitLink(created.ID, "passkey_required")
	if asked.Prompt.QR != "" || asked.Deadline.IsZero() || !strings.Contains(string(asked.Prompt.Passkey), "challenge") {
		t.Errorf("asked with %+v", asked.Prompt)
	}
	if _, err := w.api.ConfirmPasskey(t.Context(), created.ID); !client.IsCode(err, "passkey_not_asked") {
		t.Errorf("a confirmation before the answer: %v", err)
	}
	if _, err := w.api.AnswerPasskey(t.Context(), created.ID, answer(asked.Prompt.Passkey)); err != nil {
		t.Fatal(err)
	}
	w.await("the codes can be compared, or need not be", func(ctx context.Context) (bool, error) {
		link, err := w.api.Link(ctx, created.ID)
		if err != nil || link.State != "passkey_confirm" || link.Prompt == nil {
			return link.State == "paired" || link.State == "ready", err
		}
		if link.Prompt.Code != code() {
			t.Errorf("shown %q, the phone has %q", link.Prompt.Code, code())
		}
		_, err = w.api.ConfirmPasskey(ctx, created.ID)
		return true, err
	})
	if err := <-scanned; err != nil {
		t.Fatalf("the phone: %v", err)
	}
	w.awaitState(created.ID, "ready")
	states := w.states(asked.ID)
	for _, state := range []session.LinkState{session.LinkQR, session.LinkPasskeyRequired, session.LinkPasskeyConfirm, session.LinkPaired, session.LinkReady} {
		if !slices.Contains(states, state) {
			t.Errorf("the link was never %s: %v", state, states)
		}
	}
}

// TestAnotherPasskeyIsRefused: WhatsApp's refusal ends the link with a reason, and the session can be linked again.
func TestAnotherPasskeyIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t)
	created, err := w.api.CreateSession(t.Context(), "ana", "")
	if err != nil {
		t.Fatal(err)
	}
	_, _, scanned := w.scanWithPasskey(created.ID, "+5491150000001")
	asked := w.awaitLink(created.ID, "passkey_required")
	stranger, err := w.simulator.NewPhone("+5491150000002")
	if err != nil {
		t.Fatal(err)
	}
	passkey, err := stranger.AskPasskey()
	if err != nil {
		t.Fatal(err)
	}
	response, err := passkey.Respond(asked.Prompt.Passkey)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := json.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.api.AnswerPasskey(t.Context(), created.ID, foreign); err != nil {
		t.Fatal(err)
	}
	if link := w.awaitLink(created.ID, "refused"); link.Reason != string(session.ReasonPasskeyFailed) {
		t.Errorf("refused for %q", link.Reason)
	}
	if err := <-scanned; err == nil {
		t.Error("the phone linked")
	}
	w.awaitState(created.ID, "new")
}

// TestALinkIsFollowedAcrossARestartOfTheAPI: the state of a link is in the store and the queue, not in the process that is asked.
func TestALinkIsFollowedAcrossARestartOfTheAPI(t *testing.T) {
	t.Parallel()
	f := startFleet(t, map[string]app.Role{"linker": app.RoleLinker, "sender": app.RoleSender})
	options := f.options
	options.Name, options.Roles = "other-api", []app.Role{app.RoleAPI}
	other, stop := f.run(options)
	options.Listen = strings.TrimPrefix(other.URL(), "http://")
	api, err := client.New(other.URL(), &http.Client{})
	if err != nil {
		t.Fatal(err)
	}
	api = api.WithKey(f.key)
	phone, err := f.simulator.NewPhone("+5491150000001")
	if err != nil {
		t.Fatal(err)
	}
	created, err := api.CreateSession(t.Context(), "ana", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.StartLink(t.Context(), created.ID, "qr", ""); err != nil {
		t.Fatal(err)
	}
	var seen []string
	stopped, scanned := false, false
	last, err := api.FollowLink(t.Context(), created.ID, func(link client.Link) error {
		seen = append(seen, link.State)
		switch {
		case link.State != "qr" || link.Prompt == nil:
		case !stopped:
			stopped = true
			stop()
			_, stop = f.run(options)
		case !scanned:
			scanned = true
			return phone.ScanQR(t.Context(), link.Prompt.QR)
		}
		return nil
	})
	stop()
	if err != nil || last.State != "ready" || !stopped {
		t.Errorf("followed to %+v by %v: %v", last, seen, err)
	}
}
