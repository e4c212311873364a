package bus

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
)

func TestACommandWaitsUntilItIsDone(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	waits := func(name string) bool {
		found, err := bus.Waiting(t.Context(), campaignJob(name).Subject())
		handle(t, err)
		return found
	}
	if waits("good") {
		t.Error("a command that was never published waits")
	}
	send(t, bus, campaignJob("good"), campaignJob("bad"))
	if !waits("good") || waits("other") {
		t.Error("in the queue")
	}
	started, release := make(chan campaign.ID, 10), make(chan struct{})
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleRunCampaign(func(ctx context.Context, command events.RunCampaign) error {
		started <- command.CampaignID
		if err := untilReleased(ctx, release); err != nil || command.CampaignID == "cmp_good" {
			return err
		}
		return asPoison(errors.New("bad"))
	}))
	start(t, w)
	receive(t, "job", started)
	receive(t, "job", started)
	if got := map[string]bool{"good": waits("good"), "bad": waits("bad")}; !cmp.Equal(got, map[string]bool{"good": true, "bad": true}) {
		t.Errorf("in a worker's hands: %v", got)
	}
	close(release)
	eventually(t, "both have ended", func() bool { return pendingJobs(t, bus) == 0 })
	if waits("good") || !waits("bad") {
		t.Error("after the end: what is done must not wait, and what is in FAILED must")
	}
}
