package webhook_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dannsalud/broadcaster/internal/webhook"
)

const page = "../../docs/webhooks.md"

// TestTheExampleOnThePageIsGenuine, and the page names every event.
func TestTheExampleOnThePageIsGenuine(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	secret := regexp.MustCompile(`whsec_[A-Za-z0-9+/=]{8,}`).FindString(string(text))
	request := regexp.MustCompile(`(?s)POST /broadcaster HTTP/1.1\n(.*?)\n\n(.*?)\n` + "```").FindStringSubmatch(string(text))
	if request == nil {
		t.Fatal("the page has no example")
	}
	headers := http.Header{}
	for line := range strings.SplitSeq(request[1], "\n") {
		name, value, _ := strings.Cut(line, ": ")
		headers.Set(name, value)
	}
	verifier, err := standard.NewWebhook(secret)
	if err == nil {
		err = verifier.VerifyIgnoringTimestamp([]byte(request[2]), headers)
	}
	if err != nil {
		t.Error(err)
	}
	for _, kind := range append(webhook.Kinds(), webhook.KindTest) {
		if !strings.Contains(string(text), "\n| `"+kind+"` | ") {
			t.Errorf("%s lacks the event %s", page, kind)
		}
	}
}
