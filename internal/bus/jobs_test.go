package bus

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// giveUp puts a failed job into FAILED, as condemn does.
func giveUp(t *testing.T, bus *Bus, sequence int, change func(*FailedJob)) {
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
		"all of that": {events.FailedFilter{Text: "disk SEVEN", Class: fault.Internal, Since: time.Unix(3, 0)}, []uint64{4, 6}},
	}
	for name, row := range rows {
		var got []uint64
		for after := uint64(0); ; {
			page, next, err := bus.FailedJobs(t.Context(), row.filter, after, 2)
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
	giveUp(t, bus, 1, nil)
	id, err := bus.Replay(t.Context(), 1)
	handle(t, err)
	if id != "campaign:cmp_1:1:r1" {
		t.Errorf("the replay is %s", id)
	}
	if _, err := bus.Replay(t.Context(), 1); fault.As(err).Code != "no_failed_job" {
		t.Errorf("replayed twice: %v", err)
	}
	giveUp(t, bus, 2, nil)
	if _, err := bus.Replay(t.Context(), 2); fault.As(err).Code != "job_active" {
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
	if _, err := bus.Replay(t.Context(), 2); err != nil {
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

func TestADiscardedJobIsGone(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	giveUp(t, bus, 1, nil)
	giveUp(t, bus, 2, func(job *FailedJob) { job.Stream = events.StreamEvents })
	if found, err := bus.FailedJob(t.Context(), 1); err != nil || found.MessageID != "campaign:cmp_1:1" || found.Entry != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := bus.Replay(t.Context(), 2); fault.As(err).Code != "not_a_command" {
		t.Errorf("a fact is replayed: %v", err)
	}
	handle(t, bus.Discard(t.Context(), 1))
	for what, err := range map[string]error{"show": second(bus.FailedJob(t.Context(), 1)), "discard": bus.Discard(t.Context(), 1), "unknown": bus.Discard(t.Context(), 99)} {
		if fault.Of(err) != fault.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	if left := failedJobs(t, bus); len(left) != 1 || left[0].Sequence != 2 {
		t.Errorf("left are %v", fmt.Sprint(left))
	}
}

func second(_ FailedJob, err error) error { return err }
