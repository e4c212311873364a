package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/dannsalud/broadcaster/internal/bus"
)

const asyncAPIPage = "../../../docs/asyncapi.json"

func TestTheAsyncAPIDocumentIsTrue(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document(t)); err != nil {
		t.Fatal(err)
	}
	checkPage(t, asyncAPIPage, text.String())
}

// document makes the AsyncAPI document (https://www.asyncapi.com/docs/reference/specification/v3.0.0).
func document(t *testing.T) object {
	t.Helper()
	schemas := &schemas{source: readSource(t), named: object{}}
	channels, operations, messages := object{}, object{}, object{}
	for _, w := range words() {
		messages[w.kind] = message(t, w, schemas)
		for _, address := range w.addresses {
			name := channelName(address)
			channels[name] = channel(w, address)
			operate(operations, w, name)
		}
	}
	addScheduled(t, channels, operations)
	channels[replies] = object{
		"address":     nil, // another one for each request
		"description": "Answers go to the reply subject of the request, in no stream.",
		"messages":    object{"send_reply": reference("components", "messages", "send_reply")},
	}
	schemas.openPayload()
	return object{
		"asyncapi": "3.0.0",
		"info": object{
			"title":   "Broadcaster's queue",
			"version": "1",
			"description": "Commands, facts, failed jobs and send requests on NATS JetStream. Every message has its own version, and what is added " +
				"to one without a new version may be ignored. Streams, consumers and their settings are in queues.md beside this document.",
		},
		"defaultContentType": "application/json",
		"servers": object{"queue": object{
			"host": "localhost:4222", "protocol": "nats", "description": "NATS with JetStream. The address is that of NATS_URL.",
		}},
		"channels":   channels,
		"operations": operations,
		"components": object{"messages": messages, "schemas": schemas.named},
	}
}

// replies is the channel of the answers to requests.
const replies = "replies"

// channelName makes a name of a subject: its tokens without the parameters ("events_session_link").
func channelName(address string) string {
	var tokens []string
	for token := range strings.SplitSeq(address, ".") {
		if !strings.HasPrefix(token, "{") {
			tokens = append(tokens, token)
		}
	}
	return strings.Join(tokens, "_")
}

// parameters says what stands in the places of a subject that are not fixed.
var parameters = map[string]string{
	"session_id":  "The session's id.",
	"campaign_id": "The campaign's id.",
	"delivery_id": "The id of what one webhook is to be told.",
	"id":          "The last token of the subject that the command is published on at its time.",
	"subject":     "The subject of the original, with its dots: several tokens.",
}

var parameter = regexp.MustCompile(`\{(\w+)\}`)

func channel(w word, address string) object {
	description := "In no stream: core NATS request and reply."
	if stream := w.carrier.Stream(); stream != "" {
		description = "In the stream " + stream + "."
	}
	found := object{
		"address":     address,
		"description": description,
		"messages":    object{w.kind: reference("components", "messages", w.kind)},
	}
	places := object{}
	for _, match := range parameter.FindAllStringSubmatch(address, -1) {
		places[match[1]] = object{"description": parameters[match[1]]}
	}
	found["parameters"] = places
	return found
}

// operate adds who sends and who receives a word.
func operate(operations object, w word, channel string) {
	for _, side := range []struct {
		action string
		who    []string
	}{{"send", w.writers}, {"receive", w.readers}} {
		for _, process := range side.who {
			if w.carrier == bus.Requests && side.action == "send" && (process == sender) != (channel == "wa_send") {
				continue // the api only asks about numbers, a sender only sends
			}
			operation := object{
				"action":   side.action,
				"channel":  reference("channels", channel),
				"messages": []any{reference("channels", channel, "messages", w.kind)},
				"tags":     []any{object{"name": process}},
			}
			if w.carrier == bus.Requests {
				operation["reply"] = object{
					"channel":  reference("channels", replies),
					"messages": []any{reference("channels", replies, "messages", "send_reply")},
				}
			}
			operations[fmt.Sprintf("%s_%ss_%s_on_%s", process, side.action, w.kind, channel)] = operation
		}
	}
}

