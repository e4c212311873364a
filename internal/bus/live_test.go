package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// jobsIn lists the jobs of some states.
func jobsIn(t *testing.T, bus *Bus, states ...events.JobState) []events.LiveJob {
	t.Helper()
	jobs, _, err := bus.LiveJobs(t.Context(), states, 0, 100)
	handle(t, err)
	return jobs
}

func TestTheQueueTellsWhereEachJobIs(t *testing.T) {
	t.Parallel()
	broker := newBroker(t)
	bus := broker.connect(Options{MaxConcurrentJobs: 2})
	release := make(chan struct{})
	worker := newWorker(t, broker.connect(Options{Name: "sender-7", MaxConcurrentJobs: 2}), WorkerOptions{Policies: map[string]Policy{
		events.RunCampaign{}.Kind(): {Attempts: 4, MinDelay: time.Hour, MaxDelay: 2 * time.Hour},
	}})
	handle(t, worker.HandleRunCampaign(func(ctx context.Context, job events.RunCampaign) error {
		if job.CampaignID == "cmp_broken" {
			return fault.New(fault.RetryLater, "not_now", "Not now").WithAfter(time.Hour)
		}
		return untilReleased(ctx, release)
	}))
	before := time.Now().Add(-time.Second)
	send(t, bus, campaignJob("broken"), campaignJob("long"), campaignJob("third"), campaignJob("fourth"))
	handle(t, bus.ScheduleCommand(t.Context(), campaignJob("tomorrow"), time.Now().Add(24*time.Hour)))
	start(t, worker)
	eventually(t, "one runs and one waits", func() bool {
		return len(jobsIn(t, bus, events.JobRunning)) == 1 && len(jobsIn(t, bus, events.JobRetrying)) == 1
	})
	running, retrying := jobsIn(t, bus, events.JobRunning)[0], jobsIn(t, bus, events.JobRetrying)[0]
	if running.CampaignID != "cmp_long" || running.Worker != "sender-7" || running.Attempt != 1 || running.MaxAttempts != 10 ||
		running.Since.Before(before) || running.Heartbeat.Before(before) || running.Kind != "run_campaign" || running.SessionID != "ses_1" {
		t.Errorf("the running job is %+v", running)
	}
	if retrying.CampaignID != "cmp_broken" || retrying.Attempt != 1 || retrying.LastError == nil || retrying.LastError.Code != "not_now" ||
		time.Until(retrying.NextAttemptAt) < 50*time.Minute {
		t.Errorf("the waiting job is %+v", retrying)
	}
	pending := jobsIn(t, bus, events.JobPending)
	if len(pending) != 2 || pending[0].CampaignID != "cmp_third" || pending[0].Attempt != 0 {
		t.Errorf("pending are %+v", pending)
	}
	if scheduled := jobsIn(t, bus, events.JobScheduled); len(scheduled) != 1 || time.Until(scheduled[0].DueAt) < 23*time.Hour ||
		scheduled[0].Subject != "commands.campaign.cmp_tomorrow" {
		t.Errorf("scheduled are %+v", scheduled)
	}
	first, next, err := bus.LiveJobs(t.Context(), nil, 0, 3)
	handle(t, err)
	rest, end, err := bus.LiveJobs(t.Context(), nil, next, 3)
	handle(t, err)
	if len(first) != 3 || len(rest) != 2 || end != 0 {
		t.Errorf("pages of %d and %d, then %d", len(first), len(rest), end)
	}
	queues, err := bus.Queues(t.Context())
	handle(t, err)
	sender := queues[slices.IndexFunc(queues, func(q events.Queue) bool { return q.Consumer == ConsumerSender })]
	if sender.Pending != 2 || sender.InHand != 2 || sender.MaxInHand != 2 || sender.Retries.Attempts != 10 || !sender.Oldest.Equal(retrying.QueuedAt) {
		t.Errorf("the queue is %+v", sender)
	}
	close(release)
}

