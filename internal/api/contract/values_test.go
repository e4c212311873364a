package contract

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// generator makes values for schemas.
type generator struct {
	random   *rand.Rand
	document *document
	world    *world
}

func (g *generator) one(in int) bool { return g.random.IntN(in) == 0 }

func choose[T any](g *generator, from []T) T { return from[g.random.IntN(len(from))] }

// value makes one that a schema allows, often at its borders. name is that of the property or parameter.
func (g *generator) value(schema object, name string, depth int) any {
	schema = g.document.resolve(schema)
	if enum, is := schema["enum"].([]any); is {
		return choose(g, enum)
	}
	kinds := kindsOf(schema)
	if len(kinds) == 0 {
		return choose(g, []any{"free", 7, object{"free": true}, []any{1}})
	}
	switch kind := choose(g, kinds); kind {
	case "object":
		return g.object(schema, depth)
	case "array":
		return g.array(schema, name, depth)
	case "string":
		return g.string(schema, name)
	case "integer":
		return int64(g.number(schema, 1<<31))
	case "number":
		return g.number(schema, 1e9)
	case "boolean":
		return g.one(2)
	}
	return nil
}

// kindsOf gives the types that a schema allows. null is drawn as often as the others, so it is a border that is met.
func kindsOf(schema object) []string {
	switch kind := schema["type"].(type) {
	case string:
		return []string{kind}
	case []any:
		var kinds []string
		for _, one := range kind {
			kinds = append(kinds, one.(string))
		}
		return append(kinds, kinds[0], kinds[0])
	}
	return nil
}

func (g *generator) object(schema object, depth int) object {
	made := object{}
	required, _ := schema["required"].([]any)
	properties := child(schema, "properties")
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if slices.Contains(required, any(name)) || (depth < 4 && g.one(2)) {
			made[name] = g.value(properties[name].(object), name, depth+1)
		}
	}
	if free, is := schema["additionalProperties"].(object); is {
		for _, name := range []string{"nombre", "hora", "🤷"}[:g.random.IntN(4)] {
			made[name] = g.value(free, name, depth+1)
		}
	}
	return made
}

// longestArray keeps requests small: the limit of 10 000 recipients has tests of its own.
const longestArray = 60

func (g *generator) array(schema object, name string, depth int) []any {
	least, most := int(limit(schema, "minItems", 0)), int(limit(schema, "maxItems", longestArray))
	length := choose(g, []int{least, least + 1, least + 2, min(most, longestArray)})
	if depth > 3 {
		length = least
	}
	items := make([]any, 0, length)
	for range length {
		items = append(items, g.value(child(schema, "items"), name, depth+1))
	}
	return items
}

// limit gives a number of a schema.
func limit(schema object, name string, otherwise float64) float64 {
	if found, is := schema[name].(float64); is {
		return found
	}
	return otherwise
}

func (g *generator) number(schema object, largest float64) float64 {
	least, most := limit(schema, "minimum", -largest), limit(schema, "maximum", largest)
	return choose(g, []float64{least, most, least + 1, (least + most) / 2, max(least, min(most, float64(g.random.IntN(30))))})
}

// texts are strings as people write them, and as they had better not.
var texts = []string{"Ana", "Recepción", "Hola {{nombre|vos}}", "Hola {{nombre}}", "{{", "{{}}", "https://example.com/x?y=z", "09:00", "mon", "tue", "AR", "Europe/Madrid", "*", "campaign_changed",
	"🤷🏽‍♀️ 多言語 עברית", "a\u202eb", "a\u0000b", " ", "\t\n", "%00", "../../etc/passwd", "' OR 1=1 --", "<script>", "=1+1", "null", "-1", "1e999", "\ufeff", "ﷺ", strings.Repeat("é", 60)}

// plain are letters that every pattern of the document allows.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

func (g *generator) string(schema object, name string) string {
	switch text(schema, "format") {
	case "date-time":
		return choose(g, []string{time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano), "2026-03-02T12:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z",
			"2026-02-28T23:59:59-11:00"})
	case "uri":
		return choose(g, []string{g.world.files.URL + "/a.png", "https://10.0.0.1/", "http://[::1]/", "ftp://example.com", "https://user:pass@127.0.0.1/x"})
	}
	if collection := collectionOf(name); g.world.known[collection] != nil && !g.one(8) {
		return g.world.pick(g.random, collection)
	}
	least, most := int(limit(schema, "minLength", 0)), int(limit(schema, "maxLength", 300))
	if schema["pattern"] == nil && g.one(2) {
		if made := choose(g, texts); len([]rune(made)) >= least && len([]rune(made)) <= most {
			return made
		}
	}
	length := choose(g, []int{least, min(most, least+1), min(most, 20), min(most, 20), most})
	letters := make([]byte, length)
	for i := range letters {
		letters[i] = plain[g.random.IntN(len(plain))]
	}
	return string(letters)
}

// odd are values that most schemas do not allow.
func (g *generator) odd() any {
	switch g.random.IntN(6) {
	case 0:
		return strings.Repeat("x", choose(g, []int{101, 201, 2001, 70_000}))
	case 1:
		var nested any = "deep"
		for range choose(g, []int{3, 50, 2000}) {
			nested = []any{nested}
		}
		return nested
	case 2:
		return choose(g, texts)
	}
	return choose(g, []any{nil, true, -1, 0, 1e308, json.Number("9007199254740993"), json.Number("18446744073709551616"), json.Number("-0.0"), json.Number("1e400"),
		"", object{}, []any{}, []any{nil}, object{"": object{"": nil}}, "0000-00-00T00:00:00Z", "not a time"})
}

// spoil makes one thing in a value wrong, or adds something to it, or takes something away.
func (g *generator) spoil(value any) any {
	switch value := value.(type) {
	case object:
		names := slices.Sorted(maps.Keys(value))
		if len(names) > 0 {
			name := choose(g, names)
			switch g.random.IntN(4) {
			case 0:
				delete(value, name)
			case 1:
				value[name] = g.spoil(value[name])
			default:
				value[name] = g.odd()
			}
			return value
		}
		value[choose(g, []string{"unheard_of", "id", "__proto__", "$schema", ""})] = g.odd()
		return value
	case []any:
		if len(value) > 0 && g.one(2) {
			i := g.random.IntN(len(value))
			value[i] = g.spoil(value[i])
			return value
		}
	}
	return g.odd()
}

// copied is a value that may be changed.
func copied(value any) any {
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	var fresh any
	_ = json.Unmarshal(encoded, &fresh) // what was just encoded
	return fresh
}

// known puts ids that are in the world in the places of those of an example.
func (g *generator) known(value any, name string) any {
	switch value := value.(type) {
	case object:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			within := key
			if key == "id" {
				within = name
			}
			value[key] = g.known(value[key], within)
		}
	case []any:
		for i := range value {
			value[i] = g.known(value[i], name)
		}
	case string:
		if _, err := time.Parse(time.RFC3339, value); err == nil { // what an example calls the future is past by now
			return time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		}
		if name == "url" {
			return g.world.files.URL + "/a.png"
		}
		if name == "session_id" && g.world.known[linkedSessions] != nil && !g.one(6) {
			return g.world.pick(g.random, linkedSessions)
		}
		if collection := collectionOf(name); collection != "phones" && g.world.known[collection] != nil {
			return g.world.pick(g.random, collection)
		}
	}
	return value
}
