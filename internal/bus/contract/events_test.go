package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/events"
)

const eventsPage = "../../../docs/events.md"

// TestTheKindsOfEventsAreTrue: docs/events.md has every kind that /v1/events gives, with its fields and the example of its golden file.
func TestTheKindsOfEventsAreTrue(t *testing.T) {
	t.Parallel()
	var facts []word
	kinds := events.FactKinds()
	for _, w := range words() {
		if w.carrier == bus.Facts {
			facts = append(facts, w)
		}
	}
	slices.SortFunc(facts, func(a, b word) int { return slices.Index(kinds, a.kind) - slices.Index(kinds, b.kind) })
	described, s := make([]string, len(facts)), readSource(t)
	var page strings.Builder
	for i, w := range facts {
		described[i] = w.kind
		page.WriteString(kindSection(t, s, w, 4711+i))
	}
	if !slices.Equal(described, kinds) {
		t.Errorf("described are %v, and there are %v", described, kinds)
	}
	checkSections(t, eventsPage, map[string]string{"kinds": strings.TrimPrefix(page.String(), "\n")})
}

// kindSection describes one kind.
func kindSection(t *testing.T, s source, w word, id int) string {
	t.Helper()
	_, what, _ := strings.Cut(s.comments["events."+w.name()], ": ")
	examples := w.examples(t)
	var example bytes.Buffer
	if err := json.Compact(&example, examples[len(examples)-1].payload); err != nil {
		t.Fatal(err)
	}
	schemas := &schemas{source: s, named: object{}}
	schemas.structure(t, reflect.TypeOf(w.message))
	return fmt.Sprintf("\n### `%s`\n\n%s\n\n%s\n```\nid: %d\nevent: %s\ndata: %s\n```\n", w.kind, strings.ToUpper(what[:1])+what[1:], fieldTable(w, schemas), id, w.kind, &example)
}

// common are fields that mean the same in every kind.
var common = map[string]string{
	"version": "the version of this kind's shape", "at": "when it happened", "session_id": "the session", "campaign_id": "the campaign",
	"user_id": "the user whose session it is", "reason": "why, where there is a reason; there may be new ones", "until": "when it ends by itself", "state": "the state it is in now",
	"link_id": "the attempt to link",
	"receipt": "how far they came", "deadline": "when this state ends by itself", "phone": "who wrote, E.164; left out when only a hidden id is known", "lid": "the hidden id of who wrote",
	"text": "what was written", "message_id": "the message's id, as WhatsApp gave it", "attention": "how urgent it is",
}

func fieldTable(w word, schemas *schemas) string {
	goType, rows := reflect.TypeOf(w.message), [][]string(nil)
	properties := schemas.named[w.name()].(object)["properties"].(object)
	for i := range goType.NumField() {
		field := goType.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		meaning := common[name]
		if comment := schemas.source.comments[goType.String()+"."+field.Name]; comment != "" && meaning == "" {
			meaning = strings.TrimSuffix(strings.NewReplacer(field.Name, "`"+name+"`", "State", "`state`").Replace(comment), ".")
		}
		always := "yes"
		if options != "" {
			always = "no"
		}
		rows = append(rows, []string{code(name), kindOf(properties[name].(object)), always, meaning})
	}
	return table([]string{"field", "type", "always", "what it says"}, rows)
}

func kindOf(schema object) string {
	switch values, listed := schema["enum"].([]any); {
	case listed:
		var names []string
		for _, value := range values {
			names = append(names, code(fmt.Sprint(value)))
		}
		return strings.Join(names, ", ")
	case schema["format"] == "date-time":
		return "time"
	case schema["type"] == "array":
		return "list of texts"
	case schema["type"] == "string":
		return "text"
	}
	return fmt.Sprint(schema["type"])
}
