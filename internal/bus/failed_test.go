package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

const (
	aTraceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	aTraceparent = "00-" + aTraceID + "-00f067aa0ba902b7-01"
)

// rawLink is a link job as another program, or another version, would have published it.
func rawLink(id, kind, payload string) *nats.Msg {
	m := nats.NewMsg("commands.link.ses_" + id)
	m.Data = []byte(payload)
	m.Header.Set(jetstream.MsgIDHeader, "link:lnk_"+id)
	m.Header.Set(headerKind, kind)
	m.Header.Set(headerVersion, "1")
	m.Header.Set(headerTrace, aTraceparent)
	return m
}

// goodLink is the payload of a link job that can be handled.
func goodLink(t *testing.T, id string) string {
	t.Helper()
	payload, err := json.Marshal(link(id))
	if err != nil {
		t.Fatal(err)
	}
	return string(payload)
}

// ignoreWhen leaves out of a comparison what differs from run to run.
func ignoreWhen() cmp.Option {
	return cmp.Options{
		cmpopts.IgnoreFields(FailedJob{}, "QueuedAt", "FailedAt", "Sequence", "Entry", "FirstError"),
		cmpopts.IgnoreFields(Failure{}, "At", "Detail"),
	}
}

func TestAJobThatCannotBeDoneIsInFailedOnceWithItsReason(t *testing.T) {
	t.Parallel()
	rows := []struct {
		id, kind, payload string // An empty payload: a good one.
		handle            func(attempt int) error
		want              Failure
		attempts, handled int
		detail            string
	}{
		{id: "poison", handle: func(int) error { return fault.New(fault.Poison, "bad_content", "The job is wrong") },
			want: Failure{Class: fault.Poison, Code: "bad_content", Message: "The job is wrong"}, attempts: 1, handled: 1},
		{id: "panic", handle: func(int) error { panic("boom") },
			want: Failure{Class: fault.Poison, Code: "handler_panicked",
				Message: "The worker failed on this job because of a defect; the log has the details"}, attempts: 1, handled: 1, detail: "panic: boom"},
		{id: "undecodable", payload: `{"version":1,"session_id":`,
			want:     Failure{Class: fault.Poison, Code: "undecodable", Message: "The job's content is not what its kind says; edit the job"},
			attempts: 1, detail: "unexpected end of JSON input"},
		{id: "tomorrow", payload: `{"version":9,"session_id":"ses_tomorrow","link_id":"lnk_tomorrow"}`,
			want: Failure{Class: fault.Poison, Code: "unknown_version",
				Message: "The link_session message has version 9, which this worker does not know; upgrade the workers or edit the job"}, attempts: 1},
		{id: "kind", kind: "link_by_pigeon",
			want: Failure{Class: fault.Poison, Code: "unknown_kind",
				Message: `The job says that it is "link_by_pigeon", which this worker does not know; upgrade the workers or discard the job`}, attempts: 1},
		{id: "unsafe", payload: `{"version":1,"session_id":"a.b","link_id":"lnk_unsafe"}`,
			want: Failure{Class: fault.Poison, Code: "unsafe_id",
				Message: "The session_id of the link_session message has characters other than letters, digits, - and _"}, attempts: 1},
		{id: "refused", handle: func(int) error {
			return fmt.Errorf("pair: %w", fault.New(fault.Conflict, "session_ready", "It is linked"))
		},
			want: Failure{Class: fault.Conflict, Code: "session_ready", Message: "It is linked"}, attempts: 1, handled: 1, detail: "pair: "},
		{id: "exhausted", handle: func(n int) error {
			return fault.New(fault.RetryLater, fmt.Sprintf("try_%d", n), "WhatsApp did not answer +5491155550101")
		}, want: Failure{Class: fault.RetryLater, Code: "try_3", Message: "WhatsApp did not answer [number]"}, attempts: 3, handled: 3},
	}
	bus := newBus(t)
	arrived := make(chan session.ID, 100)
	attempts := map[session.ID]int{}
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleLinkSession(func(_ context.Context, command events.LinkSession) error {
		attempts[command.SessionID]++
		arrived <- command.SessionID
		for _, row := range rows {
			if command.SessionID == session.ID("ses_"+row.id) && row.handle != nil {
				return row.handle(attempts[command.SessionID])
			}
		}
		return nil
	}))
	start(t, w)
	var want []FailedJob
	for _, row := range rows {
		kind := orDefault(row.kind, "link_session")
		m := rawLink(row.id, kind, orDefault(row.payload, goodLink(t, row.id)))
		if err := bus.publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		entry := FailedJob{Version: 2, Subject: m.Subject, Stream: "COMMANDS", Consumer: "linker", MessageID: "link:lnk_" + row.id, Payload: m.Data,
			Headers: map[string]string{headerKind: kind, headerVersion: "1", headerTrace: aTraceparent},
			Kind:    kind, SchemaVersion: 1, SessionID: "ses_" + row.id, TraceID: aTraceID, Worker: "worker", Attempts: row.attempts, LastError: row.want}
		switch row.id {
		case "undecodable":
			entry.SchemaVersion, entry.SessionID = 0, ""
		case "tomorrow":
			entry.SchemaVersion = 9
		case "unsafe":
			entry.SessionID = "a.b"
		}
		want = append(want, entry)
	}
	eventually(t, "every job is in FAILED", func() bool { return len(failedJobs(t, bus)) >= len(rows) })
	eventually(t, "no original is left", func() bool { return pendingJobs(t, bus) == 0 })
	got := failedJobs(t, bus)
	if diff := cmp.Diff(want, got, ignoreWhen()); diff != "" {
		t.Errorf("FAILED (-want +got):\n%s", diff)
	}
	handled := map[session.ID]int{}
	for len(arrived) > 0 {
		handled[<-arrived]++
	}
	for i, row := range rows {
		if n := handled[session.ID("ses_"+row.id)]; n != row.handled {
			t.Errorf("%s: the handler had it %d times, want %d", row.id, n, row.handled)
		}
		if !strings.Contains(got[i].LastError.Detail, row.detail) || strings.Contains(got[i].LastError.Detail, "5555") {
			t.Errorf("%s: the detail is %q", row.id, got[i].LastError.Detail)
		}
		if got[i].QueuedAt.IsZero() || got[i].FailedAt.IsZero() || got[i].Sequence == 0 {
			t.Errorf("%s: when it was is missing: %+v", row.id, got[i])
		}
	}
	if first := got[len(got)-1].FirstError; first.Code != "try_1" {
		t.Errorf("the first error of the exhausted job is %+v", first)
	}
	eventually(t, "the ledger is empty", func() bool {
		keys, err := w.ledger.bucket.Keys(t.Context())
		return err == nil && len(keys) == 0
	})
}

