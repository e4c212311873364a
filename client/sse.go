package client

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// maxBlockBytes bounds one block of a stream: four times what a fact may have.
const maxBlockBytes = 1 << 20

var errBlockTooLong = errors.New("an event of the stream is longer than 1 MiB")

// block is what stands between two empty lines of a stream of server-sent events (the HTML standard, section 9.2.6). One without data is no event, but its id and retry count.
type block struct {
	// id is nil where none is said.
	id          *string
	event, data string
	// retry is zero where none is said.
	retry time.Duration
}

// blockReader reads blocks.
type blockReader struct {
	in *bufio.Reader
	// begun: the mark of the encoding, which may stand at the very beginning, was looked for. returned: the line before ended with a carriage return.
	begun, returned bool
}

func newBlockReader(in io.Reader) *blockReader { return &blockReader{in: bufio.NewReader(in)} }

// next gives the next whole block. One that the end of the stream cuts off is none.
func (r *blockReader) next() (block, error) {
	var found block
	var data []string
	for read := 0; ; {
		line, err := r.line(maxBlockBytes - read)
		if err != nil {
			return block{}, err
		}
		if line == "" {
			found.data = strings.Join(data, "\n")
			return found, nil
		}
		read += len(line)
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			if !strings.Contains(value, "\x00") {
				found.id = &value
			}
		case "event":
			found.event = value
		case "data":
			data = append(data, value)
		case "retry":
			if wait, is := milliseconds(value); is {
				found.retry = wait
			}
		}
	}
}

// line gives the next line, of at most so many bytes, without its end: a line feed, a carriage return, or both.
func (r *blockReader) line(most int) (string, error) {
	var read []byte
	for {
		letter, err := r.in.ReadByte()
		if err != nil {
			return "", err
		}
		afterReturn := r.returned
		r.returned = letter == '\r'
		switch {
		case letter == '\n' && afterReturn: // belongs to the end of the line before
		case letter == '\n', letter == '\r':
			line := string(read)
			if !r.begun {
				r.begun, line = true, strings.TrimPrefix(line, "\ufeff")
			}
			return line, nil
		case len(read) == most:
			return "", errBlockTooLong
		default:
			read = append(read, letter)
		}
	}
}

// longestRetry bounds what a server may ask for.
const longestRetry = 24 * time.Hour

func milliseconds(text string) (time.Duration, bool) {
	if strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number > longestRetry.Milliseconds() {
		return 0, false
	}
	return time.Duration(number) * time.Millisecond, true
}
