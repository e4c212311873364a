package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/api"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/webhook"
)

// rule is a row of the table of who may do what. The least role is written here once more, and not taken from the code that it is to hold.
type rule struct {
	route string
	least access.Role
	// whose is how another user's thing is answered to a key for one user.
	whose scope
	// body is what is sent; {id} and the like stand for the ids of the user's own things.
	body string
}

type scope string

const (
	// hidden: what is another user's is not there (404).
	hidden scope = "hidden"
	// filtered: a list that leaves out what is another user's.
	filtered scope = "filtered"
	// made: making it for another user is refused (403), or the thing named in the body is not there (404).
	made scope = "made"
	// closed: keys for one user may not use it at all (403).
	closed scope = "closed"
	// anybody: it is about the caller alone.
	anybody scope = "anybody"
)

const aCampaign = `{"session_id":"{session}","text":"Hola","recipients":[{"phone":"+5491150000001"}],"draft":true}`

func table() []rule {
	return []rule{
		{"POST /v1/keys", access.Admin, made, `{"name":"x","role":"viewer","user_id":"{user}"}`},
		{"GET /v1/keys", access.Admin, filtered, ""},
		{"GET /v1/keys/{id}", access.Admin, hidden, ""},
		{"DELETE /v1/keys/{id}", access.Admin, hidden, ""},
		{"GET /v1/caller", access.Viewer, anybody, ""},
		{"GET /v1/events", access.Viewer, anybody, ""}, // whose events are seen is in events_test.go; here there are none

		{"POST /v1/sessions", access.Operator, made, `{"user_id":"{user}"}`},
		{"GET /v1/sessions", access.Viewer, filtered, ""},
		{"GET /v1/sessions/{id}", access.Viewer, hidden, ""},
		{"GET /v1/sessions/{id}/history", access.Viewer, hidden, ""},
		{"GET /v1/sessions/{id}/diagnosis", access.Viewer, hidden, ""},
		{"DELETE /v1/sessions/{id}", access.Operator, hidden, ""},
		{"GET /v1/sessions/{id}/egress", access.Viewer, hidden, ""},
		{"PUT /v1/sessions/{id}/egress", access.Operator, hidden, `{"proxy":"socks5://user:word@127.0.0.1:1080"}`},
		{"DELETE /v1/sessions/{id}/egress", access.Operator, hidden, ""},
		{"POST /v1/sessions/{id}/egress/check", access.Operator, hidden, ""},
		{"GET /v1/sessions/{id}/limits", access.Viewer, hidden, ""},
		{"PUT /v1/sessions/{id}/limits", access.Operator, hidden, `{"hourly":10}`},
		{"POST /v1/sessions/{id}/messages", access.Operator, hidden, `{"phone":"+5491150000001","text":"Hola"}`},
		{"GET /v1/messages/{id}", access.Viewer, hidden, ""},
		{"POST /v1/sessions/{id}/link", access.Operator, hidden, `{}`},
		{"GET /v1/sessions/{id}/link", access.Operator, hidden, ""},
		{"DELETE /v1/sessions/{id}/link", access.Operator, hidden, ""},
		{"POST /v1/sessions/{id}/link/token", access.Operator, hidden, ""},
		{"GET /v1/sessions/{id}/link/events", access.Operator, hidden, ""},
		{"GET /v1/sessions/{id}/link/qr.png", access.Operator, hidden, ""},
		{"GET /v1/sessions/{id}/link/qr.svg", access.Operator, hidden, ""},
		{"POST /v1/sessions/{id}/link/passkey", access.Operator, hidden, `{"id":"AA","rawId":"AA","type":"public-key","response":{}}`},
		{"POST /v1/sessions/{id}/link/passkey/confirm", access.Operator, hidden, `{}`},

		{"GET /v1/egresses", access.Viewer, closed, ""},
		{"POST /v1/egresses/{id}/reset", access.Operator, closed, ""},

		{"POST /v1/campaigns", access.Operator, made, aCampaign},
		{"POST /v1/campaigns/upload", access.Operator, made, "form"},
		{"POST /v1/campaigns/preview", access.Operator, made, `{"session_id":"{session}","text":"Hola","check":0,"recipients":[{"phone":"+5491150000001"}]}`},
		{"POST /v1/campaigns/preview/upload", access.Operator, made, "form"},
		{"GET /v1/campaigns", access.Viewer, filtered, ""},
		{"GET /v1/campaigns/{id}", access.Viewer, hidden, ""},
		{"PATCH /v1/campaigns/{id}", access.Operator, hidden, `{"name":"x"}`},
		{"DELETE /v1/campaigns/{id}", access.Operator, hidden, ""},
		{"POST /v1/campaigns/{id}/pause", access.Operator, hidden, ""},
		{"POST /v1/campaigns/{id}/resume", access.Operator, hidden, ""},
		{"POST /v1/campaigns/{id}/cancel", access.Operator, hidden, ""},
		{"POST /v1/campaigns/{id}/start", access.Operator, hidden, ""},
		{"POST /v1/campaigns/{id}/schedule", access.Operator, hidden, `{"at":"{tomorrow}"}`},
		{"POST /v1/campaigns/{id}/retry", access.Operator, hidden, `{}`},
		{"POST /v1/campaigns/{id}/clone", access.Operator, hidden, `{}`},
		{"GET /v1/campaigns/{id}/deliveries", access.Viewer, hidden, ""},
		{"GET /v1/campaigns/{id}/deliveries.csv", access.Viewer, hidden, ""},
		{"GET /v1/campaigns/{id}/deliveries.xlsx", access.Viewer, hidden, ""},
		{"GET /v1/campaigns/{id}/rejections", access.Viewer, hidden, ""},
		{"GET /v1/campaigns/{id}/rejections.csv", access.Viewer, hidden, ""},
		{"GET /v1/campaigns/{id}/replies", access.Viewer, hidden, ""},

		{"POST /v1/lists", access.Operator, made, `{"user_id":"{user}","name":"x"}`},
		{"GET /v1/lists", access.Viewer, filtered, ""},
		{"GET /v1/lists/{id}", access.Viewer, hidden, ""},
		{"DELETE /v1/lists/{id}", access.Operator, hidden, ""},
		{"GET /v1/lists/{id}/contacts", access.Viewer, hidden, ""},
		{"POST /v1/lists/{id}/contacts", access.Operator, hidden, `{"contacts":[{"phone":"+5491150000001"}]}`},
		{"POST /v1/lists/{id}/contacts/upload", access.Operator, hidden, "form"},
		{"DELETE /v1/lists/{id}/contacts/{phone}", access.Operator, hidden, ""},
		{"POST /v1/media", access.Operator, anybody, "form"},
		{"POST /v1/media/fetch", access.Operator, anybody, `{"url":"http://127.0.0.1:1/x.png"}`},
		{"GET /v1/media/{id}", access.Viewer, hidden, ""},
		{"DELETE /v1/media/{id}", access.Operator, hidden, ""},

		{"GET /v1/suppressions", access.Viewer, closed, ""},
		{"POST /v1/suppressions", access.Operator, closed, `{"phones":["+5491150000009"]}`},
		{"POST /v1/suppressions/upload", access.Operator, closed, "form"},
		{"GET /v1/suppressions.csv", access.Viewer, closed, ""},
		{"DELETE /v1/suppressions/{phone}", access.Operator, closed, ""},
		{"GET /v1/audit", access.Viewer, closed, ""},

		{"GET /v1/failed-jobs", access.Viewer, filtered, ""},
		{"GET /v1/failed-jobs/stats", access.Viewer, filtered, ""},
		{"POST /v1/failed-jobs/replay", access.Operator, filtered, `{"dry_run":true}`},
		{"POST /v1/failed-jobs/discard", access.Operator, filtered, `{"dry_run":true,"reason":"a test"}`},
		{"GET /v1/failed-jobs/{entry}", access.Viewer, hidden, ""},
		{"PUT /v1/failed-jobs/{entry}/payload", access.Operator, closed, `{"payload":{}}`},
		{"POST /v1/failed-jobs/{entry}/replay", access.Operator, hidden, `{}`},
		{"POST /v1/failed-jobs/{entry}/discard", access.Operator, hidden, `{"reason":"a test"}`},
		{"GET /v1/jobs", access.Viewer, filtered, ""},
		{"GET /v1/jobs/{sequence}", access.Viewer, hidden, ""},
		{"POST /v1/jobs/{sequence}/cancel", access.Operator, hidden, ""},
		{"GET /v1/queues", access.Viewer, closed, ""},

		{"POST /v1/webhooks", access.Admin, made, `{"url":"https://example.com/hook","events":["*"],"user_id":"{user}"}`},
		{"GET /v1/webhooks", access.Admin, filtered, ""},
		{"GET /v1/webhooks/{id}", access.Admin, hidden, ""},
		{"PATCH /v1/webhooks/{id}", access.Admin, hidden, `{"enabled":true}`},
		{"DELETE /v1/webhooks/{id}", access.Admin, hidden, ""},
		{"POST /v1/webhooks/{id}/rotate", access.Admin, hidden, ""},
		{"POST /v1/webhooks/{id}/test", access.Admin, hidden, ""},
		{"GET /v1/webhooks/{id}/deliveries", access.Admin, hidden, ""},
	}
}