// addScheduled adds the commands that wait for their time.
func addScheduled(t *testing.T, channels, operations object) {
	t.Helper()
	for _, w := range words() {
		if w.kind != "run_campaign" {
			continue
		}
		waiting := w
		waiting.carrier, waiting.writers, waiting.readers = bus.Scheduled, []string{api}, nil
		channels["commands_schedule"] = channel(waiting, "commands.schedule.{id}")
		channels["commands_schedule"].(object)["description"] = "In the stream COMMANDS, with the headers Nats-Schedule and Nats-Schedule-Target " +
			"besides, until the server publishes it on the subject that the second one names."
		operate(operations, waiting, "commands_schedule")
	}
}

func message(t *testing.T, w word, schemas *schemas) object {
	t.Helper()
	goType := reflect.TypeOf(w.message)
	schemas.structure(t, goType)
	found := object{
		"name":        w.kind,
		"title":       w.name(),
		"contentType": "application/json",
		"summary":     strings.TrimSpace(schemas.source.comments[goType.String()] + " " + w.about),
		"payload":     reference("components", "schemas", w.name()),
	}
	var texts, shown []any
	for _, version := range w.versions(t) {
		texts = append(texts, strconv.Itoa(version))
	}
	for _, e := range w.examples(t) {
		one := object{"name": fmt.Sprintf("version_%d", e.version), "payload": e.payload}
		if len(e.headers) > 0 {
			one["headers"] = e.headers
		}
		shown = append(shown, one)
	}
	found["examples"] = shown
	if version, has := schemas.named[w.name()].(object)["properties"].(object)["version"].(object); has {
		version["enum"] = w.versions(t)
	}
	if headers := headerSchema(t, w, texts); headers != nil {
		found["headers"] = headers
	}
	return found
}

// headerSchema gives the headers of a word, from the table of internal/bus.
func headerSchema(t *testing.T, w word, versions []any) object {
	t.Helper()
	properties, required := object{}, []any{}
	for _, header := range topology(t).Headers {
		always := slices.Contains(header.On, w.carrier)
		if !always && !slices.Contains(header.Sometimes, w.carrier) {
			continue
		}
		schema := object{"type": "string", "description": header.Meaning}
		switch header.Name {
		case "Broadcaster-Kind":
			schema["const"] = w.kind
		case "Broadcaster-Version":
			schema["enum"] = versions
		}
		properties[header.Name] = schema
		if always {
			required = append(required, header.Name)
		}
	}
	if len(properties) == 0 {
		return nil
	}
	schema := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

// openPayload says what the payload of a failed job is on the wire, which is not what its Go type is.
func (s *schemas) openPayload() {
	schema := s.named["FailedJob"].(object)
	properties := schema["properties"].(object)
	properties["payload"] = object{"description": "The payload of the original when it is compact JSON, as all of ours are. In version 1 always in base64."}
	properties["payload_base64"] = object{"type": "string", "contentEncoding": "base64", "description": "The payload of the original when it is anything else."}
	schema["required"] = slices.DeleteFunc(schema["required"].([]any), func(name any) bool { return name == "payload" || name == "payload_base64" })
}

func reference(path ...string) object { return object{"$ref": "#/" + strings.Join(path, "/")} }

// decoded gives the document as a reader sees it.
func decoded(t *testing.T) object {
	t.Helper()
	text, err := json.Marshal(document(t))
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return value.(object)
}

// TestExamplesAreWhatTheirSchemasSay: the golden payloads and their headers, and nothing in them that the schemas do not name.
func TestExamplesAreWhatTheirSchemasSay(t *testing.T) {
	t.Parallel()
	whole := decoded(t)
	for _, schema := range whole["components"].(object)["schemas"].(object) {
		schema.(object)["additionalProperties"] = false
	}
	for kind, found := range whole["components"].(object)["messages"].(object) {
		if headers, has := found.(object)["headers"].(object); has {
			headers["additionalProperties"] = false
		}
		for i, one := range found.(object)["examples"].([]any) {
			for part, value := range one.(object) {
				if part == "name" {
					continue
				}
				if err := compile(t, whole, "#/components/messages/"+kind+"/"+part).Validate(value); err != nil {
					t.Errorf("%s, example %d, %s: %v", kind, i, part, err)
				}
			}
		}
	}
}

// compile gives the schema at a place of the document.
func compile(t *testing.T, whole object, place string) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7)
	compiler.AssertFormat()
	compiler.AssertContent()
	if err := compiler.AddResource("file:///asyncapi.json", whole); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("file:///asyncapi.json" + place)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// TestSchemasRefuseWhatIsNotAMessage: a schema that took everything would prove nothing about the examples.
