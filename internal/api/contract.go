package api

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// The contract is what /openapi.json says beside what the Go types say by themselves: what an operation is for, examples, and every way in which it
// refuses. It stands in contract_*.go by operation id and is put on the document in one place, describe. Tests hold it: no operation without it, every
// example as its schema says, and no answer of a fuzzed API that is not listed.

// described is the contract of one operation.
type described struct {
	tag, text string
	// body and answer are examples of the request and of the answer; nil: there is none, or it is a picture. A form is an object of its fields.
	body, answer any
	// also is another status of success with the same body, and when it is given.
	also    int
	alsoFor string
	// refusals are what the operation's own code refuses with. What every operation of its shape refuses with comes by itself.
	refusals []*fault.Error
}

// object is an example of a body that leaves most of its fields out, or of a form.
type object map[string]any

// bodyOf gives the body of an input that was filled.
func bodyOf[T any](fill func(*T) any) any {
	var input T
	return fill(&input)
}

// contract is that of every operation by its id.
func contract() map[string]described {
	whole := map[string]described{}
	for _, part := range []map[string]described{
		contractOfSessions(), contractOfLinks(), contractOfEgresses(), contractOfCampaigns(), contractOfControl(), contractOfResults(), contractOfMessages(),
		contractOfLists(), contractOfMedia(), contractOfConsent(), contractOfFailedJobs(), contractOfJobs(), contractOfWebhooks(), contractOfKeys(),
	} {
		maps.Copy(whole, part)
	}
	return whole
}

// tags are the chapters of the document, in their order.
func tags() []*huma.Tag {
	return []*huma.Tag{
		{Name: "Sessions", Description: "A session is a WhatsApp account that was, or is to be, linked for one user of the web app."},
		{Name: "Links", Description: "Linking pairs a session with a phone: somebody scans a QR or types a code. One link runs at a time."},
		{Name: "Egress", Description: "The network way out of a session: the host's own address, or a proxy. Links are spaced on each."},
		{Name: "Events", Description: "What happens, as it happens."},
		{Name: "Campaigns", Description: "A campaign is one text to an audience, sent from one session at a human pace."},
		{Name: "Results", Description: "What happened to each recipient of a campaign."},
		{Name: "Messages", Description: "Single messages: the same pace, the same opt-outs, without a list of recipients."},
		{Name: "Lists", Description: "Saved contact lists."},
		{Name: "Media", Description: "Files that go with messages."},
		{Name: "Consent", Description: "Who must not be written to, and what must be provable later."},
		{Name: "Failed jobs", Description: "Jobs that the workers gave up: look at them, mend them, replay or discard them."},
		{Name: "Jobs", Description: "What is in the queue now."},
		{Name: "Keys", Description: "API keys: who may do what, for which user."},
		{Name: "Webhooks", Description: "Addresses that are told what happens, signed as Standard Webhooks."},
	}
}

// refuses is a refusal for the contract. Messages stand here as an example; the real one may name the place.
func refuses(class fault.Class, code, message string) *fault.Error {
	return fault.New(class, code, message)
}

// noRecord is what the stores say of what they do not have.
func noRecord() *fault.Error { return fault.As(store.ErrNotFound) }

// storyTime is when the examples happen.
func storyTime() time.Time { return time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC) }

func after(wait time.Duration) time.Time { return storyTime().Add(wait) }

func pointer[T any](value T) *T { return &value }

