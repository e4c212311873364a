package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const openAPIPage = "../../../docs/openapi.json"

// object is a JSON object.
type object = map[string]any

// document is the OpenAPI document as the API serves it.
type document struct {
	root object
	// compiler knows the whole of it, so that any schema in it can be compiled by its place.
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
}

const documentAddress = "file:///openapi.json"

// readDocument asks a handler for its document.
func readDocument(t testing.TB, handler http.Handler) *document {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.json", nil))
	if recorder.Code != http.StatusOK {
		t.Fatalf("/openapi.json answers %d", recorder.Code)
	}
	d := &document{compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}}
	if err := json.Unmarshal(recorder.Body.Bytes(), &d.root); err != nil {
		t.Fatal(err)
	}
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(recorder.Body.Bytes()))
	if err == nil {
		d.compiler.AssertFormat()
		err = d.compiler.AddResource(documentAddress, whole)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// at gives what is at a place; nil when there is nothing.
func (d *document) at(place ...string) any {
	var found any = d.root
	for _, name := range place {
		within, is := found.(object)
		if !is {
			return nil
		}
		found = within[name]
	}
	return found
}

// resolve follows a reference.
func (d *document) resolve(value object) object {
	reference, is := value["$ref"].(string)
	if !is {
		return value
	}
	found, _ := d.at(strings.Split(strings.TrimPrefix(reference, "#/"), "/")...).(object)
	return d.resolve(found)
}

// check validates a value against the schema at a place.
func (d *document) check(value any, place ...string) error {
	pointer := documentAddress + "#"
	for _, name := range place {
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D", " ", "%20", ";", "%3B").Replace(name)
	}
	schema := d.compiled[pointer]
	if schema == nil {
		var err error
		if schema, err = d.compiler.Compile(pointer); err != nil {
			return fmt.Errorf("compile %s: %w", pointer, err)
		}
		d.compiled[pointer] = schema
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return err
	}
	plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	return schema.Validate(plain)
}

// operation is one method of one path.
type operation struct {
	id, method, path string
	body             object
}

// operations gives them all, in the order of their paths.
func (d *document) operations() (all []operation) {
	paths := d.at("paths").(object)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		for _, method := range slices.Sorted(maps.Keys(paths[path].(object))) {
			body := paths[path].(object)[method].(object)
			id, _ := body["operationId"].(string)
			all = append(all, operation{id: id, method: strings.ToUpper(method), path: path, body: body})
		}
	}
	return all
}

// place is where an operation stands, and something in it.
func (o operation) place(within ...string) []string {
	return append([]string{"paths", o.path, strings.ToLower(o.method)}, within...)
}

// child gives an object within another one; an empty one when there is none.
func child(of object, place ...string) object {
	for _, name := range place {
		of, _ = of[name].(object)
	}
	return of
}

func list(of object, name string) (items []object) {
	values, _ := of[name].([]any)
	for _, value := range values {
		items = append(items, value.(object))
	}
	return items
}

func text(of object, name string) string {
	found, _ := of[name].(string)
	return found
}

func TestTheOpenAPIDocumentIsTrue(t *testing.T) {
	t.Parallel()
	checkPage(t, openAPIPage, readDocument(t, newYard(t).handler).root)
}

// checkPage holds a generated page of JSON against its file.
func checkPage(t *testing.T, path string, page any) {
	t.Helper()
	var made bytes.Buffer
	encoder := json.NewEncoder(&made)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(page); err != nil {
		t.Fatal(err)
	}
	checkFile(t, path, made.String())
}

func checkFile(t *testing.T, path, want string) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not what the code says. Others build on it: if the change is meant, `make update-golden` writes it anew (-want +got):\n%s", path, diff)
	}
}

