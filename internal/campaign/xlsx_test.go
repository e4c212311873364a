package campaign

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
)

// spreadsheet writes rows into the named sheet of a workbook.
func spreadsheet(t testing.TB, sheets map[string][][]any) []byte {
	t.Helper()
	book := excelize.NewFile()
	for name, rows := range sheets {
		if _, err := book.NewSheet(name); err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			cell, err := excelize.CoordinatesToCellName(1, i+1)
			if err == nil {
				err = book.SetSheetRow(name, cell, &row)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var file bytes.Buffer
	if err := book.Write(&file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestSpreadsheetsAreReadAsTheyAreMeant(t *testing.T) {
	t.Parallel()
	file := spreadsheet(t, map[string][][]any{"Pacientes": {
		{},
		{"Nombre", "Teléfono", "Turno"},
		{"Ana", 5491155550101.0, time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)},
		{"Beto", "11 5555-0102"},
		{},
		{"", "", ""},
		{"Caro", 5.491155550103e12, "lunes"},
		{"Dani", "sin número"},
		{"Eva", "1155550105", "#N/A"},
		{"Fabi", "1155550106", "x", "sobra"},
	}})
	audience, err := ReadFile(bytes.NewReader(file), AudienceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	recipients, rejections, err := walk(audience)
	if err != nil {
		t.Fatal(err)
	}
	if err := audience.Close(); err != nil {
		t.Error(err)
	}
	same(t, audience.Columns(), []string{"Nombre", "Teléfono", "Turno"})
	var phones []string
	for _, r := range recipients {
		phones = append(phones, r.Phone)
	}
	same(t, phones, []string{"+5491155550101", "+5491155550102", "+5491155550103"})
	same(t, []int{recipients[0].Row, recipients[1].Row, recipients[2].Row}, []int{3, 4, 7})
	if turno := recipients[0].Fields["Turno"]; !strings.Contains(turno, "26") || strings.Contains(turno, "46") {
		t.Errorf("a date is read as %q", turno)
	}
	var codes []string
	for _, r := range rejections {
		codes = append(codes, r.Code)
	}
	same(t, codes, []string{"phone_not_a_number", "cell_error", "row_too_long"})
}

func TestTheSheetWithPhoneNumbersIsTaken(t *testing.T) {
	t.Parallel()
	file := spreadsheet(t, map[string][][]any{"Notas": {{"texto"}, {"nada"}}, "Gente": {{"celular"}, {"1155550101"}}})
	audience, err := ReadXLSX(bytes.NewReader(file), AudienceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	recipients, _, err := walk(audience)
	if err != nil || len(recipients) != 1 {
		t.Errorf("%v, %v", recipients, err)
	}
}

func TestSpreadsheetsThatCannotBeReadSaySo(t *testing.T) {
	t.Parallel()
	rows := map[string]struct {
		file []byte
		code string
	}{
		"cut off":      {spreadsheet(t, map[string][][]any{"A": {{"celular"}}})[:300], "spreadsheet_unreadable"},
		"another zip":  {[]byte("PK\x03\x04 something else"), "spreadsheet_unreadable"},
		"no header":    {spreadsheet(t, map[string][][]any{"A": {{"1155550101", "Ana"}}}), "audience_empty"},
		"no phones":    {spreadsheet(t, map[string][][]any{"Sheet1": {{"nombre"}, {"Ana"}}}), "phone_column_missing"},
		"wrong column": {spreadsheet(t, map[string][][]any{"Sheet1": {{"nombre", "nombre", "tel"}}}), "column_twice"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadFile(bytes.NewReader(row.file), AudienceOptions{})
			wantCode(t, err, row.code)
		})
	}
}

// walkWhatever reads a file to its end; only a panic, or rows without end, is a failure.
func walkWhatever(t *testing.T, file []byte) {
	t.Helper()
	audience, err := ReadFile(bytes.NewReader(file), AudienceOptions{MaxRows: 1000})
	if err != nil {
		return
	}
	rows := 0
	for _, err := range audience.Rows() {
		if rows++; err != nil {
			break
		}
	}
	if err := audience.Close(); err != nil {
		t.Error(err)
	}
	if rows > 1001 {
		t.Errorf("%d rows", rows)
	}
}

func FuzzReadXLSX(f *testing.F) {
	f.Add(spreadsheet(f, map[string][][]any{"A": {{"nombre", "celular"}, {"Ana", 1155550101}}}))
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(walkWhatever)
}

// FuzzReadSheet changes what is inside of a spreadsheet: its packing would stop most of what FuzzReadXLSX tries.
func FuzzReadSheet(f *testing.F) {
	whole := spreadsheet(f, map[string][][]any{"Sheet1": {{"nombre", "celular"}, {"Ana", 1155550101}}})
	template, err := zip.NewReader(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		f.Fatal(err)
	}
	parts := map[string][]byte{}
	for _, file := range template.File {
		opened, err := file.Open()
		if err != nil {
			f.Fatal(err)
		}
		if parts[file.Name], err = io.ReadAll(opened); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(parts["xl/worksheets/sheet1.xml"], parts["xl/sharedStrings.xml"])
	f.Add([]byte(`<worksheet><sheetData><row r="9223372036854775807"><c r="ZZ300" t="s"><v>99999999999</v></c></row></sheetData></worksheet>`), []byte("<sst"))
	f.Fuzz(func(t *testing.T, sheet, texts []byte) {
		var packed bytes.Buffer
		writer := zip.NewWriter(&packed)
		for name, content := range parts {
			switch name {
			case "xl/worksheets/sheet1.xml":
				content = sheet
			case "xl/sharedStrings.xml":
				content = texts
			}
			part, err := writer.Create(name)
			if err == nil {
				_, err = part.Write(content)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
		walkWhatever(t, packed.Bytes())
	})
}