// TestAJobWhoseWorkerIsGoneIsNotToldAsRunning: what is told must be right after a crash.
func TestAJobWhoseWorkerIsGoneIsNotToldAsRunning(t *testing.T) {
	t.Parallel()
	broker := newBroker(t)
	bus := broker.connect(Options{})
	crashing := broker.connect(Options{Name: "gone"})
	w := newWorker(t, crashing, WorkerOptions{})
	started := make(chan struct{}, 8)
	handle(t, w.HandleRunCampaign(func(ctx context.Context, _ events.RunCampaign) error {
		started <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}))
	startDoomed(t, w)
	send(t, bus, campaignJob("long"))
	receive(t, "delivery", started)
	eventually(t, "it runs", func() bool { return len(jobsIn(t, bus, events.JobRunning)) == 1 })
	crashing.nc.Close()
	eventually(t, "nobody has it", func() bool { return len(jobsIn(t, bus, events.JobUnattended)) == 1 })
	second := newWorker(t, broker.connect(Options{Name: "second"}), WorkerOptions{})
	release := make(chan struct{})
	handle(t, second.HandleRunCampaign(func(ctx context.Context, _ events.RunCampaign) error { return untilReleased(ctx, release) }))
	start(t, second)
	eventually(t, "another runs it", func() bool {
		jobs := jobsIn(t, bus, events.JobRunning)
		return len(jobs) == 1 && jobs[0].Worker == "second" && jobs[0].Attempt == 2
	})
	close(release)
	eventually(t, "nothing is left", func() bool { return len(jobsIn(t, bus)) == 0 })
}

// TestTheEndOfOneAttemptDoesNotHideTheNext: a worker takes its sign of life back before the server hears that it lets the job go; afterwards it would take back
// that of the next one.
func TestTheEndOfOneAttemptDoesNotHideTheNext(t *testing.T) {
	t.Parallel()
	broker := newBroker(t)
	bus, observer := broker.connect(Options{}), broker.connect(Options{Name: "observer"})
	heard := make(chan *nats.Msg, 1000)
	for _, subject := range []string{"$KV." + BucketRunning + ".>", "$JS.ACK.>"} {
		subscription, err := observer.nc.ChanSubscribe(subject, heard)
		handle(t, err)
		t.Cleanup(func() { handle(t, subscription.Unsubscribe()) })
	}
	handle(t, observer.nc.Flush())
	worker := newWorker(t, bus, WorkerOptions{})
	done := make(chan struct{})
	attempts := 0
	handle(t, worker.HandleRunCampaign(func(context.Context, events.RunCampaign) error {
		if attempts++; attempts == 1 {
			return fault.New(fault.RetryNow, "again", "Once more")
		}
		close(done)
		return nil
	}))
	start(t, worker)
	send(t, bus, campaignJob("a"))
	receive(t, "the second attempt", done)
	for alive := false; ; {
		m := receive(t, "what is said of the job", heard)
		switch {
		case strings.HasPrefix(m.Subject, "$KV."):
			alive = m.Header.Get("KV-Operation") == ""
		case strings.HasPrefix(string(m.Data), wireNak):
			if alive {
				t.Error("the job is let go before its sign of life is taken back")
			}
			return
		}
	}
}

// TestManyJobsThatWaitAreReadAPageAtATime: a receiver of webhooks that is down has thousands in hand, and what runs is found behind them.
func TestManyJobsThatWaitAreReadAPageAtATime(t *testing.T) {
	t.Parallel()
	const waiting = mostExamined + 50
	bus := newBroker(t).connect(Options{AckWait: 10 * time.Second}) // nothing here waits for it, and a job is called running by a sign of life within it
	worker := newWorker(t, bus, WorkerOptions{})
	release, started := make(chan struct{}), make(chan struct{}, 1)
	handle(t, worker.HandleDeliverWebhook(func(context.Context, events.DeliverWebhook) error {
		return fault.New(fault.CoolingDown, "down", "It is down").WithAfter(time.Hour)
	}))
	handle(t, worker.HandleRunCampaign(func(ctx context.Context, _ events.RunCampaign) error {
		started <- struct{}{}
		return untilReleased(ctx, release)
	}))
	for i := range waiting {
		send(t, bus, events.DeliverWebhook{Version: events.DeliverWebhookVersion, SubscriptionID: "whk_1", DeliveryID: fmt.Sprintf("dlv_%d", i), FactID: fmt.Sprint(i), FactKind: "session_changed",
			Fact: []byte(`{}`), OccurredAt: time.Now()})
	}
	start(t, worker)
	eventually(t, "all were put off", func() bool {
		inHand, err := bus.InHand(t.Context(), ConsumerWebhook)
		handle(t, err)
		return inHand == waiting
	})
	send(t, bus, campaignJob("long"))
	receive(t, "the job", started)
	var running []events.LiveJob
	pages := 0
	for after := uint64(0); ; pages++ {
		page, next, err := bus.LiveJobs(t.Context(), []events.JobState{events.JobRunning}, after, 10)
		handle(t, err)
		running = append(running, page...)
		if after = next; next == 0 {
			break
		}
	}
	if len(running) != 1 || running[0].CampaignID != "cmp_long" || pages != 1 {
		t.Errorf("running are %+v, found after %d pages", running, pages)
	}
	close(release)
}