// shelfOfJobs has a failed and a live job of each user: entry and sequence 1 are ana's, 2 are bea's.
type shelfOfJobs struct {
	api.FailedJobs
	failed []events.FailedJob
	live   []events.LiveJob
}

func (s *shelfOfJobs) List(_ context.Context, filter events.FailedFilter, _ uint64, _ int) (jobs []events.FailedJob, next uint64, err error) {
	for _, job := range s.failed {
		if filter.Takes(job) {
			jobs = append(jobs, job)
		}
	}
	return jobs, 0, nil
}

func (s *shelfOfJobs) Stats(ctx context.Context, filter events.FailedFilter) ([]events.FailedGroup, error) {
	jobs, _, err := s.List(ctx, filter, 0, 0)
	groups := make([]events.FailedGroup, len(jobs))
	for i, job := range jobs {
		groups[i] = events.FailedGroup{Kind: job.Kind, Count: 1, Last: job.Entry}
	}
	return groups, err
}

func (s *shelfOfJobs) Get(_ context.Context, entry uint64) (events.FailedJob, error) {
	if entry < 1 || entry > uint64(len(s.failed)) {
		return events.FailedJob{}, store.ErrNotFound
	}
	return s.failed[entry-1], nil
}

func (s *shelfOfJobs) Edit(ctx context.Context, entry uint64, _ []byte, _ string) (events.FailedJob, error) {
	return s.Get(ctx, entry)
}

