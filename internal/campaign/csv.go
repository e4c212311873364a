package campaign

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// ReadCSV opens an audience file: UTF-8 (with or without a byte order mark) or Windows-1252, with commas, semicolons, tabs or bars between
// its fields, and a header row. It reads the header only; Rows reads the rest as it is asked for, one row in memory at a time, and ends
// when the reader does.
//
// It is fault.Invalid when the file is empty, no text, or has no header row, when two columns have one name, or when no column of phone
// numbers is found; the error names what was found and what is expected. Columns without a name are not read, nor are rows
// without a value.
//
// A row that is wrong becomes a Rejection and the walk goes on. The walk ends with an error where a quotation mark spans rows and the rest
// cannot be told apart, where the file has too many rows, and where the reader fails.
func ReadCSV(file io.Reader, options AudienceOptions) (Audience, error) {
	options, err := options.withDefaults()
	if err != nil {
		return Audience{}, err
	}
	text, err := openText(file)
	if err != nil {
		return Audience{}, err
	}
	delimiter, err := text.delimiter(options.PhoneColumn)
	if err != nil {
		return Audience{}, err
	}
	table := &table{reader: newCSVReader(text.Reader, delimiter), source: text, options: options}
	if err := table.readHeader(); err != nil {
		return Audience{}, err
	}
	named := slices.DeleteFunc(slices.Clone(table.columns), func(name string) bool { return name == "" })
	return Audience{columns: named, phoneColumn: table.columns[table.phone], rows: table.rows}, nil
}

// newCSVReader reads strictly: a quotation mark that is guessed away can swallow the rows behind it unseen.
func newCSVReader(text io.Reader, delimiter rune) *csv.Reader {
	reader := csv.NewReader(text)
	reader.Comma, reader.FieldsPerRecord, reader.ReuseRecord = delimiter, -1, true
	return reader
}

// table reads the rows below the header.
type table struct {
	reader  *csv.Reader
	source  *textSource
	options AudienceOptions
	columns []string
	phone   int
	// needed is how many fields a row must have: up to the last column that has a name.
	needed int
	// alias says that each row gets a PhoneField, because no column is called that.
	alias bool
	// row is the number of the last row as a spreadsheet shows it, where blank lines count and a field of several lines does not;
	// nextLine is the line after it.
	row, nextLine int
	// read counts the rows that were given out.
	read int
}

func (t *table) readHeader() error {
	t.source.resetLimit()
	names, err := t.reader.Read()
	if errors.Is(err, io.EOF) {
		return invalid("audience_empty", "file", "The file is empty; its first row must name the columns")
	}
	if err != nil {
		return t.failure(err)
	}
	if err := t.setHeader(names); err != nil {
		return err
	}
	t.row, _ = t.reader.FieldPos(0)
	t.nextLine = t.row + 1 + newlines(names)
	return nil
}

// setHeader takes the names of the columns.
func (t *table) setHeader(names []string) (err error) {
	t.columns = cleanNames(names)
	if t.phone, err = findColumns(t.columns, t.options.PhoneColumn); err != nil {
		return err
	}
	for i, name := range t.columns {
		if name != "" {
			t.needed = i + 1
		}
	}
	t.alias = !slices.ContainsFunc(t.columns, func(name string) bool { return isPhoneAlias(fold(name)) })
	return nil
}

func (t *table) rows(yield func(Row, error) bool) {
	for {
		row, err := t.next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			yield(Row{}, err)
			return
		}
		if !yield(row, nil) {
			return
		}
	}
}

// next reads the next row that is not blank.
func (t *table) next() (Row, error) {
	for {
		t.source.resetLimit()
		fields, err := t.reader.Read()
		if err != nil {
			rejection, err := t.misquoted(err)
			if err != nil {
				return Row{}, err
			}
			return t.count(Row{Rejection: rejection})
		}
		line, _ := t.reader.FieldPos(0)
		lines := 1 + newlines(fields)
		t.advance(line, lines)
		if !isBlank(fields) {
			return t.count(t.judge(fields, lines))
		}
	}
}

