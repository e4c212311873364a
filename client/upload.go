package client

import (
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
)

// File is a file that is sent, which is read once. Name is what it is called; its ending may say what it is.
type File struct {
	Name    string
	Content io.Reader
}

// upload sends a form with a file, which is sent as it is read. fields are names and values.
func (c *Client) upload(ctx context.Context, path string, fields [][2]string, file File, out any) error {
	reader, writer := io.Pipe()
	form := multipart.NewWriter(writer)
	written := make(chan struct{})
	go func() {
		defer close(written)
		_ = writer.CloseWithError(writeFile(form, fields, file)) // it never fails
	}()
	defer func() {
		_ = reader.Close() // ends the writer when the request ended early
		<-written
	}()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, reader)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", form.FormDataContentType())
	return c.do(request, out)
}

func writeFile(form *multipart.Writer, fields [][2]string, file File) error {
	for _, field := range fields {
		if field[1] == "" {
			continue
		}
		if err := form.WriteField(field[0], field[1]); err != nil {
			return fmt.Errorf("write field %s: %w", field[0], err)
		}
	}
	part, err := form.CreateFormFile("file", file.Name)
	if err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	if _, err := io.Copy(part, file.Content); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return form.Close()
}