// TestEveryOperationIsWhole: whoever adds a route says what it is for, shows what is sent and answered, and lists how it refuses.
func TestEveryOperationIsWhole(t *testing.T) {
	t.Parallel()
	d := readDocument(t, newYard(t).handler)
	for _, missing := range incomplete(d) {
		t.Error(missing)
	}
	root := d.root
	delete(child(root, "paths", "/v1/sessions", "post"), "description")
	delete(child(root, "paths", "/v1/campaigns", "post", "requestBody", "content", "application/json"), "example")
	child(root, "paths", "/v1/jobs", "get")["tags"] = []any{"Unheard of"}
	if found := incomplete(d); len(found) != 3 {
		t.Errorf("of three things that were taken away it misses %d: %q", len(found), found)
	}
}

// incomplete says what operations lack.
func incomplete(d *document) (missing []string) {
	chapters := map[string]bool{}
	for _, tag := range list(d.root, "tags") {
		chapters[text(tag, "name")] = text(tag, "description") != ""
	}
	for _, o := range d.operations() {
		lacks := func(what string, values ...any) {
			missing = append(missing, fmt.Sprintf("%s (%s %s) has no %s: see contract_*.go in internal/api", o.id, o.method, o.path, fmt.Sprintf(what, values...)))
		}
		if text(o.body, "summary") == "" || text(o.body, "description") == "" {
			lacks("summary or description")
		}
		tags, _ := o.body["tags"].([]any)
		if len(tags) != 1 || !chapters[tags[0].(string)] {
			lacks("tag that the document describes")
		}
		for _, parameter := range list(o.body, "parameters") {
			if text(parameter, "description") == "" {
				lacks("description of the parameter %s", text(parameter, "name"))
			}
			if text(parameter, "in") == "path" && parameter["example"] == nil {
				lacks("example of the parameter %s", text(parameter, "name"))
			}
		}
		for kind, media := range child(o.body, "requestBody", "content") {
			if media.(object)["example"] == nil {
				lacks("example of its %s", kind)
			}
		}
		for status, response := range child(o.body, "responses") {
			if text(response.(object), "description") == "" {
				lacks("description of %s", status)
			}
			for kind, media := range child(response.(object), "content") {
				if media.(object)["example"] == nil && len(child(media.(object), "examples")) == 0 && !isPicture(kind) {
					lacks("example of its answer %s, %s", status, kind)
				}
			}
		}
		if child(o.body, "responses", "500") == nil {
			lacks("way to say that it failed")
		}
	}
	return missing
}

// isPicture tells whether a media type has no text to show.
func isPicture(kind string) bool {
	return kind == "image/png" || strings.HasPrefix(kind, "application/vnd.")
}

// TestExamplesAreWhatTheirSchemasSay also checks that the schemas themselves can be compiled.
func TestExamplesAreWhatTheirSchemasSay(t *testing.T) {
	t.Parallel()
	d := readDocument(t, newYard(t).handler)
	checked := 0
	check := func(example any, place []string) {
		checked++
		if err := d.check(example, append(place, "schema")...); err != nil {
			t.Errorf("the example at %s: %v", strings.Join(place, " "), err)
		}
	}
	for _, o := range d.operations() {
		for i, parameter := range list(o.body, "parameters") {
			place := o.place("parameters", fmt.Sprint(i))
			if example, is := parameter["example"]; is {
				check(example, place)
			} else if err := d.check("", append(place, "schema")...); err != nil && strings.HasPrefix(err.Error(), "compile") {
				t.Error(err)
			}
		}
		for kind, media := range child(o.body, "requestBody", "content") {
			check(media.(object)["example"], o.place("requestBody", "content", kind))
		}
		for status, response := range child(o.body, "responses") {
			for kind, media := range child(response.(object), "content") {
				place := o.place("responses", status, "content", kind)
				if example, is := media.(object)["example"]; is {
					check(example, place)
				}
				for _, example := range child(media.(object), "examples") {
					check(d.resolve(example.(object))["value"], place)
				}
			}
		}
	}
	if checked < 900 {
		t.Errorf("only %d examples were looked at", checked)
	}
	if err := d.check(object{"user_id": 7}, "paths", "/v1/sessions", "post", "requestBody", "content", "application/json", "schema"); err == nil {
		t.Error("a wrong example passes")
	}
}
