package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/wasim"
)

// hook is the receiver of a webhook: it checks signatures and keeps the kinds of what it is told.
type hook struct {
	*httptest.Server
	mu      sync.Mutex
	secrets []string
	kinds   map[string]int
	wrong   []error
}

func startHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{kinds: map[string]int{}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		var told struct {
			Type string `json:"type"`
		}
		err = errors.Join(err, json.Unmarshal(body, &told))
		verified := errors.New("no secret is expected")
		for i, secret := range h.secrets {
			// What was signed right before a rotation arrives behind it. The test events are asked for behind it.
			if newest := i == len(h.secrets)-1; verified != nil && (newest || told.Type != "webhook_test") {
				verified = verify(secret, body, r.Header)
			}
		}
		if err = errors.Join(err, verified); err != nil {
			h.wrong = append(h.wrong, err)
		}
		h.kinds[told.Type]++
	}))
	t.Cleanup(h.Close)
	return h
}

func verify(secret string, body []byte, header http.Header) error {
	verifier, err := standard.NewWebhook(secret)
	if err != nil {
		return err
	}
	return verifier.Verify(body, header)
}

// told gives how often it was told of a kind.
func (h *hook) told(t *testing.T, kind string) int {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.wrong) > 0 {
		t.Errorf("the receiver could not check %v", h.wrong)
	}
	return h.kinds[kind]
}

func (h *hook) expect(secret string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secrets = append(h.secrets, secret)
}

// startHooked starts a product in a folder, whose receivers may be in this machine.
func startHooked(t *testing.T, folder, key string) *world {
	t.Helper()
	return startWith(t, func(o *app.Options, _ *wasim.Server) {
		o.DataDir, o.KeySource = folder, app.KeySource{Key: key}
		o.Webhooks.AllowPrivate = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
}

// TestAWebhookIsToldWhatHappens to a session of its user, and goes on after its secret was sealed with another key.
func TestAWebhookIsToldWhatHappens(t *testing.T) {
	t.Parallel()
	folder, receiver, first, second := t.TempDir(), startHook(t), app.GenerateKey(), app.GenerateKey()
	made := client.Webhook{}
	testIt := func(t *testing.T, w *world, times int) {
		t.Helper()
		id, err := w.api.TestWebhook(t.Context(), made.ID)
		if err != nil || id == "" {
			t.Fatalf("test %q: %v", id, err)
		}
		w.await("the test event", func(context.Context) (bool, error) { return receiver.told(t, "webhook_test") == times, nil })
	}
	t.Run("at first", func(t *testing.T) {
		w := startHooked(t, folder, first)
		var err error
		made, err = w.api.CreateWebhook(t.Context(), client.NewWebhook{URL: receiver.URL, Events: []string{"session_changed", "link_changed"}, UserID: "user-1"})
		if err != nil || made.Secret == "" {
			t.Fatalf("made %+v: %v", made, err)
		}
		receiver.expect(made.Secret)
		w.link(1)
		w.await("the link and the session", func(context.Context) (bool, error) {
			return receiver.told(t, "link_changed") > 3 && receiver.told(t, "session_changed") > 0, nil
		})
		testIt(t, w, 1)
		w.await("its line in the log", func(ctx context.Context) (bool, error) {
			for attempt, err := range w.api.WebhookAttempts(ctx, made.ID) {
				if err != nil || attempt.Event == "webhook_test" {
					return attempt.Outcome == "delivered" && attempt.Status == http.StatusOK, err
				}
			}
			return false, nil
		})
	})
	if _, err := app.RotateKeys(t.Context(), app.KeyRotationOptions{DataDir: folder, KeySource: app.KeySource{Key: second + "," + first}}); err != nil {
		t.Fatal(err)
	}
	t.Run("with another key", func(t *testing.T) {
		w := startHooked(t, folder, second)
		testIt(t, w, 2)
		changed, err := w.api.RotateWebhook(t.Context(), made.ID)
		if err != nil || changed.Secret == made.Secret || changed.Secret == "" {
			t.Fatalf("rotated %t: %v", changed.Secret != made.Secret, err)
		}
		receiver.expect(changed.Secret)
		testIt(t, w, 3)
		no := false
		if changed, err = w.api.ChangeWebhook(t.Context(), made.ID, client.WebhookChange{Enabled: &no}); err != nil || changed.Enabled {
			t.Errorf("disabled %+v: %v", changed, err)
		}
		if _, err := w.api.TestWebhook(t.Context(), made.ID); !client.IsCode(err, "webhook_disabled") {
			t.Errorf("a disabled one is tested: %v", err)
		}
		if err := w.api.DeleteWebhook(t.Context(), made.ID); err != nil {
			t.Error(err)
		}
		if _, err := w.api.Webhook(t.Context(), made.ID); !client.IsCode(err, "not_found") {
			t.Errorf("a deleted one is there: %v", err)
		}
		for left, err := range w.api.Webhooks(t.Context()) {
			t.Errorf("left is %+v, %v", left, err)
		}
	})
}
