package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/xuri/excelize/v2"
)

// request is what is sent. body and target are kept, so that a failure shows them.
type request struct {
	operation operation
	target    string
	headers   map[string]string
	body      []byte
	// strayed: the address is so odd that it may be none of this operation's.
	strayed bool
}

func (r request) String() string {
	body := string(r.body)
	if len(body) > 600 {
		body = body[:600] + "…"
	}
	return fmt.Sprintf("%s %s %v %q", r.operation.method, r.target, r.headers, body)
}

// The ways in which a request is made.
const (
	proper = iota // as the example, with ids that there are
	allowed
	spoilt
	ways
)

// request makes one for an operation.
func (g *generator) request(o operation, way int) request {
	made := request{operation: o, headers: map[string]string{}}
	made.target, made.strayed = g.path(o, way)
	query := url.Values{}
	for _, parameter := range list(o.body, "parameters") {
		name, required := text(parameter, "name"), parameter["required"] == true
		switch place := text(parameter, "in"); {
		case place == "path", !required && (way == proper || g.one(2)):
		case place == "query":
			query[name] = g.parameter(parameter, way)
		case place == "header":
			made.headers[name] = strings.Join(g.parameter(parameter, way), ",")
		}
	}
	if len(query) > 0 {
		made.target += "?" + query.Encode()
	}
	content := child(o.body, "requestBody", "content")
	for _, kind := range slices.Sorted(maps.Keys(content)) {
		media := content[kind].(object)
		if kind == "multipart/form-data" {
			made.body, made.headers["Content-Type"] = g.form(media, way)
		} else {
			made.body, made.headers["Content-Type"] = g.json(media, way), kind
		}
	}
	if way == proper {
		g.world.fit(&made)
	} else if caller := choose(g, g.world.callers); caller != "" {
		made.headers["Authorization"] = caller
	}
	if way == spoilt && g.one(6) {
		made.headers["Content-Type"] = choose(g, []string{"", "text/plain", "application/xml", "application/json; charset=latin1", "multipart/form-data", "multipart/form-data; boundary=x", "a+;b", "🤷"})
	}
	if way == spoilt && g.one(6) {
		made.headers["Accept"] = choose(g, []string{"text/html", "application/xml;q=0.1", "*/*;q=0", "image/png", "\x01", "application/json;q=abc"})
	}
	return made
}

var placeholder = regexp.MustCompile(`/([^/]+)/\{(\w+)\}`)

// path puts ids in the places of a path's parameters.
func (g *generator) path(o operation, way int) (target string, strayed bool) {
	target = placeholder.ReplaceAllStringFunc(o.path, func(part string) string {
		collection := collectionOf(placeholder.FindStringSubmatch(part)[1])
		id := g.world.pick(g.random, collection)
		switch {
		case way == spoilt && g.one(2):
			strayed = true
			id = choose(g, []string{"", ".", "..", " ", "%", "a/b", "\x00", "\xff\xfe", "🤷", strings.Repeat("x", 101), strings.Repeat("x", 5000), "-1", "0", "18446744073709551616", "1e3",
				"ses_0197a1b2-0000-7000-8000-000000000000", "direct?x=1", "SES_1", "*", "a;b", "events.>"})
		case way == allowed && g.one(4):
			id = choose(g, []string{"unknown", "0", "99999", "+5491155550199", strings.Repeat("x", 100)})
		}
		return "/" + placeholder.FindStringSubmatch(part)[1] + "/" + url.PathEscape(id)
	})
	return target, strayed
}

// parameter gives the values of a query or header parameter.
func (g *generator) parameter(parameter object, way int) []string {
	if way == spoilt && g.one(2) {
		return choose(g, [][]string{{""}, {"-1"}, {"0"}, {"501"}, {"99999999999999999999"}, {"🤷"}, {"\x01"}, {"a", "b"}, {strings.Repeat("x", 600)}, {"not a time"}, {"2026-13-01T00:00:00Z"}, {"1.5"}, {"null"},
			{"ready,ready"}})
	}
	name := text(parameter, "name")
	if name == "after" {
		return []string{choose(g, []string{"", "0", "7", "ses_0197a1b2-0000-7000-8000-000000000000", "unknown"})}
	}
	switch value := g.value(child(parameter, "schema"), name, 2).(type) {
	case []any:
		var parts []string
		for _, part := range value {
			parts = append(parts, fmt.Sprint(part))
		}
		return []string{strings.Join(parts, ",")}
	default:
		return []string{fmt.Sprint(value)}
	}
}

