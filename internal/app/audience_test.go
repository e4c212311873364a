package app_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// TestNumbersAreWrittenToAsWhatsAppKnowsThem: as the rules of the countries say, and as WhatsApp itself said where it was asked.
func TestNumbersAreWrittenToAsWhatsAppKnowsThem(t *testing.T) {
	t.Parallel()
	w := startWith(t, func(o *app.Options, _ *wasim.Server) { o.Region = "MX" })
	linked, _ := w.link(1)
	made := w.must(http.MethodPost, "/v1/campaigns/upload", upload{name: "a.csv", fields: map[string]string{"session_id": linked.ID, "text": "Hola {{nombre}}"},
		file: []byte("Teléfono móvil\tNombre\n+54 011 15-4000-0001\tAna\n044 55 1234 5678\tLuz\n+55 11 8765-4321\tJoão\n+55 11 98765-4321\tJoão otra vez\n")})
	equal(t, "the recipients", made.body["recipients"], any(3.0))
	equal(t, "the duplicate", made.body["rejected"], any(1.0))
	w.awaitCampaign(made.id(), "completed")
	for phone, name := range map[string]string{"+5491140000001": "Ana", "+525512345678": "Luz", "+5511987654321": "João"} {
		if got := w.texts(phone); len(got) != 1 || got[0] != "Hola "+name {
			t.Errorf("%s received %q", phone, got)
		}
	}

	// The same digits are those of another country where the service, or the request, says so.
	other := w.must(http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "Hola", "default_region": "UY", "recipients": []body{{"phone": "099 123 456"}}})
	w.awaitCampaign(other.id(), "completed")
	equal(t, "received in Uruguay", len(w.texts("+59899123456")), 1)
	w.refused(422, "unknown_region", http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "x", "default_region": "XX", "recipients": people(1)})

	// WhatsApp knows the account by its former number, and says so when it is asked.
	if _, err := w.simulator.Declare("+5511987654322", wasim.Profile{KnownAs: "+551187654322"}); err != nil {
		t.Fatal(err)
	}
	asked := body{"session_id": linked.ID, "text": "Oi", "recipients": []body{{"phone": "+55 11 98765-4322"}, {"phone": "+55 11 8765-4322"}}}
	seen := w.must(http.MethodPost, "/v1/campaigns/preview", asked)
	equal(t, "on WhatsApp", seen.body["on_whatsapp"], any(1.0))
	equal(t, "duplicates", seen.body["duplicate"], any(1.0))
	known := w.must(http.MethodPost, "/v1/campaigns", asked)
	w.awaitCampaign(known.id(), "completed")
	equal(t, "under the number of the file", len(w.texts("+5511987654322")), 0)
	if got := w.texts("+551187654322"); !slices.Equal(got, []string{"Oi"}) {
		t.Errorf("under WhatsApp's own number %q was received", got)
	}
}

// TestAPreviewShowsWhatWillBeSent: of several texts each recipient gets the one that the preview showed.
func TestAPreviewShowsWhatWillBeSent(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, _ := w.link(1)
	questions, err := w.simulator.Script(script.Rule{On: script.UsyncContact, Do: script.RefuseQuery(429)})
	if err != nil {
		t.Fatal(err)
	}
	asked := body{"session_id": linked.ID, "text": "Hola {{nombre}}", "variants": []string{"Buen día {{nombre}}", "Qué tal {{nombre}}"}, "recipients": people(20), "samples": 20}
	seen := w.must(http.MethodPost, "/v1/campaigns/preview", asked)
	equal(t, "the problem", seen.body["lookup_problem"], any("lookup_rate_limited"))
	equal(t, "questions", questions.Hits(), 1)
	equal(t, "unchecked", seen.body["unchecked"], any(20.0))
	delete(asked, "samples")
	made := w.must(http.MethodPost, "/v1/campaigns", asked)
	w.awaitCampaign(made.id(), "completed")
	shown := map[string]string{}
	samples, _ := seen.body["samples"].([]any)
	for _, sample := range samples {
		shown[fmt.Sprint(sample.(body)["phone"])] = fmt.Sprint(sample.(body)["text"])
	}
	for i := range 20 {
		if got := w.texts(number(i)); len(got) != 1 || got[0] != shown[number(i)] {
			t.Errorf("%s received %q, and the preview showed %q", number(i), got, shown[number(i)])
		}
	}
	without := w.must(http.MethodPost, "/v1/campaigns/preview/upload", upload{name: "a.csv", file: []byte("nombre,tel\nLuz,1155550000\n"),
		fields: map[string]string{"session_id": linked.ID, "text": "Hola {{nombre}}", "check": "0"}})
	if samples, _ := without.body["samples"].([]any); len(samples) != 1 {
		t.Errorf("a preview that says nothing of samples has %v", samples)
	}
	asked["check"] = 0
	equal(t, "no problem", w.must(http.MethodPost, "/v1/campaigns/preview", asked).body["lookup_problem"], nil)
	equal(t, "questions of a preview that may ask none", questions.Hits(), 1)
}

// TestAThousandArePausedAndResumed, through HTTP, on the simulator: nothing more than the message in hand leaves behind the pause, and in the end
// everybody has one message.
func TestAThousandArePausedAndResumed(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, phone := w.link(1)
	const all = 1000
	made := w.must(http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "Hola {{nombre}}", "recipients": people(all)}).id()
	for _, part := range []int{all / 3, all * 2 / 3} {
		w.await(fmt.Sprintf("%d are sent", part), func(context.Context) (bool, error) { return len(phone.Sent()) > part, nil })
		for range 2 {
			w.must(http.MethodPost, "/v1/campaigns/"+made+"/pause", nil)
		}
		atPause := len(phone.Sent())
		w.await("what was in hand is written down", func(context.Context) (bool, error) {
			inHand, err := w.product.CampaignJobsInHand(w.t.Context())
			return inHand == 0, err
		})
		sent := len(phone.Sent())
		if sent > atPause+1 || sent == all {
			t.Errorf("%d messages left after the pause, %d in all", sent-atPause, sent)
		}
		equal(t, "the state", w.must(http.MethodGet, "/v1/campaigns/"+made, nil).body["state"], any("paused"))
		for range 2 {
			w.must(http.MethodPost, "/v1/campaigns/"+made+"/resume", nil)
		}
	}
	w.awaitCampaign(made, "completed")
	w.awaitCount(made, "read", all)
	for i := range all {
		if got := w.texts(number(i)); len(got) != 1 || got[0] != fmt.Sprintf("Hola Ana %d", i) {
			t.Fatalf("%s received %q", number(i), got)
		}
	}
	books := w.simulator.Books()
	equal(t, "messages", books.Messages, all)
	equal(t, "duplicates", books.Duplicated, 0)
}
