package campaign

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dannsalud/broadcaster/internal/fault"
)

func TestTextsAreRendered(t *testing.T) {
	t.Parallel()
	fields := map[string]string{"Nombre": "José Ñandú", "Año": "2026", "turno": " lunes ", "vacío": " ", "precio {neto}": "10",
		"celular": "11 5555-0101", "phone": "11 5555-0101"}
	rows := []struct{ text, want string }{
		{"Hola", "Hola"},
		{"Hola {{Nombre}}!", "Hola José Ñandú!"},
		{"{{nombre}} {{ NOMBRE }}\n{{\tnombre\n}}", "José Ñandú José Ñandú\nJosé Ñandú"},
		{"{{año}} {{ano}} {{AÑO}}", "2026 2026 2026"},
		{"el {{turno}}.", "el lunes."},
		{"Hola {{nombre|vecino}}", "Hola José Ñandú"},
		{"Hola {{vacio|vecino}}", "Hola vecino"},
		{"Hola {{ vacio | vecina o vecino }}.", "Hola vecina o vecino."},
		{"Hola {{vacio|}}.", "Hola ."},
		{"Hola {{vacio}}.", "Hola ."},
		{"{{otro}}{{otro|a|b}}", "a|b"},
		{"{{celular}} {{phone}} {{teléfono}}", "11 5555-0101 11 5555-0101 11 5555-0101"},
		{"{nombre} } }} {", "{nombre} } }} {"},
		{`\{{nombre}} y {{nombre}}`, "{{nombre}} y José Ñandú"},
		{`\{{\{{`, "{{{{"},
		{`C:\ {{turno}}`, `C:\ lunes`},
		{"{{nombre}}}}", "José Ñandú}}"},
		{"😀{{turno}}😀", "😀lunes😀"},
	}
	for _, row := range rows {
		template, err := ParseTemplate(row.text)
		if err != nil {
			t.Errorf("%q: %v", row.text, err)
			continue
		}
		if got := template.Render(fields); got != row.want {
			t.Errorf("%q: %q, want %q", row.text, got, row.want)
		}
	}
}

// TestValuesAreNotReadAsTemplates: what stands in an audience can not reach other fields.
func TestValuesAreNotReadAsTemplates(t *testing.T) {
	t.Parallel()
	template, err := ParseTemplate("{{a}}{{b|{x}}}")
	if err != nil {
		t.Fatal(err)
	}
	same(t, template.Render(map[string]string{"a": "{{secreto}}", "secreto": "x"}), "{{secreto}}{x}")
}

func TestThePhoneIsThePhoneWhateverItsColumnIsCalled(t *testing.T) {
	t.Parallel()
	template, err := ParseTemplate("{{phone}}/{{Teléfono}}")
	if err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		file    string
		options AudienceOptions
		want    string
	}{
		{"Teléfono\n1155550101\n", AudienceOptions{}, "1155550101/1155550101"},
		{"phone\n1155550101\n", AudienceOptions{}, "1155550101/1155550101"},
		{"celu de la casa\n1155550101\n", AudienceOptions{PhoneColumn: "celu de la casa"}, "1155550101/1155550101"},
		{"WhatsApp,telefono\n1155550101,fijo\n", AudienceOptions{}, "fijo/fijo"},
	}
	for _, row := range rows {
		audience := open(t, row.file, row.options)
		if err := template.Check(audience.Columns()); err != nil {
			t.Errorf("%q: %v", row.file, err)
		}
		recipients, rejections, err := walk(audience)
		if err != nil || len(recipients) != 1 {
			t.Fatalf("%q: %v %v", row.file, rejections, err)
		}
		if got := template.Render(recipients[0].Fields); got != row.want {
			t.Errorf("%q: %q, want %q", row.file, got, row.want)
		}
	}
}

func TestWrongTextsAreRefused(t *testing.T) {
	t.Parallel()
	rows := []struct{ text, code, says string }{
		{"", "text_empty", "write one"},
		{" \n\t", "text_empty", "write one"},
		{strings.Repeat("ñ", MaxTextLength+1), "text_too_long", "65537"},
		{"Hola \xff", "text_not_utf8", "UTF-8"},
		{"Hola {{nombre", "placeholder_not_closed", `"{{nombre"`},
		{"Hola {{nombre y {{apellido}}", "placeholder_not_closed", `"{{nombre y {{apellido"`},
		{"Hola {{nombre}", "placeholder_not_closed", "{{column}}"},
		{"Hola {{}}", "placeholder_without_name", `"{{}}"`},
		{"Hola {{ | vecino}}", "placeholder_without_name", "names no column"},
		{"Hola {{{nombre}}}", "placeholder_without_name", `"{{{nombre}}"`},
		{"Hola {{" + strings.Repeat("n", maxNameBytes+1) + "}}", "placeholder_without_name", "names no column"},
		{strings.Repeat("{{a}}", maxPlaceholders+1), "too_many_placeholders", "more than 100"},
	}
	for _, row := range rows {
		_, err := ParseTemplate(row.text)
		problem := wantFault(t, err, fault.Invalid, row.code)
		if !strings.Contains(problem.Message, row.says) || len(problem.Message) > 250 {
			t.Errorf("%q: %q", row.text, problem.Message)
		}
	}
	for _, longest := range []string{
		strings.Repeat("ñ", MaxTextLength),
		strings.Repeat("{{a}}", maxPlaceholders), "{{" + strings.Repeat("n", maxNameBytes) + "}}",
	} {
		if _, err := ParseTemplate(longest); err != nil {
			t.Errorf("%s: %v", shorten(longest), err)
		}
	}
}

