package campaign

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/xuri/excelize/v2"

	"github.com/dannsalud/broadcaster/internal/fault"
)

const (
	// MaxSpreadsheetBytes is the largest spreadsheet that is read: as a whole it is in memory, packed.
	MaxSpreadsheetBytes = 20 << 20
	// unpackedBytes bounds what a spreadsheet may unpack to; what is larger than unpackedInMemory is unpacked to the disk.
	unpackedBytes    = 1 << 30
	unpackedInMemory = 1 << 20
	// lastSheetRow is the last row that the format has.
	lastSheetRow = 1 << 20
)

// ReadFile opens an audience file of any format: a spreadsheet (XLSX) or text (ReadCSV). The caller closes the audience.
func ReadFile(file io.Reader, options AudienceOptions) (Audience, error) {
	buffered := bufio.NewReader(file)
	start, err := buffered.Peek(len(zipMark))
	if err != nil && !errors.Is(err, io.EOF) {
		return Audience{}, fmt.Errorf("read audience: %w", err)
	}
	if bytes.Equal(start, []byte(zipMark)) {
		return ReadXLSX(buffered, options)
	}
	return ReadCSV(buffered, options)
}

const zipMark = "PK\x03\x04"

// ReadXLSX opens a spreadsheet. The audience is the first sheet that has a column of phone numbers, its first row that is not blank the header. What it
// refuses and what it rejects are those of ReadCSV. Numbers are read as they are stored, so that a phone number that is shown as 5.49E+12 has all its
// digits; other cells as they are shown, so that a date stays one.
//
// Large sheets are unpacked to temporary files, which Close removes.
func ReadXLSX(file io.Reader, options AudienceOptions) (Audience, error) {
	options, err := options.withDefaults()
	if err != nil {
		return Audience{}, err
	}
	workbook, err := openWorkbook(file)
	if err != nil {
		return Audience{}, err
	}
	audience, err := openSheet(workbook, options)
	if err != nil {
		return Audience{}, errors.Join(err, workbook.Close())
	}
	audience.close = workbook.Close
	return audience, nil
}

