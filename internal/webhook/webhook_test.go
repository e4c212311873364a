package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/webhook"
)

// TestEachFactArrivesSignedWhereItIsWanted goes over filters and users.
func TestEachFactArrivesSignedWhereItIsWanted(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	to := receive(t, nil)
	w.people("ses_1", "user-1")
	w.people("ses_2", "user-2")
	want := map[string][]string{}
	subscriptions := map[string]webhook.Subscription{}
	for path, row := range map[string]struct {
		user   string
		kinds  []string
		expect []string
	}{
		"/one-kind":     {"user-1", []string{"campaign_changed"}, []string{"campaign_changed cmp_1"}},
		"/all-of-one":   {"user-1", []string{"*"}, []string{"campaign_changed cmp_1", "message_received ses_1", "message_receipt cmp_1"}},
		"/all":          {"", []string{"*"}, []string{"campaign_changed cmp_1", "campaign_changed cmp_2", "message_received ses_1", "message_receipt cmp_1", "session_stable ses_2"}},
		"/two-kinds":    {"", []string{"message_received", "session_stable"}, []string{"message_received ses_1", "session_stable ses_2"}},
		"/of-the-other": {"user-2", []string{"message_received", "message_receipt", "campaign_changed"}, []string{"campaign_changed cmp_2"}},
		"/of-nobody":    {"user-3", []string{"*"}, nil},
	} {
		subscriptions[path] = w.subscribe(webhook.Wanted{URL: to.URL + path, UserID: row.user, Events: row.kinds})
		want[path] = row.expect
	}
	disabled := w.subscribe(webhook.Wanted{URL: to.URL + "/disabled", Events: []string{"*"}})
	no := false
	_, err := w.book.Change(t.Context(), disabled.ID, webhook.Change{Enabled: &no}, time.Now().UTC())
	w.must(err)

	at := time.Now().UTC()
	w.must(w.queue.PublishFacts(t.Context(), []events.Fact{
		events.CampaignChanged{Version: 1, CampaignID: "cmp_1", SessionID: "ses_1", UserID: "user-1", State: campaign.Running, At: at},
		events.CampaignChanged{Version: 1, CampaignID: "cmp_2", SessionID: "ses_2", UserID: "user-2", State: campaign.Running, At: at},
		events.MessageReceived{Version: 1, SessionID: "ses_1", MessageIn: "3A01", Phone: "+5491155550101", Text: "¡Gracias! <3", At: at},
		events.MessageReceipt{Version: 1, SessionID: "ses_1", CampaignID: "cmp_1", MessageIDs: []string{"3EB001"}, Receipt: session.ReceiptRead, At: at},
		events.SessionStable{Version: 1, SessionID: "ses_2", UserID: "user-2", Since: at, At: at},
	}))
	w.eventually("everything arrived", func() bool { return len(to.on("")) >= 12 })
	w.idle()
	for path, expect := range want {
		var seen []string
		for _, request := range to.on(path) {
			w.signed(subscriptions[path].ID, request)
			kind, data := request.event(t)
			about, _ := data["campaign_id"].(string)
			if about == "" {
				about, _ = data["session_id"].(string)
			}
			seen = append(seen, kind+" "+about)
			if kind == "message_received" && data["text"] != "¡Gracias! <3" {
				t.Errorf("the text is %v", data["text"])
			}
		}
		slices.Sort(seen)
		slices.Sort(expect)
		if !slices.Equal(seen, expect) {
			t.Errorf("%s got %v, want %v", path, seen, expect)
		}
	}
	if len(to.on("/disabled")) != 0 || len(w.failed()) != 0 {
		t.Errorf("disabled: %d, failed: %v", len(to.on("/disabled")), w.failed())
	}
	w.quiet("5491155550101")
}

