package app_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// Each test here is one bullet of "campaigns that people rely on", through HTTP, on the simulator.

// body is a JSON object.
type body = map[string]any

// upload is a multipart form.
type upload struct {
	fields map[string]string
	name   string
	file   []byte
}

type answer struct {
	status  int
	headers http.Header
	raw     []byte
	body    body
}

func (a answer) code() string { code, _ := a.body["code"].(string); return code }
func (a answer) id() string   { id, _ := a.body["id"].(string); return id }

// do sends a request; headers come in pairs.
func (w *world) do(method, path string, sent any, headers ...string) answer {
	w.t.Helper()
	var reader io.Reader
	kind := "application/json"
	switch sent := sent.(type) {
	case nil:
	case upload:
		var buffer bytes.Buffer
		form := multipart.NewWriter(&buffer)
		for _, name := range slices.Sorted(maps.Keys(sent.fields)) {
			if err := form.WriteField(name, sent.fields[name]); err != nil {
				w.t.Fatal(err)
			}
		}
		part, err := form.CreateFormFile("file", sent.name)
		if err == nil {
			_, err = part.Write(sent.file)
		}
		if err == nil {
			err = form.Close()
		}
		if err != nil {
			w.t.Fatal(err)
		}
		reader, kind = &buffer, form.FormDataContentType()
	default:
		encoded, err := json.Marshal(sent)
		if err != nil {
			w.t.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.product.URL()+path, reader)
	if err != nil {
		w.t.Fatal(err)
	}
	if reader != nil {
		request.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	if request.Header.Get("Authorization") == "" {
		request.Header.Set("Authorization", "Bearer "+w.key)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	got := answer{status: response.StatusCode, headers: response.Header}
	if got.raw, err = io.ReadAll(response.Body); err != nil {
		w.t.Fatal(err)
	}
	_ = json.Unmarshal(got.raw, &got.body) // files are no JSON
	return got
}

// must is do for what has to succeed.
func (w *world) must(method, path string, sent any, headers ...string) answer {
	w.t.Helper()
	got := w.do(method, path, sent, headers...)
	if got.status >= 300 {
		w.t.Fatalf("%s %s: %d %s", method, path, got.status, got.raw)
	}
	return got
}

// refused is do for what has to be refused.
func (w *world) refused(status int, code, method, path string, sent any) answer {
	w.t.Helper()
	got := w.do(method, path, sent)
	if got.status != status || got.code() != code {
		w.t.Errorf("%s %s: %d %q, want %d %q: %s", method, path, got.status, got.code(), status, code, got.raw)
	}
	return got
}

// people lists so many recipients.
func people(count int) []body {
	listed := make([]body, count)
	for i := range listed {
		listed[i] = body{"phone": number(i), "fields": body{"nombre": fmt.Sprintf("Ana %d", i)}}
	}
	return listed
}

func number(i int) string { return fmt.Sprintf("+54911%08d", 40000000+i) }

// texts are what a person received, in order.
func (w *world) texts(number string) []string {
	var texts []string
	for _, message := range w.simulator.Contact(number).Received() {
		texts = append(texts, message.Text)
	}
	return texts
}

func (w *world) countOf(id, state string) int {
	w.t.Helper()
	counts, _ := w.must(http.MethodGet, "/v1/campaigns/"+id, nil).body["counts"].(body)
	count, _ := counts[state].(float64)
	return int(count)
}

func (w *world) awaitCount(id, state string, count int) {
	w.t.Helper()
	w.await(fmt.Sprintf("%d are %s", count, state), func(context.Context) (bool, error) {
		w.last = string(w.do(http.MethodGet, "/v1/campaigns/"+id, nil).raw)
		return w.countOf(id, state) == count, nil
	})
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func workbook(t *testing.T, rows [][]any) []byte {
	t.Helper()
	book := excelize.NewFile()
	for i, row := range rows {
		if err := book.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &row); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	if err := book.Write(&file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestAudience(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, _ := w.link(1)
	csvFile := "Nombre;Celular;Turno\nJosé;0111540000001;lunes\nAna;549 11 4000-0002;martes\nMal;123;x\nDoble;1140000002;y\n"
	latin := strings.ReplaceAll(csvFile, "é", "\xe9")
	for name, file := range map[string]upload{
		"CSV with semicolons": {name: "a.csv", file: []byte("\xef\xbb\xbf" + csvFile)},
		"Windows-1252":        {name: "b.csv", file: []byte(latin)},
		"XLSX": {name: "c.xlsx", file: workbook(t, [][]any{{"Nombre", "Celular", "Turno"}, {"José", 1140000001, "lunes"},
			{"Ana", 5491140000002.0, "martes"}, {"Mal", 123, "x"}, {"Doble", "1140000002", "y"}})},
	} {
		file.fields = map[string]string{"session_id": linked.ID, "text": name + ": {{nombre}}, {{cuando}}", "settings": `{"mapping":{"cuando":"Turno"}}`}
		made := w.must(http.MethodPost, "/v1/campaigns/upload", file)
		if made.body["recipients"] != 2.0 || made.body["rejected"] != 2.0 {
			t.Fatalf("%s: %s", name, made.raw)
		}
		w.awaitCampaign(made.id(), "completed")
		if got := w.texts("+5491140000001"); !slices.Contains(got, name+": José, lunes") {
			t.Errorf("%s: received %q", name, got)
		}
		report := w.must(http.MethodGet, "/v1/campaigns/"+made.id()+"/rejections.csv", nil)
		rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(report.raw, []byte("\xef\xbb\xbf")))).ReadAll()
		if err != nil || len(rows) != 3 || rows[1][0] != "4" || rows[1][1] != "Celular" || rows[1][2] != "123" || rows[1][3] == "" || rows[2][3] != "duplicate" {
			t.Errorf("%s: the report is %v, %v", name, rows, err)
		}
		if !strings.Contains(report.headers.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s: the report is no download: %v", name, report.headers)
		}
	}

	list := w.must(http.MethodPost, "/v1/lists", body{"user_id": "user-1", "name": "Pacientes"}).id()
	added := w.must(http.MethodPost, "/v1/lists/"+list+"/contacts/upload", upload{name: "d.csv", fields: map[string]string{"tags": "2026"},
		file: []byte("nombre,telefono,etiquetas\nLuz,1140000011,\"diabetes,control\"\nSol,1140000012,control\nMar,1140000013,\nMal,1,x\n")})
	if added.body["added"] != 3.0 || added.body["rejected"] != 1.0 {
		t.Fatalf("the import came to %s", added.raw)
	}
	w.must(http.MethodDelete, "/v1/lists/"+list+"/contacts/+5491140000013", nil)
	w.refused(404, "no_contact", http.MethodDelete, "/v1/lists/"+list+"/contacts/+5491140000013", nil)
	contacts := w.must(http.MethodGet, "/v1/lists/"+list+"/contacts", nil)
	if items, _ := contacts.body["items"].([]any); len(items) != 2 {
		t.Errorf("the contacts are %s", contacts.raw)
	}
	for tag, want := range map[string]int{"Control": 2, "diabetes": 1, "2026": 2} {
		made := w.must(http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "Hola {{nombre}}", "list_id": list, "tags": []string{tag}})
		if made.body["recipients"] != float64(want) {
			t.Errorf("the tag %s has %v recipients", tag, made.body["recipients"])
		}
		w.awaitCampaign(made.id(), "completed")
	}
	w.refused(422, "no_recipients", http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "Hola", "list_id": list, "tags": []string{"nobody"}})
	w.refused(422, "one_audience", http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "Hola", "list_id": list, "recipients": people(1)})
	w.must(http.MethodDelete, "/v1/lists/"+list, nil)
	w.refused(404, "not_found", http.MethodGet, "/v1/lists/"+list, nil)
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, phone := w.link(1)
	if _, err := w.simulator.Declare(number(1), wasim.Profile{NotOnWhatsApp: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.simulator.Contact(number(2)).Send(t.Context(), phone.Number(), "hola"); err != nil {
		t.Fatal(err)
	}
	w.must(http.MethodPost, "/v1/suppressions", body{"phones": []string{number(3)}})
	recipients := append(people(6), body{"phone": number(4), "fields": body{"nombre": "otra vez"}}, body{"phone": "12"})
	asked := body{"session_id": linked.ID, "text": "Hola {{nombre}}", "recipients": recipients, "samples": 2,
		"limits": body{"min_gap_seconds": 10, "max_gap_seconds": 10, "hourly": 2}}
	var seen answer
	w.await("the writer is known", func(context.Context) (bool, error) {
		seen = w.must(http.MethodPost, "/v1/campaigns/preview", asked)
		return seen.body["new_contacts"] == 5.0, nil
	})
	for field, want := range map[string]float64{"rows": 8, "valid": 6, "duplicate": 1, "rejected": 1, "suppressed": 1, "on_whatsapp": 5, "not_on_whatsapp": 1, "unchecked": 0} {
		if seen.body[field] != want {
			t.Errorf("%s is %v, want %v: %s", field, seen.body[field], want, seen.raw)
		}
	}
	samples, _ := seen.body["samples"].([]any)
	if len(samples) != 2 || samples[0].(body)["text"] != "Hola Ana 0" {
		t.Errorf("the samples are %v", samples)
	}
	starts, _ := time.Parse(time.RFC3339, seen.body["starts_at"].(string))
	ends, _ := time.Parse(time.RFC3339, seen.body["ends_at"].(string))
	if took := ends.Sub(starts); took < 2*time.Hour || took > 2*time.Hour+time.Minute { // five messages, two an hour
		t.Errorf("it would take %s", took)
	}
	equal(t, "the campaigns", len(w.must(http.MethodGet, "/v1/campaigns", nil).body["items"].([]any)), 0)
	equal(t, "the messages of the session", len(phone.Sent()), 0)

	// What was looked up is not asked again, and numbers are written to as WhatsApp knows them.
	refuse, err := w.simulator.Script(script.Rule{On: script.UsyncContact, Do: script.RefuseQuery(429)})
	if err != nil {
		t.Fatal(err)
	}
	again := w.must(http.MethodPost, "/v1/campaigns/preview", asked)
	equal(t, "looked up again", refuse.Hits(), 0)
	equal(t, "on WhatsApp", again.body["on_whatsapp"], any(5.0))
	more := w.must(http.MethodPost, "/v1/campaigns/preview/upload", upload{name: "a.csv", file: []byte("nombre,tel\nLuz,1155550000\n"),
		fields: map[string]string{"session_id": linked.ID, "text": "Hola {{nombre}}"}})
	if more.body["unchecked"] != 1.0 || more.body["lookup_problem"] != "lookup_rate_limited" || more.body["phone_column"] != "tel" {
		t.Errorf("without lookups it is %s", more.raw)
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/foto.png":
			_, _ = rw.Write([]byte("\x89PNG\r\n\x1a\n" + strings.Repeat("x", 5000)))
		case "/inside":
			http.Redirect(rw, r, "http://169.254.169.254/latest", http.StatusFound)
		default:
			rw.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = rw.Write([]byte(`<html><head><title>Otra</title><meta property="og:title" content="Turnos &amp; más"><meta name=description content="Aquí"></head><body>`))
		}
	}))
	t.Cleanup(site.Close)
	w := startWith(t, func(o *app.Options, _ *wasim.Server) {
		o.FetchFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	linked, _ := w.link(1)
	send := func(count int, more body) string {
		more["session_id"], more["recipients"] = linked.ID, people(count)
		made := w.must(http.MethodPost, "/v1/campaigns", more)
		w.awaitCampaign(made.id(), "completed")
		return made.id()
	}

	send(20, body{"text": "Hola {{nombre}}", "variants": []string{"Buen día {{nombre|vecino}}", "Qué tal {{apodo|vecino}}"}, "mapping": body{"apodo": "nombre"}})
	seen := map[string]int{}
	for i := range 20 {
		got := w.texts(number(i))
		if len(got) != 1 || !strings.HasSuffix(got[0], fmt.Sprintf("Ana %d", i)) {
			t.Fatalf("%s received %q", number(i), got)
		}
		seen[strings.Fields(got[0])[0]]++
	}
	if len(seen) != 3 {
		t.Errorf("the texts are %v", seen)
	}

	photo := w.must(http.MethodPost, "/v1/media/fetch", body{"url": site.URL + "/foto.png"})
	equal(t, "the kind", photo.body["kind"], any("image"))
	id := send(5, body{"text": "Para {{nombre}}", "media": body{"id": photo.id()}})
	files := map[string]bool{}
	for i := range 5 {
		received := w.simulator.Contact(number(i)).Received()
		message, err := received[len(received)-1].Proto()
		if err != nil {
			t.Fatal(err)
		}
		files[message.GetImageMessage().GetDirectPath()] = true
	}
	equal(t, "uploads of one campaign", len(files), 1)
	received := w.simulator.Contact(number(3)).Received()
	message, err := received[len(received)-1].Proto()
	if err != nil || message.GetImageMessage().GetCaption() != "Para Ana 3" || message.GetImageMessage().GetMimetype() != "image/png" || message.GetImageMessage().GetFileLength() != 5008 {
		t.Errorf("received %v, %v", message, err)
	}
	equal(t, "the campaign's file", w.must(http.MethodGet, "/v1/campaigns/"+id, nil).body["settings"].(body)["media"].(body)["kind"], any("image"))

	sheet := w.must(http.MethodPost, "/v1/media", upload{name: "turnos.pdf", file: []byte("%PDF-1.4 hola")})
	equal(t, "the kind", sheet.body["kind"], any("document"))
	send(1, body{"media": body{"id": sheet.id()}})
	received = w.simulator.Contact(number(0)).Received()
	if message, err := received[len(received)-1].Proto(); err != nil || message.GetDocumentMessage().GetFileName() != "turnos.pdf" {
		t.Errorf("received %v, %v", message, err)
	}
	w.refused(422, "media_type_refused", http.MethodPost, "/v1/media", upload{name: "a.pdf", file: []byte("%PDF-1.4 hola"), fields: map[string]string{"kind": "image"}})
	w.refused(413, "media_too_large", http.MethodPost, "/v1/media", upload{name: "a.png", file: append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 5<<20)...)})
	w.refused(422, "media_empty", http.MethodPost, "/v1/media", upload{name: "a.png"})
	for _, address := range []string{"http://169.254.169.254/latest", "http://10.0.0.1/x.png", "http://[::1]/x.png", site.URL + "/inside"} {
		w.refused(422, "media_url_forbidden", http.MethodPost, "/v1/media/fetch", body{"url": address})
	}
	w.refused(422, "media_url_invalid", http.MethodPost, "/v1/media/fetch", body{"url": "file:///etc/passwd"})

	chats, err := w.simulator.Script(script.Rule{On: script.ChatState, Do: script.Action{}})
	if err != nil {
		t.Fatal(err)
	}
	send(2, body{"text": "Vea " + site.URL + "/turnos, {{nombre}}", "link_preview": true, "typing": true})
	received = w.simulator.Contact(number(1)).Received()
	message, err = received[len(received)-1].Proto()
	preview := message.GetExtendedTextMessage()
	if err != nil || preview.GetTitle() != "Turnos & más" || preview.GetDescription() != "Aquí" || preview.GetMatchedText() != site.URL+"/turnos" {
		t.Errorf("the preview is %v, %v", preview, err)
	}
	if chats.Hits() < 2 {
		t.Errorf("typing was shown %d times", chats.Hits())
	}
	send(1, body{"text": "Vea " + site.URL + "/turnos"})
	received = w.simulator.Contact(number(0)).Received()
	if message, err := received[len(received)-1].Proto(); err != nil || message.GetConversation() == "" {
		t.Errorf("without a preview it is %v, %v", message, err)
	}
	w.refused(422, "no_link", http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "Hola", "link_preview": true, "recipients": people(1)})
}

