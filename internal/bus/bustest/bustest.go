// Package bustest fills a queue for the tests of those who work on it.
//
// Nouns: those of internal/bus. FailMany brings jobs into FAILED in the way in which they come there in the product: a worker takes each and gives it up.
// JetStream is the server as a bare client sees it.
//
// Callers: the tests of internal/api, internal/feed, internal/app and cmd/broadcaster. It must never be imported by the product, nor write into a stream by itself.
package bustest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// FailMany has a worker give up many jobs, of campaigns that do not exist: replayed in the product, they end at once. It is the only worker then, and
// FAILED was empty.
func FailMany(t testing.TB, queue *bus.Bus, count int) {
	t.Helper()
	worker, err := queue.NewWorker(bus.WorkerOptions{DrainTime: -1})
	if err == nil {
		err = worker.HandleRunCampaign(func(context.Context, events.RunCampaign) error {
			return fault.New(fault.NotFound, "for_the_test", "It is given up")
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()
	for i := range count {
		job := events.RunCampaign{Version: events.RunCampaignVersion, CampaignID: campaign.ID(fmt.Sprintf("cmp_%d", i)), SessionID: "ses_none", Slice: 1}
		if err := queue.SendCommand(t.Context(), job); err != nil {
			t.Fatal(err)
		}
	}
	awaitFailed(t, queue, count)
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// JetStream gives a bare client of a server, which sees what internal/bus does there. It is closed with the test.
func JetStream(t testing.TB, server nats.InProcessConnProvider) jetstream.JetStream {
	t.Helper()
	connection, err := nats.Connect("", nats.InProcessServer(server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	js, err := jetstream.New(connection)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// awaitFailed waits until so many jobs are in FAILED.
func awaitFailed(t testing.TB, queue *bus.Bus, count int) {
	t.Helper()
	failed := queue.NewFailedQueue()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.After(2 * time.Minute); ; {
		groups, err := failed.Stats(t.Context(), events.FailedFilter{})
		if err != nil {
			t.Fatal(err)
		}
		if len(groups) == 1 && groups[0].Count == count {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%d jobs did not come into FAILED in time; it has %+v", count, groups)
		}
	}
}
