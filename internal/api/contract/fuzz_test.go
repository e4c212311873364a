package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// defaultRounds is how often each operation is asked in each way.
	defaultRounds = 10
	// growAfter is after how many rounds the world grows, since some operations delete.
	growAfter = 5
	// mostBegun and triesEach are how often what did not succeed yet is asked for in the beginning.
	mostBegun, triesEach = 3, 60
	// patience is how long an answer may take. A stream goes on until its reader leaves.
	patience       = 20 * time.Second
	streamPatience = 200 * time.Millisecond
	// mostShown is how many failures are written out.
	mostShown = 40
)

// setting reads a number from the environment.
func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	written := os.Getenv(name)
	if written == "" {
		return otherwise
	}
	number, err := strconv.ParseUint(written, 10, 64)
	if err != nil {
		t.Fatalf("%s must be a number", name)
	}
	return number
}

// TestNoRequestBreaksTheContract asks every operation for everything that its schemas allow, and for what they do not.
func TestNoRequestBreaksTheContract(t *testing.T) {
	t.Parallel()
	seed := setting(t, "CONTRACT_SEED", uint64(time.Now().UnixNano()))
	rounds := int(setting(t, "CONTRACT_ROUNDS", defaultRounds)) // #nosec G115 -- nobody waits for so many
	t.Logf("CONTRACT_SEED=%d CONTRACT_ROUNDS=%d", seed, rounds)
	y := newYard(t)
	d := readDocument(t, y.handler)
	g := &generator{random: rand.New(rand.NewPCG(seed, 0)), document: d, world: newWorld(t, y)} // #nosec G404 -- a test is to be repeated
	f := &fuzzer{t: t, generator: g, yard: y, tally: tally{}}
	operations := d.operations()
	f.begin(operations)
	for round := range rounds {
		if round%growAfter == growAfter-1 {
			g.world.grow()
		}
		for way := range ways {
			g.random.Shuffle(len(operations), func(i, j int) { operations[i], operations[j] = operations[j], operations[i] })
			for _, o := range operations {
				f.try(g.request(o, way))
			}
		}
	}
	f.report(d.operations())
}

// begin asks for everything until it succeeded once, while the world still has all that operations need.
func (f *fuzzer) begin(operations []operation) {
	f.t.Helper()
	for range mostBegun {
		f.generator.world.grow()
		for _, o := range operations {
			for tries := 0; tries < triesEach && !f.succeeded(o); tries++ {
				f.try(f.generator.request(o, proper))
			}
		}
	}
}

func (f *fuzzer) succeeded(o operation) bool {
	for status := range f.tally[o.id] {
		if status < http.StatusMultipleChoices {
			return true
		}
	}
	return false
}

// fuzzer sends requests and judges the answers.
type fuzzer struct {
	t         *testing.T
	generator *generator
	yard      *yard
	tally     tally
	failures  int
}

// tally counts the answers of each operation by status.
type tally map[string]map[int]int

func (f *fuzzer) try(r request) {
	f.t.Helper()
	f.yard.log.Reset()
	recorder, err := f.send(r)
	if err == nil {
		err = f.judge(r, recorder)
	}
	if f.tally[r.operation.id] == nil {
		f.tally[r.operation.id] = map[int]int{}
	}
	f.tally[r.operation.id][recorder.Code]++
	if err == nil {
		return
	}
	if f.failures++; f.failures <= mostShown {
		f.t.Errorf("%s\n  sent: %v\n  got: %d %s\n  log: %s", err, r, recorder.Code, shortened(recorder.Body.String()), shortened(f.yard.log.String()))
	}
}

func shortened(text string) string {
	if len(text) > 800 {
		return text[:800] + "…"
	}
	return text
}

// send gives the answer to a request; an error when the handler panicked.
func (f *fuzzer) send(r request) (recorder *httptest.ResponseRecorder, err error) {
	wait := patience
	if child(r.operation.body, "responses", "200", "content", "text/event-stream") != nil {
		wait = streamPatience
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), wait)
	defer cancel()
	sent := httptest.NewRequestWithContext(ctx, r.operation.method, r.target, bytes.NewReader(r.body))
	for name, value := range r.headers {
		sent.Header.Set(name, value)
	}
	recorder = httptest.NewRecorder()
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("the handler panicked: %v", broken)
		}
	}()
	f.yard.handler.ServeHTTP(recorder, sent)
	return recorder, nil
}

// judge compares an answer with what the document says of the operation.
func (f *fuzzer) judge(r request, answer *httptest.ResponseRecorder) error {
	status := strconv.Itoa(answer.Code)
	if answer.Code >= http.StatusInternalServerError {
		return fmt.Errorf("%s fails", r.operation.id)
	}
	var body any
	kind := answer.Header().Get("Content-Type")
	if strings.Contains(kind, "json") {
		decoder := json.NewDecoder(bytes.NewReader(answer.Body.Bytes()))
		decoder.UseNumber()
		if err := decoder.Decode(&body); err != nil {
			return fmt.Errorf("%s answers what is no JSON: %w", r.operation.id, err)
		}
	}
	whole, _ := body.(object)
	if r.strayed && (answer.Code/100 == 3 || slices.Contains([]string{"no_route", "method_not_allowed"}, text(whole, "code"))) {
		return nil // another address, or none
	}
	declared := child(r.operation.body, "responses", status)
	if declared == nil {
		return fmt.Errorf("%s does not say that it answers %s", r.operation.id, status)
	}
	content := child(declared, "content")
	if content[kind] == nil && (len(content) > 0 || answer.Body.Len() > 0) {
		return fmt.Errorf("%s does not say that it answers %s with %q", r.operation.id, status, kind)
	}
	if body != nil {
		if err := f.generator.document.check(body, r.operation.place("responses", status, "content", kind, "schema")...); err != nil {
			return fmt.Errorf("%s answers %s with what its schema does not allow: %w", r.operation.id, status, err)
		}
		f.generator.world.learnFrom(whole)
	}
	return f.judgeProblem(r, answer, whole)
}

