package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Operations are the operations of the API one to one, under their names in docs/openapi.json, from which they are made. The methods of Client stand on
// them and are shorter to use; here is everything.
type Operations struct{ client *Client }

// Operations gives them.
func (c *Client) Operations() Operations { return Operations{c} }

// Page is a page of a list. Next is the cursor of the next one, empty on the last.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// Upload is a file on its way. It is sent as it is read.
type Upload struct {
	// Name is how the file is called; its ending helps to tell what it is.
	Name    string
	Content io.Reader
}

// Option changes one request.
type Option func(*http.Request)

// Once gives a POST its effect once, however often it is sent under a key; an empty key is none.
func Once(key string) Option {
	return func(request *http.Request) { setKey(request, key) }
}

// outgoing is a request to be sent.
type outgoing struct {
	method, path string
	query        url.Values
	// body is sent as JSON; upload and form as a form.
	body    any
	upload  *Upload
	form    url.Values
	options []Option
}

// escape gives what stands in a path for a parameter.
func escape[T string | uint64](value T) string { return url.PathEscape(fmt.Sprint(value)) }

// set says a value unless it is zero.
func set[T string | int | uint64 | bool | float64 | time.Time | []string](values url.Values, name string, value T) {
	said := ""
	switch value := any(value).(type) {
	case string:
		said = value
	case int:
		said = strconv.Itoa(value)
	case bool:
		said = strconv.FormatBool(value)
	case time.Time:
		if !value.IsZero() {
			said = value.UTC().Format(time.RFC3339Nano)
		}
	case []string:
		said = strings.Join(value, ",")
	default:
		said = fmt.Sprint(value)
	}
	if !slices.Contains([]string{"", "0", "false"}, said) {
		values.Set(name, said)
	}
}

// send sends a request and reads a JSON answer into out (nil: it is dropped).
func (c *Client) send(ctx context.Context, made outgoing, out any) error {
	request, done, err := c.request(ctx, made)
	if err != nil {
		return err
	}
	defer done()
	return c.do(request, out)
}

// open sends a request and gives the body of the answer, for as long as the context lasts. The caller closes it.
func (c *Client) open(ctx context.Context, made outgoing) (io.ReadCloser, error) {
	request, done, err := c.request(ctx, made)
	if err != nil {
		return nil, err
	}
	defer done()
	c.sign(request)
	patient := *c.http
	patient.Timeout = 0 // the context ends it
	answer, err := patient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("call the API: %w", err)
	}
	if answer.StatusCode < http.StatusBadRequest {
		return answer.Body, nil
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("read the API's answer: %w", err)
	}
	return nil, problemOf(answer.StatusCode, content)
}

// request makes a request. done has to be called when it was answered.
func (c *Client) request(ctx context.Context, made outgoing) (request *http.Request, done func(), err error) {
	var reader io.Reader
	kind := ""
	done = func() {}
	switch {
	case made.upload != nil:
		reader, kind, done = streamForm(made)
	case made.body != nil:
		encoded, err := json.Marshal(made.body)
		if err != nil {
			return nil, nil, fmt.Errorf("encode request: %w", err)
		}
		reader, kind = bytes.NewReader(encoded), "application/json"
	}
	address := c.base + made.path
	if len(made.query) > 0 {
		address += "?" + made.query.Encode()
	}
	if request, err = http.NewRequestWithContext(ctx, made.method, address, reader); err != nil {
		done()
		return nil, nil, fmt.Errorf("make request: %w", err)
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	for _, option := range made.options {
		option(request)
	}
	return request, done, nil
}

// streamForm writes a form while it is sent.
func streamForm(made outgoing) (body io.Reader, kind string, done func()) {
	reader, writer := io.Pipe()
	form := multipart.NewWriter(writer)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = writer.CloseWithError(writeForm(form, made)) // it never fails
	}()
	return reader, form.FormDataContentType(), func() {
		_ = reader.Close() // ends the writer when the request ended early
		<-ended
	}
}

func writeForm(form *multipart.Writer, made outgoing) error {
	for _, name := range slices.Sorted(maps.Keys(made.form)) { // always the same, so that a request that is repeated is the same
		if err := form.WriteField(name, made.form.Get(name)); err != nil {
			return fmt.Errorf("write field %s: %w", name, err)
		}
	}
	part, err := form.CreateFormFile("file", made.upload.Name)
	if err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	if _, err := io.Copy(part, made.upload.Content); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return form.Close()
}