func TestARepeatedAttemptIsTheSameDeliverySignedAnew(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	tries := atomic.Int64{}
	to := receive(t, func(rw http.ResponseWriter, _ *http.Request) {
		if tries.Add(1) < 3 {
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	made := w.subscribe(webhook.Wanted{URL: to.URL, Events: []string{"*"}})
	command := w.tell(made.ID, "f1")
	w.must(w.queue.SendCommand(t.Context(), command)) // published twice, it is one job
	w.eventually("the third attempt is logged", func() bool { return len(w.attempts(made.ID)) == 3 })
	requests := to.on("")
	for _, request := range requests {
		w.signed(made.ID, request)
		if request.id() != command.DeliveryID || string(request.body) != string(requests[0].body) {
			t.Errorf("attempts differ: %s %s", request.id(), request.body)
		}
	}
	var outcomes []webhook.Outcome
	for _, attempt := range w.attempts(made.ID) {
		outcomes = append(outcomes, attempt.Outcome)
	}
	if !slices.Equal(outcomes, []webhook.Outcome{webhook.Again, webhook.Again, webhook.Delivered}) || len(requests) != 3 || len(w.failed()) != 0 {
		t.Errorf("outcomes %v of %d requests, failed %v", outcomes, len(requests), w.failed())
	}
}

// TestAReceiverThatHangsIsNotWaitedFor has a world of its own: a time so short would fail what answers late on a busy machine.
func TestAReceiverThatHangsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	to := receive(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(release) })
	w := start(t, func(o *webhook.DelivererOptions) { o.Timeout = 150 * time.Millisecond })
	subscription := w.subscribe(webhook.Wanted{URL: to.URL + "/hang", Events: []string{"*"}})
	w.tell(subscription.ID, "hang")
	w.eventually("it is given up", func() bool { return len(w.failed()) == 1 })
	if job := w.failed()[0]; job.LastError.Code != "webhook_timeout" || job.Attempts != 3 {
		t.Errorf("it is in FAILED as %+v", job)
	}
}

// TestWhatAnAnswerMeans goes over the table of answers: how often a request is made, and what FAILED says in the end.
func TestWhatAnAnswerMeans(t *testing.T) {
	t.Parallel()
	elsewhere := receive(t, nil)
	to := receive(t, func(rw http.ResponseWriter, r *http.Request) {
		switch word := strings.TrimPrefix(r.URL.Path, "/"); word {
		case "cut":
			panic(http.ErrAbortHandler)
		case "302", "307", "308":
			rw.Header().Set("Location", elsewhere.URL)
			fallthrough
		default:
			status := 0
			_, err := fmt.Sscan(word, &status)
			if err != nil {
				t.Error(err)
			}
			rw.WriteHeader(status)
			_, _ = rw.Write([]byte(strings.Repeat("an answer that nobody reads ", 10_000)))
		}
	})
	w := start(t, nil)
	again := []string{"408", "425", "429", "500", "502", "503", "504", "cut"}
	refused := []string{"302", "307", "308", "400", "401", "403", "404", "405", "410", "413", "422", "451"}
	subscriptions := map[string]webhook.Subscription{}
	for _, word := range slices.Concat([]string{"200", "202", "204"}, again, refused) {
		subscriptions[word] = w.subscribe(webhook.Wanted{URL: to.URL + "/" + word + "?token=t0ken", Events: []string{"*"}})
		w.tell(subscriptions[word].ID, word)
	}
	w.eventually("all have ended", func() bool { return len(w.failed()) >= len(again)+len(refused) })
	w.eventually("all are delivered", func() bool {
		return len(w.attempts(subscriptions["200"].ID))+len(w.attempts(subscriptions["202"].ID))+len(w.attempts(subscriptions["204"].ID)) == 3
	})
	w.idle()
	given := map[string]events.FailedJob{}
	for _, listed := range w.failed() {
		job, err := w.jobs.Get(t.Context(), listed.Entry) // a list has no payloads
		w.must(err)
		var command events.DeliverWebhook
		w.must(json.Unmarshal(job.Payload, &command))
		if _, twice := given[command.FactID]; twice {
			t.Errorf("%s is in FAILED twice", command.FactID)
		}
		given[command.FactID] = job
	}
	for word, subscription := range subscriptions {
		job, isFailed := given[word]
		requests, want := len(to.on("/"+word)), 1
		if slices.Contains(again, word) {
			want = 3
		}
		if requests != want || len(w.attempts(subscription.ID)) != want || isFailed == strings.HasPrefix(word, "2") {
			t.Errorf("%s: %d requests, %d in the log, failed: %t", word, requests, len(w.attempts(subscription.ID)), isFailed)
		}
		if safe, _ := job.LastError.Class.Replay(); isFailed && (job.Attempts != want || !safe || job.Kind != "deliver_webhook") {
			t.Errorf("%s is in FAILED as %+v", word, job)
		}
		after, err := w.book.Get(t.Context(), subscription.ID)
		w.must(err)
		if gone := word == "410"; after.Enabled == gone || gone && after.Reason != webhook.ReasonGone {
			t.Errorf("%s: enabled %t, %q", word, after.Enabled, after.Reason)
		}
	}
	for word, code := range map[string]string{"cut": "webhook_unreachable", "302": "webhook_redirected", "404": "webhook_refused",
		"410": "webhook_gone", "500": "webhook_unavailable"} {
		if got := given[word].LastError.Code; got != code {
			t.Errorf("%s: the code is %s, want %s", word, got, code)
		}
	}
	if len(elsewhere.on("")) != 0 {
		t.Error("a redirect was followed")
	}
	w.quiet("t0ken")
}

// TestAReceiverInsideIsNeverReached: neither by its address nor by a name for it.
func TestAReceiverInsideIsNeverReached(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *webhook.DelivererOptions) { o.AllowPrivate = nil })
	inside := receive(t, nil)
	port := inside.URL[strings.LastIndex(inside.URL, ":"):]
	addresses := []string{inside.URL, "http://localhost" + port, "http://[::ffff:127.0.0.1]" + port, "https://169.254.169.254/latest", "https://10.0.0.1:8443/"}
	for i, address := range addresses {
		made := w.subscribe(webhook.Wanted{URL: address, Events: []string{"*"}})
		w.tell(made.ID, fmt.Sprint(i))
	}
	w.eventually("all are given up", func() bool { return len(w.failed()) >= len(addresses) })
	for _, job := range w.failed() {
		if job.LastError.Code != "webhook_forbidden_address" || job.Attempts != 1 {
			t.Errorf("%+v", job.LastError)
		}
	}
	if len(inside.on("")) != 0 {
		t.Error("it was reached")
	}
}

