package console

import (
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/events"
)

const (
	// attemptsRead is how many requests of a webhook are looked at: all that the API keeps.
	attemptsRead = 200
	// deliveriesShown is how many of the deliveries that they belong to stand on the page.
	deliveriesShown = 50
	// mostWaiting is how many jobs of the queue are looked through for those of a webhook.
	mostWaiting = 1000
)

// What came of a delivery, beside what its last attempt came to.
const (
	outcomeDelivered = "delivered"
	outcomeRefused   = "refused"
	outcomeAgain     = "again"
	// outcomeGivenUp: the last attempt failed, and the queue has no further one.
	outcomeGivenUp = "given_up"
	// outcomeWaiting: no request was made yet.
	outcomeWaiting = "waiting"
)

// deliveryRow is one event on its way to a receiver, with its attempts so far.
type deliveryRow struct {
	ID, Event string
	// At is when the last attempt was.
	At       time.Time
	Attempts int
	Outcome  string
	// Status is the receiver's last answer; zero: there was none.
	Status int
	TookMS int64
	// Sentence says what was wrong and what to do; empty when nothing was.
	Sentence string
	// Next is when it is tried again; zero: it is not, or nobody knows.
	Next time.Time
}

// Ended tells whether nothing more is tried.
func (r deliveryRow) Ended() bool { return r.Outcome != outcomeAgain && r.Outcome != outcomeWaiting }

// Tone is how an outcome is coloured.
func (r deliveryRow) Tone() string {
	switch r.Outcome {
	case outcomeDelivered:
		return "good"
	case outcomeRefused, outcomeGivenUp:
		return "bad"
	}
	return "warn"
}

// webhookPage is one webhook with what it was told lately.
type webhookPage struct {
	webhookRow
	Deliveries []deliveryRow
	// Test is the test event that was asked for a moment ago.
	Test *deliveryRow
}

func showWebhook(v *visit) error {
	found, err := v.api.Webhook(v.context(), v.request.PathValue("id"))
	if err != nil {
		return err
	}
	page := webhookPage{webhookRow: webhookRow{found}}
	if page.Deliveries, err = v.webhookLog(found.ID); err != nil {
		return err
	}
	if page.Test = testAmong(page.Deliveries, v.query("test")); page.Test != nil && !page.Test.Ended() || anyWaits(page.Deliveries) {
		waiting, err := v.waiting()
		if err != nil {
			return err
		}
		for i := range page.Deliveries {
			v.language.addNext(&page.Deliveries[i], waiting)
		}
		v.language.addNext(page.Test, waiting)
	}
	page.Deliveries = page.Deliveries[:min(len(page.Deliveries), deliveriesShown)]
	return v.show("webhooks/webhook", page)
}

// webhookLog gives what a webhook was told, the latest attempt first.
func (v *visit) webhookLog(id string) ([]deliveryRow, error) {
	found, err := v.api.Operations().ListWebhookDeliveries(v.context(), id, client.ListWebhookDeliveriesQuery{Size: attemptsRead})
	if err != nil {
		return nil, err
	}
	var rows []deliveryRow
	place := map[string]int{}
	for _, attempt := range found.Items {
		at, seen := place[attempt.DeliveryID]
		if !seen {
			at = len(rows)
			place[attempt.DeliveryID] = at
			rows = append(rows, deliveryRow{ID: attempt.DeliveryID, Event: attempt.Event, At: attempt.At, Outcome: attempt.Outcome, Status: attempt.Status, TookMS: attempt.TookMS,
				Sentence: v.language.webhookReason(attempt.Code, attempt.Message)})
		}
		rows[at].Attempts++
	}
	return rows, nil
}

// webhookReason says why a receiver was not told.
func (l *language) webhookReason(code, message string) string {
	if key := "webhooks.reason." + code; l.has(key) {
		return l.text(key)
	}
	return message
}

// testAmong gives the delivery of a test event, also when no request was made yet; nil when nobody asked for one.
func testAmong(rows []deliveryRow, id string) *deliveryRow {
	if id == "" {
		return nil
	}
	for _, row := range rows {
		if row.ID == id {
			return &row
		}
	}
	return &deliveryRow{ID: id, Outcome: outcomeWaiting}
}

func anyWaits(rows []deliveryRow) bool {
	for _, row := range rows {
		if !row.Ended() {
			return true
		}
	}
	return false
}

// waitingJobs are jobs of the queue by their subjects.
type waitingJobs struct {
	bySubject map[string]client.Job
	// all says that they are all of the queue's: what is not among them has ended.
	all bool
}

func (v *visit) waiting() (waitingJobs, error) {
	found, read := waitingJobs{bySubject: map[string]client.Job{}, all: true}, 0
	for job, err := range v.api.Jobs(v.context()) {
		if err != nil {
			return found, err
		}
		if read++; read > mostWaiting {
			found.all = false
			break
		}
		found.bySubject[job.Subject] = job
	}
	return found, nil
}

// addNext adds to a delivery that has not arrived when it is tried again, as the queue says.
func (l *language) addNext(row *deliveryRow, waiting waitingJobs) {
	if row == nil || row.Ended() {
		return
	}
	job, found := waiting.bySubject[events.DeliverWebhook{DeliveryID: row.ID}.Subject()]
	switch {
	case found:
		row.Next = job.NextAttemptAt
		if row.Sentence == "" && job.LastError != nil {
			row.Sentence = l.webhookReason(job.LastError.Code, job.LastError.Message)
		}
	case waiting.all && row.Outcome == outcomeAgain:
		row.Outcome = outcomeGivenUp
	}
}
