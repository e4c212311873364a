package campaign

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"

	"github.com/dannsalud/broadcaster/internal/fault"
)

func TestOneAudienceInEveryFormat(t *testing.T) {
	t.Parallel()
	comma := "nombre,teléfono,turno\r\nÑandú Peña,11 15 5555-0101,\"martes 3, 10:30\"\r\n\"María \"\"Mari\"\"\",+54 9 351 555-0102,\"calle 1\r\npiso 2\"\r\n"
	windows, err := charmap.Windows1252.NewEncoder().String(comma)
	if err != nil {
		t.Fatal(err)
	}
	semicolon := strings.ReplaceAll(comma, ",", ";")
	formats := map[string]string{
		"commas":                   comma,
		"byte order mark":          byteOrderMark + comma,
		"line feeds":               strings.ReplaceAll(comma, "\r\n", "\n"),
		"carriage returns":         strings.ReplaceAll(comma, "\r\n", "\r"),
		"windows-1252":             windows,
		"windows-1252, macintosh":  strings.ReplaceAll(windows, "\r\n", "\r"),
		"no line break at the end": strings.TrimSuffix(comma, "\r\n"),
		"semicolons":               strings.ReplaceAll(semicolon, "martes 3;", "martes 3,"),
		"declared":                 "sep=;\r\n" + strings.ReplaceAll(semicolon, "martes 3;", "martes 3,"),
		"declared after the mark":  byteOrderMark + "SEP=,\n" + comma,
		"tabs":                     strings.ReplaceAll(strings.ReplaceAll(comma, ",", "\t"), "martes 3\t", "martes 3,"),
		"bars":                     strings.ReplaceAll(strings.ReplaceAll(comma, ",", "|"), "martes 3|", "martes 3,"),
		"spaces around":            strings.ReplaceAll(comma, "nombre,", " nombre , "),
		"empty rows and fields":    strings.ReplaceAll(comma, "turno\r\n", "turno,,\r\n") + ",,,,\r\n , ,\r\n\r\n",
		"an unnamed column": "nombre,teléfono,,turno\nÑandú Peña,11 15 5555-0101,x,\"martes 3, 10:30\"\n" +
			"\"María \"\"Mari\"\"\",+54 9 351 555-0102,y,\"calle 1\npiso 2\"\n",
		"one field in windows-1252": strings.Replace(comma, "Ñandú Peña", "\xd1and\xfa Pe\xf1a", 1),
	}
	want := []Recipient{
		{Row: 2, Phone: "+5491155550101", PhoneColumn: "teléfono", Fields: map[string]string{
			"nombre": "Ñandú Peña", "teléfono": "11 15 5555-0101", "turno": "martes 3, 10:30"}},
		{Row: 3, Phone: "+5493515550102", PhoneColumn: "teléfono", Fields: map[string]string{
			"nombre": `María "Mari"`, "teléfono": "+54 9 351 555-0102", "turno": "calle 1\npiso 2"}},
	}
	for name, file := range formats {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			audience := open(t, file, AudienceOptions{})
			same(t, audience.Columns(), []string{"nombre", "teléfono", "turno"})
			same(t, audience.PhoneColumn(), "teléfono")
			recipients, rejections, err := walk(audience)
			same(t, recipients, want)
			if err != nil || rejections != nil {
				t.Errorf("rejections %v, error %v", rejections, err)
			}
		})
	}
}

func TestTheDelimiterIsFound(t *testing.T) {
	t.Parallel()
	rows := []struct {
		file    string
		columns []string
	}{
		{"telefono\n1155550101\n", []string{"telefono"}},
		{"nombre;teléfono, celular\nAna;1155550101\nLuz, la menor;1155550102\n", []string{"nombre", "teléfono, celular"}},
		{"apellido, nombre;telefono;sede\nPaz, Ana;1155550101;Centro\n", []string{"apellido, nombre", "telefono", "sede"}},
		{"\"a;b;c;d\",telefono\nx,1155550101\n", []string{"a;b;c;d", "telefono"}},
		{"nombre, apellido, dni;numero\n", []string{"nombre, apellido, dni", "numero"}}, // the phone column decides
		{"telefono|saludo\n1155550101|Hola; qué tal, Ana\n", []string{"telefono", "saludo"}},
		{"telefono\tnota\n1155550101\ta,b,c\n", []string{"telefono", "nota"}},
	}
	for _, row := range rows {
		same(t, open(t, row.file, AudienceOptions{}).Columns(), row.columns)
	}
}