func (s *shelfOfJobs) Replay(context.Context, uint64, bool) (string, error) { return "again", nil }
func (s *shelfOfJobs) Discard(context.Context, uint64) error                { return nil }

func (s *shelfOfJobs) LiveJobs(context.Context, []events.JobState, uint64, int) ([]events.LiveJob, uint64, error) {
	return slices.Clone(s.live), 0, nil
}

func (s *shelfOfJobs) LiveJob(_ context.Context, sequence uint64) (events.LiveJob, error) {
	if sequence < 1 || sequence > uint64(len(s.live)) {
		return events.LiveJob{}, store.ErrNotFound
	}
	return s.live[sequence-1], nil
}

func (s *shelfOfJobs) RemoveJob(context.Context, uint64) error        { return nil }
func (s *shelfOfJobs) Queues(context.Context) ([]events.Queue, error) { return nil, nil }

// town is an API in which ana and bea have one of everything.
type town struct {
	*fixture
	open *httptest.Server
	jobs *shelfOfJobs
	// ids are the ids of each user's things, by the beginning of the path.
	ids  map[string]map[string]string
	keys map[string]string
}

func startTown(t *testing.T) *town {
	t.Helper()
	w := &town{jobs: &shelfOfJobs{}, ids: map[string]map[string]string{}, keys: map[string]string{}}
	w.fixture = startWith(t, func(options *api.Options, _ *sqlite.DB) {
		options.FailedJobs, options.Jobs, options.RequestsPerSecond = w.jobs, w.jobs, -1
	})
	w.open = httptest.NewServer(w.api.Handler())
	t.Cleanup(w.open.Close)
	for _, role := range []access.Role{access.Viewer, access.Operator, access.Admin} {
		for _, user := range []string{"", "ana", "bea"} {
			w.keys[string(role)+" "+user] = w.newKey(role, user)
		}
	}
	for i, user := range []string{"ana", "bea"} {
		w.furnish(user, uint64(i+1))
	}
	return w
}

