package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/bus/bustest"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// world is what is in a yard: the ids of everything that was made, by the collection that they belong to.
type world struct {
	t     testing.TB
	yard  *yard
	known map[string][]string
	// seen has what known has.
	seen map[string]bool
	// callers are what requests show to say who sends them; an empty one is an administrator.
	callers []string
	// files is where media may be fetched from.
	files *httptest.Server
}

// prefixes are how ids of the collections begin.
var prefixes = map[string]string{"ses_": "sessions", "cmp_": "campaigns", "msg_": "messages", "lst_": "lists", "med_": "media", "whk_": "webhooks", "key_": "keys"}

func newWorld(t testing.TB, y *yard) *world {
	t.Helper()
	w := &world{t: t, yard: y, known: map[string][]string{}, seen: map[string]bool{}}
	w.files = httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) { _, _ = answer.Write(picture()) }))
	t.Cleanup(w.files.Close)
	w.callers = []string{"", "", "", "", "", "", "", "Bearer none", "Basic YTpi", "Bearer", "Bearer \x01", "Bearer bcr_🤷"}
	for _, role := range []access.Role{access.Viewer, access.Operator, access.Admin} {
		w.callers = append(w.callers, "Bearer "+y.newKey(t, role, ""), "Bearer "+y.newKey(t, role, "ana"), "Bearer "+y.newKey(t, role, "nobody"))
	}
	bustest.FailMany(t, y.queue, failedJobs)
	for entry := range failedJobs {
		w.learn("failed-jobs", fmt.Sprint(entry+1))
	}
	w.learn("egresses", "direct")
	for _, phone := range []string{"+5491155550101", "+5491155550102", "011 15 5555-0103"} {
		w.learn("phones", phone)
	}
	w.grow()
	return w
}

// failedJobs is how many jobs the world begins with that were given up.
const failedJobs = 150

// learn remembers an id.
func (w *world) learn(collection, id string) {
	if !w.seen[collection+id] {
		w.seen[collection+id] = true
		w.known[collection] = append(w.known[collection], id)
	}
}

// learnFrom remembers the ids in an answer.
func (w *world) learnFrom(body object) {
	for _, name := range []string{"id", "session_id"} {
		id := text(body, name)
		if len(id) > len("ses_") {
			if collection := prefixes[id[:len("ses_")]]; collection != "" {
				w.learn(collection, id)
			}
		}
	}
}

// pick gives the id of something in a collection, the newest more often than the others.
func (w *world) pick(random *rand.Rand, collection string) string {
	ids := w.known[collection]
	if len(ids) == 0 {
		return collection + "-none"
	}
	if newest := min(len(ids), 12); random.IntN(3) > 0 {
		ids = ids[len(ids)-newest:]
	}
	return ids[random.IntN(len(ids))]
}

// must asks the API for something that has to work, and gives what it answered.
func (w *world) must(method, path string, body any) object {
	w.t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	w.yard.handler.ServeHTTP(recorder, httptest.NewRequestWithContext(w.t.Context(), method, path, bytes.NewReader(encoded)))
	if recorder.Code >= http.StatusBadRequest {
		w.t.Fatalf("%s %s answers %d %s", method, path, recorder.Code, recorder.Body)
	}
	var answered object
	_ = json.Unmarshal(recorder.Body.Bytes(), &answered) // not every answer has a body
	w.learnFrom(answered)
	return answered
}

// fit makes a request that replaces the payload of a job one that can: the payload that the job has.
func (w *world) fit(made *request) {
	path, is := strings.CutSuffix(made.target, "/payload")
	if !is {
		return
	}
	recorder := httptest.NewRecorder()
	w.yard.handler.ServeHTTP(recorder, httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, path, nil))
	if recorder.Code == http.StatusOK {
		made.body = recorder.Body.Bytes()
		var job struct{ Payload json.RawMessage }
		if err := json.Unmarshal(made.body, &job); err == nil {
			made.body = []byte(`{"payload":` + string(job.Payload) + `}`)
		}
	}
}