func TestThePhoneColumnIsGuessed(t *testing.T) {
	t.Parallel()
	rows := []struct{ header, wanted, column string }{
		{"nombre,telefono", "", "telefono"},
		{"Nombre,TELÉFONO", "", "TELÉFONO"},
		{"name,Phone", "", "Phone"},
		{"name,phone_number,city", "", "phone_number"},
		{"Phone Number,Name", "", "Phone Number"},
		{"nombre,Móvil", "", "Móvil"},
		{"nombre,Celular,Teléfono", "", "Celular"},
		{"tiene whatsapp,telefono", "", "telefono"},
		{"nombre,Nro. de celular", "", "Nro. de celular"},
		{"nombre,Teléfono (con característica)", "", "Teléfono (con característica)"},
		{"numero,nombre", "", "numero"},
		{"numero de turno,nombre,tel.", "", "tel."},
		{"nombre,Nro,Cel", "", "Cel"},
		{"cel 1,cel 2", "", "cel 1"},
		{"telefono,contacto de urgencia", "CONTACTO de Urgencia ", "contacto de urgencia"},
		{"tecla,celda,n", "n", "n"},
	}
	for _, row := range rows {
		audience := open(t, row.header+"\n", AudienceOptions{PhoneColumn: row.wanted})
		if audience.PhoneColumn() != row.column {
			t.Errorf("%q: %q, want %q", row.header, audience.PhoneColumn(), row.column)
		}
	}
}

func TestWrongFilesSayWhatWasFoundAndWhatIsExpected(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("c,", maxColumns) + "telefono\n"
	rows := []struct {
		name, file string
		options    AudienceOptions
		code       string
		says       []string
	}{
		{"empty", "", AudienceOptions{}, "audience_empty", []string{"empty", "name the columns"}},
		{"only blank lines", "\n\r\n\n", AudienceOptions{}, "audience_empty", []string{"empty"}},
		{"only a mark", byteOrderMark, AudienceOptions{}, "audience_empty", []string{"empty"}},
		{"only a declaration", "sep=;", AudienceOptions{}, "audience_empty", []string{"empty"}},
		{"XLSX", "PK\x03\x04\x14\x00", AudienceOptions{}, "audience_is_spreadsheet", []string{"save it as XLSX or CSV"}},
		{"XLS", "\xd0\xcf\x11\xe0\xa1\xb1", AudienceOptions{}, "audience_is_spreadsheet", []string{"save it as XLSX or CSV"}},
		{"UTF-16", "\xff\xfet\x00", AudienceOptions{}, "audience_is_utf16", []string{"UTF-8"}},
		{"a picture", "\x89PNG\r\n\x1a\n\x00\x00", AudienceOptions{}, "audience_not_text", []string{"not text"}},
		{"no phone column", "nombre,turno\nAna,hoy\n", AudienceOptions{}, "phone_column_missing", []string{"nombre, turno", "telefono"}},
		{"another phone column", "nombre,telefono\n", AudienceOptions{PhoneColumn: "celu"}, "phone_column_missing", []string{`"celu"`, "nombre, telefono"}},
		{"no header", "Ana,+54 9 11 5555-0101\nLuz,1155550102\n", AudienceOptions{}, "header_missing", []string{"nombre, telefono"}},
		{"two of a name", "Nombre,telefono,NOMBRE \n", AudienceOptions{}, "column_twice", []string{"1 and 3", `"NOMBRE"`}},
		{"two phone columns of a name", "telefono,Teléfono\n", AudienceOptions{}, "column_twice", []string{"1 and 2"}},
		{"too many columns", many, AudienceOptions{}, "too_many_columns", []string{"101", "100"}},
		{"a long name", "telefono," + strings.Repeat("n", maxNameBytes+1) + "\n", AudienceOptions{}, "column_name_too_long", []string{"shorten it"}},
		{"unknown delimiter", "sep=#\ntelefono\n", AudienceOptions{}, "delimiter_unknown", []string{"semicolon"}},
		{"misquoted header", "nom\"bre,telefono\n", AudienceOptions{}, "row_misquoted", []string{"quotation mark"}},
		{"endless header", "nombre,\"telefono\nAna,1155550101\n", AudienceOptions{}, "quote_not_closed", []string{"line 1"}},
		{"unknown region", "telefono\n", AudienceOptions{DefaultRegion: "XX"}, "unknown_region", []string{"AR"}},
		{"negative limit", "telefono\n", AudienceOptions{MaxRows: -1}, "invalid_max_rows", []string{"negative"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadCSV(strings.NewReader(row.file), row.options)
			problem := wantFault(t, err, fault.Invalid, row.code)
			if len(problem.Details) == 0 || problem.Details[0].Location == "" || problem.Details[0].Reason == "" {
				t.Errorf("details %+v", problem.Details)
			}
			for _, part := range row.says {
				if !strings.Contains(problem.Message, part) {
					t.Errorf("%q does not say %q", problem.Message, part)
				}
			}
			if strings.Contains(problem.Error(), "5555") {
				t.Errorf("%q holds a phone number", problem.Error())
			}
		})
	}
}

