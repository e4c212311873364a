package console

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/client"
)

// consoleBefore makes a console in front of an API that answers some routes; any other gets an empty list.
func consoleBefore(t *testing.T, answers map[string]func(*http.Request) any) *Console {
	t.Helper()
	mux := http.NewServeMux()
	answers["/"] = func(*http.Request) any { return map[string]any{"items": []any{}} }
	for pattern, answer := range answers {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			made := answer(r)
			if problem, is := made.(*client.Problem); is {
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(problem.Status)
			}
			if err := json.NewEncoder(w).Encode(made); err != nil {
				t.Error(err)
			}
		})
	}
	zone, err := time.LoadLocation("America/Lima")
	if err != nil {
		t.Fatal(err)
	}
	made, err := New(Options{Logins: everybody{}, API: mux, Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func aFailure(class, code string) client.FailedJob {
	failure := client.Failure{Class: class, Code: code, Message: "The receiver answered 400", Detail: "refused: 400"}
	return client.FailedJob{Entry: 7, Kind: "deliver_webhook", Subject: "commands.webhook.whd_1", Attempts: 1, FirstError: failure, LastError: failure,
		Replay: client.Replay{Safe: class == "conflict"}, Payload: json.RawMessage(`{"version":1}`)}
}

func TestTheFilterOfFailedJobsIsThatOfTheAPI(t *testing.T) {
	t.Parallel()
	var asked, counted string
	c := consoleBefore(t, map[string]func(*http.Request) any{
		"GET /v1/failed-jobs": func(r *http.Request) any {
			asked = r.URL.RawQuery
			return map[string]any{"items": []client.FailedJob{aFailure("conflict", "webhook_refused")}, "next": "7"}
		},
		"GET /v1/failed-jobs/stats": func(r *http.Request) any {
			counted = r.URL.RawQuery
			return map[string]any{"total": 3, "groups": []client.FailedGroup{{Kind: "deliver_webhook", Class: "conflict", Count: 3}}}
		},
	})
	body := c.get(t, "/failed-jobs?kind=deliver_webhook&class=conflict&session=ses_1&campaign=cmp_1&text=a+b&since=2026-03-02T09:00&before=never").Body.String()
	for _, want := range []string{"kind=deliver_webhook", "class=conflict", "session_id=ses_1", "campaign_id=cmp_1", "text=a+b", "since=2026-03-02T14%3A00%3A00Z"} {
		if !strings.Contains(asked, want) || !strings.Contains(counted, want) {
			t.Errorf("%s is not asked for by %q or counted by %q", want, asked, counted)
		}
	}
	if strings.Contains(asked, "before") || !strings.Contains(body, `id="wrong-before"`) {
		t.Errorf("a time that is none is asked for by %q, or not said", asked)
	}
	next := nextPage.FindStringSubmatch(body)
	if next == nil || !strings.Contains(next[1], "after=7") || !strings.Contains(next[1], "campaign=cmp_1") {
		t.Errorf("the next page is at %q", next)
	}
	if !strings.Contains(body, "3 trabajos fallidos") || !strings.Contains(body, `href="/failed-jobs?class=conflict&amp;kind=deliver_webhook"`) {
		t.Error("they are not counted by kind and class")
	}
}

func TestAFailureIsSaidInTheLanguageOfThePage(t *testing.T) {
	t.Parallel()
	c := newTestConsole(t)
	for _, row := range []struct{ code, language, want string }{
		{"webhook_refused", spanish, "El otro sistema recibió el aviso y lo rechazó."}, {"webhook_refused", english, "The receiver answered 400"},
		{"nobody_knows_this", spanish, "Algo está en un estado que no lo permite."}, {"nobody_knows_this", english, "The receiver answered 400"},
		{"banned", spanish, c.languages[spanish].reason("banned")},
	} {
		if got := c.languages[row.language].failure(aFailure("conflict", row.code).LastError); got == "" || !strings.HasPrefix(got, row.want) {
			t.Errorf("%s in %q is %q", row.code, row.language, got)
		}
	}
}

func TestAReplayThatIsNotSafeHasToBeAskedForTwice(t *testing.T) {
	t.Parallel()
	class := "conflict"
	c := consoleBefore(t, map[string]func(*http.Request) any{
		"GET /v1/failed-jobs/7": func(*http.Request) any { return aFailure(class, "webhook_refused") },
		"POST /v1/failed-jobs/7/replay": func(*http.Request) any {
			return &client.Problem{Status: http.StatusConflict, Class: "conflict", Code: "replay_interrupted", Detail: "An earlier replay was interrupted"}
		},
	})
	const force = `name="force"`
	if strings.Contains(c.get(t, "/failed-jobs/7").Body.String(), force) {
		t.Error("a safe replay has to be asked for twice")
	}
	refused := c.post(t, "/failed-jobs/7/replay")
	if body := refused.Body.String(); refused.Code != http.StatusConflict || !strings.Contains(body, force) || !strings.Contains(body, "Una repetición anterior se interrumpió") {
		t.Errorf("an interrupted one is answered with %d: %s", refused.Code, body)
	}
	class = "poison"
	if !strings.Contains(c.get(t, "/failed-jobs/7").Body.String(), force) {
		t.Error("one that is not safe can be asked for by one press")
	}
	if answer := c.get(t, "/failed-jobs/x"); answer.Code != http.StatusNotFound {
		t.Errorf("a job that is no number: %d", answer.Code)
	}
}

func TestAPayloadIsCorrectedBesideItsField(t *testing.T) {
	t.Parallel()
	var saved client.EditFailedJobRequest
	c := consoleBefore(t, map[string]func(*http.Request) any{
		"GET /v1/failed-jobs/7": func(*http.Request) any { return aFailure("poison", "undecodable") },
		"PUT /v1/failed-jobs/7/payload": func(r *http.Request) any {
			if err := json.NewDecoder(r.Body).Decode(&saved); err != nil {
				t.Error(err)
			}
			if strings.Contains(string(saved.Payload), "slize") {
				return &client.Problem{Status: http.StatusUnprocessableEntity, Class: "invalid", Code: "invalid_payload",
					Errors: []client.ProblemDetail{{Location: "body.payload", Message: "unknown field slize"}}}
			}
			return aFailure("poison", "undecodable")
		},
	})
	for payload, want := range map[string]string{"{\n\"version\": 1,\n}": "revise la línea 3", "": "revise la línea 1", `{"slize":1}`: "El servicio dice: unknown field slize"} {
		answer := c.post(t, "/failed-jobs/7/edit", "payload", payload)
		if body := answer.Body.String(); answer.Code != http.StatusUnprocessableEntity || !strings.Contains(body, want) || !strings.Contains(body, `id="wrong-payload"`) {
			t.Errorf("%q is answered with %d and not with %q: %s", payload, answer.Code, want, body)
		}
	}
	if answer := c.post(t, "/failed-jobs/7/edit", "payload", `{"version": 2}`); answer.Code != http.StatusSeeOther || string(saved.Payload) != `{"version":2}` {
		t.Errorf("a good one is answered with %d and saved as %s", answer.Code, saved.Payload)
	}
}

func TestManyFailedJobsAreReplayedABatchAtATime(t *testing.T) {
	t.Parallel()
	var asked []client.ReplayManyRequest
	answers := []client.BulkResult{{Matched: 150, Unsafe: 2, Until: 160}, {Done: 99, Until: 160, Next: 110, Refused: []client.Refused{{Entry: 44, Code: "job_active"}}},
		{Done: 50, Until: 160}, {Done: 3, Until: 160}}
	c := consoleBefore(t, map[string]func(*http.Request) any{
		"POST /v1/failed-jobs/replay": func(r *http.Request) any {
			var request client.ReplayManyRequest
			if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
				t.Error(err)
			}
			asked = append(asked, request)
			return answers[len(asked)-1]
		},
	})
	const path = "/failed-jobs/replay?class=conflict"
	if body := c.get(t, path).Body.String(); !asked[0].DryRun || !strings.Contains(body, "Se repetirán 150 trabajos.") || !strings.Contains(body, `name="force"`) ||
		!strings.Contains(body, `name="until" value="160"`) {
		t.Errorf("it asks %+v, and the person: %s", asked[0], body)
	}
	body := c.post(t, path, "until", "160", "total", "150", "force", "yes").Body.String()
	for _, want := range []string{"Repetidos: 99 de 150.", "1 se quedó en la lista.", "Ya hay en la cola un trabajo para lo mismo.", `name="after" value="110"`, `name="done" value="99"`,
		`name="stayed" value="1"`, `name="force" value="yes"`, "data-goes-on", `href="/failed-jobs?class=conflict"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the first batch does not say %q: %s", want, body)
		}
	}
	body = c.post(t, path, "until", "160", "total", "150", "force", "yes", "after", "110", "done", "99", "stayed", "1").Body.String()
	if !strings.Contains(body, "Repetidos: 149 de 150.") || strings.Contains(body, "data-goes-on") {
		t.Errorf("the last batch says: %s", body)
	}
	if last := asked[2]; last.After != 110 || last.Until != 160 || !last.Force || last.Class != "conflict" || last.DryRun {
		t.Errorf("the last batch is %+v", last)
	}
	if whole := c.post(t, path, "until", "160", "total", "3"); whole.Code != http.StatusSeeOther || whole.Header().Get("Location") != "/failed-jobs?class=conflict" {
		t.Errorf("when all is done: %d to %q", whole.Code, whole.Header().Get("Location"))
	}
	if uncounted := c.post(t, path); uncounted.Code != http.StatusSeeOther || len(asked) != len(answers) {
		t.Errorf("what nobody counted is answered with %d", uncounted.Code)
	}
}
