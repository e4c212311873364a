package campaign

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// swollen makes a spreadsheet of which one part is a head, a piece many times over, and a tail.
func swollen(t *testing.T, part, head, piece string, times int, tail string) []byte {
	t.Helper()
	whole := spreadsheet(t, map[string][][]any{"Sheet1": {{"nombre", "celular"}, {"Ana", 1155550101}}})
	template, err := zip.NewReader(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	writer := zip.NewWriter(&packed)
	for _, file := range template.File {
		opened, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		created, err := writer.Create(file.Name)
		if err != nil {
			t.Fatal(err)
		}
		if file.Name != part {
			_, err = io.Copy(created, opened)
		} else {
			_, err = io.WriteString(created, head)
			for range times {
				if err == nil {
					_, err = io.WriteString(created, piece)
				}
			}
			if err == nil {
				_, err = io.WriteString(created, tail)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// TestSpreadsheetsThatSwellAreRefused before they are in memory: each of these is small as a file, and would take gigabytes.
func TestSpreadsheetsThatSwellAreRefused(t *testing.T) {
	t.Parallel()
	const sheet, texts = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
	const head = `<worksheet><sheetData><row r="1"><c t="inlineStr"><is><t>`
	kilobyte := strings.Repeat("A", 1<<10)
	for name, row := range map[string]struct {
		part, head, piece string
		times             int
		class             fault.Class
	}{
		"one long cell":                       {sheet, head, kilobyte, 5 << 10, fault.TooLarge},
		"one with brackets":                   {sheet, head, kilobyte + ">", 5 << 10, fault.TooLarge},
		"one row of many cells":               {sheet, `<worksheet><sheetData><row>`, strings.Repeat("<c/>", 256), 5 << 10, fault.TooLarge},
		"a long shared string":                {texts, `<sst><si><t>`, kilobyte, 5 << 10, fault.TooLarge},
		"many runs of one":                    {texts, `<sst><si>`, strings.Repeat("<r><t>a</t></r>", 64), 5 << 10, fault.TooLarge},
		"many shared strings":                 {texts, `<sst>`, strings.Repeat("<si/>", 1<<10), 2 << 10, fault.TooLarge},
		"many styles":                         {"xl/styles.xml", `<styleSheet><cellXfs>`, strings.Repeat("<xf/>", 200), 5 << 10, fault.TooLarge},
		"rows inside of a cell":               {sheet, head, kilobyte + "<row></row>", 5 << 10, fault.TooLarge},
		"rows in a text that is not read":     {sheet, head + "<![CDATA[", kilobyte + "</t></is></c></row><row>", 5 << 10, fault.Invalid},
		"rows in a comment":                   {sheet, head + "<!--", kilobyte + "<row/>", 5 << 10, fault.Invalid},
		"a tag that seems to end":             {sheet, `<worksheet><sheetData><row a="/>"><c a="/>"><is a="/>"><t a="/>">`, kilobyte + "<row/>", 5 << 10, fault.Invalid},
		"a tag in other quotes":               {sheet, `<worksheet><sheetData><row a='"' b="/>"><c a='"' b="/>"><t>`, kilobyte + "<row/>", 5 << 10, fault.Invalid},
		"an encoding that hides what is read": {sheet, `<?xml version="1.0" encoding="iso-2022-jp"?>` + head, kilobyte + "<row/>", 5 << 10, fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := swollen(t, row.part, row.head, row.piece, row.times, "")
			if len(file) > 100<<10 {
				t.Fatalf("the file has %d kB", len(file)>>10)
			}
			if err := guardWorkbook(file); fault.Of(err) != row.class {
				t.Errorf("%v, want it to be %s", err, row.class)
			}
			if _, err := ReadFile(bytes.NewReader(file), AudienceOptions{}); fault.Of(err) != row.class {
				t.Errorf("it was opened: %v", err)
			}
		})
	}
}

// TestOrdinarySpreadsheetsAreNotRefused: long ones, and those of programs that name the namespace.
func TestOrdinarySpreadsheetsAreNotRefused(t *testing.T) {
	t.Parallel()
	const sheet = "xl/worksheets/sheet1.xml"
	cells := `<x:row><x:c t="inlineStr"><x:is><x:t>` + strings.Repeat("a", 1000) + `</x:t></x:is></x:c></x:row>` + "\n<x:row />"
	long := swollen(t, sheet, `<?xml version="1.0" encoding="UTF-8"?><x:worksheet a='x"y'><x:sheetData>`, cells, 20<<10, `</x:sheetData></x:worksheet>`)
	if err := guardWorkbook(long); err != nil {
		t.Errorf("20 MB of short rows: %v", err)
	}
	for _, whole := range [][]byte{spreadsheet(t, map[string][][]any{"Sheet1": {{"celular", "a>b"}, {1155550101, `"<&>'`}}})} {
		if err := guardWorkbook(whole); err != nil {
			t.Errorf("%v", err)
		}
	}
}