func TestConsent(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, phone := w.link(1)
	first := w.must(http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "Hola {{nombre}}", "recipients": people(3)}).id()
	w.awaitCampaign(first, "completed")

	// While another campaign runs: the opt-out holds for whoever was not written to yet.
	w.simulator.SetLatency(50 * time.Millisecond)
	running := w.must(http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "Otra", "recipients": append(people(25), body{"phone": "+5491149999999"})}).id()
	leaver := w.simulator.Contact("+5491149999999")
	for range 2 {
		if _, err := leaver.Send(t.Context(), phone.Number(), " ¡Bája! "); err != nil {
			t.Fatal(err)
		}
	}
	w.await("the leaver is suppressed", func(context.Context) (bool, error) {
		return strings.Contains(string(w.must(http.MethodGet, "/v1/suppressions", nil).raw), leaver.Number()), nil
	})
	equal(t, "still running", w.must(http.MethodGet, "/v1/campaigns/"+running, nil).body["state"], any("running"))
	w.awaitCampaign(running, "completed")
	w.simulator.SetLatency(0)
	equal(t, "skipped", w.countOf(running, "skipped"), 1)
	skipped := w.must(http.MethodGet, "/v1/campaigns/"+running+"/deliveries?state=skipped", nil).body["items"].([]any)[0].(body)
	equal(t, "the reason", skipped["code"], any("suppressed_opt_out"))
	w.await("the opt-out was answered", func(context.Context) (bool, error) { return len(w.texts(leaver.Number())) > 0, nil })
	if _, err := leaver.Send(t.Context(), phone.Number(), "stop"); err != nil {
		t.Fatal(err)
	}
	w.await("it is in the audit", func(context.Context) (bool, error) {
		return strings.Contains(string(w.must(http.MethodGet, "/v1/audit", nil).raw), leaver.Number()), nil
	})
	if got := w.texts(leaver.Number()); len(got) != 1 || got[0] != campaign.DefaultOptOutAnswer {
		t.Errorf("the leaver received %q", got)
	}
	if _, err := w.simulator.Contact(number(0)).Send(t.Context(), phone.Number(), "No quiero dar de baja mi turno, gracias"); err != nil {
		t.Fatal(err)
	}

	// The list of an operator, and out again.
	w.must(http.MethodPost, "/v1/suppressions/upload", upload{name: "x.csv", file: []byte("telefono\n1140000000\n1140000001\nxx\n"), fields: map[string]string{"source": "old system"}})
	exported := string(w.must(http.MethodGet, "/v1/suppressions.csv", nil).raw)
	for _, phone := range []string{leaver.Number() + ",opt_out", number(0) + ",blocked,old system", number(1) + ",blocked"} {
		if !strings.Contains(exported, phone) {
			t.Errorf("the export lacks %s:\n%s", phone, exported)
		}
	}
	w.must(http.MethodDelete, "/v1/suppressions/"+number(1), nil)
	w.refused(404, "not_found", http.MethodDelete, "/v1/suppressions/"+number(1), nil)
	last := w.must(http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "Hola", "recipients": people(3)}).id()
	w.awaitCampaign(last, "completed")
	equal(t, "skipped", w.countOf(last, "skipped"), 1)
	audit := string(w.must(http.MethodGet, "/v1/audit", nil).raw)
	for _, action := range []string{"suppression.removed", "suppression.added", `"actor":"contact"`} {
		if !strings.Contains(audit, action) {
			t.Errorf("the audit lacks %s: %s", action, audit)
		}
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, _ := w.link(1)
	create := func(count int, more body) answer {
		w.t.Helper()
		more["session_id"], more["recipients"] = linked.ID, people(count)
		if more["text"] == nil {
			more["text"] = "Hola {{nombre}}"
		}
		return w.must(http.MethodPost, "/v1/campaigns", more)
	}
	act := func(id, action string, sent any) answer {
		return w.must(http.MethodPost, "/v1/campaigns/"+id+"/"+action, sent)
	}

	// A draft is edited, and sends nothing before it is started.
	draft := create(2, body{"draft": true})
	equal(t, "the draft", draft.body["state"], any("draft"))
	edited := w.must(http.MethodPatch, "/v1/campaigns/"+draft.id(), body{"text": "Chau {{nombre}}", "variants": []string{"Adiós {{nombre}}"}, "hours": body{"always": true}})
	equal(t, "the text", edited.body["text"], any("Chau {{nombre}}"))
	w.refused(422, "unknown_placeholder", http.MethodPatch, "/v1/campaigns/"+draft.id(), body{"text": "Hola {{apellido}}"})
	equal(t, "sent before the start", len(w.texts(number(0))), 0)
	act(draft.id(), "start", nil)
	w.awaitCampaign(draft.id(), "completed")
	if got := w.texts(number(0)); len(got) != 1 || strings.HasPrefix(got[0], "Hola") {
		t.Errorf("received %q", got)
	}
	w.refused(409, "campaign_completed", http.MethodPatch, "/v1/campaigns/"+draft.id(), body{"text": "x"})

	// Scheduled: by the queue, at its time; paused before it and scheduled anew.
	at := time.Now().Add(2 * time.Second)
	scheduled := create(1, body{"text": "A tiempo", "scheduled_at": at})
	equal(t, "the state", scheduled.body["state"], any("scheduled"))
	paused := create(1, body{"text": "Nunca", "scheduled_at": at})
	for range 2 {
		equal(t, "paused", act(paused.id(), "pause", nil).body["state"], any("paused"))
	}
	w.awaitCampaign(scheduled.id(), "completed")
	received := w.simulator.Contact(number(0)).Received()
	if last := received[len(received)-1]; last.Text != "A tiempo" || last.At.Before(at.Add(-2*time.Second)) {
		t.Errorf("received %q at %s, want it at %s", last.Text, last.At, at)
	}
	later := act(paused.id(), "schedule", body{"at": time.Now().Add(time.Hour)})
	equal(t, "the state", later.body["state"], any("scheduled"))
	for range 2 {
		act(paused.id(), "pause", nil)
	}
	equal(t, "resumed before its time", act(paused.id(), "resume", nil).body["state"], any("scheduled"))
	w.refused(422, "bad_schedule", http.MethodPost, "/v1/campaigns/"+paused.id()+"/schedule", body{"at": time.Now().Add(-time.Hour)})
	for range 2 {
		equal(t, "cancelled", act(paused.id(), "cancel", nil).body["state"], any("cancelled"))
	}

	// Retry: what was refused goes out, whoever has it gets nothing twice.
	refusal, err := w.simulator.Script(script.Rule{On: script.Message, Recipient: number(2), Do: script.RefuseMessage(500)})
	if err != nil {
		t.Fatal(err)
	}
	partly := create(4, body{"text": "Vuelve {{nombre}}"})
	w.awaitCampaign(partly.id(), "completed")
	refusal.Stop()
	w.refused(409, "nothing_to_retry", http.MethodPost, "/v1/campaigns/"+partly.id()+"/retry", body{"scope": "unknown"})
	failed := w.countOf(partly.id(), "failed")
	if failed == 0 {
		t.Fatalf("nothing failed: %s", w.must(http.MethodGet, "/v1/campaigns/"+partly.id(), nil).raw)
	}
	act(partly.id(), "retry", body{"scope": "failed"})
	w.awaitCampaign(partly.id(), "completed")
	equal(t, "failed after the retry", w.countOf(partly.id(), "failed"), 0)
	for i := range 4 {
		if got := slices.DeleteFunc(w.texts(number(i)), func(text string) bool { return !strings.HasPrefix(text, "Vuelve") }); len(got) != 1 {
			t.Errorf("%s received %q", number(i), got)
		}
	}

	// A clone is a draft with the same people; a deleted campaign leaves its trace.
	clone := act(draft.id(), "clone", body{"name": "otra vez"})
	equal(t, "the clone", clone.body["state"], any("draft"))
	equal(t, "its recipients", clone.body["recipients"], any(2.0))
	equal(t, "its source", clone.body["settings"].(body)["cloned_from"], any(draft.id()))
	act(clone.id(), "start", nil)
	w.awaitCampaign(clone.id(), "completed")
	equal(t, "received from both", len(w.texts(number(1)))-1, 2) // and one of the retry
	w.must(http.MethodDelete, "/v1/campaigns/"+clone.id(), nil)
	w.refused(404, "not_found", http.MethodGet, "/v1/campaigns/"+clone.id(), nil)
	if audit := string(w.must(http.MethodGet, "/v1/audit", nil).raw); !strings.Contains(audit, "campaign.deleted") || !strings.Contains(audit, clone.id()) {
		t.Errorf("the audit is %s", audit)
	}
	busy := create(3, body{"scheduled_at": time.Now().Add(time.Hour)})
	w.refused(409, "campaign_scheduled", http.MethodDelete, "/v1/campaigns/"+busy.id(), nil)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, phone := w.link(1)
	create := func(more body) string {
		w.t.Helper()
		more["session_id"], more["text"] = linked.ID, "Hola"
		return w.must(http.MethodPost, "/v1/campaigns", more).id()
	}
	rule := func(times, code int) *script.Running {
		w.t.Helper()
		running, err := w.simulator.Script(script.Rule{On: script.Message, Times: times, Do: script.RefuseMessage(code)})
		if err != nil {
			t.Fatal(err)
		}
		return running
	}

	// One 463 is one contact's; the others get theirs.
	rule(1, 463)
	one := create(body{"recipients": people(4)})
	w.awaitCampaign(one, "completed")
	equal(t, "skipped", w.countOf(one, "skipped"), 1)

	// Several in a row are the account's: everything pauses, with the time to go on.
	writer := number(30)
	if _, err := w.simulator.Contact(writer).Send(t.Context(), phone.Number(), "hola"); err != nil {
		t.Fatal(err)
	}
	lock := rule(0, 463)
	other := create(body{"recipients": people(20)})
	paused := w.awaitCampaign(other, "paused")
	equal(t, "the reason", paused.Reason, "reach_out_lock")
	found := w.must(http.MethodGet, "/v1/sessions/"+linked.ID, nil)
	equal(t, "the session", found.body["state"], any("paused"))
	if found.body["until"] == nil || w.must(http.MethodGet, "/v1/campaigns/"+other, nil).body["resume_at"] == nil {
		t.Errorf("nobody is told until when: %s", found.raw)
	}
	if lock.Hits() > 6 {
		t.Errorf("it went on for %d refusals", lock.Hits())
	}

	// While it is locked, people who wrote to it can be written to.
	lock.Stop()
	warm := create(body{"warm_only": true, "recipients": append(people(2), body{"phone": writer})})
	w.awaitCampaign(warm, "completed")
	equal(t, "the writer received", len(w.texts(writer)), 1)
	equal(t, "strangers skipped", w.countOf(warm, "skipped"), 2)
}