// describe puts the contract on the document.
func describe(document *huma.OpenAPI) {
	document.Tags = tags()
	whole := contract()
	registry := document.Components.Schemas
	problem := registry.Schema(reflect.TypeFor[*Problem](), true, "Problem")
	shared := problems{}
	delete(registry.Map(), "ErrorModel")
	describeProblem(registry.Map()["Problem"])
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		item := document.Paths[path]
		for _, operation := range []*huma.Operation{item.Get, item.Put, item.Post, item.Patch, item.Delete} {
			if operation == nil {
				continue
			}
			known := whole[operation.OperationID]
			namePlaces(operation, path)
			operation.Tags, operation.Description = []string{known.tag}, known.text
			if operation.Method == http.MethodPost {
				operation.Parameters = append(operation.Parameters, idempotencyKey())
			}
			if known.also != 0 {
				success := *operation.Responses[strconv.Itoa(operation.DefaultStatus)]
				success.Description = known.alsoFor
				operation.Responses[strconv.Itoa(known.also)] = &success
			}
			exampleOf(operation, known)
			shared.listRefusals(operation, append(usual(operation, path), known.refusals...), problem)
			headersOf(operation)
		}
	}
	document.Components.Examples = shared
}

// describeProblem lists the classes, which the Go type does not know.
func describeProblem(schema *huma.Schema) {
	var classes []any
	for _, class := range fault.Classes() {
		classes = append(classes, string(class))
	}
	schema.Description = "An error (RFC 9457)."
	schema.Properties["class"].Enum = classes
	schema.Required = []string{"title", "status", "detail", "class", "code"}
}

func idempotencyKey() *huma.Param {
	return &huma.Param{Name: headerKey, In: "header", Example: "order-4711",
		Description: "Repeated with the same body within a day, the request has no second effect and gets the same answer. Any visible ASCII characters.",
		Schema:      &huma.Schema{Type: huma.TypeString, MaxLength: pointer(maxKeyLength), Pattern: "^[!-~]+$"}}
}

// storyNames are what stands in paths, by the name of the collection before it.
func storyNames() map[string]any {
	return map[string]any{"sessions": storySession, "campaigns": storyCampaign, "messages": storyMessage, "lists": storyList, "media": storyMedia, "webhooks": storyWebhook,
		"egresses": "direct", "suppressions": "+5491155550109", "contacts": "+5491155550101", "keys": storyKey, "failed-jobs": 17, "jobs": 204}
}

// namePlaces gives the parameters of a path examples.
func namePlaces(operation *huma.Operation, path string) {
	names := storyNames()
	for _, parameter := range operation.Parameters {
		before, _, is := strings.Cut(path, "/{"+parameter.Name+"}")
		if parameter.In == "path" && is {
			parameter.Example = names[before[strings.LastIndex(before, "/")+1:]]
		}
	}
}

// exampleOf puts the examples on the bodies of a request and of its answer.
func exampleOf(operation *huma.Operation, known described) {
	if operation.RequestBody != nil && known.body != nil {
		if operation.RequestBody.Content["application/json"] != nil {
			delete(operation.RequestBody.Content, "application/octet-stream") // huma lists it for a body that it does not read itself
		}
		for _, media := range operation.RequestBody.Content {
			media.Example = known.body
		}
	}
	for status, response := range operation.Responses {
		if status < "300" && known.answer != nil {
			for _, media := range response.Content {
				media.Example = known.answer
			}
		}
	}
}

// usual are the refusals of every operation of the same shape.
func usual(operation *huma.Operation, path string) []*fault.Error {
	usual := []*fault.Error{
		fault.As(fmt.Errorf("an unclassified error")),
		refuses(fault.RetryLater, "interrupted", "The work was interrupted before it finished; try again").WithAfter(time.Second),
	}
	if len(operation.Parameters) > 0 || operation.RequestBody != nil {
		usual = append(usual, refusals()[http.StatusUnprocessableEntity].WithDetails(placeOf(operation, path)))
	}
	if operation.RequestBody != nil && operation.RequestBody.Content["application/json"] != nil {
		usual = append(usual, refusals()[http.StatusRequestEntityTooLarge])
	}
	if operation.RequestBody != nil {
		usual = append(usual, refuses(fault.TooLarge, "upload_too_large", "The body is larger than 67108864 bytes; split the audience into several campaigns"))
	}
	usual = append(usual, refusalsOfKeys(operation)...)
	if operation.Method == http.MethodPost {
		usual = append(usual, refuses(fault.Invalid, "bad_idempotency_key", "An Idempotency-Key has 1 to 200 visible ASCII characters and no spaces"),
			fault.As(store.ErrIdempotencyReused), fault.As(store.ErrIdempotencyInProgress))
	}
	return usual
}