func TestAnUnreadableFactIsInFailedOncePerConsumerAndStaysInEvents(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleMessageReceipt(func(context.Context, events.MessageReceipt) error { return nil }))
	start(t, w)
	m := nats.NewMsg("events.message.cmp_1.receipt")
	m.Header.Set(headerKind, "message_receipt")
	m.Data = []byte(`{"version":2,"campaign_id":"cmp_1"}`)
	if err := bus.publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the fact is in FAILED", func() bool { return len(failedJobs(t, bus)) == 1 })
	entry := failedJobs(t, bus)[0]
	if entry.LastError.Code != "unknown_version" || entry.Consumer != ConsumerProjector || entry.CampaignID != "cmp_1" || string(entry.Payload) != string(m.Data) {
		t.Errorf("FAILED has %+v", entry)
	}
	if found, err := bus.holds(t.Context(), events.StreamEvents, m.Subject); !found || err != nil {
		t.Errorf("the fact is no longer in EVENTS: %v", err)
	}
}

// TestACrashBeforeTheHandlerReturnsEndsInFailed: each worker that gets the job is gone before any of our code can say a word about it.
func TestACrashBeforeTheHandlerReturnsEndsInFailed(t *testing.T) {
	t.Parallel()
	server := newBroker(t)
	options := Options{MaxDeliver: 2}
	started := make(chan struct{}, 10)
	bus := server.connect(options)
	ctx := WithTraceparent(t.Context(), aTraceparent)
	if err := bus.SendCommand(ctx, campaignJob("deadly")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		crashing := server.connect(options)
		w := newWorker(t, crashing, WorkerOptions{})
		handle(t, w.HandleRunCampaign(func(ctx context.Context, _ events.RunCampaign) error {
			started <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}))
		startDoomed(t, w)
		receive(t, "delivery", started)
		crashing.nc.Close()
	}
	// A linker moves it: whoever runs does.
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleLinkSession(func(context.Context, events.LinkSession) error { return nil }))
	handle(t, w.HandleRunCampaign(func(context.Context, events.RunCampaign) error {
		t.Error("the job was delivered a third time")
		return nil
	}))
	start(t, w)
	eventually(t, "the job is in FAILED", func() bool { return len(failedJobs(t, bus)) == 1 })
	eventually(t, "the original is gone", func() bool { return pendingJobs(t, bus) == 0 })
	payload, err := json.Marshal(campaignJob("deadly"))
	if err != nil {
		t.Fatal(err)
	}
	want := []FailedJob{{Version: 2, Subject: "commands.campaign.cmp_deadly", Stream: "COMMANDS", Consumer: "sender", MessageID: "campaign:cmp_deadly:1",
		Headers: map[string]string{headerKind: "run_campaign", headerVersion: "1", headerTrace: aTraceparent}, Payload: payload,
		Kind: "run_campaign", SchemaVersion: 1, SessionID: "ses_1", CampaignID: "cmp_deadly", TraceID: aTraceID, Worker: "worker", Attempts: 2,
		LastError: Failure{Class: fault.Internal, Code: "attempts_exhausted",
			Message: "The job was given to a worker 2 times and none finished it; look for crashes in the log before replaying it"}}}
	if diff := cmp.Diff(want, failedJobs(t, bus), ignoreWhen()); diff != "" {
		t.Errorf("FAILED (-want +got):\n%s", diff)
	}
}

