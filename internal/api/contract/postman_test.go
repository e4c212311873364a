package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
)

const postmanPage = "../../../docs/postman.json"

// postmanSchema names the format: Postman Collection 2.1 (https://schema.postman.com).
const postmanSchema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"

func TestThePostmanCollectionIsTrue(t *testing.T) {
	t.Parallel()
	checkPage(t, postmanPage, collection(readDocument(t, newYard(t).handler)))
}

// collection makes a collection of the document: a folder for each chapter, a request for each operation, with one saved answer.
func collection(d *document) object {
	folders := map[string][]any{}
	for _, o := range d.operations() {
		chapter := o.body["tags"].([]any)[0].(string)
		folders[chapter] = append(folders[chapter], d.item(o))
	}
	var items []any
	for _, tag := range list(d.root, "tags") {
		items = append(items, object{"name": tag["name"], "description": tag["description"], "item": folders[text(tag, "name")]})
	}
	return object{
		"info": object{"name": "Broadcaster", "description": d.at("info", "description"), "schema": postmanSchema},
		"auth": object{"type": "bearer", "bearer": []any{object{"key": "token", "value": "{{apiKey}}", "type": "string"}}},
		"variable": []any{
			object{"key": "baseUrl", "value": "http://127.0.0.1:8080", "description": "Where the API is."},
			object{"key": "apiKey", "value": "", "description": "The key that requests are made with."}},
		"item": items,
	}
}

func (d *document) item(o operation) object {
	request := object{"method": o.method, "description": o.body["description"], "url": d.url(o), "header": headers(o)}
	if body := d.postmanBody(o); body != nil {
		request["body"] = body
	}
	return object{"name": o.body["summary"], "request": request, "response": savedAnswers(o, request)}
}

// url makes an address with its variables. Query parameters are there, switched off.
func (d *document) url(o operation) object {
	var parts, query, variables []any
	for part := range strings.SplitSeq(strings.TrimPrefix(o.path, "/"), "/") {
		if name, is := strings.CutPrefix(part, "{"); is {
			part = ":" + strings.TrimSuffix(name, "}")
		}
		parts = append(parts, part)
	}
	raw := "{{baseUrl}}"
	for _, part := range parts {
		raw += "/" + part.(string)
	}
	for _, parameter := range list(o.body, "parameters") {
		entry := object{"key": parameter["name"], "value": "", "description": parameter["description"]}
		if example := parameter["example"]; example != nil {
			entry["value"] = fmt.Sprint(example)
		}
		switch parameter["in"] {
		case "query":
			entry["disabled"] = true
			query = append(query, entry)
		case "path":
			variables = append(variables, entry)
		}
	}
	made := object{"raw": raw, "host": []any{"{{baseUrl}}"}, "path": parts}
	if query != nil {
		made["query"] = query
	}
	if variables != nil {
		made["variable"] = variables
	}
	return made
}

// headers are those that a person sets, switched off, and the type of the body.
func headers(o operation) []any {
	made := []any{}
	if child(o.body, "requestBody", "content", "application/json") != nil {
		made = append(made, object{"key": "Content-Type", "value": "application/json"})
	}
	for _, parameter := range list(o.body, "parameters") {
		if parameter["in"] != "header" {
			continue
		}
		value := "{{$guid}}" // Postman makes a new one for each request
		if text(parameter, "name") != "Idempotency-Key" {
			value = ""
		}
		made = append(made, object{"key": parameter["name"], "value": value, "description": parameter["description"], "disabled": true})
	}
	return made
}

func (d *document) postmanBody(o operation) object {
	content := child(o.body, "requestBody", "content")
	if media := child(content, "application/json"); media != nil {
		return object{"mode": "raw", "raw": indented(media["example"]), "options": object{"raw": object{"language": "json"}}}
	}
	media := child(content, "multipart/form-data")
	if media == nil {
		return nil
	}
	properties := child(d.resolve(child(media, "schema")), "properties")
	var fields []any
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		field := object{"key": name, "type": "text", "description": child(properties, name)["description"], "value": ""}
		if name == "file" {
			field["type"], field["src"] = "file", nil
			delete(field, "value")
		} else if example, is := child(media, "example")[name]; is {
			field["value"] = fmt.Sprint(example)
		} else {
			field["disabled"] = true
		}
		fields = append(fields, field)
	}
	return object{"mode": "formdata", "formdata": fields}
}