// json makes a body of JSON.
func (g *generator) json(media object, way int) []byte {
	value := g.known(copied(media["example"]), "")
	if way != proper && g.one(3) {
		value = g.value(child(media, "schema"), "", 0)
	}
	if whole, is := value.(object); is && way == allowed {
		g.vary(whole, child(media, "schema"))
	}
	if way == spoilt {
		value = g.spoil(value)
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return []byte(fmt.Sprint(value))
	}
	if way == spoilt && g.one(4) {
		return g.damage(encoded)
	}
	return encoded
}

// vary makes some properties of an example different, in a way that the schema allows.
func (g *generator) vary(value, schema object) {
	schema = g.document.resolve(schema)
	properties := child(schema, "properties")
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if g.one(6) {
			value[name] = g.value(properties[name].(object), name, 1)
		}
	}
}

// damage makes a text one that is no JSON any more, or hardly.
func (g *generator) damage(encoded []byte) []byte {
	switch g.random.IntN(6) {
	case 0:
		return encoded[:g.random.IntN(len(encoded))]
	case 1:
		return append(encoded, encoded...)
	case 2:
		return append([]byte("\xef\xbb\xbf"), encoded...)
	case 3:
		return []byte(choose(g, []string{"", "null", "[]", "\"text\"", "{", "{\"a\":1,\"a\":2}", "\x00", "NaN", strings.Repeat("[", 100_000), strings.Repeat("{\"a\":", 20_000)}))
	}
	damaged := bytes.Clone(encoded)
	damaged[g.random.IntN(len(damaged))] = byte(g.random.IntN(256))
	return damaged
}

// form makes a body of parts.
func (g *generator) form(media object, way int) (body []byte, kind string) {
	var made bytes.Buffer
	writer := multipart.NewWriter(&made)
	example, properties := g.known(copied(media["example"]), "").(object), child(g.document.resolve(child(media, "schema")), "properties")
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		value, in := example[name]
		switch {
		case name == "file":
			g.file(writer, text(example, name), way)
			continue
		case way == allowed && g.one(3):
			value, in = g.value(properties[name].(object), name, 2), true
		case way == spoilt && g.one(4):
			value, in = g.odd(), !g.one(4)
		}
		if settings, is := value.(string); is && name == "settings" {
			value = g.settings(settings)
		}
		for range 1 + g.random.IntN(1+way/spoilt) {
			if in {
				_ = writer.WriteField(name, fmt.Sprint(value)) // a buffer takes everything
			}
		}
	}
	_ = writer.Close() // the same
	body = made.Bytes()
	if way == spoilt && g.one(5) {
		body = g.damage(body)
	}
	return body, writer.FormDataContentType()
}

// settings puts the ids of the world into settings, which are JSON in a field.
func (g *generator) settings(encoded string) string {
	var settings object
	if json.Unmarshal([]byte(encoded), &settings) != nil {
		return encoded
	}
	return string(g.json(object{"example": settings}, allowed))
}

// file writes the part of a file: what the example has, a spreadsheet, a picture, or something else.
func (g *generator) file(writer *multipart.Writer, example string, way int) {
	contents := []func() []byte{
		func() []byte { return []byte(example) },
		func() []byte { return picture() },
		func() []byte { return spreadsheet() },
		func() []byte { return []byte("nombre;telefono\nLucía;12\nMateo;+54 9 11 5555-0102\n") },
		func() []byte { return []byte("\"\nopen quote,telefono") },
		func() []byte { return nil },
		func() []byte { return []byte("PK\x03\x04 no spreadsheet") },
		func() []byte { return bytes.Repeat([]byte("x"), 300_000) },
		func() []byte { return []byte("telefono\n" + strings.Repeat("+5491155550102\n", 3000)) },
	}
	if way == spoilt && g.one(6) {
		return
	}
	index := g.random.IntN(len(contents))
	if way == proper {
		index = g.random.IntN(3)
	}
	part, err := writer.CreateFormFile("file", choose(g, []string{"a.csv", "a.xlsx", "", "../../a.png", "a\"b.csv", "🤷.jpg"}))
	if err == nil {
		_, err = io.Copy(part, bytes.NewReader(contents[index]()))
	}
	_ = err // a buffer takes everything
}

// spreadsheet is an audience.
func spreadsheet() []byte {
	book := excelize.NewFile()
	defer func() { _ = book.Close() }() // it is in memory
	rows := [][]string{{"nombre", "telefono", "hora"}, {"Lucía", "+54 9 11 5555-0102", "10:30"}}
	for i, row := range rows {
		if err := book.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &row); err != nil {
			return nil
		}
	}
	encoded, err := book.WriteToBuffer()
	if err != nil {
		return nil
	}
	return encoded.Bytes()
}
