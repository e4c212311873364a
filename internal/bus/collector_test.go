package bus

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// queueGauges exposes the depths of a queue and gives a reader of them. A series that is not there is -1.
func queueGauges(t *testing.T, bus *Bus) func(name, label string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	handle(t, bus.RegisterQueueMetrics(registry))
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Fatalf("the metrics are not what Prometheus advises: %v %v", problems, err)
	}
	return func(name, label string) float64 {
		families, err := registry.Gather()
		handle(t, err)
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				if family.GetName() == name && (label == "" || metric.GetLabel()[0].GetValue() == label) {
					return metric.GetGauge().GetValue()
				}
			}
		}
		return -1
	}
}

func TestTheQueuesDepthsAreTheServersOwn(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	value := queueGauges(t, bus)
	type reading struct{ name, label string }
	expect := func(when string, wanted map[reading]float64) {
		t.Helper()
		for of, want := range wanted {
			if got := value(of.name, of.label); got != want {
				t.Errorf("%s: %s of %q is %v, want %v", when, of.name, of.label, got, want)
			}
		}
	}
	expect("an empty queue", map[reading]float64{{"queue_up", ""}: 1, {"queue_pending", ConsumerSender}: 0, {"queue_in_flight", ConsumerSender}: 0,
		{"queue_oldest_age_seconds", ConsumerSender}: 0, {"failed_jobs_waiting", ""}: 0, {"failed_jobs_oldest_age_seconds", ""}: 0,
		{"queue_last_ack_timestamp_seconds", ConsumerSender}: -1, {"queue_oldest_age_seconds", ConsumerProjector}: -1})

	send(t, bus, campaignJob("good"), campaignJob("bad"), link("waiting"))
	expect("published", map[reading]float64{{"queue_pending", ConsumerSender}: 2, {"queue_pending", ConsumerLinker}: 1,
		{"queue_stream_messages", events.StreamCommands}: 3})
	if age := value("queue_oldest_age_seconds", ConsumerLinker); age <= 0 || age > 60 {
		t.Errorf("the link job is %v seconds old", age)
	}

	started, release := make(chan campaign.ID, 10), make(chan struct{})
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleRunCampaign(func(ctx context.Context, command events.RunCampaign) error {
		started <- command.CampaignID
		if err := untilReleased(ctx, release); err != nil || command.CampaignID == "cmp_good" {
			return err
		}
		return fault.New(fault.Poison, "bad", "The job is wrong")
	}))
	start(t, w)
	receive(t, "job", started)
	receive(t, "job", started)
	expect("in hand", map[reading]float64{{"queue_pending", ConsumerSender}: 0, {"queue_in_flight", ConsumerSender}: 2, {"queue_pending", ConsumerLinker}: 1})

	close(release)
	eventually(t, "both have ended", func() bool {
		return value("queue_in_flight", ConsumerSender) == 0 && value("failed_jobs_waiting", "") == 1
	})
	if age := value("failed_jobs_oldest_age_seconds", ""); age <= 0 || age > 60 {
		t.Errorf("the failed job is %v seconds old", age)
	}
	if at := value("queue_last_ack_timestamp_seconds", ConsumerSender); at <= 0 {
		t.Errorf("the last settlement is at %v", at)
	}
}

func TestAQueueThatDoesNotAnswerHasNoDepths(t *testing.T) {
	t.Parallel()
	bus := newBroker(t).connect(Options{})
	value := queueGauges(t, bus)
	bus.nc.Close()
	if up := value("queue_up", ""); up != 0 {
		t.Errorf("queue_up is %v", up)
	}
	if depth := value("queue_pending", ConsumerSender); depth != -1 {
		t.Errorf("the depth %v is told of a queue that does not answer", depth)
	}
	if failed := value("failed_jobs_waiting", ""); failed != -1 {
		t.Errorf("%v failed jobs are told of a queue that does not answer", failed)
	}
}

func TestHandlersAreTimedByWatermillToo(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	bus := newBroker(t).connect(Options{Registerer: registry})
	handle(t, bus.EnsureTopology(t.Context()))
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleLinkSession(func(context.Context, events.LinkSession) error { return nil }))
	start(t, w)
	send(t, bus, link("ana"))
	eventually(t, "the handler was timed", func() bool {
		count, err := testutil.GatherAndCount(registry, "watermill_handler_execution_time_seconds")
		return err == nil && count == 1
	})
}