func (w *town) newKey(role access.Role, user string) string {
	w.t.Helper()
	_, secret, err := w.book.Create(w.t.Context(), access.Caller{Key: access.Terminal, Role: access.Admin}, access.Wanted{Name: "x", Role: role, User: user})
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

// furnish gives a user one of everything, past the API.
func (w *town) furnish(user string, number uint64) {
	w.t.Helper()
	ctx, now := w.t.Context(), time.Now().UTC().Truncate(time.Millisecond)
	s := session.Session{ID: session.ID("ses_" + user), UserID: user, Name: user, State: session.Ready, CreatedAt: now, UpdatedAt: now, Revision: 1,
		Device: session.Device{JID: "549115000000" + fmt.Sprint(number) + ":1@s.whatsapp.net", Phone: "+549115000000" + fmt.Sprint(number)}}
	c := campaign.Campaign{ID: campaign.ID("cmp_" + user), SessionID: s.ID, UserID: user, Name: user, Text: "Hola", State: campaign.Draft, CreatedAt: now, UpdatedAt: now, Revision: 1}
	message := c
	message.ID = campaign.NewMessageID()
	key, _, keyErr := w.book.Create(ctx, access.Caller{Role: access.Admin}, access.Wanted{Name: user, Role: access.Viewer, User: user})
	documents := w.store.Documents()
	list, listErr := campaign.ContactLists{Documents: documents}.Create(ctx, user, user, now)
	media, mediaErr := campaign.MediaLibrary{Documents: documents}.Add(ctx, campaign.NewMedia{Name: "x.txt", Kind: campaign.Document, UserID: user, At: now}, strings.NewReader("text"))
	hook, _, hookErr := webhook.Subscriptions{Documents: documents, Sealer: mirror{}}.Create(ctx, webhook.Wanted{UserID: user, URL: "https://example.com", Events: []string{"*"}}, now)
	for _, err := range []error{keyErr, listErr, mediaErr, hookErr, w.store.Sessions().Create(ctx, s), w.store.Campaigns().Create(ctx, c), w.store.Campaigns().Create(ctx, message)} {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	w.jobs.failed = append(w.jobs.failed, events.FailedJob{Entry: number, Kind: "link_session", SessionID: string(s.ID), LastError: events.Failure{Class: fault.RetryLater}})
	w.jobs.live = append(w.jobs.live, events.LiveJob{Sequence: number, Kind: "other", SessionID: string(s.ID), State: events.JobPending})
	w.ids[user] = map[string]string{"keys": key.ID, "sessions": string(s.ID), "campaigns": string(c.ID), "messages": string(message.ID), "lists": list.ID,
		"media": media.ID, "webhooks": hook.ID, "failed-jobs": fmt.Sprint(number), "jobs": fmt.Sprint(number), "egresses": "direct"}
}

// ask sends the request of a row about the things of a user, with a key.
func (w *town) ask(r rule, key, user string) (status int, body string) {
	w.t.Helper()
	method, path, _ := strings.Cut(r.route, " ")
	ids := w.ids[user]
	kind := strings.Split(path, "/")[2]
	path = strings.NewReplacer("{id}", ids[kind], "{entry}", ids[kind], "{sequence}", ids[kind], "{phone}", "+5491150000001").Replace(path)
	sent := strings.NewReplacer("{user}", user, "{session}", ids["sessions"], "{tomorrow}", time.Now().Add(24*time.Hour).Format(time.RFC3339)).Replace(r.body)
	var reader io.Reader = strings.NewReader(sent)
	contentType := "application/json"
	if r.body == "form" {
		f := fileForm(w.t, map[string]string{"session_id": ids["sessions"], "text": "Hola", "check": "0"}, "x.csv", "phone\n+5491150000001\n")
		if kind == "lists" || kind == "suppressions" || kind == "media" {
			f = fileForm(w.t, nil, "x.csv", "phone\n+5491150000001\n")
		}
		reader, contentType = &f.buffer, f.contentType
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, w.open.URL+path, reader)
	if err != nil {
		w.t.Fatal(err)
	}
	if r.body != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, string(content)
}

func codeOf(body string) string {
	var problem struct{ Code string }
	_ = json.Unmarshal([]byte(body), &problem)
	return problem.Code
}

// TestEveryRouteHasARow: a new route without a row in the table fails.
func TestEveryRouteHasARow(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(f.call(http.MethodGet, "/openapi.json", nil).raw, &document); err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for _, r := range table() {
		rows[r.route] = true
	}
	for path, methods := range document.Paths {
		for method := range methods {
			route := strings.ToUpper(method) + " " + path
			if !rows[route] {
				t.Errorf("%s has no row in the table", route)
			}
			delete(rows, route)
		}
	}
	for route := range rows {
		t.Errorf("%s is in the table and no route", route)
	}
}

// TestWhoMayDoWhat is the table: every route, every role, one's own and another user's.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	for _, r := range table() {
		t.Run(r.route, func(t *testing.T) {
			t.Parallel()
			w := startTown(t)
			w.nobody(r)
			for _, role := range []access.Role{access.Viewer, access.Operator, access.Admin} {
				w.scoped(r, role)
			}
			for _, role := range []access.Role{access.Viewer, access.Operator, access.Admin} {
				status, body := w.ask(r, w.keys[string(role)+" "], "bea")
				w.expect(r, fmt.Sprintf("%s for everybody", role), allowed(role.Includes(r.least)), status, body)
			}
		})
	}
}

