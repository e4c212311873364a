package contract

import (
	"bytes"
	"fmt"
	"go/format"
	"io"
	"maps"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/client"
)

const (
	clientTypes      = "../../../client/types.gen.go"
	clientOperations = "../../../client/operations.gen.go"
)

// TestTheClientIsTrue makes the types and operations of package client from the document.
func TestTheClientIsTrue(t *testing.T) {
	t.Parallel()
	w := &clientWriter{document: readDocument(t, newYard(t).handler)}
	checkFile(t, clientTypes, formatted(t, w.types()))
	checkFile(t, clientOperations, formatted(t, w.operations()))
}

func formatted(t *testing.T, source string) string {
	t.Helper()
	made, err := format.Source([]byte(source))
	if err != nil {
		t.Fatalf("%v in\n%s", err, source)
	}
	return string(made)
}

// clientWriter writes the source of the client.
type clientWriter struct {
	document *document
	out      strings.Builder
}

func (w *clientWriter) line(format string, values ...any) {
	fmt.Fprintf(&w.out, format+"\n", values...)
}

func (w *clientWriter) comment(indent, sentence string) {
	for line := range strings.SplitSeq(sentence, "\n") {
		w.line("%s// %s", indent, line)
	}
}

const generated = "// Code generated from docs/openapi.json by `make update-golden`. DO NOT EDIT.\n\npackage client\n\nimport (\n%s)\n"

// spelt are the names of schemas that do not follow from those of the document.
var spelt = map[string]string{
	"RecipientSpec": "Recipient", "ReplayAdvice": "Replay", "RetryView": "Retries", "ManyView": "BulkResult", "MediaUse": "Media", "MediaView": "File", "LimitsSpec": "Limits",
	"HoursSpec": "Hours", "SecretOutputBody": "Webhook", "WebhookView": "Webhook", "CreateWebhookInputBody": "NewWebhook", "EditWebhookInputBody": "WebhookChange",
	"SendMessageInputBody": "NewMessage", "SettingsView": "CampaignSettings", "PasskeyAnswerResponseStruct": "PasskeyResponse",
}

// written are schemas that the client has by hand, or has another one for.
var written = []string{"Problem", "ErrorDetail", "FormFile", "WebhookView"}

// shaped are fields whose type does not follow from the document: what is always there in practice, or what may be said to be zero.
var shaped = map[string]string{"Campaign.Counts": "Counts", "PreviewRequest.Check": "*int"}

// sometimes are fields that the document always has under one name of the client, and never under another.
var sometimes = []string{"Webhook.Secret"}

// typeName gives the Go name of a schema.
func typeName(schema string) string {
	if name := spelt[schema]; name != "" {
		return name
	}
	if item, is := strings.CutPrefix(schema, "ListBody"); is {
		return "Page[" + typeName(item) + "]"
	}
	for ending, instead := range map[string]string{"View": "", "InputBody": "Request", "OutputBody": "Answer"} {
		if name, is := strings.CutSuffix(schema, ending); is {
			return name + instead
		}
	}
	return schema
}

var initials = map[string]string{"id": "ID", "url": "URL", "qr": "QR", "ms": "MS", "mime": "MIME", "sha256": "SHA256", "png": "PNG", "svg": "SVG", "csv": "CSV", "xlsx": "XLSX", "json": "JSON"}

var camel = regexp.MustCompile(`([a-z])([A-Z])`)

