package console

import (
	"bytes"
	"io"
	"net/http"

	"github.com/dannsalud/broadcaster/client"
)

// insideAddress stands for the API in this process. Nothing is ever sent there.
const insideAddress = "http://api.invalid"

// inside gives the API as the caller of a browser's request.
func (c *Console) inside(browser *http.Request) *client.Client {
	api, err := client.New(insideAddress, &http.Client{Transport: &insideTransport{api: c.options.API, browser: browser}})
	if err != nil {
		panic("console: " + err.Error()) // the address is a constant
	}
	return api
}

// insideTransport answers a client's request by calling the API's handler. It passes on what says who calls and from where, so that the API decides as it
// does for any other client.
type insideTransport struct {
	api     http.Handler
	browser *http.Request
}

// passedOn are the headers of the browser that the API decides by.
func passedOn() []string {
	return []string{"Cookie", "Authorization", "Origin", "Sec-Fetch-Site", "X-Forwarded-For", "X-Forwarded-Proto", "Traceparent", "User-Agent"}
}

// RoundTrip implements http.RoundTripper.
func (t *insideTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	inner := request.Clone(request.Context())
	for _, name := range passedOn() {
		if values := t.browser.Header.Values(name); len(values) > 0 {
			inner.Header[name] = values
		}
	}
	inner.Host, inner.RemoteAddr, inner.TLS = t.browser.Host, t.browser.RemoteAddr, t.browser.TLS
	inner.RequestURI = request.URL.RequestURI()
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	answer := &insideAnswer{header: http.Header{}}
	t.api.ServeHTTP(answer, inner)
	if answer.status == 0 {
		answer.status = http.StatusOK
	}
	return &http.Response{
		Status: http.StatusText(answer.status), StatusCode: answer.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: answer.header, Body: io.NopCloser(&answer.body), ContentLength: int64(answer.body.Len()), Request: request,
	}, nil
}

// insideAnswer keeps what the API writes.
type insideAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *insideAnswer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *insideAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *insideAnswer) Write(content []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(content)
}
