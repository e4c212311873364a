package campaign

import (
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// What a part of a spreadsheet may take, as packing hides any size: half a megabyte can unpack to one cell of a gigabyte. Rows and shared strings are read
// one by one, and the rest of the workbook as a whole.
const (
	// longestRecord is the most that one row, or one shared string, may take, and so the most between two of them.
	longestRecord = 4 << 20
	// mostStrings is the most shared strings, of which there is an index in memory.
	mostStrings = 2_000_000
	// largestPart bounds each other part that is XML, such as the styles, otherParts all of them together, with the pictures.
	largestPart = 4 << 20
	otherParts  = 32 << 20
)

// guardWorkbook refuses a spreadsheet that would take more memory than reading it row by row should, before anything of it is held.
func guardWorkbook(packed []byte) error {
	archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return brokenSpreadsheet()
	}
	var others int64
	for _, part := range archive.File {
		name := strings.ToLower(strings.ReplaceAll(part.Name, "\\", "/"))
		switch {
		case part.FileInfo().IsDir():
		case name == "xl/sharedstrings.xml":
			err = guardPart(part, &records{name: "si", depth: 1, most: mostStrings})
		case strings.HasPrefix(name, "xl/worksheets/sheet"):
			err = guardPart(part, &records{name: "row", depth: 2, most: lastSheetRow})
		default:
			size := int64(part.UncompressedSize64) // one that overflows is negative
			isText := strings.HasSuffix(name, ".xml") || strings.HasSuffix(name, ".rels") || strings.HasSuffix(name, ".vml")
			if others += size; size < 0 || others > otherParts || isText && size > largestPart {
				err = tooMuchSpreadsheet()
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func tooMuchSpreadsheet() error {
	return fault.New(fault.TooLarge, "spreadsheet_too_large", "The spreadsheet holds too much beside its rows, or a cell or row that is too long; save it as CSV")
}

func guardPart(part *zip.File, records *records) error {
	content, err := part.Open()
	if err != nil {
		return brokenSpreadsheet()
	}
	defer func() { _ = content.Close() }() // what was read stands
	pieces := bufio.NewScanner(io.LimitReader(content, unpackedBytes+1))
	pieces.Buffer(make([]byte, 0, 64<<10), longestRecord)
	pieces.Split(toBracket)
	for pieces.Scan() {
		if err := records.take(pieces.Bytes()); err != nil {
			return err
		}
	}
	if errors.Is(pieces.Err(), bufio.ErrTooLong) {
		return tooMuchSpreadsheet()
	}
	if pieces.Err() != nil {
		return brokenSpreadsheet()
	}
	return nil
}

// toBracket splits XML behind each ">": what comes is a text with the tag behind it.
func toBracket(data []byte, atEnd bool) (advance int, token []byte, err error) {
	if end := bytes.IndexByte(data, '>'); end >= 0 {
		return end + 1, data[:end+1], nil
	}
	if atEnd && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// records follows the elements of a part, and refuses one whose records are too long or too many. It need not understand all of XML: what no spreadsheet
// program writes there, and what could hide an element, is refused.
type records struct {
	// name is that of the element of a record, depth how many elements are open around it.
	name  string
	depth int
	most  int

	open, since, count int
}

// take looks at a text with the tag behind it.
func (r *records) take(piece []byte) error {
	if r.since += len(piece); r.since > longestRecord {
		return tooMuchSpreadsheet()
	}
	at := bytes.IndexByte(piece, '<')
	if at < 0 {
		return nil
	}
	tag := piece[at+1:]
	switch {
	case bytes.HasPrefix(tag, []byte("?")):
		return refuseEncoding(tag)
	case bytes.HasPrefix(tag, []byte("!")), quoteOpen(tag), bytes.IndexByte(tag, '<') >= 0:
		return brokenSpreadsheet() // a comment, a text that is not read as markup, or a tag that the bracket does not end
	}
	closing, closed := bytes.HasPrefix(tag, []byte("/")), bytes.HasSuffix(tag, []byte("/>"))
	switch {
	case closing:
		r.open--
	case !closed:
		r.open++
		return nil
	}
	if r.open != r.depth || elementName(tag) != r.name {
		return nil
	}
	r.since = 0
	if r.count++; r.count > r.most {
		return tooMuchSpreadsheet()
	}
	return nil
}

// quoteOpen tells whether a tag ends within a quoted value, which then goes on behind the bracket.
func quoteOpen(tag []byte) bool {
	var quote byte
	for _, b := range tag {
		switch {
		case quote == 0 && (b == '"' || b == '\''):
			quote = b
		case b == quote:
			quote = 0
		}
	}
	return quote != 0
}

// elementName gives the name in a tag, without the prefix of its namespace.
func elementName(tag []byte) string {
	name := bytes.Trim(tag, "/> \t\r\n")
	if end := bytes.IndexAny(name, " \t\r\n"); end >= 0 {
		name = name[:end]
	}
	if prefix := bytes.IndexByte(name, ':'); prefix >= 0 {
		name = name[prefix+1:]
	}
	return string(name)
}

// refuseEncoding refuses a part in another encoding than UTF-8: its tags could not be told.
func refuseEncoding(declaration []byte) error {
	lower := bytes.ToLower(declaration)
	if bytes.Contains(lower, []byte("encoding")) && !bytes.Contains(lower, []byte("utf-8")) {
		return invalid("spreadsheet_unreadable", "file", fmt.Sprintf("The spreadsheet is not in UTF-8 (%q); save it anew as XLSX, or as CSV", shorten(string(declaration))))
	}
	return nil
}