func TestWrongRowsAreRejectedAndTheOthersKept(t *testing.T) {
	t.Parallel()
	file := strings.Join([]string{
		"nombre,telefono,turno",       // 1
		"Ana,1155550101,lunes",        // 2
		"Beto,1155",                   // 3: too short a row
		"",                            // 4
		"Caro,1155550102,lunes,10:30", // 5: too long a row
		"Dani,115555,lunes",           // 6
		"\"Eva\nMaría\",no tiene,\"lunes\n10:30\"", // 7, three lines
		"Fede,,lunes",                      // 8
		"Gabi \"Ga\" Paz,1155550103,lunes", // 9: misquoted
		"\"Hugo\" Paz,1155550104,lunes",    // 10: misquoted
		",,",                               // 11: blank
		"Inés,1155550105,mar\x00tes",       // 12
		"Juan,1155550106," + strings.Repeat("x", maxFieldBytes+1), // 13
		"Kari,1155550107,lunes,,",                                 // 14: only empty fields too many
		"Luz,1155550108,\"lunes",                                  // 15: a mark without a closing one, in the last line
	}, "\r\n")
	// The byte that is no text lies behind what is sniffed.
	file = strings.Replace(file, "Dani", "Dani"+strings.Repeat(" ", sniffedBytes), 1)
	recipients, rejections, err := walk(open(t, file, AudienceOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	var accepted []int
	for _, recipient := range recipients {
		accepted = append(accepted, recipient.Row)
	}
	same(t, accepted, []int{2, 14})
	type wrong struct {
		Row          int
		Column, Code string
	}
	var got []wrong
	for _, r := range rejections {
		got = append(got, wrong{r.Row, r.Column, r.Code})
		if len(r.Reason) < 20 || strings.Contains(r.Reason, "1155") || len([]rune(r.Value)) > 61 {
			t.Errorf("row %d: %q, value %q", r.Row, r.Reason, r.Value)
		}
	}
	same(t, got, []wrong{
		{3, "turno", "row_too_short"},
		{5, "", "row_too_long"},
		{6, "telefono", "phone_too_short"},
		{7, "telefono", "phone_not_a_number"},
		{8, "telefono", "phone_missing"},
		{9, "", "row_misquoted"},
		{10, "", "row_misquoted"},
		{12, "turno", "field_not_text"},
		{13, "turno", "field_too_long"},
		{15, "", "row_misquoted"},
	})
	if !strings.Contains(rejections[3].Reason, "3 lines") {
		t.Errorf("a row of several lines hints at the mark: %q", rejections[3].Reason)
	}
	same(t, rejections[4], Rejection{Row: 8, Column: "telefono", Code: "phone_missing", Reason: "The phone number is missing; add it"})
	same(t, rejections[3].Value, "no tiene")
}

func TestRowNumbersStartAtTheHeader(t *testing.T) {
	t.Parallel()
	recipients, _, err := walk(open(t, "\n\n\"nombre\ncompleto\",telefono\nAna,1155550101\n\nLuz,1155550102\n", AudienceOptions{}))
	if err != nil || len(recipients) != 2 || recipients[0].Row != 4 || recipients[1].Row != 6 {
		t.Errorf("%v, %v", recipients, err)
	}
}

// TestAQuoteThatSpansRowsEndsTheWalk: guessing its end could drop the people behind it unseen.
func TestAQuoteThatSpansRowsEndsTheWalk(t *testing.T) {
	t.Parallel()
	rows := []struct{ name, file, code, says string }{
		{"to the end", "nombre,telefono\nAna,1155550101\n\"Beto,1155550102\nCaro,1155550103\n", "quote_not_closed", "line 3"},
		{"to another", "nombre,telefono\nAna,1155550101\n\"Beto,1155550102\n\"Caro\",1155550103\n", "quote_not_closed", "line 3 of the file and goes on to line 4"},
		{"for ever", "nombre,telefono\nAna,1155550101\n\"Beto," + strings.Repeat("1155550102\nCaro,", 100_000), "row_too_long", "after row 2"},
		{"one line for ever", "nombre,telefono\nAna,1155550101\n" + strings.Repeat("Beto ", 500_000), "row_too_long", "after row 2"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			recipients, rejections, err := walk(open(t, row.file, AudienceOptions{}))
			problem := wantFault(t, err, fault.Invalid, row.code)
			if !strings.Contains(problem.Message, row.says) || len(recipients) != 1 || rejections != nil {
				t.Errorf("%q, recipients %v, rejections %v", problem.Message, recipients, rejections)
			}
		})
	}
}

func TestReadErrorsSurface(t *testing.T) {
	t.Parallel()
	if _, err := ReadCSV(failing{strings.NewReader("nombre,tel")}, AudienceOptions{}); !errors.Is(err, errDisk) {
		t.Errorf("while the header is read: %v", err)
	}
	audience, err := ReadCSV(breaking(200), AudienceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	recipients, _, err := walk(audience)
	if !errors.Is(err, errDisk) || fault.Of(err) != fault.Internal {
		t.Errorf("while the rows are read: %v", err)
	}
	if len(recipients) != 200 {
		t.Errorf("%d rows came before the error", len(recipients))
	}
}

// breaking is a file whose reader fails behind some rows of one number, which fill more than is sniffed.
func breaking(rows int) io.Reader {
	row := "1155550101," + strings.Repeat("x", 2*sniffedBytes/rows) + "\n"
	return failing{strings.NewReader("telefono,nota\n" + strings.Repeat(row, rows))}
}

func TestTooManyRowsAreRefused(t *testing.T) {
	t.Parallel()
	file := "telefono\n1155550101\nx\n\n1155550102\n"
	if recipients, rejections, err := walk(open(t, file, AudienceOptions{MaxRows: 3})); err != nil || len(recipients)+len(rejections) != 3 {
		t.Errorf("three rows: %v, %v, %v", recipients, rejections, err)
	}
	recipients, rejections, err := walk(open(t, file, AudienceOptions{MaxRows: 2}))
	problem := wantFault(t, err, fault.TooLarge, "audience_too_long")
	if len(recipients)+len(rejections) != 2 || !strings.Contains(problem.Message, "more than 2 rows") {
		t.Errorf("%v, %v, %q", recipients, rejections, problem.Message)
	}
	_, err = ListAudience([]ListedRecipient{{}, {}, {}}, AudienceOptions{MaxRows: 2})
	wantFault(t, err, fault.TooLarge, "audience_too_long")
}

func TestTheDefaultRegionCounts(t *testing.T) {
	t.Parallel()
	recipients, _, err := walk(open(t, "telefono\n55 1234 5678\n", AudienceOptions{DefaultRegion: "mx"}))
	if err != nil || len(recipients) != 1 || recipients[0].Phone != "+525512345678" {
		t.Errorf("%v, %v", recipients, err)
	}
}

func TestAWalkCanStopEarly(t *testing.T) {
	t.Parallel()
	audience := open(t, "telefono\n1155550101\nx\n1155550102\n", AudienceOptions{})
	for row, err := range audience.Rows() {
		if err != nil || row.Recipient.Row != 2 {
			t.Errorf("the first row: %+v, %v", row, err)
		}
		break
	}
	recipients, rejections, err := walk(audience)
	if err != nil || len(recipients) != 1 || len(rejections) != 1 {
		t.Errorf("the rest: %v, %v, %v", recipients, rejections, err)
	}
}

// TestWhatACSVWriterWritesIsReadBack compares with encoding/csv: random fields, every delimiter.
func TestWhatACSVWriterWritesIsReadBack(t *testing.T) {
	t.Parallel()
	random := random(t)
	alphabet := []rune("aé ñ,;|\t\"\n'#x")
	for range 300 {
		var file bytes.Buffer
		writer := csv.NewWriter(&file)
		writer.Comma = delimiters[random.IntN(len(delimiters))]
		_ = writer.Write([]string{"nombre", "telefono", "nota"})
		var want []string
		for range random.IntN(20) {
			field := make([]rune, random.IntN(12))
			for i := range field {
				field[i] = alphabet[random.IntN(len(alphabet))]
			}
			want = append(want, strings.TrimSpace(string(field)))
			_ = writer.Write([]string{"Ana", "1155550101", string(field)})
		}
		writer.Flush()
		recipients, rejections, err := walk(open(t, file.String(), AudienceOptions{}))
		var got []string
		for _, recipient := range recipients {
			got = append(got, recipient.Fields["nota"])
		}
		if err != nil || rejections != nil || !slices.Equal(got, want) {
			t.Fatalf("%q: %q, want %q; %v %v", file.String(), got, want, rejections, err)
		}
	}
}

func FuzzReadCSV(f *testing.F) {
	for _, seed := range []string{
		"nombre,telefono\nAna,1155550101\n", "sep=;\ntelefono;n\n1155550101;\"a\nb\"\n", byteOrderMark + "telefono\r1155550101\r",
		"telefono\t\xd1\n1155550101\tx\n", "\"telefono\n", "telefono,a\n1,\"x\n2,y\n", "PK\x03\x04", "\n\n,,\ntelefono\n", "telefono,,\n1155550101,,,,\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		audience, err := ReadCSV(bytes.NewReader(file), AudienceOptions{MaxRows: 1000})
		if err != nil {
			if class := fault.Of(err); class != fault.Invalid {
				t.Fatalf("class %s: %v", class, err)
			}
			return
		}
		checkColumns(t, audience)
		last := 0
		for row, err := range audience.Rows() {
			if err != nil {
				if class := fault.Of(err); class != fault.Invalid && class != fault.TooLarge {
					t.Fatalf("class %s: %v", class, err)
				}
				return
			}
			checkRow(t, audience, row, last)
			last = row.Recipient.Row
			if row.Rejection != nil {
				last = row.Rejection.Row
			}
		}
	})
}

func checkColumns(t *testing.T, audience Audience) {
	t.Helper()
	columns := audience.Columns()
	if len(columns) == 0 || slices.Contains(columns, "") || !slices.Contains(columns, audience.PhoneColumn()) {
		t.Fatalf("columns %q, phone column %q", columns, audience.PhoneColumn())
	}
}

func checkRow(t *testing.T, audience Audience, row Row, last int) {
	t.Helper()
	if r := row.Rejection; r != nil {
		if r.Row <= last || r.Code == "" || r.Reason == "" {
			t.Fatalf("after row %d the rejection %+v", last, r)
		}
		return
	}
	r := row.Recipient
	if r.Row <= last || !e164.MatchString(r.Phone) {
		t.Fatalf("after row %d the recipient %+v", last, r)
	}
	for _, column := range audience.Columns() {
		if _, ok := r.Fields[column]; !ok {
			t.Fatalf("column %q is missing in %+v", column, r)
		}
	}
}

// people is a file of any length that is never in memory. Its rows repeat the kinds: a right one, and those that are asked for besides.
func people(rows int, wrong ...string) io.Reader {
	reader, writer := io.Pipe()
	go func() {
		text := bytes.NewBufferString("nombre,telefono,turno\n")
		for i := range rows {
			if kind := i % (1 + len(wrong)); kind == 0 {
				fmt.Fprintf(text, "Ana Peña %d,+54911400%05d,\"martes 3, 10:30\"\n", i, i%100_000)
			} else {
				text.WriteString(wrong[kind-1])
			}
			if text.Len() > 32<<10 {
				if _, err := writer.Write(text.Bytes()); err != nil {
					return
				}
				text.Reset()
			}
		}
		_, _ = writer.Write(text.Bytes())
		_ = writer.Close()
	}()
	return reader
}

func BenchmarkReadCSV(b *testing.B) {
	const rows = 10_000
	b.ReportAllocs()
	for b.Loop() {
		audience, err := ReadCSV(people(rows), AudienceOptions{})
		if err != nil {
			b.Fatal(err)
		}
		recipients, _, err := walk(audience)
		if err != nil || len(recipients) != rows {
			b.Fatal(len(recipients), err)
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}