func TestAQuotaPausesTheSessionAndItsCampaigns(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, _ := w.link(1)
	if _, err := w.simulator.Script(script.Rule{On: script.Message, Times: 1, Skip: 1, Do: script.RefuseMessage(475)}); err != nil {
		t.Fatal(err)
	}
	made := w.must(http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "Hola", "recipients": people(5)})
	paused := w.awaitCampaign(made.id(), "paused")
	equal(t, "the reason", paused.Reason, "new_chat_quota")
	session := w.awaitState(linked.ID, "paused")
	equal(t, "the session's reason", session.Reason, "new_chat_quota")
	equal(t, "sent", w.countOf(made.id(), "pending")+w.countOf(made.id(), "sending"), 4)
}

func TestResults(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, phone := w.link(1)
	if _, err := w.simulator.Declare(number(1), wasim.Profile{NotOnWhatsApp: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.simulator.Declare(number(2), wasim.Profile{NeverReads: true}); err != nil {
		t.Fatal(err)
	}
	made := w.must(http.MethodPost, "/v1/campaigns/upload", upload{name: "a.csv", fields: map[string]string{"session_id": linked.ID, "text": "Hola {{nombre}}"},
		file: []byte("nombre,telefono\n=2+2,1140000000\nBeto,1140000001\nCaro,1140000002\nDani,1140000003\n")}).id()
	w.awaitCampaign(made, "completed")
	if _, err := w.simulator.Contact(number(3)).Send(t.Context(), phone.Number(), "Gracias, ¿a qué hora?"); err != nil {
		t.Fatal(err)
	}
	for state, count := range map[string]int{"replied": 1, "read": 1, "delivered": 1, "skipped": 1} {
		w.awaitCount(made, state, count)
	}
	replies := w.must(http.MethodGet, "/v1/campaigns/"+made+"/replies", nil).body["items"].([]any)
	if len(replies) != 1 || replies[0].(body)["text"] != "Gracias, ¿a qué hora?" || replies[0].(body)["phone"] != number(3) {
		t.Errorf("the replies are %v", replies)
	}
	exported := w.must(http.MethodGet, "/v1/campaigns/"+made+"/deliveries.csv", nil).raw
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(exported, []byte("\xef\xbb\xbf")))).ReadAll()
	if err != nil || len(rows) != 5 {
		t.Fatalf("the export is %s, %v", exported, err)
	}
	at := func(row int, column string) string { return rows[row][slices.Index(rows[0], column)] }
	equal(t, "a formula", at(1, "nombre"), "'=2+2")
	equal(t, "a number", at(1, "phone"), number(0))
	equal(t, "a state", at(4, "state"), "replied")
	for _, column := range []string{"sent_at", "delivered_at", "read_at", "replied_at"} {
		if at(4, column) == "" {
			t.Errorf("%s is missing: %v", column, rows[4])
		}
	}
	equal(t, "a class", at(2, "class"), "skip_recipient")
	sheet, err := excelize.OpenReader(bytes.NewReader(w.must(http.MethodGet, "/v1/campaigns/"+made+"/deliveries.xlsx", nil).raw))
	if err != nil {
		t.Fatal(err)
	}
	cells, err := sheet.GetRows("Sheet1")
	if err != nil || len(cells) != 5 || cells[1][1] != number(0) || cells[1][2] != "=2+2" {
		t.Errorf("the spreadsheet is %v, %v", cells, err)
	}
	if err := sheet.Close(); err != nil {
		t.Error(err)
	}

	// The same request twice is one campaign; the same key for another request is refused.
	sent := body{"session_id": linked.ID, "text": "Una vez", "recipients": people(1)}
	once := w.must(http.MethodPost, "/v1/campaigns", sent, "Idempotency-Key", "turnos-1")
	again := w.must(http.MethodPost, "/v1/campaigns", sent, "Idempotency-Key", "turnos-1")
	if again.id() != once.id() || again.headers.Get("Idempotency-Replayed") != "true" || !bytes.Equal(again.raw, once.raw) {
		t.Errorf("repeated: %s", again.raw)
	}
	sent["text"] = "Otra cosa"
	if got := w.do(http.MethodPost, "/v1/campaigns", sent, "Idempotency-Key", "turnos-1"); got.code() != "idempotency_key_reused" {
		t.Errorf("another request under the key: %d %s", got.status, got.raw)
	}
	file := upload{name: "a.csv", file: []byte("telefono\n1140000000\n"), fields: map[string]string{"session_id": linked.ID, "text": "Una vez"}}
	upload1 := w.must(http.MethodPost, "/v1/campaigns/upload", file, "Idempotency-Key", "turnos-2")
	upload2 := w.must(http.MethodPost, "/v1/campaigns/upload", file, "Idempotency-Key", "turnos-2") // with another boundary
	equal(t, "the upload repeated", upload2.id(), upload1.id())
	sent["text"] = "{{"
	if got := w.do(http.MethodPost, "/v1/campaigns", sent, "Idempotency-Key", "turnos-3"); got.status != 422 {
		t.Errorf("a wrong request: %d", got.status)
	}
	sent["text"] = "Corregido"
	w.must(http.MethodPost, "/v1/campaigns", sent, "Idempotency-Key", "turnos-3")
}

