package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"go.uber.org/goleak"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/api"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is the queue's side of the API: what was published, in order. The queue itself is tested in internal/bus.
type recorder struct {
	mu       sync.Mutex
	commands []events.Command
	facts    []events.Fact
	// scheduled has the times of commands that wait.
	scheduled []time.Time
	broken    error
}

func (r *recorder) SendCommand(_ context.Context, command events.Command) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken == nil {
		r.commands = append(r.commands, command)
	}
	return r.broken
}

func (r *recorder) ScheduleCommand(_ context.Context, command events.Command, at time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken == nil {
		r.scheduled = append(r.scheduled, at)
	}
	_ = command
	return r.broken
}

// RequestSend answers as a session that nobody hosts.
func (r *recorder) RequestSend(context.Context, events.SendRequest) (events.SendReply, error) {
	return events.SendReply{}, fault.New(fault.RetryLater, "session_not_hosted", "Nobody is there")
}

func (r *recorder) PublishFact(_ context.Context, fact events.Fact) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken == nil {
		r.facts = append(r.facts, fact)
	}
	return r.broken
}

type prompts map[session.ID]session.Prompt

func (p prompts) Get(_ context.Context, id session.ID) (session.Prompt, bool, error) {
	prompt, found := p[id]
	return prompt, found, nil
}

// answers keeps what was given.
type answers struct {
	mu    sync.Mutex
	given []session.Answer
}

func (a *answers) Give(_ context.Context, _ session.ID, answer session.Answer) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.given = append(a.given, answer)
	return nil
}

// watcher lets a test nudge who watches.
type watcher struct {
	mu      sync.Mutex
	changed map[int]func(string, []byte)
	count   int
}

func (w *watcher) Watch(_ context.Context, _ string, changed func(string, []byte)) (func(), error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
	number := w.count
	w.changed[number] = changed
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.changed, number)
	}, nil
}

func (w *watcher) nudge() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, changed := range w.changed {
		changed("", nil)
	}
}

// fixture is an API over a real store.
type fixture struct {
	options api.Options
	t       testing.TB
	server  *httptest.Server
	store   *sqlite.DB
	queue   *recorder
	prompts prompts
	answers *answers
	watcher *watcher
	links   *pace.Links
	api     *api.API
	// book has the API's keys, admin is one that may everything.
	book  *access.Book
	admin string
	// key is the Idempotency-Key of the next requests.
	key string
}

// asAdmin gives requests that show no credential that of an administrator, so that a test about something else need not think of keys.
func asAdmin(next http.Handler, admin string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			r.Header.Set("Authorization", "Bearer "+admin)
		}
		next.ServeHTTP(w, r)
	})
}

// newBook gives a book of keys over a store, with an admin key.
func newBook(t testing.TB, documents store.Documents) (book *access.Book, admin string) {
	t.Helper()
	book, err := access.New(access.Options{Documents: documents})
	if err != nil {
		t.Fatal(err)
	}
	_, admin, err = book.Create(t.Context(), access.Caller{Key: access.Terminal, Role: access.Admin}, access.Wanted{Name: "Test", Role: access.Admin})
	if err != nil {
		t.Fatal(err)
	}
	return book, admin
}

func start(t *testing.T, change func(*api.Options)) *fixture {
	t.Helper()
	return startWith(t, func(options *api.Options, _ *sqlite.DB) {
		if change != nil {
			change(options)
		}
	})
}