// placeOf makes up a wrong place of a request.
func placeOf(operation *huma.Operation, path string) fault.Detail {
	if strings.Contains(path, "{") {
		return fault.Detail{Location: "path." + operation.Parameters[0].Name, Reason: "expected length <= 100"}
	}
	if operation.RequestBody != nil {
		return fault.Detail{Location: "body", Reason: "unexpected property"}
	}
	return fault.Detail{Location: "query." + operation.Parameters[0].Name, Reason: "expected number <= 500"}
}

// listRefusals lists what an operation refuses with, by status and code.
func (p problems) listRefusals(operation *huma.Operation, all []*fault.Error, problem *huma.Schema) {
	maps.DeleteFunc(operation.Responses, func(status string, _ *huma.Response) bool { return status >= "400" || status == "default" })
	var documents []*Problem
	for _, known := range all {
		documents = append(documents, documentOf(known, storyTime()))
	}
	if operation.RequestBody != nil && operation.RequestBody.Content["application/json"] != nil { // Their status is not that of their class.
		statuses := []int{http.StatusBadRequest, http.StatusRequestTimeout, http.StatusUnsupportedMediaType}
		if operation.SkipValidateBody { // It takes the body as it is.
			statuses = []int{http.StatusBadRequest, http.StatusRequestTimeout}
		}
		for _, status := range statuses {
			documents = append(documents, refusalOf(status))
		}
	}
	slices.SortStableFunc(documents, func(a, b *Problem) int { return cmp.Compare(a.Code, b.Code) })
	for _, document := range documents {
		status := strconv.Itoa(document.Status)
		response := operation.Responses[status]
		if response == nil {
			response = &huma.Response{Description: http.StatusText(document.Status), Content: map[string]*huma.MediaType{
				document.ContentType(""): {Schema: problem, Examples: map[string]*huma.Example{}}}}
			operation.Responses[status] = response
		}
		response.Content[document.ContentType("")].Examples[document.Code] = &huma.Example{Ref: "#/components/examples/" + p.put(document)}
	}
}

// problems are the examples of problem documents by name. Most operations refuse with the same few.
type problems map[string]*huma.Example

// put gives the name of an example. It is the code, unless another class has the same code.
func (p problems) put(document *Problem) (name string) {
	name = document.Code
	if known := p[name]; known != nil && known.Value.(*Problem).Status != document.Status {
		name += "_" + strconv.Itoa(document.Status)
	}
	if p[name] == nil {
		p[name] = &huma.Example{Summary: document.Detail, Value: document}
	}
	return name
}

// headersOf describes the headers of answers.
func headersOf(operation *huma.Operation) {
	for status, response := range operation.Responses {
		if response.Headers == nil {
			response.Headers = map[string]*huma.Param{}
		}
		switch {
		case status == "429" || status == "503":
			response.Headers["Retry-After"] = &huma.Param{Description: "After how many seconds the same request is worth sending again, where that is known.",
				Schema: &huma.Schema{Type: huma.TypeInteger, Minimum: pointer(1.0)}}
		case status < "300" && operation.Method == http.MethodPost:
			response.Headers[headerReplayed] = &huma.Param{Description: "true when this is the answer of an earlier request with the same key.",
				Schema: &huma.Schema{Type: huma.TypeString, Enum: []any{"true"}}}
		case status < "300" && (response.Content["text/csv; charset=utf-8"] != nil || response.Content[xlsxType] != nil):
			response.Headers["Content-Disposition"] = &huma.Param{Description: "The name of the file.", Schema: &huma.Schema{Type: huma.TypeString}}
		}
	}
}