func openWorkbook(file io.Reader) (workbook *excelize.File, err error) {
	packed, err := io.ReadAll(io.LimitReader(file, MaxSpreadsheetBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read audience: %w", err)
	}
	if len(packed) > MaxSpreadsheetBytes {
		return nil, fault.New(fault.TooLarge, "spreadsheet_too_large",
			fmt.Sprintf("The spreadsheet has more than %d MB; save it as CSV, or split it", MaxSpreadsheetBytes>>20))
	}
	if err := guardWorkbook(packed); err != nil {
		return nil, err
	}
	defer func() { // a broken file must not end more than its own reading
		if recover() != nil {
			workbook, err = nil, brokenSpreadsheet()
		}
	}()
	workbook, err = excelize.OpenReader(bytes.NewReader(packed), excelize.Options{UnzipSizeLimit: unpackedBytes, UnzipXMLSizeLimit: unpackedInMemory})
	if err != nil {
		return nil, brokenSpreadsheet()
	}
	return workbook, nil
}

func brokenSpreadsheet() error {
	return invalid("spreadsheet_unreadable", "file", "The spreadsheet cannot be read; save it anew as XLSX without a password, or as CSV")
}

// openSheet takes the first sheet with a column of phone numbers. When there is none, the first sheet's mistake is told.
func openSheet(workbook *excelize.File, options AudienceOptions) (Audience, error) {
	var first error
	for _, name := range workbook.GetSheetList() {
		audience, err := readSheet(workbook, name, options)
		if err == nil {
			return audience, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = brokenSpreadsheet()
	}
	return Audience{}, first
}

func readSheet(workbook *excelize.File, name string, options AudienceOptions) (audience Audience, err error) {
	rows := &sheetRows{workbook: workbook, name: name}
	if err := rows.open(); err != nil {
		return Audience{}, err
	}
	table := &table{options: options}
	fields, _, err := rows.next()
	for err == nil && isBlank(fields) {
		fields, _, err = rows.next()
	}
	if errors.Is(err, io.EOF) {
		return Audience{}, errors.Join(invalid("audience_empty", "file", "The file is empty; its first row must name the columns"), rows.close())
	}
	if err == nil {
		err = table.setHeader(fields)
	}
	if err != nil {
		return Audience{}, errors.Join(err, rows.close())
	}
	named := slices.DeleteFunc(slices.Clone(table.columns), func(name string) bool { return name == "" })
	return Audience{columns: named, phoneColumn: table.columns[table.phone], rows: func(yield func(Row, error) bool) {
		defer func() { _ = rows.close() }() // what was read stands
		table.walkSheet(rows, yield)
	}}, nil
}

func (t *table) walkSheet(rows *sheetRows, yield func(Row, error) bool) {
	for {
		shown, stored, err := rows.next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			yield(Row{}, err)
			return
		}
		if isBlank(shown) {
			continue
		}
		for len(shown) < t.needed { // a row ends at its last cell that is not empty
			shown = append(shown, "")
		}
		if t.phone < len(stored) && isNumber(stored[t.phone]) {
			shown[t.phone] = plainNumber(stored[t.phone])
		}
		t.row = rows.number
		row, err := t.count(t.judge(shown, 1))
		if !yield(row, err) || err != nil {
			return
		}
	}
}

// isNumber tells a cell that holds a number, however it is shown.
func isNumber(stored string) bool {
	return stored != "" && strings.Trim(stored, "0123456789.eE+-") == "" && strings.ContainsAny(stored[:1], "0123456789")
}

// plainNumber writes a stored number without its exponent; a text that is none comes back as it is.
func plainNumber(stored string) string {
	var number float64
	if _, err := fmt.Sscan(stored, &number); err != nil || number >= 1<<53 || !strings.ContainsAny(stored, ".eE") {
		return stored
	}
	return fmt.Sprintf("%.0f", number)
}

// sheetRows reads a sheet row by row, twice side by side: as it is shown and as it is stored.
type sheetRows struct {
	workbook      *excelize.File
	name          string
	shown, stored *excelize.Rows
	// number is that of the last row, as the spreadsheet shows it.
	number int
}

func (s *sheetRows) open() (err error) {
	defer recovered(&err)
	if s.shown, err = s.workbook.Rows(s.name); err != nil {
		return brokenSpreadsheet()
	}
	if s.stored, err = s.workbook.Rows(s.name); err != nil {
		return errors.Join(brokenSpreadsheet(), s.shown.Close())
	}
	return nil
}

func (s *sheetRows) next() (shown, stored []string, err error) {
	defer recovered(&err)
	if !s.shown.Next() || !s.stored.Next() {
		if s.shown.Error() != nil {
			return nil, nil, brokenSpreadsheet()
		}
		return nil, nil, io.EOF
	}
	if s.number++; s.number > lastSheetRow { // a row may say that it is number 10¹⁸, and all before it would be walked
		return nil, nil, brokenSpreadsheet()
	}
	shown, err = s.shown.Columns()
	if err == nil {
		stored, err = s.stored.Columns(excelize.Options{RawCellValue: true})
	}
	if err != nil {
		return nil, nil, brokenSpreadsheet()
	}
	if len(shown) > maxColumns*2 {
		return nil, nil, invalid("too_many_columns", fmt.Sprintf("row %d", s.number),
			fmt.Sprintf("Row %d has %d columns and at most %d are read; remove some", s.number, len(shown), maxColumns))
	}
	return shown, stored, nil
}

func (s *sheetRows) close() error { return errors.Join(s.shown.Close(), s.stored.Close()) }

// recovered makes an error of a panic: a broken file must not end more than its own reading.
func recovered(err *error) {
	if recover() != nil {
		*err = brokenSpreadsheet()
	}
}
