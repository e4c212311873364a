package events

import (
	"bytes"
	"encoding/json"
	"errors"
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

	"github.com/google/go-cmp/cmp"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

var (
	at    = time.Date(2026, 3, 1, 12, 30, 15, 250_000_000, time.UTC)
	later = at.Add(time.Minute)
)

const (
	aSession  session.ID  = "ses_0190f3c2-0000-7000-8000-000000000001"
	aCampaign campaign.ID = "cmp_0190f3c2-0000-7000-8000-000000000002"
)

// messages has every command and fact with every field filled, and where it goes on the wire. These addresses are fixed: a worker of
// the version before must find the message, and the server must know a repeated one.
var messages = []struct {
	message   Message
	subject   string
	messageID string
}{
	{LinkSession{Version: LinkSessionAgainVersion, SessionID: aSession, LinkID: "lnk_1", Method: session.MethodCode, Phone: "+5491155550101", RequestedAt: at,
		Due: later}, "commands.link." + string(aSession), "link:lnk_1:1772368275250"},
	{RunCampaign{Version: RunCampaignDueVersion, CampaignID: aCampaign, SessionID: aSession, Slice: 3, RequestedAt: at, Due: later},
		"commands.campaign." + string(aCampaign), "campaign:" + string(aCampaign) + ":3:" + strconv.FormatInt(later.UnixMilli(), 10)},
	{SessionChanged{Version: FactVersion, SessionID: aSession, UserID: "user-1", State: session.Paused, Reason: "reachout_timelock", Until: later, At: at},
		"events.session." + string(aSession) + ".state", "e546110796f25279d55389116100e1e3"},
	{LinkChanged{Version: FactVersion, SessionID: aSession, UserID: "user-1", LinkID: "lnk_1", State: "qr", Reason: "qr_shown", QRIndex: 2,
		Deadline: later, At: at},
		"events.session." + string(aSession) + ".link", "26c8b776ef499f6d1d2b2f1d8a67cbf9"},
	{CampaignChanged{Version: FactVersion, CampaignID: aCampaign, SessionID: aSession, UserID: "user-1", State: campaign.Paused, Reason: "logged_out", At: at},
		"events.campaign." + string(aCampaign) + ".state", "2eb8a990ace91eb901c47a2c710a8945"},
	{MessageReceipt{Version: FactVersion, SessionID: aSession, CampaignID: aCampaign, MessageIDs: []string{"3EB0000000000000000001", "3EB0000000000000000002"},
		Receipt: session.ReceiptRead, At: at},
		"events.message." + string(aCampaign) + ".receipt", "063317736d443a478ad5ba56415de4dc"},
	{MessageReceived{Version: FactVersion, SessionID: aSession, MessageIn: "3A00000000000000000A", Phone: "+5491155550101",
		LID: "1234@lid", Text: "¡Gracias, ahí estaré!", At: at},
		"events.session." + string(aSession) + ".inbound", "27d6ea31a0a9c4a9bca72c70efe0dfd8"},
	{SessionStable{Version: FactVersion, SessionID: aSession, UserID: "user-1", Since: at, At: later},
		"events.session." + string(aSession) + ".stable", "0b5b6c6812bfe1243e7661f564f59124"},
	{DeliverWebhook{Version: DeliverWebhookVersion, SubscriptionID: "whk_1", DeliveryID: "whd_1", FactID: "f1", FactKind: "campaign_changed",
		Fact: json.RawMessage(`{"version":1,"campaign_id":"cmp_1"}`), OccurredAt: at, RequestedAt: later}, "commands.webhook.whd_1", "webhook:whk_1:f1"},
	{PhoneOffline{Version: FactVersion, SessionID: aSession, UserID: "user-1", Attention: session.AttentionWarn, SeenAt: at, At: later},
		"events.session." + string(aSession) + ".phone", "072cb505527eeb5a8c622c18fbce576b"},
}

// firstVersions are messages of an earlier shape that are still published and read.
var firstVersions = []struct {
	message   Message
	messageID string
}{
	{LinkSession{Version: LinkSessionVersion, SessionID: aSession, LinkID: "lnk_1", Method: session.MethodCode, Phone: "+5491155550101", RequestedAt: at}, "link:lnk_1"},
	{RunCampaign{Version: RunCampaignVersion, CampaignID: aCampaign, SessionID: aSession, Slice: 3, RequestedAt: at}, "campaign:" + string(aCampaign) + ":3"},
}

// answers are the messages of the one request, which have no subject of their own kind.
var answers = map[string]any{
	"send_request": SendRequest{Version: 1, SessionID: aSession, CampaignID: aCampaign, MessageID: "3EB0000000000000000001",
		Phone: "+5491155550101", Text: "Hola José", Attachment: campaign.Attachment{ID: "med_1", Kind: campaign.Image}, Typing: true,
		Limits:   campaign.Limits{MinGap: time.Second, MaxGap: 2 * time.Second, Hourly: 1, Daily: 2, DailyNew: 3, RestEvery: 4, RestFor: time.Minute},
		NotAfter: later, Preview: session.Preview{URL: "https://example.com", Title: "Title", Description: "Words"}, WarmOnly: true,
		Lookup: []string{"+5491155550102"}},
	"send_reply": SendReply{SentAt: at, Class: fault.PauseSession, Code: "temporary_ban", Message: "WhatsApp paused the account; wait",
		RetryAfter: time.Minute, Until: later,
		Lookups: []campaign.Lookup{{Phone: "+5491155550102", Canonical: "+5491155550103", Exists: true, At: at}}},
}

func TestShapesAreThoseOfTheGoldenFiles(t *testing.T) {
	t.Parallel()
	for _, row := range messages {
		name := fmt.Sprintf("%s.v%d.json", row.message.Kind(), row.message.SchemaVersion())
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkGolden(t, name, row.message)
		})
	}
	for kind, answer := range answers {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			checkGolden(t, kind+".v1.json", answer)
		})
	}
}

