package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// The processes.
const (
	api    = "api"
	linker = "linker"
	sender = "sender"
)

// golden is where the examples are.
const golden = "../../events/testdata"

// word is one type of message.
type word struct {
	// kind is its name on the wire, and that of its golden files.
	kind    string
	message any
	carrier bus.Carrier
	// addresses are the subjects that it goes to, with parameters in braces.
	addresses []string
	// writers and readers are the processes that publish it, and those that take it from a consumer or watch for it.
	writers, readers []string
	// about is for a word whose type is not described by its comment alone.
	about string
}

// words is the table of messages. Subjects are those that the messages themselves give for their parameters.
func words() []word {
	// Senders read every fact, to tell it to webhooks.
	rows := []word{
		{message: events.LinkSession{SessionID: "{session_id}"}, writers: []string{api, linker}, readers: []string{linker}},
		{message: events.RunCampaign{CampaignID: "{campaign_id}"}, writers: []string{api, sender}, readers: []string{sender}},
		{message: events.DeliverWebhook{DeliveryID: "{delivery_id}"}, writers: []string{api, sender}, readers: []string{sender}},
		// The api writes every fact when an operator replays one.
		{message: events.SessionChanged{SessionID: "{session_id}"}, writers: []string{api, sender}, readers: []string{linker, sender}},
		{message: events.LinkChanged{SessionID: "{session_id}"}, writers: []string{api, linker}, readers: []string{api, linker, sender}},
		{message: events.SessionStable{SessionID: "{session_id}"}, writers: []string{api, sender}, readers: []string{sender}},
		{message: events.PhoneOffline{SessionID: "{session_id}"}, writers: []string{api, sender}, readers: []string{sender}},
		{message: events.CampaignChanged{CampaignID: "{campaign_id}"}, writers: []string{api, sender}, readers: []string{sender}},
		{message: events.MessageReceipt{CampaignID: "{campaign_id}"}, writers: []string{api, sender}, readers: []string{sender}},
		{message: events.MessageReceived{SessionID: "{session_id}"}, writers: []string{api, sender}, readers: []string{sender}},
	}
	for i, row := range rows {
		message := row.message.(events.Message)
		rows[i].kind, rows[i].addresses, rows[i].carrier = message.Kind(), []string{message.Subject()}, bus.Facts
		if _, is := message.(events.Command); is {
			rows[i].carrier = bus.Commands
		}
	}
	// The host of a session is a sender; a linker hosts nothing.
	send := []string{events.SendSubject("{session_id}"), events.LookupSubject("{session_id}")}
	return append(rows,
		word{kind: "failed_job", message: events.FailedJob{}, carrier: bus.Failed, addresses: []string{"failed.{subject}"},
			writers: []string{linker, sender}, readers: []string{api}},
		word{kind: "send_request", message: events.SendRequest{}, carrier: bus.Requests, addresses: send, writers: []string{api, sender}, readers: []string{sender},
			about: "Requests on `wa.send` send a message; those on `wa.lookup` only ask which numbers are on WhatsApp, and are the only ones that the api may make."},
		word{kind: "send_reply", message: events.SendReply{}, addresses: nil, writers: []string{sender}, readers: []string{api, sender}},
	)
}

// name is that of the Go type.
func (w word) name() string { return reflect.TypeOf(w.message).Name() }

// example is a message as it is on the wire.
type example struct {
	version int
	payload json.RawMessage
	headers map[string]string
}

// examples reads a word's golden files, in the order of their versions.
func (w word) examples(t *testing.T) []example {
	t.Helper()
	if w.carrier == bus.Failed {
		return []example{failedExample(t)}
	}
	paths, err := filepath.Glob(filepath.Join(golden, w.kind+".v*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s has no golden file (%v)", w.kind, err)
	}
	var found []example
	for _, path := range paths {
		payload, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		version, err := strconv.Atoi(strings.TrimSuffix(path[strings.LastIndex(path, ".v")+2:], ".json"))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, example{version: version, payload: payload, headers: w.headers(t, payload)})
	}
	slices.SortFunc(found, func(a, b example) int { return a.version - b.version })
	return found
}

// versions gives the versions that are in the streams of running systems: one golden file each, and all that a failed job ever had.
func (w word) versions(t *testing.T) []int {
	t.Helper()
	var versions []int
	if w.carrier == bus.Failed {
		for version := range events.FailedJobVersion {
			versions = append(versions, version+1)
		}
		return versions
	}
	for _, e := range w.examples(t) {
		versions = append(versions, e.version)
	}
	return versions
}

const aTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"

// headers gives those of an example, for a command and a fact.
func (w word) headers(t *testing.T, payload []byte) map[string]string {
	t.Helper()
	decoded := reflect.New(reflect.TypeOf(w.message))
	if err := json.Unmarshal(payload, decoded.Interface()); err != nil {
		t.Fatal(err)
	}
	message, is := decoded.Elem().Interface().(events.Message)
	if !is {
		return nil
	}
	return map[string]string{"Nats-Msg-Id": message.MessageID(), "Broadcaster-Kind": message.Kind(),
		"Broadcaster-Version": strconv.Itoa(message.SchemaVersion()), "traceparent": aTrace}
}

