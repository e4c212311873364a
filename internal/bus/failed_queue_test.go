package bus

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// giveUp puts a failed job into FAILED, as condemn does.
func giveUp(t testing.TB, bus *Bus, sequence int, change func(*FailedJob)) {
	t.Helper()
	job := events.RunCampaign{Version: events.RunCampaignVersion, CampaignID: "cmp_1", SessionID: "ses_1", Slice: sequence, RequestedAt: time.Unix(1, 0)}
	m, err := encode(t.Context(), job)
	handle(t, err)
	failure := &Failure{Class: fault.Internal, Code: "internal", Message: "It broke", Detail: "It broke on disk seven", At: time.Unix(int64(sequence), 0).UTC()}
	entry := bus.failedEntry(m.Subject, m.Header, m.Data, record{First: failure, Last: failure})
	entry.Stream, entry.Consumer, entry.Sequence, entry.Attempts = events.StreamCommands, ConsumerSender, uint64(sequence), 3 // #nosec G115 -- a small count
	if change != nil {
		change(&entry)
	}
	handle(t, bus.publishFailed(t.Context(), entry))
}

func TestFailedJobsAreFoundByWhatTheyAre(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	for i := range 6 {
		giveUp(t, bus, i+1, func(job *FailedJob) {
			if i%2 == 0 {
				job.LastError.Class, job.LastError.Detail = fault.Poison, "Another WORD"
				job.CampaignID = "cmp_2"
			}
			if i == 5 {
				job.Kind = "link_session"
			}
		})
	}
	queue := bus.NewFailedQueue()
	rows := map[string]struct {
		filter events.FailedFilter
		want   []uint64
	}{
		"all":         {events.FailedFilter{}, []uint64{1, 2, 3, 4, 5, 6}},
		"a class":     {events.FailedFilter{Class: fault.Poison}, []uint64{1, 3, 5}},
		"a kind":      {events.FailedFilter{Kind: "link_session"}, []uint64{6}},
		"a campaign":  {events.FailedFilter{CampaignID: "cmp_2"}, []uint64{1, 3, 5}},
		"a session":   {events.FailedFilter{SessionID: "ses_none"}, nil},
		"some time":   {events.FailedFilter{Since: time.Unix(3, 0), Before: time.Unix(5, 0)}, []uint64{3, 4}},
		"some words":  {events.FailedFilter{Text: "another word"}, []uint64{1, 3, 5}},
		"up to one":   {events.FailedFilter{Until: 2}, []uint64{1, 2}},
		"all of that": {events.FailedFilter{Text: "disk SEVEN", Class: fault.Internal, Since: time.Unix(3, 0)}, []uint64{4, 6}},
	}
	for name, row := range rows {
		var got []uint64
		for after := uint64(0); ; {
			page, next, err := queue.List(t.Context(), row.filter, after, 2)
			handle(t, err)
			for _, job := range page {
				got = append(got, job.Sequence)
			}
			if after = next; next == 0 {
				break
			}
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}

func TestAReplayedJobRunsOnceUnderAnIdentityOfItsOwn(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	queue := bus.NewFailedQueue()
	giveUp(t, bus, 1, nil)
	id, err := queue.Replay(t.Context(), 1, false)
	handle(t, err)
	if id != "campaign:cmp_1:1:r1" {
		t.Errorf("the replay is %s", id)
	}
	for _, unknown := range []uint64{0, 1, 1<<64 - 1} {
		if _, err := queue.Replay(t.Context(), unknown, false); fault.As(err).Code != "no_failed_job" {
			t.Errorf("replayed entry %d, which is not there: %v", unknown, err)
		}
	}
	giveUp(t, bus, 2, nil)
	if _, err := queue.Replay(t.Context(), 2, false); fault.As(err).Code != "job_active" {
		t.Errorf("replayed beside an active job: %v", err)
	}
	ran := make(chan int, 4)
	worker := newWorker(t, bus, WorkerOptions{})
	handle(t, worker.HandleRunCampaign(func(_ context.Context, job events.RunCampaign) error {
		ran <- job.Slice
		return nil
	}))
	start(t, worker)
	if slice := receive(t, "the replayed job", ran); slice != 1 {
		t.Errorf("slice %d ran", slice)
	}
	eventually(t, "the replayed job has ended", func() bool { return pendingJobs(t, bus) == 0 })
	if _, err := queue.Replay(t.Context(), 2, false); err != nil {
		t.Errorf("when nothing is active any more: %v", err)
	}
	if slice := receive(t, "the other job", ran); slice != 2 {
		t.Errorf("slice %d ran", slice)
	}
	if len(ran) != 0 || len(failedJobs(t, bus)) != 0 {
		t.Errorf("%d more ran, and %d are in FAILED", len(ran), len(failedJobs(t, bus)))
	}
	for was, want := range map[string]string{"a": "a:r1", "a:r1": "a:r2", "a:r9": "a:r10", "a:rx": "a:rx:r1"} {
		if got := replayID(was); got != want {
			t.Errorf("the replay of %s is %s", was, got)
		}
	}
}

// TestAReplayPublishesOnceWhereverItIsInterrupted ends a replay between any two of its steps, and has another one come after it.
func TestAReplayPublishesOnceWhereverItIsInterrupted(t *testing.T) {
	t.Parallel()
	for name, interrupted := range map[string]func(*testing.T, *FailedQueue, FailedJob){
		"after the identity was written": func(t *testing.T, q *FailedQueue, _ FailedJob) {
			t.Helper()
			handle(t, q.repairs.write(t.Context(), 1, repair{Replaying: "campaign:cmp_1:1:r1"}))
		},
		"after it was published": func(t *testing.T, q *FailedQueue, job FailedJob) {
			t.Helper()
			handle(t, q.repairs.write(t.Context(), 1, repair{Replaying: "campaign:cmp_1:1:r1"}))
			m, err := replayMessage(job)
			handle(t, err)
			m.Header.Set(jetstream.MsgIDHeader, "campaign:cmp_1:1:r1")
			handle(t, q.publishReplay(t.Context(), m, job))
		},
	} {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, and done %v", name, done), func(t *testing.T) {
				t.Parallel()
				bus := newBus(t)
				queue := bus.NewFailedQueue()
				giveUp(t, bus, 1, nil)
				job, err := queue.Get(t.Context(), 1)
				handle(t, err)
				interrupted(t, queue, job)
				ran := make(chan int, 4)
				worker := newWorker(t, bus, WorkerOptions{})
				handle(t, worker.HandleRunCampaign(func(_ context.Context, job events.RunCampaign) error {
					ran <- job.Slice
					return nil
				}))
				if done {
					start(t, worker)
					eventually(t, "what was published has ended", func() bool { return pendingJobs(t, bus) == 0 })
				}
				if id, err := queue.Replay(t.Context(), 1, false); err != nil || id != "campaign:cmp_1:1:r1" {
					t.Errorf("the second replay is %q, %v", id, err)
				}
				if !done {
					start(t, worker)
				}
				receive(t, "the job", ran)
				eventually(t, "it has ended", func() bool { return pendingJobs(t, bus) == 0 })
				if len(ran) != 0 || len(failedJobs(t, bus)) != 0 {
					t.Errorf("it ran %d times more, FAILED has %d", len(ran), len(failedJobs(t, bus)))
				}
			})
		}
	}
}