// checkGolden compares what a message is on the wire with its golden file, and reads that file back.
func checkGolden(t *testing.T, name string, message any) {
	t.Helper()
	value := reflect.ValueOf(message)
	for i := range value.NumField() {
		if value.Field(i).IsZero() {
			t.Errorf("%s.%s is empty in this test; fill it, so that its shape is seen", value.Type().Name(), value.Type().Field(i).Name)
		}
	}
	want := compareGolden(t, name, message)
	decoded := reflect.New(value.Type())
	strict := json.NewDecoder(bytes.NewReader(want))
	strict.DisallowUnknownFields()
	if err := strict.Decode(decoded.Interface()); err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	if diff := cmp.Diff(message, decoded.Elem().Interface(), withoutSpaces()); diff != "" {
		t.Errorf("%s does not come back from %s (-sent +read):\n%s", value.Type().Name(), name, diff)
	}
}

// compareGolden compares what a word is on the wire with its golden file, and gives what that file holds.
func compareGolden(t *testing.T, name string, message any) []byte {
	t.Helper()
	got, err := json.MarshalIndent(message, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run `make update-golden` and commit the file", err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
		t.Errorf("%s has another shape than %s (-file +code). Messages of the old shape are in the streams of running systems: raise the version and keep "+
			"reading the old one, then run `make update-golden`.\n%s", reflect.TypeOf(message).Name(), path, diff)
	}
	return want
}

// withoutSpaces compares JSON inside a message by what it says: a golden file is indented.
func withoutSpaces() cmp.Option {
	return cmp.Transformer("compact", func(raw json.RawMessage) string {
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw); err != nil {
			return err.Error()
		}
		return compact.String()
	})
}

func TestEveryGoldenFileIsChecked(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != len(messages)+len(firstVersions)+len(answers)+1 {
		t.Errorf("%d golden files, %d messages, %d of earlier shapes, %d answers and the failed job, %v", len(files), len(messages), len(firstVersions), len(answers), err)
	}
}