// nobody: without a key, with one that is none, and with one that has ended, there is no answer.
func (w *town) nobody(r rule) {
	w.t.Helper()
	revoked, secret, err := w.book.Create(w.t.Context(), access.Caller{Role: access.Admin}, access.Wanted{Name: "x", Role: access.Admin})
	if err == nil {
		_, err = w.book.Revoke(w.t.Context(), access.Caller{Role: access.Admin}, revoked.ID)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for name, key := range map[string]string{"key_missing": "", "key_unknown": access.Generate(time.Now()), "key_revoked": secret} {
		status, body := w.ask(r, key, "ana")
		if status != http.StatusUnauthorized || codeOf(body) != name {
			w.t.Errorf("%s: %d %s, want 401 %s", r.route, status, codeOf(body), name)
		}
	}
}

// scoped: a key of ana for what is ana's and what is bea's.
func (w *town) scoped(r rule, role access.Role) {
	w.t.Helper()
	key := w.keys[string(role)+" ana"]
	status, body := w.ask(r, key, "bea")
	who := fmt.Sprintf("%s of ana, about bea's", role)
	switch {
	case !role.Includes(r.least):
		w.expect(r, who, "role_too_low", status, body)
	case r.whose == closed:
		w.expect(r, who, "key_of_one_user", status, body)
	case r.whose == hidden:
		if status != http.StatusNotFound {
			w.t.Errorf("%s, %s: %d %s, want 404", r.route, who, status, body)
		}
	case r.whose == made:
		if code := codeOf(body); (status != http.StatusForbidden || code != "other_user") && status != http.StatusNotFound {
			w.t.Errorf("%s, %s: %d %s, want 403 other_user or 404", r.route, who, status, body)
		}
	default:
		w.expect(r, who, allowed(true), status, body)
	}
	if strings.Contains(strings.ReplaceAll(body, "\\", ""), `"bea"`) || strings.Contains(body, w.ids["bea"]["sessions"]) {
		w.t.Errorf("%s, %s: the answer tells of bea: %s", r.route, who, body)
	}
	if role != r.least || r.whose == closed {
		return
	}
	status, body = w.ask(r, key, "ana")
	w.expect(r, fmt.Sprintf("%s of ana, about her own", role), allowed(true), status, body)
	if r.whose == filtered && r.body == "" && !strings.Contains(body, w.ids["ana"][strings.Split(strings.Fields(r.route)[1], "/")[2]]) {
		w.t.Errorf("%s: ana does not see her own: %s", r.route, body)
	}
}

// allowed names the answer to who may: any that is no refusal of who asks.
func allowed(may bool) string {
	if may {
		return ""
	}
	return "role_too_low"
}

func (w *town) expect(r rule, who, code string, status int, body string) {
	w.t.Helper()
	refused := status == http.StatusUnauthorized || status == http.StatusForbidden
	if code == "" && (refused || status >= http.StatusInternalServerError && status != http.StatusServiceUnavailable || codeOf(body) == "not_found" && r.whose != hidden && r.whose != closed) {
		w.t.Errorf("%s, %s: %d %s, and it may", r.route, who, status, body)
	}
	if code != "" && (status != http.StatusForbidden || codeOf(body) != code) {
		w.t.Errorf("%s, %s: %d %s, want 403 %s", r.route, who, status, body, code)
	}
}

// fileForm makes a form with a file.
func fileForm(t testing.TB, fields map[string]string, name, content string) *form {
	t.Helper()
	f := &form{}
	writer := multipart.NewWriter(&f.buffer)
	for field, value := range fields {
		if err := writer.WriteField(field, value); err != nil {
			t.Fatal(err)
		}
	}
	part, err := writer.CreateFormFile("file", name)
	if err == nil {
		_, err = part.Write([]byte(content))
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	f.contentType = writer.FormDataContentType()
	return f
}