func TestSchemasRefuseWhatIsNotAMessage(t *testing.T) {
	t.Parallel()
	whole := decoded(t)
	for name, payload := range map[string]string{
		"LinkSession":    `{"version":9,"session_id":"s","link_id":"l","method":"qr","requested_at":"2026-03-01T12:30:15Z"}`,
		"RunCampaign":    `{"version":1,"campaign_id":"c","session_id":"s","slice":"3","requested_at":"2026-03-01T12:30:15Z"}`,
		"DeliverWebhook": `{"version":1,"subscription_id":"w","delivery_id":"d","fact_id":"f","fact_kind":7,"fact":{},"occurred_at":"2026-03-01T12:30:15Z","requested_at":"2026-03-01T12:30:15Z"}`,
		"SessionChanged": `{"version":1,"session_id":"s","user_id":"u","state":"asleep","at":"2026-03-01T12:30:15Z"}`,
		"PhoneOffline":   `{"version":1,"session_id":"s","user_id":"u","attention":"warn","at":"yesterday"}`,
		"MessageReceipt": `{"version":1,"session_id":"s","campaign_id":"c","message_ids":"m","receipt":"read","at":"2026-03-01T12:30:15Z"}`,
		"SendReply":      `{"class":"weather"}`,
		"FailedJob":      `{"version":1}`,
	} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(payload))
		if err != nil {
			t.Fatal(err)
		}
		if compile(t, whole, "#/components/schemas/"+name).Validate(value) == nil {
			t.Errorf("%s takes %s", name, payload)
		}
	}
}

// TestTheDocumentHoldsTogether checks what AsyncAPI 3.0 wants of references, names, parameters and operations.
func TestTheDocumentHoldsTogether(t *testing.T) {
	t.Parallel()
	whole := decoded(t)
	resolveAll(t, whole, whole, "#")
	name := regexp.MustCompile(`^[\w.-]+$`)
	channels := whole["channels"].(object)
	for key, value := range channels {
		found := value.(object)
		if key == replies {
			continue // no operation of its own: it is part of the requests
		}
		var inAddress []string
		for _, match := range parameter.FindAllStringSubmatch(found["address"].(string), -1) {
			inAddress = append(inAddress, match[1])
		}
		if told := slices.Sorted(maps.Keys(found["parameters"].(object))); !slices.Equal(told, inAddress) || !name.MatchString(key) {
			t.Errorf("channel %s: parameters %v, in its address %v", key, told, inAddress)
		}
		for told, about := range found["parameters"].(object) {
			if about.(object)["description"] == "" {
				t.Errorf("channel %s does not say what its %s is", key, told)
			}
		}
	}
	used := map[string]bool{}
	for key, value := range whole["operations"].(object) {
		operation := value.(object)
		place := operation["channel"].(object)["$ref"].(string)
		used[strings.TrimPrefix(place, "#/channels/")] = true
		if action := operation["action"]; action != "send" && action != "receive" || !name.MatchString(key) {
			t.Errorf("operation %s: action %v", key, action)
		}
		for _, told := range operation["messages"].([]any) {
			if !strings.HasPrefix(told.(object)["$ref"].(string), place+"/messages/") {
				t.Errorf("operation %s has a message that is not of its channel", key)
			}
		}
	}
	for key := range channels {
		if !used[key] && key != replies {
			t.Errorf("nobody sends or receives on %s", key)
		}
	}
	for key, schema := range whole["components"].(object)["schemas"].(object) {
		if schema.(object)["description"] == nil {
			t.Errorf("the schema %s does not say what it is: its type has no comment", key)
		}
	}
}

// resolveAll follows every reference below a value.
func resolveAll(t *testing.T, whole object, value any, place string) {
	t.Helper()
	switch value := value.(type) {
	case object:
		if path, is := value["$ref"].(string); is {
			var target any = whole
			for step := range strings.SplitSeq(strings.TrimPrefix(path, "#/"), "/") {
				parent, _ := target.(object)
				target = parent[step]
			}
			if target == nil || len(value) != 1 {
				t.Errorf("%s refers to %s, which is not there or has something beside it", place, path)
			}
			return
		}
		for key, below := range value {
			resolveAll(t, whole, below, place+"/"+key)
		}
	case []any:
		for i, below := range value {
			resolveAll(t, whole, below, fmt.Sprintf("%s/%d", place, i))
		}
	}
}