// TestFirstVersionsAreStillReadAndWritten: a rolling deployment has workers of both versions.
func TestFirstVersionsAreStillReadAndWritten(t *testing.T) {
	t.Parallel()
	for _, row := range firstVersions {
		golden, err := os.ReadFile(filepath.Join("testdata", fmt.Sprintf("%s.v%d.json", row.message.Kind(), row.message.SchemaVersion())))
		if err != nil {
			t.Fatal(err)
		}
		written, err := json.MarshalIndent(row.message, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimSpace(string(golden)), string(written)); diff != "" {
			t.Errorf("%s (-file +code):\n%s", row.message.Kind(), diff)
		}
		if err := row.message.Validate(); err != nil || row.message.MessageID() != row.messageID {
			t.Errorf("%s: %v, id %q, want %q", row.message.Kind(), err, row.message.MessageID(), row.messageID)
		}
	}
}

func TestAddressesAreFixed(t *testing.T) {
	t.Parallel()
	for _, row := range messages {
		if got := row.message.Subject(); got != row.subject {
			t.Errorf("%s goes to %q, want %q", row.message.Kind(), got, row.subject)
		}
		if got := row.message.MessageID(); got != row.messageID {
			t.Errorf("%s has the id %q, want %q: the same message published by two versions would count twice", row.message.Kind(), got, row.messageID)
		}
	}
	if got, want := SendSubject(aSession), "wa.send."+string(aSession); got != want {
		t.Errorf("requests go to %q, want %q", got, want)
	}
}

// token is what a part of a NATS subject may be, without its wildcards and separators.
var token = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func TestSubjectsAreSafeAndMatchTheirFilters(t *testing.T) {
	t.Parallel()
	filters := map[string]string{"link_session": LinkCommands, "run_campaign": CampaignCommands, "deliver_webhook": WebhookCommands}
	for _, row := range messages {
		for _, part := range strings.Split(row.message.Subject(), ".") {
			if !token.MatchString(part) {
				t.Errorf("%s: the subject %q has the part %q", row.message.Kind(), row.message.Subject(), part)
			}
		}
		filter := filters[row.message.Kind()]
		if filter == "" {
			filter = AllEvents
		}
		if prefix, ok := strings.CutSuffix(filter, ">"); !ok || !strings.HasPrefix(row.message.Subject(), prefix) {
			t.Errorf("%s: the subject %q does not match %q", row.message.Kind(), row.message.Subject(), filter)
		}
	}
	fresh := []string{LinkSession{SessionID: session.NewID()}.Subject(), RunCampaign{CampaignID: campaign.NewID()}.Subject(), SendSubject(session.NewID())}
	for _, subject := range fresh {
		if parts := strings.Split(subject, "."); len(parts) != 3 || !token.MatchString(parts[2]) {
			t.Errorf("a new id makes the subject %q", subject)
		}
	}
}

func TestKindsAreDistinct(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, row := range messages {
		kind := row.message.Kind()
		if seen[kind] || !token.MatchString(kind) {
			t.Errorf("kind %q", kind)
		}
		seen[kind] = true
		_, isCommand := row.message.(Command)
		_, isFact := row.message.(Fact)
		if isCommand == isFact || isCommand != strings.HasPrefix(row.message.Subject(), "commands.") {
			t.Errorf("%s: command %v, fact %v, subject %q", kind, isCommand, isFact, row.message.Subject())
		}
	}
}

