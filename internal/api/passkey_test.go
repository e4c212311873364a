package api_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/session"
)

// linkingSession is a session with a link in a state.
func (f *fixture) linkingSession(state session.LinkState) session.ID {
	f.t.Helper()
	id := f.newSession()
	f.change(id, func(s *session.Session) {
		s.State = session.Linking
		s.Link = session.Link{ID: "lnk_1", Method: session.MethodQR, State: state, QueuedAt: time.Now(), Deadline: time.Now().Add(time.Minute)}
	})
	return id
}

func credential() map[string]any {
	return map[string]any{"id": "AQ", "rawId": "AQ", "type": "public-key", "authenticatorAttachment": "platform", "clientExtensionResults": map[string]any{},
		"response": map[string]any{"clientDataJSON": "e30", "authenticatorData": "AA", "signature": "AA", "userHandle": nil}}
}

func TestPasskeyIsShownAnsweredAndConfirmed(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	id := f.linkingSession(session.LinkPasskeyRequired)
	path := "/v1/sessions/" + string(id) + "/link"
	f.prompts[id] = session.Prompt{LinkID: "lnk_1", Passkey: []byte(`{"challenge":"eA"}`), Deadline: time.Now().Add(time.Minute)}
	shown := f.call(http.MethodGet, path, nil)
	prompt, _ := shown.body["prompt"].(map[string]any)
	if question, _ := prompt["passkey"].(map[string]any); question["challenge"] != "eA" || shown.body["deadline"] == nil {
		t.Errorf("shown: %s", shown.raw)
	}
	f.want(f.call(http.MethodPost, path+"/passkey/confirm", nil), http.StatusConflict, "passkey_not_asked")
	f.want(f.call(http.MethodPost, path+"/passkey", credential()), http.StatusAccepted, "")
	f.change(id, func(s *session.Session) { s.Link.State = session.LinkPasskeyConfirm })
	f.prompts[id] = session.Prompt{LinkID: "lnk_1", Code: "ABCD-EFGH", Deadline: time.Now().Add(time.Minute)}
	if shown := f.call(http.MethodGet, path, nil); shown.body["prompt"].(map[string]any)["code"] != "ABCD-EFGH" {
		t.Errorf("shown: %s", shown.raw)
	}
	f.want(f.call(http.MethodPost, path+"/passkey", credential()), http.StatusConflict, "passkey_not_asked")
	f.want(f.call(http.MethodPost, path+"/passkey/confirm", nil), http.StatusAccepted, "")
	given := f.answers.given
	if len(given) != 2 || given[0].LinkID != "lnk_1" || given[1].Passkey != nil {
		t.Fatalf("given %+v", given)
	}
	var passed map[string]any
	if err := json.Unmarshal(given[0].Passkey, &passed); err != nil || passed["rawId"] != "AQ" || passed["response"].(map[string]any)["clientDataJSON"] != "e30" {
		t.Errorf("passed on: %s, %v", given[0].Passkey, err)
	}
}

func TestPasskeyAnswersThatMakeNoSense(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	id := f.linkingSession(session.LinkPasskeyRequired)
	path := "/v1/sessions/" + string(id) + "/link/passkey"
	for name, spoil := range map[string]func(map[string]any){
		"no id":              func(c map[string]any) { delete(c, "id") },
		"another type":       func(c map[string]any) { c["type"] = "password" },
		"bytes with padding": func(c map[string]any) { c["rawId"] = "AQ==" },
		"no signature":       func(c map[string]any) { delete(c["response"].(map[string]any), "signature") },
		"no response":        func(c map[string]any) { c["response"] = "x" },
	} {
		spoiled := credential()
		spoil(spoiled)
		if got := f.call(http.MethodPost, path, spoiled); got.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", name, got.status, got.raw)
		}
	}
	f.change(id, func(s *session.Session) { s.Link.Deadline = time.Now().Add(-time.Second) })
	f.want(f.call(http.MethodPost, path, credential()), http.StatusConflict, "passkey_not_asked")
	f.want(f.call(http.MethodPost, "/v1/sessions/ses_nobody/link/passkey/confirm", nil), http.StatusNotFound, "not_found")
	if len(f.answers.given) != 0 {
		t.Errorf("given %+v", f.answers.given)
	}
}

// TestLinkIsStreamedUntilItHasEnded: each change is an event, a nudge is enough to see it, and a stream that the service ends is opened again.
func TestLinkIsStreamedUntilItHasEnded(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	id := f.linkingSession(session.LinkConnecting)
	api, err := client.New(f.server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	next := map[string]session.LinkState{"connecting": session.LinkQR, "qr": session.LinkPaired, "paired": session.LinkReady}
	var seen []string
	last, err := api.FollowLink(t.Context(), string(id), func(link client.Link) error {
		seen = append(seen, link.State)
		if state := next[link.State]; state != "" {
			f.change(id, func(s *session.Session) { s.Link.State = state })
			f.watcher.nudge()
		}
		if link.State == "qr" {
			f.server.CloseClientConnections() // the next state is seen on another stream
		}
		return nil
	})
	if err != nil || last.State != "ready" {
		t.Errorf("ended with %+v: %v", last, err)
	}
	if len(seen) < 3 || seen[0] != "connecting" || seen[len(seen)-1] != "ready" {
		t.Errorf("seen: %v", seen)
	}
	if _, err := api.FollowLink(t.Context(), string(f.newSession()), func(client.Link) error { return nil }); !client.IsCode(err, "no_link") {
		t.Errorf("a session without a link: %v", err)
	}
}

// TestStreamsEndWithTheService: a server that stops does not wait for readers that stay.
func TestStreamsEndWithTheService(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	id := f.linkingSession(session.LinkQR)
	answer, err := http.Get(f.server.URL + "/v1/sessions/" + string(id) + "/link/events")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if kind := answer.Header.Get("Content-Type"); kind != "text/event-stream" || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", answer.Header)
	}
	f.api.EndStreams()
	buffer := make([]byte, 4096)
	for {
		if _, err := answer.Body.Read(buffer); err != nil {
			return // io.EOF: the service ended it
		}
	}
}