func TestSingleMessages(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, phone := w.link(1)
	path := "/v1/sessions/" + linked.ID + "/messages"
	sent := body{"phone": "11 4000-0000", "text": "Su código: {{123}}"}
	first := w.must(http.MethodPost, path, sent, "Idempotency-Key", "code-1")
	second := w.must(http.MethodPost, path, sent, "Idempotency-Key", "code-1")
	equal(t, "the message", second.id(), first.id())
	w.await("it is read", func(context.Context) (bool, error) {
		return w.must(http.MethodGet, "/v1/messages/"+first.id(), nil).body["state"] == "read", nil
	})
	if got := w.texts(number(0)); len(got) != 1 || got[0] != "Su código: {{123}}" {
		t.Errorf("received %q", got)
	}
	if _, err := w.simulator.Contact(number(0)).Send(t.Context(), phone.Number(), "gracias"); err != nil {
		t.Fatal(err)
	}
	w.await("it is answered", func(context.Context) (bool, error) {
		return w.must(http.MethodGet, "/v1/messages/"+first.id(), nil).body["state"] == "replied", nil
	})
	equal(t, "campaigns", len(w.must(http.MethodGet, "/v1/campaigns", nil).body["items"].([]any)), 0)
	w.must(http.MethodPost, "/v1/suppressions", body{"phones": []string{number(1)}})
	blocked := w.must(http.MethodPost, path, body{"phone": number(1), "text": "x"}).id()
	w.await("it is skipped", func(context.Context) (bool, error) {
		got := w.must(http.MethodGet, "/v1/messages/"+blocked, nil).body
		return got["state"] == "skipped" && got["code"] == "suppressed_blocked", nil
	})
	w.refused(422, "no_recipients", http.MethodPost, path, body{"phone": "12", "text": "x"})
	w.refused(422, "text_empty", http.MethodPost, path, body{"phone": number(2)})
	w.refused(404, "not_found", http.MethodGet, "/v1/messages/cmp_x", nil)
}
