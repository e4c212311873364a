package contract

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/bus/embed"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

const testTimeout = 30 * time.Second

// stored is a message as the server gives it to any client ($JS.API.STREAM.MSG.GET), which is what `nats stream get` asks for.
type stored struct {
	Subject string `json:"subject"`
	Headers []byte `json:"hdrs"`
	Data    []byte `json:"data"`
}

// stranger is a client that knows NATS and JSON, and nothing of ours.
type stranger struct {
	t  *testing.T
	nc *nats.Conn
	js jetstream.JetStream
}

// newQueue starts a server with the topology, a bus, and a stranger beside it.
func newQueue(t *testing.T) (*bus.Bus, stranger) {
	t.Helper()
	server, err := embed.Start(embed.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	queue, err := bus.Connect(t.Context(), bus.Options{Name: "worker", Server: server, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := queue.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := queue.EnsureTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("", nats.InProcessServer(server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return queue, stranger{t: t, nc: nc, js: js}
}

// last reads the newest message of a subject.
func (s stranger) last(stream, subject string) (stored, nats.Header) {
	s.t.Helper()
	question, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := s.nc.Request("$JS.API.STREAM.MSG.GET."+stream, question, testTimeout)
	if err != nil {
		s.t.Fatal(err)
	}
	var found struct {
		Message stored `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &found); err != nil || found.Message.Subject == "" {
		s.t.Fatalf("%s in %s: %v, %s", subject, stream, err, answer.Data)
	}
	headers, err := nats.DecodeHeadersMsg(found.Message.Headers)
	if err != nil {
		s.t.Fatal(err)
	}
	return found.Message, headers
}

// await waits for the first message of a subject by an ephemeral consumer, as `nats stream view` has one.
func (s stranger) await(ctx context.Context, stream, subject string) {
	s.t.Helper()
	reader, err := s.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := reader.Next(jetstream.FetchMaxWait(testTimeout)); err != nil {
		s.t.Fatalf("%s in %s: %v", subject, stream, err)
	}
}

// TestAStrangerReadsTheStreams: whoever can read NATS and JSON reads COMMANDS, EVENTS and FAILED; the bodies are what docs/asyncapi.json says, and
// the headers those of the table.
func TestAStrangerReadsTheStreams(t *testing.T) {
	t.Parallel()
	queue, reader := newQueue(t)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	failLinks(ctx, t, queue)
	at := time.Date(2026, 3, 1, 12, 30, 15, 0, time.UTC)
	must(t, queue.SendCommand(ctx, events.LinkSession{Version: 1, SessionID: "ses_1", LinkID: "lnk_1", Method: "qr", RequestedAt: at}))
	must(t, queue.SendCommand(ctx, events.RunCampaign{Version: 1, CampaignID: "cmp_1", SessionID: "ses_1", Slice: 1, RequestedAt: at}))
	waiting := events.RunCampaign{Version: 2, CampaignID: "cmp_2", SessionID: "ses_1", Slice: 1, RequestedAt: at, Due: at}
	must(t, queue.ScheduleCommand(ctx, waiting, time.Now().Add(time.Hour)))
	waiting.CampaignID = "cmp_3"
	must(t, queue.ScheduleCommand(ctx, waiting, time.Now()))
	must(t, queue.PublishFact(ctx, events.PhoneOffline{Version: 1, SessionID: "ses_1", UserID: "u", Attention: "warn", At: at}))
	reader.await(ctx, events.StreamFailed, "failed.commands.link.ses_1")
	for _, row := range []struct {
		stream, subject, schema string
		carrier                 bus.Carrier
	}{
		{"COMMANDS", "commands.campaign.cmp_1", "RunCampaign", bus.Commands},
		{"COMMANDS", "commands.schedule.cmp_2", "RunCampaign", bus.Scheduled},
		{"EVENTS", "events.session.ses_1.phone", "PhoneOffline", bus.Facts},
		{"FAILED", "failed.commands.link.ses_1", "FailedJob", bus.Failed},
	} {
		message, headers := reader.last(row.stream, row.subject)
		checkBody(t, row.schema, message.Data)
		checkHeaders(t, row.subject, row.carrier, headers)
	}
	message, headers := reader.last("FAILED", "failed.commands.link.ses_1")
	checkFailed(t, message.Data)
	if id := headers.Get("Nats-Msg-Id"); id != "COMMANDS:1" {
		t.Errorf("the failed job has the id %q", id)
	}
	awaitDue(t, reader, "commands.campaign.cmp_3")
	message, headers = reader.last("COMMANDS", "commands.campaign.cmp_3")
	checkBody(t, "RunCampaign", message.Data)
	checkHeaders(t, "a command whose time has come", bus.Commands, headers)
	if headers.Get("Nats-Msg-Id") != "" || headers.Get("Nats-Scheduler") != "commands.schedule.cmp_3" {
		t.Errorf("a command whose time has come has the headers %v; docs/queues.md says otherwise", headers)
	}
}

// TestAViewOfCommandsIsRefused: COMMANDS is a work queue, and a reader that takes what it sees would take jobs away. The server sees to that.
func TestAViewOfCommandsIsRefused(t *testing.T) {
	t.Parallel()
	_, reader := newQueue(t)
	_, err := reader.js.CreateConsumer(t.Context(), events.StreamCommands, jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy})
	var refused *jetstream.APIError
	if !errors.As(err, &refused) {
		t.Errorf("a consumer that only looks at COMMANDS: %v", err)
	}
}

// failLinks runs a worker whose links fail for good, until the test ends.
func failLinks(ctx context.Context, t *testing.T, queue *bus.Bus) {
	t.Helper()
	worker, err := queue.NewWorker(bus.WorkerOptions{})
	must(t, err)
	must(t, worker.HandleLinkSession(func(context.Context, events.LinkSession) error {
		return fault.Wrap(errors.New("no such method"), fault.Poison, "unlinkable", "It cannot be linked")
	}))
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// awaitDue waits until the server has published a command whose time has come. It asks again and again: a work queue lets nobody watch.
func awaitDue(t *testing.T, reader stranger, subject string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	stream, err := reader.js.Stream(ctx, events.StreamCommands)
	must(t, err)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		_, err := stream.GetLastMsgForSubject(ctx, subject)
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("%s never came: %v", subject, err)
		}
	}
}

// checkBody validates a body with the published schema.
func checkBody(t *testing.T, schema string, body []byte) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(body)))
	if err != nil {
		t.Fatalf("%s is not JSON: %v", schema, err)
	}
	if err := compile(t, decoded(t), "#/components/schemas/"+schema).Validate(value); err != nil {
		t.Errorf("%s: %v", schema, err)
	}
}

// checkHeaders compares the headers of a message with the table: those that are always there, and none that is not in it.
func checkHeaders(t *testing.T, what string, carrier bus.Carrier, headers nats.Header) {
	t.Helper()
	var allowed []string
	for _, header := range topology(t).Headers {
		always := slices.Contains(header.On, carrier)
		if _, has := headers[header.Name]; always && !has {
			t.Errorf("%s has no %s", what, header.Name)
		}
		if always || slices.Contains(header.Sometimes, carrier) {
			allowed = append(allowed, header.Name)
		}
	}
	for name := range maps.Keys(headers) {
		if !slices.Contains(allowed, name) {
			t.Errorf("%s has the header %s, which is not in the table", what, name)
		}
	}
}

// checkFailed reads a failed job as a stranger does, down to its payload.
func checkFailed(t *testing.T, body []byte) {
	t.Helper()
	var entry struct {
		Version   int             `json:"version"`
		Subject   string          `json:"subject"`
		Payload   json.RawMessage `json:"payload"`
		LastError struct {
			Class, Code, Message string
		} `json:"last_error"`
	}
	must(t, json.Unmarshal(body, &entry))
	payload := []byte(entry.Payload)
	if entry.Version == 1 {
		var text string
		must(t, json.Unmarshal(payload, &text))
		var err error
		payload, err = base64.StdEncoding.DecodeString(text)
		must(t, err)
	}
	checkBody(t, "LinkSession", payload)
	if entry.Subject != "commands.link.ses_1" || entry.LastError.Class != "poison" || entry.LastError.Code != "unlinkable" {
		t.Errorf("the failed job says %+v", entry)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