func TestAPendingJobCanBeRemovedAndARunningOneCannot(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	release, ran := make(chan struct{}), make(chan string, 4)
	worker := newWorker(t, bus, WorkerOptions{})
	handle(t, worker.HandleLinkSession(func(ctx context.Context, job events.LinkSession) error {
		ran <- string(job.SessionID)
		return untilReleased(ctx, release)
	}))
	start(t, worker)
	send(t, bus, link("first"))
	receive(t, "the first job", ran)
	send(t, bus, link("second"), link("third"))
	handle(t, bus.ScheduleCommand(t.Context(), campaignJob("tomorrow"), time.Now().Add(24*time.Hour)))
	for _, job := range jobsIn(t, bus) {
		wanted := ""
		switch {
		case job.SessionID == "ses_first":
			wanted = "job_in_hand"
		case job.SessionID == "ses_third":
			continue
		}
		if err := bus.RemoveJob(t.Context(), job.Sequence); codeOf(err) != wanted {
			t.Errorf("remove %s: %v", job.Subject, err)
		}
	}
	for _, unknown := range []uint64{0, 999, 1<<64 - 1} {
		if err := bus.RemoveJob(t.Context(), unknown); codeOf(err) != "no_job" {
			t.Errorf("remove %d, which is not there: %v", unknown, err)
		}
	}
	close(release)
	if third := receive(t, "the third job", ran); third != "ses_third" {
		t.Errorf("%s ran", third)
	}
	eventually(t, "nothing is left", func() bool { return pendingJobs(t, bus) == 0 })
}

// TestPoisonBlocksNoPlaceLongerThanItsOwnAttempts fills the linker's one place and the five of campaigns with what can never be done, and looks how often
// each was tried before the good jobs behind it ran.
func TestPoisonBlocksNoPlaceLongerThanItsOwnAttempts(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	tried, good := make(chan string, 1000), make(chan string, 10)
	act := func(name string, isGood bool) error {
		tried <- name
		switch {
		case isGood:
			good <- name
			return nil
		case len(tried)%2 == 0:
			panic("a defect")
		}
		return errors.New("a failure of no class")
	}
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleLinkSession(func(_ context.Context, job events.LinkSession) error {
		return act(string(job.SessionID), job.SessionID == "ses_good")
	}))
	handle(t, w.HandleRunCampaign(func(_ context.Context, job events.RunCampaign) error {
		return act(string(job.CampaignID), job.CampaignID == "cmp_good")
	}))
	const bad = 2 * DefaultMaxConcurrentJobs
	for i := range bad {
		name := string(rune('a' + i))
		send(t, bus, link(name), campaignJob(name))
	}
	handle(t, bus.publish(t.Context(), rawLink("undecodable", "link_session", `{"version":`)))
	handle(t, bus.publish(t.Context(), rawLink("kind", "link_by_pigeon", goodLink(t, "kind"))))
	send(t, bus, link("good"), campaignJob("good"))
	start(t, w)
	receive(t, "the good link or campaign", good)
	receive(t, "the other one", good)
	eventually(t, "the queue is empty", func() bool { return pendingJobs(t, bus) == 0 })
	if n := len(failedJobs(t, bus)); n != 2*bad+2 {
		t.Errorf("%d are in FAILED, want %d", n, 2*bad+2)
	}
	counts := map[string]int{}
	for range len(tried) {
		counts[<-tried]++
	}
	for name, n := range counts {
		if n > hasty()[events.LinkSession{}.Kind()].Attempts {
			t.Errorf("%s was tried %d times", name, n)
		}
	}
}
