package api_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/internal/api"
)

// TestBodiesThatAreTooLargeAreRefused also when their length is not said before they come, and when the limit of uploads is the smaller one.
func TestBodiesThatAreTooLargeAreRefused(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name       string
		most, size int
		path, kind string
		key, code  string
	}{
		{"JSON over its own limit", 64 << 20, 9 << 20, "/v1/sessions", "application/json", "", "body_too_large"},
		{"JSON over the limit of uploads", 1 << 20, 2 << 20, "/v1/sessions", "application/json", "", "upload_too_large"},
		{"JSON with a key", 1 << 20, 2 << 20, "/v1/sessions", "application/json", "once", "upload_too_large"},
		{"a proxy", 1 << 20, 2 << 20, "/v1/sessions/ses_1/egress", "application/json", "", "upload_too_large"},
		{"a form", 1 << 20, 2 << 20, "/v1/media", "multipart/form-data; boundary=x", "", "upload_too_large"},
		{"a form with a key", 1 << 20, 2 << 20, "/v1/media", "multipart/form-data; boundary=x", "once", "upload_too_large"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, func(options *api.Options) { options.MaxUploadBytes = int64(row.most) })
			head := `{"user_id": "`
			method := http.MethodPost
			switch {
			case strings.HasSuffix(row.path, "egress"):
				method = http.MethodPut
			case row.path == "/v1/media":
				head = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"
			}
			body := io.MultiReader(strings.NewReader(head), io.LimitReader(endless{}, int64(row.size))) // of a length that nobody knows
			request, err := http.NewRequestWithContext(t.Context(), method, f.server.URL+row.path, body)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", row.kind)
			if row.key != "" {
				request.Header.Set("Idempotency-Key", row.key)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			said, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(said), `"`+row.code+`"`) {
				t.Errorf("%d %s %v, want the code %s", response.StatusCode, said, err, row.code)
			}
		})
	}
}

// endless is a body of the letter x.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestABodyThatBreaksOffIsNoFailureOfOurs: its chunks are no chunks.
func TestABodyThatBreaksOffIsNoFailureOfOurs(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	var dialer net.Dialer
	connection, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(f.server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	_, err = io.WriteString(connection, "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\n{\"use\r\nno number\r\n")
	if err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(connection)
	if err != nil || !strings.HasPrefix(string(said), "HTTP/1.1 400 ") || !strings.Contains(string(said), `"malformed_body"`) {
		t.Errorf("%s %v", said, err)
	}
}