func TestUnknownPlaceholdersNameWhatWasMeant(t *testing.T) {
	t.Parallel()
	template, err := ParseTemplate("{{nombre}} {{Nombr}} {{apelido|x}} {{ apelido }} {{zzz}} {{telefono}}")
	if err != nil {
		t.Fatal(err)
	}
	same(t, template.Placeholders(), []string{"nombre", "Nombr", "apelido", "zzz", "telefono"})
	problem := wantFault(t, template.Check([]string{"Nombre", "Apellido", "celular"}), fault.Invalid, "unknown_placeholder")
	known := "The columns are: Nombre, Apellido, celular"
	same(t, problem.Details, []fault.Detail{
		{Location: "text", Value: "{{Nombr}}", Reason: "there is no such column. Did you mean {{Nombre}}? " + known},
		{Location: "text", Value: "{{apelido}}", Reason: "there is no such column. Did you mean {{Apellido}}? " + known},
		{Location: "text", Value: "{{zzz}}", Reason: "there is no such column. " + known},
	})
	same(t, problem.Message, "The text asks for {{Nombr}}: there is no such column. Did you mean {{Nombre}}? "+known)
	if err := template.Check([]string{"NOMBRE", "nombr", "apelido", "zzz"}); err != nil {
		t.Errorf("all columns known: %v", err)
	}
}

func TestTheNearestNameIsMeant(t *testing.T) {
	t.Parallel()
	rows := []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"nombre", "nombre", 0}, {"nombre", "nomber", 2}, {"kitten", "sitting", 3}, {"año", "ano", 1},
	}
	for _, row := range rows {
		if got := distance([]rune(row.a), []rune(row.b)); got != row.want {
			t.Errorf("distance of %q and %q: %d, want %d", row.a, row.b, got, row.want)
		}
	}
	same(t, nearest("telefno", []string{"nombre", "", "Teléfono"}), "Teléfono")
	same(t, nearest("dni", []string{"nombre", "turno", "día"}), "")
	same(t, nearest("x", []string{""}), "")
}

func TestMessagesThatNobodyCouldSendAreScreened(t *testing.T) {
	t.Parallel()
	templates, err := Campaign{Text: "{{saludo}}{{texto|}}"}.Templates()
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("{{saludo}}", 10)
	file := "telefono,saludo,texto\n1155550101,Hola,\n1155550102,,\nx,,\n1155550103,,chau\n"
	recipients, rejections, err := walk(Audience{rows: templates.Screen(open(t, file, AudienceOptions{}).Rows())})
	if err != nil || len(recipients) != 2 || len(rejections) != 2 {
		t.Fatalf("%v, %v, %v", recipients, rejections, err)
	}
	same(t, []string{rejections[0].Code, rejections[0].Column, rejections[1].Code}, []string{"text_empty", "saludo", "phone_not_a_number"})
	same(t, rejections[0].Row, 3)

	templates, err = Campaign{Text: long}.Templates()
	if err != nil {
		t.Fatal(err)
	}
	list, err := ListAudience([]ListedRecipient{
		{Phone: "1155550101", Fields: map[string]string{"saludo": strings.Repeat("x", MaxTextLength/10)}},
		{Phone: "1155550102", Fields: map[string]string{"saludo": strings.Repeat("x", MaxTextLength/10+1)}},
		{Phone: "1155550103", Fields: map[string]string{"saludo": strings.Repeat("ñ", maxFieldBytes/2)}},
	}, AudienceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	recipients, rejections, err = walk(Audience{rows: templates.Screen(list.Rows())})
	if err != nil || len(recipients) != 2 || len(rejections) != 1 || rejections[0].Code != "text_too_long" || rejections[0].Row != 2 {
		t.Errorf("%d recipients, %v, %v", len(recipients), rejections, err)
	}
}

func BenchmarkRenderAtItsWorst(b *testing.B) {
	template, err := ParseTemplate(strings.Repeat("{{ñ}}", maxPlaceholders))
	if err != nil {
		b.Fatal(err)
	}
	fields := map[string]string{"Ñ": strings.Repeat("x", maxFieldBytes)}
	for i := range maxColumns - 1 {
		fields[fmt.Sprintf("Columna número %d", i)] = "x"
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := len(template.Render(fields)); got != maxPlaceholders*maxFieldBytes {
			b.Fatal(got)
		}
	}
}

func FuzzParseTemplate(f *testing.F) {
	for _, seed := range []string{"Hola {{nombre|vecino}}", `\{{x}} {{ y }}`, "{{{a}}}", "{{a}}}}", "{{a|b|c}}", "{{Á}}", "\xff", "{{a", "}}{{"} {
		f.Add(seed, "v")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		template, err := ParseTemplate(text)
		if err != nil {
			if fault.Of(err) != fault.Invalid {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		names := template.Placeholders()
		if err := template.Check(names); err != nil {
			t.Fatalf("%q does not know its own placeholders: %v", text, err)
		}
		if !strings.Contains(text, "{{") && template.Render(nil) != text {
			t.Fatalf("%q has no placeholder and renders %q", text, template.Render(nil))
		}
		fields := map[string]string{}
		for _, name := range names {
			fields[name] = value
		}
		rendered := template.Render(fields)
		if utf8.ValidString(value) && !utf8.ValidString(rendered) {
			t.Fatalf("%q with %q renders %q", text, value, rendered)
		}
		shouted := map[string]string{}
		for name, value := range fields {
			shouted[" "+name+" "] = value
		}
		if got := template.Render(shouted); got != rendered {
			t.Fatalf("%q renders %q, and with other names %q", text, rendered, got)
		}
	})
}