// judgeProblem looks whether a refusal is one that the operation lists.
func (f *fuzzer) judgeProblem(r request, answer *httptest.ResponseRecorder, problem object) error {
	if answer.Code < http.StatusBadRequest {
		return nil
	}
	if problem["status"] != json.Number(strconv.Itoa(answer.Code)) {
		return fmt.Errorf("%s answers %d and says %v", r.operation.id, answer.Code, problem["status"])
	}
	if wait := answer.Header().Get("Retry-After"); wait != "" {
		if seconds, err := strconv.Atoi(wait); err != nil || seconds < 1 {
			return fmt.Errorf("%s says Retry-After: %s", r.operation.id, wait)
		}
	}
	examples := child(r.operation.body, "responses", strconv.Itoa(answer.Code), "content", "application/problem+json", "examples")
	if examples[text(problem, "code")] == nil {
		return fmt.Errorf("%s does not list the code %q under %d", r.operation.id, text(problem, "code"), answer.Code)
	}
	return nil
}

// report shows what was asked and answered, and fails for an operation that never succeeded: nothing is known of its answer then.
func (f *fuzzer) report(operations []operation) {
	f.t.Helper()
	var lines strings.Builder
	all := 0
	for _, o := range operations {
		statuses, asked := f.tally[o.id], 0
		var counts []string
		for _, status := range slices.Sorted(maps.Keys(statuses)) {
			asked += statuses[status]
			counts = append(counts, fmt.Sprintf("%d×%d", statuses[status], status))
		}
		all += asked
		fmt.Fprintf(&lines, "\n%-26s %5d  %s", o.id, asked, strings.Join(counts, " "))
		if !f.succeeded(o) {
			f.t.Errorf("%s never succeeded: the world has nothing for it", o.id)
		}
	}
	f.t.Logf("%d requests to %d operations, %d broke the contract%s", all, len(operations), f.failures, lines.String())
}

// TestTheJudgeRefusesWhatTheDocumentDoesNotSay spoils a good answer in each way in which one can be wrong.
func TestTheJudgeRefusesWhatTheDocumentDoesNotSay(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	d := readDocument(t, y.handler)
	f := &fuzzer{t: t, generator: &generator{document: d, world: &world{seen: map[string]bool{}, known: map[string][]string{}}}, yard: y}
	var get operation
	for _, o := range d.operations() {
		if o.id == "get-session" {
			get = o
		}
	}
	const good = `{"id":"ses_1","user_id":"ana","name":"Ana","state":"new","egress":"direct","created_at":"2026-03-02T12:00:00Z"}`
	const missing = `{"title":"Not Found","status":404,"detail":"None","class":"not_found","code":"not_found"}`
	rows := []struct {
		name, kind, body string
		status           int
		strayed, right   bool
	}{
		{"a session", "application/json", good, 200, false, true},
		{"no such session", "application/problem+json", missing, 404, false, true},
		{"a failure", "application/problem+json", missing, 503, false, false},
		{"another status", "application/json", good, 202, false, false},
		{"another media type", "text/plain", good, 200, false, false},
		{"a body that is cut off", "application/json", good[:40], 200, false, false},
		{"a state that there is not", "application/json", strings.Replace(good, `"new"`, `"old"`, 1), 200, false, false},
		{"a property too many", "application/json", strings.Replace(good, `{`, `{"more":1,`, 1), 200, false, false},
		{"a time that is none", "application/json", strings.Replace(good, `2026-03-02T`, `2026-13-02T`, 1), 200, false, false},
		{"a problem of another status", "application/problem+json", strings.Replace(missing, "404", "409", 1), 404, false, false},
		{"a code that is not listed", "application/problem+json", strings.Replace(missing, `"code":"not_found"`, `"code":"lost"`, 1), 404, false, false},
		{"no route for an odd address", "application/problem+json", strings.Replace(missing, `"code":"not_found"`, `"code":"no_route"`, 1), 404, true, true},
		{"no route for a plain address", "application/problem+json", strings.Replace(missing, `"code":"not_found"`, `"code":"no_route"`, 1), 404, false, false},
	}
	for _, row := range rows {
		recorder := httptest.NewRecorder()
		recorder.Header().Set("Content-Type", row.kind)
		recorder.WriteHeader(row.status)
		recorder.Body.WriteString(row.body)
		if err := f.judge(request{operation: get, strayed: row.strayed}, recorder); (err == nil) != row.right {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}
