package bus

import (
	"context"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

func TestAScheduledCommandComesAtItsTimeOnceAndMayBeMoved(t *testing.T) {
	t.Parallel()
	broker := newBroker(t)
	bus := broker.connect(Options{})
	soon := time.Now().Add(2 * time.Second)
	job := events.RunCampaign{Version: events.RunCampaignVersion, CampaignID: "cmp_1", SessionID: "ses_1", Slice: 1, RequestedAt: soon}
	later := job
	later.CampaignID = "cmp_2"
	for _, at := range []time.Time{time.Now().Add(time.Second), time.Now().Add(time.Hour)} { // moved, before it came
		if err := bus.ScheduleCommand(t.Context(), later, at); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // asked twice
		if err := bus.ScheduleCommand(t.Context(), job, soon); err != nil {
			t.Fatal(err)
		}
	}
	broker.stop() // what waits outlives the server
	broker.start()
	bus = broker.connect(Options{Name: "another"})
	came := make(chan events.RunCampaign, 8)
	worker, err := bus.NewWorker(WorkerOptions{})
	if err == nil {
		err = worker.HandleRunCampaign(func(_ context.Context, job events.RunCampaign) error {
			came <- job
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	start(t, worker)
	select {
	case got := <-came:
		if got.CampaignID != "cmp_1" || time.Now().Before(soon.Truncate(time.Second)) {
			t.Errorf("%+v came at %s, before %s", got, time.Now(), soon)
		}
	case <-time.After(testTimeout):
		t.Fatal("it never came")
	}
	eventually(t, "only the one that was moved waits", func() bool { return pendingJobs(t, bus) == 1 })
	if len(came) != 0 {
		t.Errorf("it came again: %+v", <-came)
	}
	if err := bus.ScheduleCommand(t.Context(), events.RunCampaign{}, soon); fault.Of(err) != fault.Poison {
		t.Errorf("a command that is none: %v", err)
	}
}
