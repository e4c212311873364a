package api_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/internal/api"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/webhook"
)

// mirror seals by turning round, bound to its place. The real sealer is tested with the key store.
type mirror struct{}

func (mirror) Seal(subscription, name string, secret []byte) ([]byte, error) {
	sealed := []byte(subscription + name + string(secret))
	slices.Reverse(sealed)
	return sealed, nil
}

func (mirror) Open(subscription, name string, sealed []byte) ([]byte, error) {
	opened := slices.Clone(sealed)
	slices.Reverse(opened)
	text, is := strings.CutPrefix(string(opened), subscription+name)
	if !is {
		return nil, errors.New("sealed elsewhere")
	}
	return []byte(text), nil
}

func TestAWebhookIsMadeChangedAndDeletedAndShowsItsSecretOnce(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	wanted := map[string]any{"url": "https://receiver.example/hook?token=t0ken", "events": []string{"message_received", "campaign_changed"}, "user_id": "user-1"}
	made := f.call(http.MethodPost, "/v1/webhooks", wanted)
	f.want(made, http.StatusCreated, "")
	id, _ := made.body["id"].(string)
	secret, _ := made.body["secret"].(string)
	if !strings.HasPrefix(secret, "whsec_") || made.body["enabled"] != true {
		t.Fatalf("it is made as %s", made.raw)
	}
	shown := f.call(http.MethodGet, "/v1/webhooks/"+id, nil)
	listed := f.call(http.MethodGet, "/v1/webhooks", nil)
	if strings.Contains(string(shown.raw)+string(listed.raw), secret) || strings.Contains(string(shown.raw), "secret\"") || len(listed.body["items"].([]any)) != 1 {
		t.Errorf("it is shown as %s and %s", shown.raw, listed.raw)
	}

	changed := f.call(http.MethodPatch, "/v1/webhooks/"+id, map[string]any{"events": []string{"*"}, "enabled": false})
	f.want(changed, http.StatusOK, "")
	if changed.body["enabled"] != false || changed.body["url"] != wanted["url"] {
		t.Errorf("it is changed to %s", changed.raw)
	}
	f.want(f.call(http.MethodPost, "/v1/webhooks/"+id+"/test", nil), http.StatusConflict, "webhook_disabled")
	f.want(f.call(http.MethodPatch, "/v1/webhooks/"+id, map[string]any{"enabled": true}), http.StatusOK, "")
	tested := f.call(http.MethodPost, "/v1/webhooks/"+id+"/test", nil)
	f.want(tested, http.StatusAccepted, "")
	command, is := f.queue.commands[len(f.queue.commands)-1].(events.DeliverWebhook)
	if !is || command.SubscriptionID != id || command.FactKind != webhook.KindTest || tested.body["delivery_id"] != command.DeliveryID || command.Validate() != nil {
		t.Errorf("the test is %+v", command)
	}
	f.want(f.call(http.MethodGet, "/v1/webhooks/"+id+"/deliveries", nil), http.StatusOK, "")

	rotated := f.call(http.MethodPost, "/v1/webhooks/"+id+"/rotate", nil)
	f.want(rotated, http.StatusOK, "")
	if again, _ := rotated.body["secret"].(string); again == secret || !strings.HasPrefix(again, "whsec_") || rotated.body["former_secret_until"] == nil {
		t.Errorf("rotated it is %s", rotated.raw)
	}
	f.want(f.call(http.MethodDelete, "/v1/webhooks/"+id, nil), http.StatusNoContent, "")
	for _, path := range []string{"", "/deliveries"} {
		f.want(f.call(http.MethodGet, "/v1/webhooks/"+id+path, nil), http.StatusNotFound, "not_found")
	}
	f.want(f.call(http.MethodDelete, "/v1/webhooks/"+id, nil), http.StatusNotFound, "not_found")
	audit := string(f.call(http.MethodGet, "/v1/audit", nil).raw)
	for _, trace := range []string{"webhook.created", "webhook.changed", "webhook.rotated", "webhook.deleted"} {
		if !strings.Contains(audit, trace) {
			t.Errorf("the audit lacks %q", trace)
		}
	}
}

func TestAWebhookThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	for name, row := range map[string]struct {
		url, event, code string
	}{
		"in the open":     {"http://receiver.example/", "*", "bad_webhook_url"},
		"no address":      {"receiver", "*", "bad_webhook_url"},
		"another scheme":  {"ftp://receiver.example", "*", "bad_webhook_url"},
		"with a password": {"https://me:secret@receiver.example/", "*", "bad_webhook_url"},
		"of nothing":      {"https://receiver.example/", "pigeon_arrived", "bad_event"},
	} {
		refused := f.call(http.MethodPost, "/v1/webhooks", map[string]any{"url": row.url, "events": []string{row.event}})
		if refused.status != http.StatusUnprocessableEntity || refused.body["code"] != row.code || strings.Contains(string(refused.raw), "secret@") {
			t.Errorf("%s: %d %s", name, refused.status, refused.raw)
		}
	}
	keyless := start(t, func(o *api.Options) { o.Webhooks.Sealer = nil })
	keyless.want(keyless.call(http.MethodPost, "/v1/webhooks", map[string]any{"url": "https://receiver.example/", "events": []string{"*"}}),
		http.StatusConflict, "webhook_key_required")
}

// TestARepeatedRequestMakesOneWebhookAndItsSecretIsNotKept: the answers of other requests are kept for a day.
func TestARepeatedRequestMakesOneWebhookAndItsSecretIsNotKept(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	wanted := map[string]any{"url": "https://receiver.example/", "events": []string{"*"}}
	f.key = "once"
	made := f.call(http.MethodPost, "/v1/webhooks", wanted)
	f.want(made, http.StatusCreated, "")
	f.want(f.call(http.MethodPost, "/v1/webhooks", wanted), http.StatusConflict, "webhook_exists")
	if listed := f.call(http.MethodGet, "/v1/webhooks", nil); len(listed.body["items"].([]any)) != 1 {
		t.Errorf("there are %s", listed.raw)
	}
}
