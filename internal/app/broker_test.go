package app_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/bus/bustest"
	"github.com/dannsalud/broadcaster/internal/bus/embed/embedtest"
	"github.com/dannsalud/broadcaster/internal/pace"
)

// TestAKilledBrokerLosesNoLinkNoMessageAndNoReplay kills nats-server with SIGKILL while a phone is linked, two campaigns run, and failed jobs are replayed,
// starts it again on its files each time, and looks at the simulator's books.
func TestAKilledBrokerLosesNoLinkNoMessageAndNoReplay(t *testing.T) {
	t.Parallel()
	const recipients, failures = 150, 40
	broker := embedtest.Start(t)
	giveUpJobs(t, broker.URL(), failures)
	gaps := pace.Options{MinGap: 20 * time.Millisecond, MaxGap: 40 * time.Millisecond}
	f := startFleetOn(t, broker.URL(), map[string]app.Role{"linker-1": app.RoleLinker, "sender-1": app.RoleSender, "sender-2": app.RoleSender}, func(options *app.Options) {
		options.Pace, options.Limits, options.Hours = gaps, app.GapsOnly(gaps), app.AnyHour()
	})
	first, _ := f.link(1)
	second, _ := f.link(2)
	var sent []client.Campaign
	for _, linked := range []client.Session{first, second} {
		sent = append(sent, f.sendText(linked.ID, recipients, "Aviso para {{nombre}}"))
	}
	phone, err := f.simulator.NewPhone("+5491150000003")
	if err != nil {
		t.Fatal(err)
	}
	third, err := f.api.CreateSession(t.Context(), "user-3", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.api.StartLink(t.Context(), third.ID, "qr", ""); err != nil {
		t.Fatal(err)
	}
	var replaying sync.WaitGroup
	replaying.Go(func() { f.replayAll(failures) })

	f.await("the phone could scan", func(ctx context.Context) (bool, error) {
		link, err := f.api.Link(ctx, third.ID)
		return link.Prompt != nil && link.Prompt.QR != "", err
	})
	broker.Kill()
	broker.Restart()
	f.await("the phone has scanned", func(ctx context.Context) (bool, error) {
		link, err := f.api.Link(ctx, third.ID)
		if err != nil || link.Prompt == nil || link.Prompt.QR == "" {
			return false, unlessAway(err)
		}
		return true, phone.ScanQR(ctx, link.Prompt.QR)
	})
	for _, messages := range []int{recipients / 2, recipients} {
		f.await("some messages are sent", func(context.Context) (bool, error) { return f.simulator.Books().Messages >= messages, nil })
		broker.Kill()
		broker.Restart()
	}
	f.await("the third phone is linked", func(ctx context.Context) (bool, error) {
		link, err := f.api.Link(ctx, third.ID)
		f.last = fmt.Sprintf("%+v", link)
		return link.State == "ready", unlessAway(err)
	})
	for _, sent := range sent {
		f.await("the campaign is complete", func(ctx context.Context) (bool, error) {
			found, err := f.api.Campaign(ctx, sent.ID)
			f.last = fmt.Sprintf("%+v", found)
			return found.State == "completed" && found.Counts.Delivered+found.Counts.Read == recipients, unlessAway(err)
		})
	}
	replaying.Wait()
	f.await("nothing is in FAILED", func(ctx context.Context) (bool, error) {
		groups, err := f.api.FailedStats(ctx, client.FailedFilter{})
		f.last = fmt.Sprintf("%+v", groups)
		return len(groups) == 0, unlessAway(err)
	})
	if books := f.simulator.Books(); books.Messages != 2*recipients || books.Duplicated != 0 || books.Linked != 3 {
		t.Errorf("%d messages, %d seen twice, %d linked", books.Messages, books.Duplicated, books.Linked)
	}
}

// unlessAway lets pass that the API has no queue at this moment, which it must say as such.
func unlessAway(err error) error {
	var problem *client.Problem
	if errors.As(err, &problem) && problem.Code == "queue_unavailable" {
		return nil
	}
	return err
}

// giveUpJobs fills FAILED before the services start.
func giveUpJobs(t *testing.T, url string, count int) {
	t.Helper()
	queue, err := bus.Connect(t.Context(), bus.Options{URL: url, Name: "before", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = queue.Close() }()
	if err := queue.EnsureTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	bustest.FailMany(t, queue, count)
}

// replayAll replays all failed jobs, a few a second, as an operator would who begins again when the API says that the queue is away. It runs beside the test.
func (f *fleet) replayAll(jobs int) {
	bulk := client.Bulk{Limit: 4, PerSecond: 8}
	done := 0
	for deadline := time.Now().Add(2 * time.Minute); done < jobs; {
		batch, err := f.api.ReplayJobs(f.t.Context(), bulk)
		done += batch.Done
		if groups, failed := f.api.FailedStats(f.t.Context(), client.FailedFilter{}); err == nil && failed == nil && len(groups) == 0 {
			return
		}
		if time.Now().After(deadline) {
			f.t.Errorf("%d jobs were replayed, the last call says %v", done, err)
			return
		}
	}
}