func (t *table) count(row Row) (Row, error) {
	if t.read++; t.read > t.options.MaxRows {
		return Row{}, t.options.tooManyRows()
	}
	return row, nil
}

func (t *table) advance(line, lines int) {
	t.row += 1 + line - t.nextLine
	t.nextLine = line + lines
}

// misquoted makes a rejection of a syntax error that is confined to one line, and an error of everything else.
func (t *table) misquoted(err error) (*Rejection, error) {
	var syntax *csv.ParseError
	if !errors.As(err, &syntax) || syntax.Line != syntax.StartLine {
		return nil, t.failure(err)
	}
	t.advance(syntax.StartLine, 1)
	return &Rejection{Row: t.row, Code: "row_misquoted", Reason: misquotedReason}, nil
}

const misquotedReason = "A quotation mark stands alone or inside of a field; put the whole field in quotation marks and double those inside"

// failure says why the file cannot be read further. The end of the file stays io.EOF.
func (t *table) failure(err error) error {
	var syntax *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.Is(err, errRecordTooLong):
		return invalid("row_too_long", fmt.Sprintf("after row %d", t.row),
			fmt.Sprintf("The row after row %d does not end; look for a quotation mark that is not closed", t.row))
	case errors.As(err, &syntax) && syntax.Line == syntax.StartLine:
		return invalid("row_misquoted", fmt.Sprintf("line %d", syntax.Line), misquotedReason)
	case errors.As(err, &syntax):
		return invalid("quote_not_closed", fmt.Sprintf("lines %d to %d", syntax.StartLine, syntax.Line),
			fmt.Sprintf("A quotation mark opens in line %d of the file and goes on to line %d; close it or remove it", syntax.StartLine, syntax.Line))
	}
	return fmt.Errorf("read audience after row %d: %w", t.row, err)
}

func (t *table) judge(fields []string, lines int) Row {
	row := t.convert(fields)
	if row.Rejection != nil && lines > 1 {
		row.Rejection.Reason += fmt.Sprintf(" (the row goes over %d lines: look for a quotation mark that is not closed)", lines)
	}
	return row
}

func (t *table) convert(fields []string) Row {
	if len(fields) < t.needed {
		return Row{Rejection: &Rejection{Row: t.row, Column: t.columns[len(fields)], Code: "row_too_short",
			Reason: fmt.Sprintf("The row has %d fields and the header %d; add what is missing, or its delimiters", len(fields), t.needed)}}
	}
	if len(fields) > len(t.columns) && !isBlank(fields[len(t.columns):]) {
		return Row{Rejection: &Rejection{Row: t.row, Value: shorten(decode(fields[len(t.columns)])), Code: "row_too_long",
			Reason: fmt.Sprintf("The row has %d fields and the header %d; put quotation marks around a field that holds the delimiter",
				len(fields), len(t.columns))}}
	}
	values := make(map[string]string, t.needed+1)
	for i, column := range t.columns {
		if column != "" {
			values[column] = strings.TrimSpace(decode(fields[i]))
		}
	}
	if t.alias {
		values[PhoneField] = values[t.columns[t.phone]]
	}
	return newRow(t.row, t.columns[t.phone], values, t.options.DefaultRegion)
}

func isBlank(fields []string) bool {
	return !slices.ContainsFunc(fields, func(field string) bool { return strings.TrimSpace(field) != "" })
}

func newlines(fields []string) int {
	count := 0
	for _, field := range fields {
		count += strings.Count(field, "\n")
	}
	return count
}

// decode reads a field that is not valid UTF-8 as Windows-1252, the encoding of older spreadsheets. It decides field by field, because no
// more of the file is in memory; text in Windows-1252 that happens to be valid UTF-8 has no sense in any language.
func decode(field string) string {
	if utf8.ValidString(field) {
		return field
	}
	text, err := charmap.Windows1252.NewDecoder().String(field)
	if err != nil {
		return strings.ToValidUTF8(field, string(utf8.RuneError))
	}
	return text
}