// failedExample is the first golden command, given up.
func failedExample(t *testing.T) example {
	t.Helper()
	original := words()[1].examples(t)[0]
	var compact bytes.Buffer
	if err := json.Compact(&compact, original.payload); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 31, 15, 0, time.UTC)
	headers := map[string]string{}
	for name, value := range original.headers {
		if !strings.HasPrefix(name, "Nats-") {
			headers[name] = value
		}
	}
	job := events.FailedJob{Version: events.FailedJobVersion, Subject: "commands.campaign.cmp_0190f3c2-0000-7000-8000-000000000002",
		Stream: events.StreamCommands, Consumer: bus.ConsumerSender, Sequence: 42, MessageID: original.headers["Nats-Msg-Id"], Headers: headers,
		Payload: compact.Bytes(), Kind: "run_campaign", SchemaVersion: 1, SessionID: "ses_0190f3c2-0000-7000-8000-000000000001",
		CampaignID: "cmp_0190f3c2-0000-7000-8000-000000000002", TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", Worker: "sender-1", Attempts: 10,
		QueuedAt: at.Add(-time.Minute), FailedAt: at,
		FirstError: events.Failure{Class: fault.RetryLater, Code: "store_unavailable", Message: "The database did not answer; try again",
			Detail: "read campaign: i/o timeout", At: at.Add(-time.Minute)},
		LastError: events.Failure{Class: fault.Internal, Code: "internal", Message: "Something went wrong",
			Detail: "panic: runtime error: index out of range", At: at}}
	payload, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	return example{version: events.FailedJobVersion, payload: payload, headers: map[string]string{"Nats-Msg-Id": "COMMANDS:42", "traceparent": aTrace}}
}

// TestEveryGoldenFileBelongsToAWord: a new message cannot be forgotten here, because internal/law wants a golden file of each.
func TestEveryGoldenFileBelongsToAWord(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, w := range words() {
		known[w.kind] = true
	}
	paths, err := filepath.Glob(filepath.Join(golden, "*.json"))
	if err != nil || len(paths) < 10 {
		t.Fatalf("%d golden files, %v", len(paths), err)
	}
	for _, path := range paths {
		if kind, _, _ := strings.Cut(filepath.Base(path), ".v"); !known[kind] {
			t.Errorf("%s is no word in this package: add it to words()", path)
		}
	}
}

// TestWordsAreWrittenAndReadByThoseWhoMay compares the table with the rights of the services on the queue.
func TestWordsAreWrittenAndReadByThoseWhoMay(t *testing.T) {
	t.Parallel()
	publish, subscribe := rights(t)
	wildcard := regexp.MustCompile(`\{\w+\}`)
	for _, w := range words() {
		for _, address := range w.addresses {
			subject := wildcard.ReplaceAllString(address, "*")
			if w.carrier == bus.Failed {
				subject = events.AllFailed
			}
			for _, process := range []string{api, linker, sender} {
				if process == api && subject == "wa.send.*" {
					continue // only its questions about numbers, on the other subject
				}
				writes := slices.Contains(w.writers, process) && (process != sender || subject != "wa.lookup.*")
				if may := slices.Contains(publish[process], subject); may != writes {
					t.Errorf("%s writes %s to %s: %v in words(), %v in users.conf", process, w.kind, subject, writes, may)
				}
				if slices.Contains(w.readers, process) && !mayRead(t, w, process, subject, publish[process], subscribe[process]) {
					t.Errorf("%s reads %s in words() and may not by users.conf", process, w.kind)
				}
			}
		}
	}
}

// mayRead tells whether a process may take the messages of a subject: from its consumer, by watching, or one at a time.
func mayRead(t *testing.T, w word, process, subject string, publish, subscribe []string) bool {
	t.Helper()
	for _, consumer := range topology(t).Consumers {
		if within(subject, consumer.Config.FilterSubject) &&
			slices.Contains(publish, fmt.Sprintf("$JS.API.CONSUMER.MSG.NEXT.%s.%s", consumer.Stream, consumer.Config.Durable)) {
			return true
		}
	}
	return slices.ContainsFunc(subscribe, func(filter string) bool { return within(subject, filter) }) ||
		slices.Contains(publish, "$JS.API.STREAM.MSG.GET."+w.carrier.Stream())
}

// within tells whether all of a subject's messages match a filter.
func within(subject, filter string) bool {
	prefix, open := strings.CutSuffix(filter, ">")
	return subject == filter || open && strings.HasPrefix(subject, prefix)
}

// rights reads what each user may publish and subscribe to.
func rights(t *testing.T) (publish, subscribe map[string][]string) {
	t.Helper()
	content, err := os.ReadFile("../../../deployments/nats/users.conf")
	if err != nil {
		t.Fatal(err)
	}
	publish, subscribe = map[string][]string{}, map[string][]string{}
	quoted := regexp.MustCompile(`"([^"]+)"`)
	var user string
	into := publish
	for line := range strings.Lines(string(content)) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		if name, is := strings.CutPrefix(line, "user: "); is {
			user = strings.TrimSpace(name)
		}
		switch {
		case strings.HasPrefix(line, "publish:"):
			into = publish
		case strings.HasPrefix(line, "subscribe:"):
			into = subscribe
		}
		for _, found := range quoted.FindAllStringSubmatch(line, -1) {
			into[user] = append(into[user], found[1])
		}
	}
	for _, process := range []string{api, linker, sender} {
		if len(publish[process]) < 10 || len(subscribe[process]) == 0 {
			t.Fatalf("users.conf gives %s %d subjects to publish and %d to subscribe to: this test cannot read it any more", process,
				len(publish[process]), len(subscribe[process]))
		}
	}
	return publish, subscribe
}

// topology is that of a fleet with the defaults.
func topology(t *testing.T) bus.Topology {
	t.Helper()
	described, err := bus.Describe(bus.Options{Name: "contract", URL: "nats://localhost:4222"})
	if err != nil {
		t.Fatal(err)
	}
	return described
}
