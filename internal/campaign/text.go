package campaign

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	// maxRecordBytes bounds what is read for one row before it counts as endless.
	maxRecordBytes = 1 << 20
	// sniffedBytes is how much of a file's start is looked at to know what it is.
	sniffedBytes = 64 << 10
	// sniffedRows is how many rows of that have a say in what the delimiter is.
	sniffedRows = 10
)

// textSource is the text of an audience file, without byte order mark and with line feeds between its lines. It remembers the start, and
// ends with errRecordTooLong when one record takes too many bytes.
type textSource struct {
	*bufio.Reader
	guard *recordGuard
	start []byte
	// declared is the delimiter that the file names itself in a first line "sep=;", as spreadsheets write and hide it; else 0.
	declared rune
}

func openText(file io.Reader) (*textSource, error) {
	guard := &recordGuard{reader: file}
	text := &textSource{Reader: bufio.NewReaderSize(guard, sniffedBytes), guard: guard}
	if err := text.peek(); err != nil {
		return nil, err
	}
	if err := refuseBinary(text.start); err != nil {
		return nil, err
	}
	if err := text.skip(len(text.start) - len(bytes.TrimPrefix(text.start, []byte(byteOrderMark)))); err != nil {
		return nil, err
	}
	if bytes.IndexByte(text.start, '\n') < 0 && bytes.IndexByte(text.start, '\r') >= 0 {
		text.Reader = bufio.NewReaderSize(carriageReturns{text.Reader}, sniffedBytes)
		if err := text.peek(); err != nil {
			return nil, err
		}
	}
	return text, text.skipDeclaration()
}

func (t *textSource) peek() error {
	start, err := t.Peek(sniffedBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read audience: %w", err)
	}
	t.start = bytes.Clone(start)
	return nil
}

// skip drops bytes that are in start.
func (t *textSource) skip(count int) error {
	if _, err := t.Discard(count); err != nil {
		return fmt.Errorf("read audience: %w", err)
	}
	t.start = t.start[count:]
	return nil
}

func (t *textSource) skipDeclaration() error {
	line, _, _ := bytes.Cut(t.start, []byte("\n"))
	trimmed := bytes.TrimRight(line, "\r")
	if len(trimmed) != len("sep=;") || !bytes.EqualFold(trimmed[:4], []byte("sep=")) {
		return nil
	}
	t.declared = rune(trimmed[4])
	return t.skip(min(len(line)+1, len(t.start)))
}

// resetLimit starts the count of bytes for the next record.
func (t *textSource) resetLimit() { t.guard.read = 0 }

// delimiters are the known ones, the most usual first.
var delimiters = []rune{',', ';', '\t', '|'}

// delimiter finds out what stands between the fields: what splits the header so that a phone column appears, and the first
// rows into as many fields as the header.
func (t *textSource) delimiter(phoneColumn string) (rune, error) {
	if t.declared != 0 {
		for _, known := range delimiters {
			if t.declared == known {
				return known, nil
			}
		}
		return 0, invalid("delimiter_unknown", "row 1", "The file's first line names a delimiter that is not known; use a comma, semicolon, tab or bar")
	}
	best, highest := delimiters[0], -1
	for _, candidate := range delimiters {
		if points := t.suits(candidate, phoneColumn); points > highest {
			best, highest = candidate, points
		}
	}
	return best, nil
}

// suits gives points to a delimiter: first of all it must split the header, then give a phone column, then rows of equal length, then many.
func (t *textSource) suits(delimiter rune, phoneColumn string) int {
	const splits, phone, regular, mostFields = 1_000_000, 100_000, 1_000, 999
	reader := newCSVReader(bytes.NewReader(t.start), delimiter)
	header, err := reader.Read()
	if err != nil {
		return 0
	}
	fields := len(header)
	points := min(fields, mostFields)
	if fields > 1 {
		points += splits
	}
	if phoneIndex(cleanNames(header), phoneColumn) >= 0 {
		points += phone
	}
	for range sniffedRows {
		row, err := reader.Read()
		if err == nil && len(row) == fields {
			points += regular
		}
	}
	return points
}

const byteOrderMark = "\xef\xbb\xbf"

// refuseBinary names the mistakes that people make: a spreadsheet or a picture in the place of a text file.
func refuseBinary(start []byte) error {
	switch {
	case bytes.HasPrefix(start, []byte(zipMark)), bytes.HasPrefix(start, []byte("\xd0\xcf\x11\xe0")):
		return invalid("audience_is_spreadsheet", "file", "The file is an old spreadsheet (XLS or ODS); save it as XLSX or CSV and send that")
	case bytes.HasPrefix(start, []byte("\xff\xfe")), bytes.HasPrefix(start, []byte("\xfe\xff")):
		return invalid("audience_is_utf16", "file", "The file is UTF-16 text; save it as CSV in UTF-8 and send that")
	case bytes.IndexByte(start, 0) >= 0:
		return invalid("audience_not_text", "file", "The file is not text; save the audience as CSV in UTF-8 and send that")
	}
	return nil
}

// errRecordTooLong ends a file in which a quotation mark is never closed, before all of it is in memory.
var errRecordTooLong = errors.New("record too long")

// recordGuard bounds how much is read for one record. What the buffer above it holds already comes on top.
type recordGuard struct {
	reader io.Reader
	read   int
}

// Read implements io.Reader.
func (g *recordGuard) Read(buffer []byte) (int, error) {
	if g.read > maxRecordBytes {
		return 0, errRecordTooLong
	}
	n, err := g.reader.Read(buffer)
	g.read += n
	return n, err
}

// carriageReturns reads the lines of files that end them as old Macintoshes did, which encoding/csv takes for one line.
type carriageReturns struct{ reader io.Reader }

// Read implements io.Reader.
func (c carriageReturns) Read(buffer []byte) (int, error) {
	n, err := c.reader.Read(buffer)
	for i, b := range buffer[:n] {
		if b == '\r' {
			buffer[i] = '\n'
		}
	}
	return n, err
}