// startWith is start for what needs the database too.
func startWith(t testing.TB, change func(*api.Options, *sqlite.DB)) *fixture {
	t.Helper()
	database, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, store: database, queue: &recorder{}, prompts: prompts{}, answers: &answers{}, watcher: &watcher{changed: map[int]func(string, []byte){}}}
	if f.links, err = pace.NewLinks(pace.LinksOptions{Bucket: &pace.Memory{}, Rules: pace.DefaultRules()}); err != nil {
		t.Fatal(err)
	}
	options := api.Options{Sessions: database.Sessions(), Campaigns: database.Campaigns(), Deliveries: database.Deliveries(), Histories: database.Histories(),
		Suppressions: database.Suppressions(), Documents: database.Documents(), Idempotency: database.Idempotency(),
		Webhooks: webhook.Subscriptions{Documents: database.Documents(), Sealer: mirror{}}, Sends: f.queue, FailedJobs: struct{ api.FailedJobs }{}, Jobs: struct{ api.Jobs }{}, // failed_jobs_test.go has the real ones
		Queue: f.queue, Prompts: f.prompts, Answers: f.answers, Watcher: f.watcher, Links: f.links,
		RequestsPerSecond: -1} // who polls asks often
	f.book, f.admin = newBook(t, database.Documents())
	options.Keys = f.book
	change(&options, database)
	served, err := api.New(options)
	if err != nil {
		t.Fatal(err)
	}
	f.api, f.options = served, options
	f.server = httptest.NewServer(asAdmin(served.Handler(), f.admin))
	t.Cleanup(func() {
		f.server.CloseClientConnections()
		f.server.Close()
		http.DefaultClient.CloseIdleConnections()
		if err := database.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

type answer struct {
	status  int
	headers http.Header
	body    map[string]any
	raw     []byte
}

func (a answer) code() string { code, _ := a.body["code"].(string); return code }

func (f *fixture) call(method, path string, body any) answer {
	f.t.Helper()
	var reader io.Reader
	contentType := "application/json"
	switch body := body.(type) {
	case nil:
	case *form:
		reader, contentType = &body.buffer, body.contentType
	default:
		encoded, err := json.Marshal(body)
		if err != nil {
			f.t.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(f.t.Context(), method, f.server.URL+path, reader)
	if err != nil {
		f.t.Fatal(err)
	}
	if reader != nil {
		request.Header.Set("Content-Type", contentType)
	}
	if f.key != "" {
		request.Header.Set("Idempotency-Key", f.key)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	got := answer{status: response.StatusCode, headers: response.Header, raw: raw}
	_ = json.Unmarshal(raw, &got.body) // images and pages are no JSON
	return got
}

func (f *fixture) want(got answer, status int, code string) {
	f.t.Helper()
	if got.status != status || got.code() != code {
		f.t.Fatalf("answer %d %q, want %d %q: %s", got.status, got.code(), status, code, got.raw)
	}
	if code != "" && got.headers.Get("Content-Type") != "application/problem+json" {
		f.t.Fatalf("an error of type %q", got.headers.Get("Content-Type"))
	}
}

func (f *fixture) newSession() session.ID {
	f.t.Helper()
	got := f.call(http.MethodPost, "/v1/sessions", map[string]string{"user_id": "ana", "name": "Recepción"})
	f.want(got, http.StatusCreated, "")
	return session.ID(got.body["id"].(string))
}

// change alters a session as a worker would.
func (f *fixture) change(id session.ID, change func(*session.Session)) {
	f.t.Helper()
	_, err := session.Modify(f.t.Context(), f.store.Sessions(), id, func(s *session.Session) error {
		change(s)
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) linkedSession() session.ID {
	f.t.Helper()
	id := f.newSession()
	f.change(id, func(s *session.Session) {
		s.State = session.Ready
		s.Device = session.Device{JID: "5491150000011:1@s.whatsapp.net", LID: "1:1@lid", Phone: "+5491150000011"}
	})
	return id
}

type form struct {
	buffer      bytes.Buffer
	contentType string
}

func newForm(t *testing.T, file string, fields map[string]string) *form {
	t.Helper()
	made := &form{}
	writer := multipart.NewWriter(&made.buffer)
	for name, value := range fields {
		if err := writer.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	part, err := writer.CreateFormFile("file", "contacts.csv")
	if err == nil {
		_, err = io.WriteString(part, file)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	made.contentType = writer.FormDataContentType()
	return made
}

func TestSessionsAreCreatedListedAndDeleted(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	first, second := f.newSession(), f.newSession()
	list := f.call(http.MethodGet, "/v1/sessions?size=1&user_id=ana", nil)
	f.want(list, http.StatusOK, "")
	next := f.call(http.MethodGet, "/v1/sessions?size=1&user_id=ana&after="+list.body["next"].(string), nil)
	f.want(next, http.StatusOK, "")
	got := []string{itemID(t, list), itemID(t, next)}
	if got[0] != string(first) || got[1] != string(second) || next.body["next"] != nil {
		t.Errorf("pages %v (next %v), want %s, %s", got, next.body["next"], first, second)
	}
	f.want(f.call(http.MethodDelete, "/v1/sessions/"+string(first), nil), http.StatusAccepted, "")
	f.want(f.call(http.MethodGet, "/v1/sessions/"+string(first), nil), http.StatusNotFound, "not_found")
	if fact, ok := f.queue.facts[0].(events.SessionChanged); !ok || fact.State != session.Removed {
		t.Errorf("published %+v", f.queue.facts)
	}
	f.want(f.call(http.MethodDelete, "/v1/sessions/"+string(first), nil), http.StatusNotFound, "not_found")
}

func itemID(t *testing.T, list answer) string {
	t.Helper()
	items, _ := list.body["items"].([]any)
	if len(items) != 1 {
		t.Fatalf("want one item: %s", list.raw)
	}
	id, _ := items[0].(map[string]any)["id"].(string)
	return id
}

func TestDeletingALinkedSessionLeavesItToItsHost(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	id := f.linkedSession()
	f.want(f.call(http.MethodDelete, "/v1/sessions/"+string(id), nil), http.StatusAccepted, "")
	got := f.call(http.MethodGet, "/v1/sessions/"+string(id), nil)
	if got.body["state"] != "removing" {
		t.Errorf("state %v, want removing: %s", got.body["state"], got.raw)
	}
	if phone := got.body["phone"].(string); strings.Contains(phone, "50000") {
		t.Errorf("the number is shown whole: %s", phone)
	}
}

func TestLinkIsQueuedOnceAndRefusedWhenLinked(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	id := f.newSession()
	path := "/v1/sessions/" + string(id) + "/link"
	f.want(f.call(http.MethodGet, path, nil), http.StatusNotFound, "no_link")
	first := f.call(http.MethodPost, path, map[string]string{"method": "qr"})
	f.want(first, http.StatusAccepted, "")
	again := f.call(http.MethodPost, path, map[string]string{})
	f.want(again, http.StatusOK, "")
	if first.body["id"] != again.body["id"] {
		t.Error("a link in progress must be given as it is")
	}
	if len(f.queue.commands) != 2 || f.queue.commands[0].MessageID() != f.queue.commands[1].MessageID() {
		t.Errorf("both commands must have one id, so that the queue keeps one: %v", f.queue.commands)
	}
	f.want(f.call(http.MethodPost, "/v1/sessions/"+string(f.linkedSession())+"/link", map[string]string{}), http.StatusConflict, "session_linked")
	f.want(f.call(http.MethodDelete, path, nil), http.StatusOK, "")
	cancelled := f.call(http.MethodDelete, path, nil)
	f.want(cancelled, http.StatusOK, "")
	if cancelled.body["state"] != "cancelled" {
		t.Errorf("state %v", cancelled.body["state"])
	}
	f.want(f.call(http.MethodPost, path, map[string]string{"method": "code"}), http.StatusUnprocessableEntity, "phone_missing")
}

func TestQRIsServedAsTextSVGAndPNGWhileItCanBeScanned(t *testing.T) {
	t.Parallel()
	const text = "https://wa.me/settings/linked_devices#2@abc,def,ghi,jkl,1"
	f := start(t, nil)
	id := f.newSession()
	path := "/v1/sessions/" + string(id) + "/link"
	f.want(f.call(http.MethodPost, path, map[string]string{}), http.StatusAccepted, "")
	f.want(f.call(http.MethodGet, path+"/qr.png", nil), http.StatusNotFound, "no_qr")
	var linkID string
	f.change(id, func(s *session.Session) { s.Link.State, linkID = session.LinkQR, s.Link.ID })
	f.prompts[id] = session.Prompt{LinkID: linkID, QR: text, Index: 1, Deadline: time.Now().Add(time.Minute)}

	link := f.call(http.MethodGet, path, nil)
	prompt, _ := link.body["prompt"].(map[string]any)
	if prompt["qr"] != text {
		t.Errorf("prompt %v", prompt)
	}
	picture := f.call(http.MethodGet, path+"/qr.png", nil)
	if picture.headers.Get("Content-Type") != "image/png" || picture.headers.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", picture.headers)
	}
	if got := scan(t, picture.raw); got != text {
		t.Errorf("the picture says %q", got)
	}
	vector := f.call(http.MethodGet, path+"/qr.svg", nil)
	if vector.headers.Get("Content-Type") != "image/svg+xml" || !bytes.Contains(vector.raw, []byte("<path")) {
		t.Errorf("%s", vector.raw)
	}
	f.change(id, func(s *session.Session) { s.Link.State = session.LinkPaired })
	f.want(f.call(http.MethodGet, path+"/qr.png", nil), http.StatusNotFound, "no_qr")
}

func scan(t *testing.T, picture []byte) string {
	t.Helper()
	decoded, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(decoded)
	if err != nil {
		t.Fatal(err)
	}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
	if err != nil {
		t.Fatalf("no QR in the picture: %v", err)
	}
	return result.GetText()
}

const audienceFile = "nombre;teléfono;turno\n" +
	"Ana;+54 9 11 4000-0001;lunes\n" +
	"José;123;martes\n" +
	"María;011 15-4000-0002;\"3 de; marzo\"\n" +
	"Ana otra vez;011 15 4000-0001;jueves\n"

func TestCampaignFromAFileNamesEveryRefusedRow(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	id := f.linkedSession()
	got := f.call(http.MethodPost, "/v1/campaigns/upload", newForm(t, audienceFile, map[string]string{
		"session_id": string(id), "text": "Hola {{Nombre}}, le esperamos el {{turno|lunes}}", "name": "Turnos"}))
	f.want(got, http.StatusAccepted, "")
	if got.body["state"] != "queued" || got.body["recipients"] != 2.0 || got.body["rejected"] != 2.0 {
		t.Errorf("%s", got.raw)
	}
	path := "/v1/campaigns/" + got.body["id"].(string)
	rejections := f.call(http.MethodGet, path+"/rejections", nil)
	f.want(rejections, http.StatusOK, "")
	rows := map[float64]map[string]any{}
	for _, item := range rejections.body["items"].([]any) {
		rejection := item.(map[string]any)
		rows[rejection["row"].(float64)] = rejection
	}
	if rows[3]["code"] != "phone_too_short" || rows[3]["column"] != "teléfono" || rows[3]["value"] != "123" || rows[3]["reason"] == "" {
		t.Errorf("row 3: %v", rows[3])
	}
	if rows[5]["code"] != "duplicate" {
		t.Errorf("row 5: %v", rows[5])
	}
	deliveries := f.call(http.MethodGet, path+"/deliveries?state=pending", nil)
	f.want(deliveries, http.StatusOK, "")
	if items := deliveries.body["items"].([]any); len(items) != 2 || items[0].(map[string]any)["phone"] != "+5491140000001" {
		t.Errorf("%s", deliveries.raw)
	}
	job, ok := f.queue.commands[0].(events.RunCampaign)
	if !ok || string(job.CampaignID) != got.body["id"] || job.SessionID != id || job.Validate() != nil {
		t.Errorf("published %+v", f.queue.commands)
	}
}

func TestBadInputIsAClearErrorAndNothingIsSent(t *testing.T) {
	t.Parallel()
	f := start(t, func(options *api.Options) { options.MaxUploadBytes = 4096 })
	linked, fresh := string(f.linkedSession()), string(f.newSession())
	recipients := []map[string]any{{"phone": "+5491140000001", "fields": map[string]string{"nombre": "Ana"}}}
	upload := func(session, text, file string) *form {
		return newForm(t, file, map[string]string{"session_id": session, "text": text})
	}
	create := func(session, text string) map[string]any {
		return map[string]any{"session_id": session, "text": text, "recipients": recipients}
	}
	rows := []struct {
		name, path string
		body       any
		status     int
		code       string
		mentions   []string
	}{
		{"unknown placeholder", "/v1/campaigns", create(linked, "Hola {{apellido}}"), 422, "unknown_placeholder", []string{"apellido", "nombre"}},
		{"unknown placeholder in a file", "/v1/campaigns/upload", upload(linked, "Hola {{apellido}}", audienceFile), 422, "unknown_placeholder", []string{"apellido", "turno"}},
		{"open placeholder", "/v1/campaigns", create(linked, "Hola {{nombre"), 422, "placeholder_not_closed", nil},
		{"unknown session", "/v1/campaigns", create("ses_none", "Hola"), 404, "no_session", nil},
		{"session without a phone", "/v1/campaigns", create(fresh, "Hola"), 409, "session_not_linked", nil},
		{"empty file", "/v1/campaigns/upload", upload(linked, "Hola", ""), 422, "audience_empty", nil},
		{"no phone column", "/v1/campaigns/upload", upload(linked, "Hola", "nombre,edad\nAna,3\n"), 422, "phone_column_missing", []string{"nombre", "edad"}},
		{"spreadsheet", "/v1/campaigns/upload", upload(linked, "Hola", "PK\x03\x04..."), 422, "spreadsheet_unreadable", nil},
		{"nobody left", "/v1/campaigns/upload", upload(linked, "Hola", "telefono\nabc\n"), 422, "no_recipients", []string{"row 2", "telefono"}},
		{"too large", "/v1/campaigns/upload", upload(linked, "Hola", "telefono\n"+strings.Repeat("01115400000001\n", 1000)), 413, "upload_too_large", nil},
		{"no recipients", "/v1/campaigns", map[string]any{"session_id": linked, "text": "Hola", "recipients": []any{}}, 422, "one_audience", []string{"recipients"}},
		{"no JSON", "/v1/campaigns", "just text", 422, "invalid_request", nil},
		{"no user", "/v1/sessions", map[string]any{}, 422, "invalid_request", []string{"user_id"}},
	}
	for _, row := range rows {
		got := f.call(http.MethodPost, row.path, row.body)
		if got.status != row.status || got.code() != row.code {
			t.Errorf("%s: %d %q, want %d %q: %s", row.name, got.status, got.code(), row.status, row.code, got.raw)
		}
		for _, word := range row.mentions {
			if !strings.Contains(string(got.raw), word) {
				t.Errorf("%s: the answer does not mention %q: %s", row.name, word, got.raw)
			}
		}
	}
	if len(f.queue.commands) != 0 {
		t.Errorf("bad input was queued: %v", f.queue.commands)
	}
}

func TestCampaignIsPausedResumedAndCancelled(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	created := f.call(http.MethodPost, "/v1/campaigns", map[string]any{"session_id": string(f.linkedSession()), "text": "Hola",
		"recipients": []map[string]any{{"phone": "+5491140000001"}, {"phone": "+5491140000002"}}})
	f.want(created, http.StatusAccepted, "")
	path := "/v1/campaigns/" + created.body["id"].(string)
	for _, step := range []struct {
		action, state string
		status        int
		code          string
	}{
		{"pause", "paused", 200, ""}, {"pause", "paused", 200, ""}, {"resume", "queued", 202, ""}, {"cancel", "cancelled", 200, ""},
		{"cancel", "cancelled", 200, ""}, {"resume", "", 409, "campaign_cancelled"},
	} {
		got := f.call(http.MethodPost, path+"/"+step.action, nil)
		f.want(got, step.status, step.code)
		if step.state != "" && got.body["state"] != step.state {
			t.Errorf("%s: state %v, want %s", step.action, got.body["state"], step.state)
		}
	}
	counts := f.call(http.MethodGet, path, nil).body["counts"].(map[string]any)
	if counts["skipped"] != 2.0 || counts["pending"] != 0.0 {
		t.Errorf("a cancelled campaign must not leave anything to send: %v", counts)
	}
	ids := map[string]bool{}
	for _, command := range f.queue.commands {
		ids[command.MessageID()] = true
	}
	if len(ids) != 2 {
		t.Errorf("a resumed campaign needs a job of its own: %v", ids)
	}
	f.want(f.call(http.MethodDelete, "/v1/sessions/"+created.body["session_id"].(string), nil), http.StatusAccepted, "")
}

func TestFailuresInsideAreReportedWithoutTheirCause(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	f.queue.broken = errors.New("dial tcp: password=hunter2")
	got := f.call(http.MethodPost, "/v1/sessions/"+string(f.newSession())+"/link", map[string]string{})
	f.want(got, http.StatusInternalServerError, "internal")
	if strings.Contains(string(got.raw), "hunter2") {
		t.Errorf("the cause is shown: %s", got.raw)
	}
	f.queue.broken = nil
	if again := f.call(http.MethodGet, "/v1/sessions", nil); again.status != http.StatusOK {
		t.Errorf("%d", again.status)
	}
}

func TestDocumentationIsServedFromHere(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	document := f.call(http.MethodGet, "/openapi.json", nil)
	paths, _ := document.body["paths"].(map[string]any)
	if document.body["openapi"] != "3.1.0" || len(paths) < 12 {
		t.Errorf("version %v, %d paths", document.body["openapi"], len(paths))
	}
	page := f.call(http.MethodGet, "/docs/", nil)
	if page.status != http.StatusOK || !bytes.Contains(page.raw, []byte("/openapi.json")) {
		t.Errorf("%d %s", page.status, page.raw)
	}
	for _, remote := range []string{"src=\"http", "href=\"http", "//unpkg", "//cdn"} {
		if bytes.Contains(page.raw, []byte(remote)) {
			t.Errorf("the page loads something from another host (%s)", remote)
		}
	}
}

func TestAPhoneThatIsOfflineForLongIsAWarning(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	id := f.linkedSession()
	for days, code := range map[int]any{9: nil, 11: "phone_offline"} {
		seen := time.Now().AddDate(0, 0, -days)
		f.change(id, func(s *session.Session) { s.LinkedAt, s.PhoneSeenAt = seen, seen })
		got := f.call(http.MethodGet, "/v1/sessions/"+string(id), nil)
		warning, _ := got.body["warning"].(map[string]any)
		if warning["code"] != code || got.body["phone_seen_at"] == nil {
			t.Errorf("after %d days: %s", days, got.raw)
		}
		if code != nil && (warning["en"] == "" || !strings.Contains(warning["es"].(string), "teléfono")) {
			t.Errorf("not said to people: %s", got.raw)
		}
	}
}