// TestAGivenUpDeliveryIsInFailedOnceAndReplayed, under the id that it had.
func TestAGivenUpDeliveryIsInFailedOnceAndReplayed(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	mended := atomic.Bool{}
	to := receive(t, func(rw http.ResponseWriter, _ *http.Request) {
		if !mended.Load() {
			rw.WriteHeader(http.StatusBadGateway)
		}
	})
	made := w.subscribe(webhook.Wanted{URL: to.URL, Events: []string{"*"}})
	for _, fact := range []string{"f1", "f2"} {
		w.tell(made.ID, fact)
	}
	w.eventually("both are given up", func() bool { return len(w.failed()) == 2 })
	w.idle()
	if first := w.failed()[0]; len(w.failed()) != 2 || first.LastError.Class != fault.RetryLater || first.Attempts != 3 {
		t.Fatalf("FAILED has %+v", w.failed())
	}
	mended.Store(true)
	before := len(to.on(""))
	for _, job := range w.failed() {
		_, err := w.jobs.Replay(t.Context(), job.Entry, false)
		w.must(err)
	}
	w.eventually("both arrive", func() bool {
		delivered := 0
		for _, attempt := range w.attempts(made.ID) {
			if attempt.Outcome == webhook.Delivered {
				delivered++
			}
		}
		return delivered == 2
	})
	w.idle()
	ids := map[string]bool{}
	for _, request := range to.on("") {
		ids[request.id()] = true
	}
	if len(ids) != 2 || len(w.failed()) != 0 || len(to.on("")) == before {
		t.Errorf("%d ids, FAILED has %v", len(ids), w.failed())
	}
}

// TestADeadReceiverDoesNotDelayAnother: many deliveries hang at one that takes them and never answers, and the other has its own at once, although they were
// asked for behind all of those.
func TestADeadReceiverDoesNotDelayAnother(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *webhook.DelivererOptions) { o.Timeout = testTimeout })
	release := make(chan struct{})
	woken := atomic.Int64{}
	dead := receive(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
			woken.Add(1)
		case <-r.Context().Done():
		}
	})
	alive := receive(t, nil)
	silent, other := w.subscribe(webhook.Wanted{URL: dead.URL, Events: []string{"*"}}), w.subscribe(webhook.Wanted{URL: alive.URL, Events: []string{"*"}})
	const many, few = 300, 20
	for i := range many {
		w.tell(silent.ID, fmt.Sprint(i))
	}
	for i := range few {
		w.tell(other.ID, fmt.Sprint(i))
	}
	w.eventually("the other has all of its own", func() bool { return len(alive.on("")) == few })
	if n := len(w.attempts(silent.ID)); n != 0 {
		t.Errorf("meanwhile %d requests to the dead one have ended", n)
	}
	close(release) // it wakes up: nothing of what it was to be told is lost, and being put off was no attempt
	w.eventually("it has all of its own", func() bool { return woken.Load() == many })
	w.idle()
	if n := len(w.failed()); n != 0 {
		t.Errorf("%d deliveries were given up", n)
	}
}