// savedAnswers shows what a success looks like.
func savedAnswers(o operation, request object) []any {
	answers := []any{}
	for _, status := range slices.Sorted(maps.Keys(child(o.body, "responses"))) {
		response := child(o.body, "responses", status)
		if status >= "300" {
			continue
		}
		saved := object{"name": text(response, "description"), "originalRequest": request, "code": json.Number(status), "status": text(response, "description"), "header": []any{}}
		for kind, media := range child(response, "content") {
			saved["header"] = []any{object{"key": "Content-Type", "value": kind}}
			if example, is := media.(object)["example"].(string); is {
				saved["body"] = example
			} else if example := media.(object)["example"]; example != nil {
				saved["body"], saved["_postman_previewlanguage"] = indented(example), "json"
			}
		}
		answers = append(answers, saved)
	}
	return answers
}

func indented(value any) string {
	var made bytes.Buffer
	encoder := json.NewEncoder(&made)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return ""
	}
	return strings.TrimSpace(made.String())
}

// TestEveryRequestOfTheCollectionIsUnderstood sends them as Postman would, variables filled in. Most speak of things that are not in an empty yard; none
// may be refused for its shape.
func TestEveryRequestOfTheCollectionIsUnderstood(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	written, err := os.ReadFile(postmanPage)
	if err != nil {
		t.Fatal(err)
	}
	var whole object
	if err := json.Unmarshal(written, &whole); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, folder := range list(whole, "item") {
		for _, item := range list(folder, "item") {
			count++
			recorder := httptest.NewRecorder()
			sent := asPostman(t, child(item, "request"))
			ctx, leave := context.WithTimeout(t.Context(), patience)
			if strings.HasSuffix(sent.URL.Path, "/events") { // it goes on until its reader leaves
				ctx, leave = context.WithTimeout(t.Context(), streamPatience)
			}
			y.handler.ServeHTTP(recorder, sent.WithContext(ctx))
			leave()
			var answered object
			_ = json.Unmarshal(recorder.Body.Bytes(), &answered) // not every answer is JSON
			switch code := text(answered, "code"); {
			case recorder.Code >= http.StatusInternalServerError, slices.Contains([]string{"no_route", "method_not_allowed", "malformed_body", "unsupported_media_type", "invalid_request", "settings_unreadable"}, code):
				t.Errorf("%s is answered %d %s", text(item, "name"), recorder.Code, recorder.Body)
			}
		}
	}
	if count != len(readDocument(t, y.handler).operations()) {
		t.Errorf("%d requests were sent", count)
	}
}

// asPostman makes the request that Postman would send.
func asPostman(t *testing.T, item object) *http.Request {
	t.Helper()
	address := text(child(item, "url"), "raw")
	for _, variable := range list(child(item, "url"), "variable") {
		address = strings.Replace(address, ":"+text(variable, "key"), url.PathEscape(text(variable, "value")), 1)
	}
	var body bytes.Buffer
	kind := ""
	switch text(child(item, "body"), "mode") {
	case "raw":
		body.WriteString(text(child(item, "body"), "raw"))
		kind = "application/json"
	case "formdata":
		form := multipart.NewWriter(&body)
		for _, field := range list(child(item, "body"), "formdata") {
			switch {
			case text(field, "type") == "file":
				part, err := form.CreateFormFile(text(field, "key"), "audience.csv")
				if err == nil {
					_, err = part.Write([]byte("nombre,telefono,hora\nLucía,+54 9 11 5555-0101,10:30\n"))
				}
				if err != nil {
					t.Fatal(err)
				}
			case field["disabled"] != true:
				if err := form.WriteField(text(field, "key"), text(field, "value")); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := form.Close(); err != nil {
			t.Fatal(err)
		}
		kind = form.FormDataContentType()
	}
	made := httptest.NewRequestWithContext(t.Context(), text(item, "method"), strings.TrimPrefix(address, "{{baseUrl}}"), &body)
	made.Header.Set("Content-Type", kind)
	return made
}