// goName gives the Go name of a property, a parameter or an operation.
func goName(name string) string {
	var made strings.Builder
	for part := range strings.FieldsFuncSeq(camel.ReplaceAllString(name, "${1}_$2"), func(letter rune) bool { return letter == '_' || letter == '-' }) {
		if part = strings.ToLower(part); name == "message_es" && part == "es" {
			part = "spanish"
		}
		if initial := initials[part]; initial != "" {
			made.WriteString(initial)
		} else {
			made.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return made.String()
}

// goType gives the Go type of a schema.
func (w *clientWriter) goType(name string, schema object) string {
	if reference, is := schema["$ref"].(string); is {
		return typeName(reference[strings.LastIndex(reference, "/")+1:])
	}
	kinds := kindsOf(schema)
	if len(kinds) == 0 {
		return "json.RawMessage"
	}
	switch kinds[0] {
	case "string":
		switch {
		case schema["format"] == "date-time":
			return "time.Time"
		case schema["contentEncoding"] == "base64":
			return "[]byte"
		}
		return "string"
	case "integer":
		switch {
		case slices.Contains([]string{"entry", "sequence", "after", "until", "next"}, name) && schema["minimum"] == 0.0:
			return "uint64"
		case strings.HasSuffix(name, "_ms") || name == "size" && schema["minimum"] == nil:
			return "int64"
		}
		return "int"
	case "number":
		return "float64"
	case "boolean":
		return "bool"
	case "array":
		return "[]" + w.goType(name, child(schema, "items"))
	}
	if values, is := schema["additionalProperties"].(object); is {
		return "map[string]" + w.goType(name, values)
	}
	return "json.RawMessage"
}

// types writes a struct for each schema.
func (w *clientWriter) types() string {
	w.out.Reset()
	w.line(generated, "\t\"encoding/json\"\n\t\"time\"\n")
	schemas, changes := w.document.at("components", "schemas").(object), w.changes()
	for _, schema := range slices.Sorted(maps.Keys(schemas)) {
		if !slices.Contains(written, schema) && !strings.HasPrefix(schema, "ListBody") {
			w.structure(typeName(schema), "the schema "+schema, child(schemas, schema), changes[schema])
		}
	}
	for _, o := range w.document.operations() {
		if inline := child(o.body, "requestBody", "content", "application/json", "schema"); inline["properties"] != nil {
			w.structure(goName(o.id)+"Request", "the body of "+o.id, inline, false)
		}
	}
	return w.out.String()
}

// changes are the schemas of bodies that change something: what is left out of them stays.
func (w *clientWriter) changes() map[string]bool {
	found := map[string]bool{}
	for _, o := range w.document.operations() {
		if reference := text(child(o.body, "requestBody", "content", "application/json", "schema"), "$ref"); o.method == "PATCH" {
			found[reference[strings.LastIndex(reference, "/")+1:]] = true
		}
	}
	return found
}

func (w *clientWriter) structure(name, what string, shape object, change bool) {
	w.line("\n// %s is %s in the document.\ntype %s struct {", name, what, name)
	required, _ := shape["required"].([]any)
	properties := child(shape, "properties")
	for _, property := range slices.Sorted(maps.Keys(properties)) {
		described := child(properties, property)
		kind, tag := w.goType(property, described), property
		if !slices.Contains(required, any(property)) || slices.Contains(sometimes, name+"."+goName(property)) {
			tag += ",omitempty"
			switch {
			case kind == "time.Time" && !change:
				tag = property + ",omitzero"
			case described["$ref"] != nil, change && !strings.HasPrefix(kind, "[]") && !strings.HasPrefix(kind, "map"):
				kind = "*" + kind
			}
		}
		if special := shaped[name+"."+goName(property)]; special != "" {
			kind = special
		}
		if description := text(described, "description"); description != "" {
			w.comment("\t", description)
		}
		w.line("\t%s %s `json:%q`", goName(property), kind, tag)
	}
	w.line("}")
}

// operations writes a method for each operation.
func (w *clientWriter) operations() string {
	w.out.Reset()
	w.line(generated, "\t\"context\"\n\t\"io\"\n\t\"net/http\"\n\t\"net/url\"\n\t\"time\"\n")
	for _, o := range w.document.operations() {
		call := &clientCall{operation: o, name: goName(o.id), writer: w}
		call.query()
		call.form()
		call.method()
	}
	return w.out.String()
}

// clientCall is the method of one operation.
type clientCall struct {
	operation
	name   string
	writer *clientWriter
	// arguments are those of the method, fields those of the call that it makes.
	arguments, fields []string
}

// query writes a struct of the query parameters.
func (c *clientCall) query() {
	w := c.writer
	var sets []string
	for _, parameter := range list(c.body, "parameters") {
		if parameter["in"] != "query" {
			continue
		}
		name := text(parameter, "name")
		if sets == nil {
			w.line("\n// %sQuery narrows %s; what is zero is not said.\ntype %sQuery struct {", c.name, c.name, c.name)
		}
		w.comment("\t", text(parameter, "description"))
		w.line("\t%s %s", goName(name), w.goType("", child(parameter, "schema")))
		sets = append(sets, fmt.Sprintf("\tset(values, %q, q.%s)", name, goName(name)))
	}
	if sets == nil {
		return
	}
	w.line("}\n\nfunc (q %sQuery) values() url.Values {\n\tvalues := url.Values{}\n%s\n\treturn values\n}", c.name, strings.Join(sets, "\n"))
	c.arguments, c.fields = append(c.arguments, "query "+c.name+"Query"), append(c.fields, "query: query.values()")
}

// form writes a struct of the fields of a form.
func (c *clientCall) form() {
	w := c.writer
	media := child(c.body, "requestBody", "content", "multipart/form-data")
	if media == nil {
		return
	}
	properties := child(w.document.resolve(child(media, "schema")), "properties")
	w.line("\n// %sForm has the fields of %s beside the file; what is zero is not said.\ntype %sForm struct {", c.name, c.name, c.name)
	var sets []string
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if name == "file" {
			continue
		}
		w.comment("\t", text(child(properties, name), "description"))
		w.line("\t%s %s", goName(name), w.goType(name, child(properties, name)))
		sets = append(sets, fmt.Sprintf("\tset(values, %q, f.%s)", name, goName(name)))
	}
	w.line("}\n\nfunc (f %sForm) values() url.Values {\n\tvalues := url.Values{}\n%s\n\treturn values\n}", c.name, strings.Join(sets, "\n"))
	c.arguments = append(c.arguments, "file Upload", "form "+c.name+"Form")
	c.fields = append(c.fields, "upload: &file", "form: form.values()")
}

// method writes the method itself.
func (c *clientCall) method() {
	w := c.writer
	arguments := append([]string{"ctx context.Context"}, c.places()...)
	fields := append([]string{"method: http.Method" + c.operation.method[:1] + strings.ToLower(c.operation.method[1:]), "path: " + c.address()}, c.fields...)
	if reference := child(c.body, "requestBody", "content", "application/json", "schema"); reference != nil {
		kind := w.goType("", reference)
		if reference["properties"] != nil {
			kind = c.name + "Request"
		}
		arguments, fields = append(arguments, "body "+kind), append(fields, "body: body")
	}
	arguments = append(append(arguments, c.arguments...), "options ...Option")
	w.line("")
	w.comment("", c.name+" is "+c.id+". "+text(c.body, "description"))
	head := fmt.Sprintf("func (o Operations) %s(%s)", c.name, strings.Join(arguments, ", "))
	call := fmt.Sprintf("outgoing{%s, options: options}", strings.Join(fields, ", "))
	switch kind := c.answer(); kind {
	case "":
		w.line("%s error {\n\treturn o.client.send(ctx, %s, nil)\n}", head, call)
	case "io.ReadCloser":
		w.line("%s (io.ReadCloser, error) {\n\treturn o.client.open(ctx, %s)\n}", head, call)
	default:
		w.line("%s (answer %s, err error) {\n\terr = o.client.send(ctx, %s, &answer)\n\treturn answer, err\n}", head, kind, call)
	}
}

// places are the arguments for the parameters of the path.
func (c *clientCall) places() (arguments []string) {
	for _, parameter := range list(c.body, "parameters") {
		if parameter["in"] == "path" {
			arguments = append(arguments, text(parameter, "name")+" "+c.writer.goType(text(parameter, "name"), child(parameter, "schema")))
		}
	}
	return arguments
}

var inPath = regexp.MustCompile(`\{(\w+)\}`)

// address is the expression of the path.
func (c *clientCall) address() string {
	expression := `"` + inPath.ReplaceAllString(c.path, `" + escape($1) + "`) + `"`
	return strings.TrimSuffix(expression, ` + ""`)
}

// answer gives the type of what the operation answers; a stream for what is no JSON.
func (c *clientCall) answer() string {
	kind := ""
	for status, response := range child(c.body, "responses") {
		if status >= "300" {
			continue
		}
		for media, content := range child(response.(object), "content") {
			if media != "application/json" {
				return "io.ReadCloser"
			}
			kind = c.writer.goType("", child(content.(object), "schema"))
		}
	}
	return kind
}

// TestTheClientReachesEveryKindOfOperation: bodies, forms, queries, pages, streams, keys and problems.
func TestTheClientReachesEveryKindOfOperation(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	server := httptest.NewServer(y.handler)
	t.Cleanup(server.Close)
	w := newWorld(t, y)
	linked, ctx := w.linked(), t.Context()
	made, err := client.New(server.URL, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	api := made.Operations()
	people, err := api.CreateList(ctx, client.CreateListRequest{UserID: "ana", Name: "Pacientes"})
	must(t, err)
	imported, err := api.UploadContacts(ctx, people.ID, client.Upload{Name: "a.csv", Content: strings.NewReader("nombre,telefono\nLucía,+5491155550105\n")}, client.UploadContactsForm{Tags: "control"})
	if must(t, err); imported.Added != 1 {
		t.Errorf("imported %+v", imported)
	}
	contacts, err := api.ListContacts(ctx, people.ID, client.ListContactsQuery{Size: 1})
	if must(t, err); len(contacts.Items) != 1 || contacts.Items[0].Fields["nombre"] != "Lucía" || contacts.Items[0].Tags[0] != "control" {
		t.Errorf("contacts %+v", contacts)
	}
	stored, err := api.UploadMedia(ctx, client.Upload{Name: "mapa.png", Content: bytes.NewReader(picture())}, client.UploadMediaForm{})
	if must(t, err); stored.Kind != "image" || stored.Size != int64(len(picture())) {
		t.Errorf("stored %+v", stored)
	}
	limits, err := api.SetLimits(ctx, linked, client.Limits{Daily: 7})
	if must(t, err); limits.Own == nil || limits.Own.Daily != 7 {
		t.Errorf("limits %+v", limits)
	}
	preview, err := api.PreviewCampaign(ctx, client.PreviewRequest{SessionID: linked, Text: "Hola {{nombre}}", ListID: people.ID, Check: new(int)})
	if must(t, err); len(preview.Samples) != 1 || preview.Samples[0].Text != "Hola Lucía" {
		t.Errorf("preview %+v", preview)
	}
	exported, err := api.ExportSuppressions(ctx)
	must(t, err)
	table, err := io.ReadAll(exported)
	if must(t, err); !strings.Contains(string(table), "phone,reason") || exported.Close() != nil {
		t.Errorf("exported %q", table)
	}
	jobs, err := api.ListJobs(ctx, client.ListJobsQuery{State: []string{"pending", "scheduled"}})
	if must(t, err); !slices.ContainsFunc(jobs.Items, func(job client.Job) bool { return job.State == "scheduled" }) || jobs.Items[0].State != "pending" {
		t.Errorf("jobs %+v", jobs)
	}
	draft := func() (client.Campaign, error) {
		return made.UploadCampaign(ctx, client.NewCampaign{SessionID: linked, Text: "Hola", Key: "once", Settings: client.Settings{Draft: true}}, strings.NewReader("telefono\n+5491155550105\n"))
	}
	first, err := draft()
	must(t, err)
	if again, err := draft(); err != nil || again.ID != first.ID || first.Counts.Pending != 1 {
		t.Errorf("once %+v, then %+v: %v", first, again, err)
	}
	renamed, err := api.EditCampaign(ctx, first.ID, client.EditCampaignRequest{Name: new("otra")})
	if must(t, err); renamed.Name != "otra" || renamed.Text != "Hola" {
		t.Errorf("renamed %+v", renamed)
	}
	must(t, api.DeleteCampaign(ctx, first.ID))
	if _, err := api.GetCampaign(ctx, first.ID); !client.IsCode(err, "not_found") {
		t.Errorf("deleted, it is %v", err)
	}
	if _, err := api.ExportDeliveriesCSV(ctx, first.ID); !client.IsCode(err, "not_found") {
		t.Errorf("its table is %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