// TestManyWhoReplayOneJobPublishItOnce has several operators press the button at once.
func TestManyWhoReplayOneJobPublishItOnce(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	giveUp(t, bus, 1, nil)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			_, err := bus.NewFailedQueue().Replay(t.Context(), 1, false)
			if class := fault.Of(err); err != nil && class != fault.NotFound && class != fault.Conflict {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if published := pendingJobs(t, bus); published != 1 || len(failedJobs(t, bus)) != 0 {
		t.Errorf("%d jobs are in the queue, %d in FAILED", published, len(failedJobs(t, bus)))
	}
}

// TestScheduledJobsThatFailedAreReplayedEach: the server publishes them without an identity, and two replays under one identity would be one.
func TestScheduledJobsThatFailedAreReplayedEach(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	worker := newWorker(t, bus, WorkerOptions{})
	mended, ran := make(chan struct{}), make(chan string, 4)
	handle(t, worker.HandleRunCampaign(func(_ context.Context, job events.RunCampaign) error {
		select {
		case <-mended:
			ran <- string(job.CampaignID)
			return nil
		default:
			return fault.New(fault.NotFound, "broken", "It broke")
		}
	}))
	start(t, worker)
	for _, name := range []string{"a", "b"} {
		handle(t, bus.ScheduleCommand(t.Context(), campaignJob(name), time.Now().Add(time.Second)))
	}
	eventually(t, "both failed", func() bool { return len(failedJobs(t, bus)) == 2 })
	close(mended)
	queue := bus.NewFailedQueue()
	for _, job := range failedJobs(t, bus) {
		_, err := queue.Replay(t.Context(), job.Entry, false)
		handle(t, err)
	}
	if first, second := receive(t, "a replay", ran), receive(t, "the other replay", ran); first == second {
		t.Errorf("%s ran twice", first)
	}
}

func TestAReplayThatNobodyCanBeSureOfNeedsForce(t *testing.T) {
	t.Parallel()
	job := FailedJob{Stream: events.StreamCommands, LastError: Failure{Class: fault.Internal}}
	unsafe := FailedJob{Stream: events.StreamCommands, LastError: Failure{Class: fault.UnknownOutcome}}
	edited := unsafe
	edited.Edit = &events.Edit{}
	fact := FailedJob{Stream: events.StreamEvents, LastError: Failure{Class: fault.Internal}}
	ago := func(age time.Duration) repair { return repair{Replaying: "a:r1", at: time.Now().Add(-age)} }
	for name, row := range map[string]struct {
		job   FailedJob
		done  repair
		force bool
		code  string
	}{
		"safe":                         {job: job},
		"unsafe":                       {job: unsafe, code: "replay_unsafe"},
		"unsafe, with force":           {job: unsafe, force: true},
		"unsafe, and mended":           {job: edited},
		"begun just now":               {job: job, done: ago(time.Minute)},
		"begun long ago":               {job: job, done: ago(commandDedupe), code: "replay_interrupted"},
		"begun long ago, with force":   {job: job, done: ago(commandDedupe), force: true},
		"a fact, and begun less ago":   {job: fact, done: ago(factDedupe), code: "replay_interrupted"},
		"a command, and begun as much": {job: job, done: ago(factDedupe)},
	} {
		err := mayReplay(row.job, row.done, row.force)
		if code := codeOf(err); code != row.code {
			t.Errorf("%s: %q, want %q", name, code, row.code)
		}
	}
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.As(err).Code
}

func TestAnEditedJobRunsAsEditedAndItsOriginalStays(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	queue := bus.NewFailedQueue()
	giveUp(t, bus, 1, func(job *FailedJob) { job.LastError.Class = fault.Poison })
	original, err := queue.Get(t.Context(), 1)
	handle(t, err)
	for name, payload := range map[string]string{
		"no JSON":            `{"version":1,`,
		"a misspelt field":   `{"version":1,"campaign_id":"cmp_1","session_id":"ses_1","slice":1,"requested_at":"2026-01-01T00:00:00Z","slce":2}`,
		"incomplete":         `{"version":1,"campaign_id":"cmp_1","session_id":"ses_1","requested_at":"2026-01-01T00:00:00Z"}`,
		"of another version": `{"version":9,"campaign_id":"cmp_1","session_id":"ses_1","slice":1,"requested_at":"2026-01-01T00:00:00Z"}`,
		"about another one":  `{"version":1,"campaign_id":"cmp_2","session_id":"ses_1","slice":1,"requested_at":"2026-01-01T00:00:00Z"}`,
		"two of them":        `{"version":1,"campaign_id":"cmp_1","session_id":"ses_1","slice":1,"requested_at":"2026-01-01T00:00:00Z"} {}`,
	} {
		if _, err := queue.Edit(t.Context(), 1, []byte(payload), "ana"); codeOf(err) != "invalid_payload" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := queue.Replay(t.Context(), 1, false); codeOf(err) != "replay_unsafe" {
		t.Errorf("poison is replayed: %v", err)
	}
	mended := []byte(`{"version":1,"campaign_id":"cmp_1","session_id":"ses_1","slice":7,"requested_at":"2026-01-01T00:00:00Z"}`)
	_, err = queue.Edit(t.Context(), 1, mended, "ana")
	handle(t, err)
	shown, err := queue.Get(t.Context(), 1)
	handle(t, err)
	if shown.Edit == nil || !bytes.Equal(shown.Edit.Payload, mended) || shown.Edit.By != "ana" || !bytes.Equal(shown.Payload, original.Payload) {
		t.Errorf("it is shown as %+v with the edit %+v", shown, shown.Edit)
	}
	ran := make(chan int, 2)
	worker := newWorker(t, bus, WorkerOptions{})
	handle(t, worker.HandleRunCampaign(func(_ context.Context, job events.RunCampaign) error {
		ran <- job.Slice
		return nil
	}))
	start(t, worker)
	_, err = queue.Replay(t.Context(), 1, false)
	handle(t, err)
	if slice := receive(t, "the edited job", ran); slice != 7 {
		t.Errorf("slice %d ran", slice)
	}
	if keys, err := openBucket(t, bus, BucketRepairs).Keys(t.Context()); len(keys) != 0 || err != nil {
		t.Errorf("of the repair is left %v, %v", keys, err)
	}
}

// TestAReplayedFactReachesOnlyWhoFailedOnIt: the other consumers had it.
func TestAReplayedFactReachesOnlyWhoFailedOnIt(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	broken, ran := true, make(chan string, 8)
	worker := newWorker(t, bus, WorkerOptions{})
	handle(t, worker.HandleMessageReceipt(func(_ context.Context, fact events.MessageReceipt) error {
		if broken {
			return fault.New(fault.Poison, "bad_content", "The fact is wrong")
		}
		ran <- string(fact.CampaignID)
		return nil
	}))
	stop := start(t, worker)
	fact := receipts(1)[0].(events.MessageReceipt)
	handle(t, bus.PublishFact(t.Context(), fact))
	eventually(t, "it is in FAILED", func() bool { return len(failedJobs(t, bus)) == 1 })
	stop()
	broken = false
	again := newWorker(t, bus, WorkerOptions{})
	handle(t, again.HandleMessageReceipt(func(_ context.Context, fact events.MessageReceipt) error {
		ran <- string(fact.CampaignID)
		return nil
	}))
	start(t, again)
	_, err := bus.NewFailedQueue().Replay(t.Context(), 1, true)
	handle(t, err)
	if id := receive(t, "the replayed fact", ran); id != string(fact.CampaignID) {
		t.Errorf("%s ran", id)
	}
	m, err := encode(t.Context(), fact)
	handle(t, err)
	m.Header.Set(jetstream.MsgIDHeader, "for another")
	m.Header.Set(headerOnly, ConsumerInbound)
	handle(t, bus.publish(t.Context(), m))
	eventually(t, "all facts are settled", func() bool {
		queues, err := bus.Queues(t.Context())
		handle(t, err)
		place := slices.IndexFunc(queues, func(q events.Queue) bool { return q.Consumer == ConsumerProjector })
		return queues[place].Pending == 0 && queues[place].InHand == 0
	})
	if len(ran) != 0 {
		t.Error("a fact that was replayed for another consumer was handled")
	}
}

// TestTheListFollowsWhatOthersDo: several processes and the nats program work on one FAILED.
func TestTheListFollowsWhatOthersDo(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	mine, other := bus.NewFailedQueue(), bus.NewFailedQueue()
	listed := func() (entries []uint64) {
		t.Helper()
		jobs, _, err := mine.List(t.Context(), events.FailedFilter{}, 0, 1000)
		handle(t, err)
		for _, job := range jobs {
			entries = append(entries, job.Entry)
		}
		return entries
	}
	for i := range 3 * readBatch / 2 {
		giveUp(t, bus, i+1, nil)
	}
	if n := len(listed()); n != 3*readBatch/2 {
		t.Fatalf("%d are listed", n)
	}
	handle(t, other.Discard(t.Context(), 2))
	giveUp(t, bus, 10_000, nil)
	stream, err := bus.js.Stream(t.Context(), events.StreamFailed)
	handle(t, err)
	handle(t, stream.Purge(t.Context(), jetstream.WithPurgeSequence(380)))
	if got, want := listed(), []uint64{380, 381, 382, 383, 384, 385}; !slices.Equal(got, want) {
		t.Errorf("listed are %v, want %v", got, want)
	}
	handle(t, other.Discard(t.Context(), 382))
	_, err = bus.nc.Request("failed.commands.link.ses_x", []byte("not ours"), publishTimeout)
	handle(t, err)
	if got, want := listed(), []uint64{380, 381, 383, 384, 385, 386}; !slices.Equal(got, want) {
		t.Errorf("listed are %v, want %v", got, want)
	}
	groups, err := mine.Stats(t.Context(), events.FailedFilter{})
	handle(t, err)
	if len(groups) != 2 || groups[0].Kind != "run_campaign" || groups[0].Class != fault.Internal || groups[0].Count != 5 ||
		!groups[0].Oldest.Equal(time.Unix(380, 0)) || !groups[0].Newest.Equal(time.Unix(10_000, 0)) || groups[1].Class != fault.Poison || groups[1].Count != 1 {
		t.Errorf("the statistics are %+v", groups)
	}
	if _, err := mine.Replay(t.Context(), 386, true); codeOf(err) != "not_a_job" {
		t.Errorf("a foreign entry is replayed: %v", err)
	}
}

// TestAPageAsksTheServerForWhatIsNewOnly: a page of a long FAILED costs as many requests as one of a short one.
func TestAPageAsksTheServerForWhatIsNewOnly(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	queue := bus.NewFailedQueue()
	requests := func() uint64 {
		t.Helper()
		before := bus.nc.Stats().OutMsgs
		_, _, err := queue.List(t.Context(), events.FailedFilter{Class: fault.Poison, Text: "nowhere"}, 0, 50)
		handle(t, err)
		return bus.nc.Stats().OutMsgs - before
	}
	for n, count := range []int{10, 1000} {
		for i := range count {
			giveUp(t, bus, 10_000*n+i+1, nil)
		}
		if first, second := requests(), requests(); first < 2 || second != 1 {
			t.Errorf("with %d more: %d requests, then %d, want some and then 1", count, first, second)
		}
	}
}

func TestADiscardedJobIsGone(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	queue := bus.NewFailedQueue()
	giveUp(t, bus, 1, nil)
	giveUp(t, bus, 2, nil)
	if found, err := queue.Get(t.Context(), 1); err != nil || found.MessageID != "campaign:cmp_1:1" || found.Entry != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	handle(t, queue.Discard(t.Context(), 1))
	for what, err := range map[string]error{"show": second(queue.Get(t.Context(), 1)), "discard": queue.Discard(t.Context(), 1),
		"unknown": queue.Discard(t.Context(), 99), "edit": second(queue.Edit(t.Context(), 1, nil, ""))} {
		if fault.Of(err) != fault.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	if left := failedJobs(t, bus); len(left) != 1 || left[0].Sequence != 2 {
		t.Errorf("left are %v", fmt.Sprint(left))
	}
}

func second(_ FailedJob, err error) error { return err }