// change alters a session as a worker would.
func (w *world) change(id string, change func(*session.Session)) {
	w.t.Helper()
	if _, err := session.Modify(w.t.Context(), w.yard.database.Sessions(), session.ID(id), func(s *session.Session) error {
		change(s)
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
}

// grow adds one of everything, in the states that an operation may need.
func (w *world) grow() {
	w.t.Helper()
	w.growSessions()
	linked := w.linked()
	list := text(w.must(http.MethodPost, "/v1/lists", object{"user_id": "ana", "name": "Pacientes"}), "id")
	w.must(http.MethodPost, "/v1/lists/"+list+"/contacts", object{"contacts": []object{{"phone": "+5491155550101"}, {"phone": "+5491155550102"}}})
	w.must(http.MethodPost, "/v1/suppressions", object{"phones": []string{"+5491155550101"}})
	w.must(http.MethodPost, "/v1/keys", object{"name": "Web app", "role": "viewer"})
	w.must(http.MethodPost, "/v1/webhooks", object{"url": "https://app.example.com/hook", "events": []string{"*"}})
	w.must(http.MethodPost, "/v1/media/fetch", object{"url": w.files.URL + "/a.png"})
	w.must(http.MethodPost, "/v1/sessions/"+linked+"/messages", object{"phone": "+5491155550103", "text": "hola"})
	for _, state := range []campaign.State{campaign.Draft, campaign.Queued, campaign.Scheduled, campaign.Running, campaign.Paused, campaign.Completed, campaign.Completed, campaign.Failed} {
		w.growCampaign(linked, state)
	}
	jobs, _, err := w.yard.queue.LiveJobs(w.t.Context(), nil, 0, 500)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, job := range jobs {
		w.learn("jobs", fmt.Sprint(job.Sequence))
	}
}

// linkedSessions are those that can send: what a body calls a session is mostly one of them.
const linkedSessions = "linked sessions"

func (w *world) linked() string {
	id := text(w.must(http.MethodPost, "/v1/sessions", object{"user_id": "ana"}), "id")
	w.learn(linkedSessions, id)
	w.change(id, func(s *session.Session) {
		s.State, s.LinkedAt = session.Ready, time.Now().Add(-time.Hour)
		s.Device = session.Device{JID: "5491150000011:1@s.whatsapp.net", LID: "1:1@lid", Phone: "+5491150000011"}
	})
	return id
}

// growSessions makes a session for each state of a link in which somebody can do something, and one that was logged out.
func (w *world) growSessions() {
	w.t.Helper()
	w.must(http.MethodPost, "/v1/sessions", object{"user_id": "ana", "name": "sin vincular"})
	for _, state := range []session.LinkState{session.LinkQueued, session.LinkQR, session.LinkPasskeyRequired, session.LinkPasskeyConfirm, session.LinkExpired} {
		id := text(w.must(http.MethodPost, "/v1/sessions", object{"user_id": "ana"}), "id")
		until := time.Now().Add(time.Hour)
		w.change(id, func(s *session.Session) {
			s.State = session.Linking
			s.Link = session.Link{ID: "lnk_1", Method: session.MethodQR, State: state, QueuedAt: time.Now(), Deadline: until}
			if state.Ended() {
				s.State, s.Link.EndedAt, s.Link.Deadline = session.New, time.Now(), time.Time{}
			}
		})
		if state == session.LinkQR {
			if err := w.yard.prompts.Show(w.t.Context(), session.ID(id), session.Prompt{LinkID: "lnk_1", QR: "2@a,b,c,d,1", Index: 1, Deadline: until}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	out := w.linked()
	w.change(out, func(s *session.Session) {
		s.State, s.Reason, s.Device = session.LoggedOut, session.ReasonLoggedOut, session.Device{}
	})
	entry := session.HistoryEntry{At: time.Now(), Kind: session.EntryEnded, Reason: session.ReasonLoggedOut, Egress: session.EgressDirect}
	if err := session.Remember(w.t.Context(), w.yard.database.Histories(), session.ID(out), entry); err != nil {
		w.t.Fatal(err)
	}
}

// growCampaign makes a campaign in a state. One that has ended has a failed delivery, and a reply.
func (w *world) growCampaign(linked string, state campaign.State) {
	w.t.Helper()
	ctx, now := w.t.Context(), time.Now().UTC()
	body := object{"session_id": linked, "text": "Hola {{nombre|vos}}", "draft": state == campaign.Draft, "recipients": []object{
		{"phone": "+5491155550102", "fields": object{"nombre": "Lucía"}}, {"phone": "+5491155550104", "fields": object{"nombre": "Mateo"}}, {"phone": "12", "fields": object{}}}}
	if state == campaign.Scheduled {
		body["scheduled_at"] = now.Add(time.Hour)
	}
	id := campaign.ID(text(w.must(http.MethodPost, "/v1/campaigns", body), "id"))
	if state == campaign.Draft || state == campaign.Queued || state == campaign.Scheduled {
		return
	}
	deliveries, err := w.yard.database.Deliveries().Claim(ctx, campaign.Claim{CampaignID: id, Run: "run", Limit: 2, At: now})
	if err == nil && state.Ended() {
		_, err = w.yard.database.Deliveries().Record(ctx, []campaign.Outcome{
			{DeliveryID: deliveries[0].ID, State: campaign.FailedDelivery, Class: fault.Internal, Code: "internal", Reason: "It broke", At: now},
			{DeliveryID: deliveries[1].ID, State: campaign.Sent, At: now}})
	}
	if err == nil {
		err = campaign.Replies{Documents: w.yard.database.Documents()}.Keep(ctx, id, campaign.Reply{DeliveryID: deliveries[1].ID, Phone: deliveries[1].Phone, Text: "¡Gracias!", At: now})
	}
	if err == nil {
		_, err = campaign.Modify(ctx, w.yard.database.Campaigns(), id, func(c *campaign.Campaign) error {
			c.State, c.StartedAt, c.UpdatedAt = state, now, now
			if state.Ended() {
				c.EndedAt = now
			}
			return nil
		})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// picture is a file that WhatsApp takes.
func picture() []byte {
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		return nil
	}
	return encoded.Bytes()
}

// collectionOf says of which collection an id is that stands in a path behind a name, or in a body under one.
func collectionOf(name string) string {
	switch {
	case name == "phone" || name == "phones" || name == "suppressions" || name == "contacts":
		return "phones"
	case strings.HasSuffix(name, "_id"):
		return strings.TrimSuffix(name, "_id") + "s"
	}
	return name
}