func TestARotatedSecretSignsBesideTheFormerForAWhile(t *testing.T) {
	t.Parallel()
	later := atomic.Int64{}
	w := start(t, func(o *webhook.DelivererOptions) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	to := receive(t, nil)
	made := w.subscribe(webhook.Wanted{URL: to.URL, Events: []string{"*"}})
	former := w.secrets[made.ID]
	_, lost, err := w.book.Rotate(t.Context(), made.ID, time.Now().UTC())
	w.must(err)
	_, secret, err := w.book.Rotate(t.Context(), made.ID, time.Now().UTC()) // the first answer was lost
	w.must(err)
	w.secrets[made.ID] = secret.Reveal()
	w.tell(made.ID, "f1")
	w.eventually("it arrives", func() bool { return len(to.on("")) == 1 })
	old, err := standard.NewWebhook(former)
	w.must(err)
	w.signed(made.ID, to.on("")[0])
	w.must(old.Verify(to.on("")[0].body, to.on("")[0].head))
	later.Store(int64(webhook.RotationOverlap + time.Minute))
	w.tell(made.ID, "f2")
	w.eventually("it arrives", func() bool { return len(to.on("")) == 2 })
	if err := old.VerifyIgnoringTimestamp(to.on("")[1].body, to.on("")[1].head); err == nil {
		t.Error("the former secret signs for ever")
	}
	resealed, err := w.book.Reseal(t.Context())
	if err != nil || resealed != 1 {
		t.Errorf("resealed %d: %v", resealed, err)
	}
	later.Store(0)
	w.tell(made.ID, "f3")
	w.eventually("it arrives", func() bool { return len(to.on("")) == 3 })
	w.signed(made.ID, to.on("")[2])
	w.quiet(former, lost.Reveal())
}

// TestSecretsAreSealedInTheDatabase reads its files.
func TestSecretsAreSealedInTheDatabase(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	made := w.subscribe(webhook.Wanted{URL: "https://receiver.example/", Events: []string{"*", "*"}})
	files, err := filepath.Glob(filepath.Join(w.dir, "books.db*"))
	w.must(err)
	found := false
	for _, file := range files {
		content, err := os.ReadFile(file)
		w.must(err)
		found = found || strings.Contains(string(content), made.ID)
		if strings.Contains(string(content), strings.TrimPrefix(w.secrets[made.ID], "whsec_")) {
			t.Errorf("%s has the secret", file)
		}
	}
	if !found || len(made.Events) != 1 {
		t.Errorf("the webhook is in no file of %v, or its events are %v", files, made.Events)
	}
}

func TestNoWayOfPrintingShowsASecret(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	_, secret, err := w.book.Create(t.Context(), webhook.Wanted{URL: "https://receiver.example/", Events: []string{"*"}}, time.Now())
	w.must(err)
	slog.New(slog.NewTextHandler(w.log, nil)).InfoContext(context.Background(), "secret", "secret", secret)
	encoded, err := json.Marshal(map[string]any{"s": secret})
	w.must(err)
	within := struct{ hidden webhook.Secret }{secret}
	for _, text := range []string{fmt.Sprint(secret), fmt.Sprintf("%#v %+v %q", secret, secret, secret), fmt.Sprintf("%v %+v %#v", within, within, within), string(encoded), w.log.String()} {
		if strings.Contains(text, strings.TrimPrefix(secret.Reveal(), "whsec_")) {
			t.Errorf("it is shown as %s", text)
		}
	}
	if (webhook.Secret{}).Reveal() != "" {
		t.Error("no secret is one")
	}
}

// TestTheLogOfASubscriptionIsBounded and goes with it.
func TestTheLogOfASubscriptionIsBounded(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	to := receive(t, nil)
	made := w.subscribe(webhook.Wanted{URL: to.URL, Events: []string{"*"}})
	const many = 288
	for i := range many {
		w.tell(made.ID, fmt.Sprint(i))
	}
	w.eventually("all arrive", func() bool { return len(to.on("")) == many })
	w.idle()
	if n := len(w.attempts(made.ID)); n < 200 || n > 232 {
		t.Errorf("the log has %d lines", n)
	}
	w.must(w.book.Delete(t.Context(), made.ID))
	if n := len(w.attempts(made.ID)); n != 0 {
		t.Errorf("the log of a deleted one has %d lines", n)
	}
	w.tell(made.ID, "late")
	w.idle()
	w.eventually("what is for nobody is dropped", func() bool { return strings.Contains(w.log.String(), "deleted or disabled") })
	if len(w.failed()) != 0 || len(to.on("")) != many {
		t.Errorf("failed %v, %d arrived", w.failed(), len(to.on("")))
	}
}