// TestOneIntentionIsOneMessage: which changes make another message, and which do not.
func TestOneIntentionIsOneMessage(t *testing.T) {
	t.Parallel()
	link := LinkSession{SessionID: aSession, LinkID: "lnk_1", RequestedAt: at}
	run := RunCampaign{CampaignID: aCampaign, Slice: 1, RequestedAt: at}
	state := SessionChanged{SessionID: aSession, State: session.Ready, At: at}
	step := LinkChanged{LinkID: "lnk_1", State: "qr", QRIndex: 1, At: at}
	change := CampaignChanged{CampaignID: aCampaign, State: campaign.Paused, At: at}
	receipt := MessageReceipt{SessionID: aSession, MessageIDs: []string{"a", "b"}, Receipt: session.ReceiptDelivered, At: at}
	inbound := MessageReceived{SessionID: aSession, MessageIn: "1", At: at}
	rows := []struct {
		name  string
		a, b  Message
		equal bool
	}{
		{"a link asked again", link, with(link, func(m *LinkSession) { m.RequestedAt = later }), true},
		{"a link that had to wait", link, with(link, func(m *LinkSession) { m.Due = later }), false},
		{"another link", link, with(link, func(m *LinkSession) { m.LinkID = "lnk_2" }), false},
		{"a slice queued again", run, with(run, func(m *RunCampaign) { m.RequestedAt = later }), true},
		{"the next slice", run, with(run, func(m *RunCampaign) { m.Slice = 2 }), false},
		{"another campaign", run, with(run, func(m *RunCampaign) { m.CampaignID = "cmp_2" }), false},
		{"the same change", state, state, true},
		{"the same state, later", state, with(state, func(m *SessionChanged) { m.At = later }), false},
		{"another state", state, with(state, func(m *SessionChanged) { m.State = session.Offline }), false},
		{"another reason", state, with(state, func(m *SessionChanged) { m.Reason = "x" }), false},
		{"another session", state, with(state, func(m *SessionChanged) { m.SessionID = "ses_2" }), false},
		{"the next code", step, with(step, func(m *LinkChanged) { m.QRIndex = 2 }), false},
		{"the next step", step, with(step, func(m *LinkChanged) { m.State = "paired" }), false},
		{"a campaign's next state", change, with(change, func(m *CampaignChanged) { m.State = campaign.Queued }), false},
		{"a receipt reported later again", receipt, with(receipt, func(m *MessageReceipt) { m.At = later }), true},
		{"another kind of receipt", receipt, with(receipt, func(m *MessageReceipt) { m.Receipt = session.ReceiptRead }), false},
		{"a receipt of other messages", receipt, with(receipt, func(m *MessageReceipt) { m.MessageIDs = []string{"ab"} }), false},
		{"an inbound message reported again", inbound, with(inbound, func(m *MessageReceived) { m.At = later }), true},
		{"another inbound message", inbound, with(inbound, func(m *MessageReceived) { m.MessageIn = "2" }), false},
	}
	for _, row := range rows {
		if equal := row.a.MessageID() == row.b.MessageID(); equal != row.equal {
			t.Errorf("%s: ids %q and %q", row.name, row.a.MessageID(), row.b.MessageID())
		}
	}
}

// with gives a message with a change.
func with[M any](message M, change func(*M)) M {
	change(&message)
	return message
}

func TestMessagesThatNobodyCouldReadArePoison(t *testing.T) {
	t.Parallel()
	link, run := messages[0].message.(LinkSession), messages[1].message.(RunCampaign)
	step, receipt := messages[3].message.(LinkChanged), messages[5].message.(MessageReceipt)
	inbound := messages[6].message.(MessageReceived)
	rows := []struct {
		name    string
		message Message
		code    string
	}{
		{"a link by QR", with(link, func(c *LinkSession) { c.Method, c.Phone = session.MethodQR, "" }), ""},
		{"a link without version", with(link, func(c *LinkSession) { c.Version = 0 }), "unknown_version"},
		{"a link of tomorrow", with(link, func(c *LinkSession) { c.Version++ }), "unknown_version"},
		{"a link without its id", with(link, func(c *LinkSession) { c.LinkID = "" }), "incomplete_message"},
		{"a link whose id is two lines", with(link, func(c *LinkSession) { c.LinkID = "lnk\nNats-Rollup: all" }), "unsafe_id"},
		{"a run of tomorrow", with(run, func(c *RunCampaign) { c.Version++ }), "unknown_version"},
		{"a run of no session", with(run, func(c *RunCampaign) { c.SessionID = "" }), "incomplete_message"},
		{"a run of no slice", with(run, func(c *RunCampaign) { c.Slice = 0 }), "incomplete_message"},
		{"a fact without version", with(step, func(f *LinkChanged) { f.Version = 0 }), "unknown_version"},
		{"a fact of tomorrow", with(step, func(f *LinkChanged) { f.Version = FactVersion + 1 }), "unknown_version"},
		{"a step of no link", with(step, func(f *LinkChanged) { f.LinkID = "" }), "incomplete_message"},
		{"a receipt of no session", with(receipt, func(f *MessageReceipt) { f.SessionID = "" }), "incomplete_message"},
		{"a receipt of nothing", with(receipt, func(f *MessageReceipt) { f.MessageIDs = nil }), "incomplete_message"},
		{"a receipt of a message without id", with(receipt, func(f *MessageReceipt) { f.MessageIDs = []string{"a", ""} }), "incomplete_message"},
		{"an inbound message without id", with(inbound, func(f *MessageReceived) { f.MessageIn = "" }), "incomplete_message"},
		{"an inbound message with WhatsApp's own id", with(inbound, func(f *MessageReceived) { f.MessageIn = "3EB0.x y" }), ""},
	}
	rows = append(rows, refusedWebhooks()...)
	for _, row := range messages {
		checkRefusal(t, "a whole "+row.message.Kind(), row.message, "")
	}
	for _, row := range rows {
		checkRefusal(t, row.name, row.message, row.code)
	}
}

