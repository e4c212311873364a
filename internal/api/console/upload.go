package console

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"

	"github.com/dannsalud/broadcaster/client"
)

// mostDrained is how much of a refused upload is read, so that the browser shows the answer.
const mostDrained = 64 << 20

// errFormTooLarge refuses a form whose fields, without its file, are too long.
var errFormTooLarge = errors.New("console: the fields of the form are too long")

// readUpload reads a form with a file as it comes, so that a file of any size needs neither memory nor disk: take gets it with the fields that stand before
// it. A form without a file, or none chosen, is read as any other. What take could not do is told with the whole form.
func (v *visit) readUpload(take func(*form, client.Upload) error) (form, error) {
	if kind, _, _ := mime.ParseMediaType(v.request.Header.Get("Content-Type")); kind != "multipart/form-data" {
		return v.readForm()
	}
	filled := newForm()
	parts, err := v.request.MultipartReader()
	if err != nil {
		return filled, fmt.Errorf("read form: %w", err)
	}
	defer func() { _, _ = io.CopyN(io.Discard, v.request.Body, mostDrained) }() // what is left of a refused one
	room := int64(maxFormBytes)
	var failed error
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return filled, failed
		}
		if err != nil {
			return filled, errors.Join(failed, fmt.Errorf("read form: %w", err))
		}
		if part.FormName() == "file" {
			failed = errors.Join(failed, takeFile(&filled, part, take))
			if failed != nil {
				return filled, failed
			}
			continue
		}
		value, err := io.ReadAll(io.LimitReader(part, room+1))
		if err != nil {
			return filled, fmt.Errorf("read form: %w", err)
		}
		if room -= int64(len(value)); room < 0 {
			return filled, errFormTooLarge
		}
		filled.Values.Add(part.FormName(), string(value))
	}
}

// takeFile gives a file on, if one was chosen: a browser sends an empty one without a name for none.
func takeFile(filled *form, part *multipart.Part, take func(*form, client.Upload) error) error {
	if part.FileName() == "" {
		return nil
	}
	return take(filled, client.Upload{Name: part.FileName(), Content: part})
}