// TestACrashOnTheWayToFailedGivesOneEntry stops a worker between any two steps of giving a job up; another gets the job after the AckWait.
func TestACrashOnTheWayToFailedGivesOneEntry(t *testing.T) {
	t.Parallel()
	refusal := fault.New(fault.Poison, "bad_content", "The job is wrong")
	for name, crash := range map[string]func(*testing.T, *Worker, *job){
		"after the record": func(t *testing.T, w *Worker, j *job) {
			t.Helper()
			j.record.note(failureOf(refusal, time.Now()))
			j.record.Condemned = true
			handle(t, w.ledger.put(t.Context(), j.claim.meta, j.record))
		},
		"after the publish": func(t *testing.T, w *Worker, j *job) {
			t.Helper()
			if v := w.judge(t.Context(), j, refusal); v.action != terminate {
				t.Fatalf("the verdict is %+v", v)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus := newBus(t)
			w := newWorker(t, bus, WorkerOptions{})
			handle(t, w.HandleLinkSession(func(context.Context, events.LinkSession) error {
				t.Error("a job that was given up was run again")
				return nil
			}))
			bucket, err := bus.Bucket(t.Context(), BucketAttempts)
			handle(t, err)
			w.ledger.bucket = bucket
			send(t, bus, link("a"))
			crash(t, w, takeOne(t, w, ConsumerLinker))
			start(t, w)
			eventually(t, "the original is gone", func() bool { return pendingJobs(t, bus) == 0 })
			entries := failedJobs(t, bus)
			if len(entries) != 1 || entries[0].LastError.Code != "bad_content" || entries[0].MessageID != "link:lnk_a" {
				t.Errorf("FAILED has %+v", entries)
			}
		})
	}
}

// takeOne takes a job from the server as a worker would, and never says anything of it.
func takeOne(t *testing.T, w *Worker, name string) *job {
	t.Helper()
	bound, _, err := w.bus.bind(t.Context(), name)
	handle(t, err)
	raw, err := bound.Next()
	handle(t, err)
	meta, err := raw.Metadata()
	handle(t, err)
	held := &claim{bus: w.bus, log: w.log, raw: raw, meta: meta, ackWait: testAckWait}
	t.Cleanup(held.newMessage(t.Context()))
	j := w.open(held)
	j.attempts = 1
	return j
}