// checkRefusal validates a message; an empty code stands for a good one.
func checkRefusal(t *testing.T, name string, message Message, code string) {
	t.Helper()
	err := message.Validate()
	if code == "" {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	var problem *fault.Error
	if !errors.As(err, &problem) || problem.Class != fault.Poison || problem.Code != code || !strings.Contains(problem.Message, message.Kind()) {
		t.Errorf("%s: %v, want %s", name, err, code)
	}
}

// TestAnIDCannotChangeTheSubject goes over every message with every id that is no token in the place that its subject is made of.
func TestAnIDCannotChangeTheSubject(t *testing.T) {
	t.Parallel()
	unsafe := map[string]string{"": "incomplete_message", "a.b": "unsafe_id", "a b": "unsafe_id", "*": "unsafe_id", ">": "unsafe_id", "a\tb": "unsafe_id",
		"a\r\nb": "unsafe_id", "ñ": "unsafe_id", "\xff": "unsafe_id", strings.Repeat("a", maxIDBytes+1): "unsafe_id"}
	for id, code := range unsafe {
		for _, row := range messages {
			changed := reflect.New(reflect.TypeOf(row.message)).Elem()
			changed.Set(reflect.ValueOf(row.message))
			placed := 0
			for i := range changed.NumField() {
				if old := changed.Field(i); old.Kind() == reflect.String && slices.Contains(strings.Split(row.subject, "."), old.String()) {
					old.SetString(id)
					placed++
				}
			}
			message, ok := changed.Interface().(Message)
			if !ok || placed != 1 {
				t.Fatalf("%s: %d fields stand in its subject", row.message.Kind(), placed)
			}
			checkRefusal(t, fmt.Sprintf("%s with the id %.20q", message.Kind(), id), message, code)
			if err := message.Validate(); id != "" && strings.Contains(err.Error(), id) && len(id) > 2 {
				t.Errorf("%s: the error shows the id: %v", message.Kind(), err)
			}
		}
		if err := (SendRequest{SessionID: session.ID(id), MessageID: "m"}).Validate(); fault.Of(err) != fault.Poison {
			t.Errorf("a send request with the session id %.20q: %v", id, err)
		}
	}
	if err := (SendRequest{SessionID: aSession, MessageID: "m"}).Validate(); err != nil {
		t.Error(err)
	}
	if err := (SendRequest{SessionID: aSession}).Validate(); fault.Of(err) != fault.Poison {
		t.Errorf("a send request without message id: %v", err)
	}
}

// TestWhatIsNotThereIsNotWritten: an absent time is absent on the wire, not the year 1.
func TestWhatIsNotThereIsNotWritten(t *testing.T) {
	t.Parallel()
	rows := []struct {
		message any
		want    string
	}{
		{LinkSession{}, `{"version":0,"session_id":"","link_id":"","method":"","requested_at":"0001-01-01T00:00:00Z"}`},
		{SessionChanged{At: at}, `{"version":0,"session_id":"","user_id":"","state":"","at":"2026-03-01T12:30:15.25Z"}`},
		{LinkChanged{At: at}, `{"version":0,"session_id":"","user_id":"","link_id":"","state":"","at":"2026-03-01T12:30:15.25Z"}`},
		{CampaignChanged{At: at}, `{"version":0,"campaign_id":"","session_id":"","user_id":"","state":"","at":"2026-03-01T12:30:15.25Z"}`},
		{MessageReceived{At: at}, `{"version":0,"session_id":"","message_id":"","text":"","at":"2026-03-01T12:30:15.25Z"}`},
		{SendRequest{}, `{"version":0,"session_id":"","message_id":"","phone":"","text":""}`},
		{SendReply{}, `{}`},
	}
	for _, row := range rows {
		got, err := json.Marshal(row.message)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(row.want, string(got)); diff != "" {
			t.Errorf("%T (-want +got):\n%s", row.message, diff)
		}
	}
}

func TestAFailureSurvivesTheAnswer(t *testing.T) {
	t.Parallel()
	for _, class := range fault.Classes() {
		sent := fault.Wrap(errors.New("socket of +5491155550101 closed"), class, "some_code", "Something happened; wait").WithAfter(time.Second).WithUntil(later)
		wire, err := json.Marshal(FailedReply(fmt.Errorf("send: %w", sent)))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(wire, []byte("5555")) {
			t.Errorf("%s: the cause goes over the wire: %s", class, wire)
		}
		var reply SendReply
		if err := json.Unmarshal(wire, &reply); err != nil {
			t.Fatal(err)
		}
		var got *fault.Error
		if !errors.As(reply.Err(), &got) || got.Class != class || got.Code != "some_code" || got.Message != "Something happened; wait" ||
			got.After != time.Second || !got.Until.Equal(later) {
			t.Errorf("%s comes back as %+v", class, got)
		}
	}
	if err := (SendReply{SentAt: at}).Err(); err != nil {
		t.Errorf("a sent message answers %v", err)
	}
	if got := FailedReply(errors.New("password=hunter2")); got.Class != fault.Internal || strings.Contains(got.Message, "hunter2") {
		t.Errorf("an unclassified error answers %+v", got)
	}
}

// refusal is a message and the code that it is refused with.
type refusal = struct {
	name    string
	message Message
	code    string
}

func refusedWebhooks() []refusal {
	good := NewDeliverWebhook("whk_1", Occurrence{Kind: "session_stable", MessageID: "f1", Data: json.RawMessage(`{}`), At: at}, later)
	return []refusal{
		{"a delivery", good, ""},
		{"a delivery of tomorrow", with(good, func(c *DeliverWebhook) { c.Version++ }), "unknown_version"},
		{"a delivery to nobody", with(good, func(c *DeliverWebhook) { c.SubscriptionID = "" }), "incomplete_message"},
		{"a delivery of no kind", with(good, func(c *DeliverWebhook) { c.FactKind = "a b" }), "unsafe_id"},
		{"a delivery of half a fact", with(good, func(c *DeliverWebhook) { c.Fact = json.RawMessage(`{"version":`) }), "incomplete_message"},
		{"a delivery of an unknown fact", with(good, func(c *DeliverWebhook) { c.FactID = "" }), "incomplete_message"},
	}
}

// TestADeliveryIsTheSameHoweverOftenItIsMade: receivers know a repeated one by its id.
func TestADeliveryIsTheSameHoweverOftenItIsMade(t *testing.T) {
	t.Parallel()
	fact := Occurrence{Kind: "session_stable", MessageID: "f1", Data: json.RawMessage(`{}`), At: at}
	first, again, other := NewDeliverWebhook("whk_1", fact, at), NewDeliverWebhook("whk_1", fact, later), NewDeliverWebhook("whk_2", fact, at)
	if first.DeliveryID != again.DeliveryID || first.MessageID() != again.MessageID() || first.DeliveryID == other.DeliveryID || first.MessageID() == other.MessageID() {
		t.Errorf("%s, %s, %s", first.DeliveryID, again.DeliveryID, other.DeliveryID)
	}
	for name, occurrence := range map[string]Occurrence{"no kind": {MessageID: "f", Data: fact.Data}, "no id": {Kind: "k", Data: fact.Data},
		"half a fact": {Kind: "k", MessageID: "f", Data: json.RawMessage(`{`)}, "two words": {Kind: "a b", MessageID: "f", Data: fact.Data}} {
		if err := occurrence.Validate(); fault.Of(err) != fault.Poison {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := fact.Validate(); err != nil {
		t.Error(err)
	}
}
