package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// limitUpload bounds the body of an upload: huma bounds only the bodies that it reads itself, not those of forms.
func (a *API) limitUpload(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refusal := fault.New(fault.TooLarge, "upload_too_large",
			fmt.Sprintf("The body is larger than %d bytes; split the audience into several campaigns", a.options.MaxUploadBytes))
		if r.ContentLength > a.options.MaxUploadBytes {
			writeProblem(w, a.problem(r.Context(), "read upload", refusal))
			return
		}
		body := &watchedBody{ReadCloser: http.MaxBytesReader(w, r.Body, a.options.MaxUploadBytes)}
		r.Body = body
		next.ServeHTTP(&correctedWriter{ResponseWriter: w, correct: func(status int) *Problem { return body.blame(status, documentOf(refusal, a.now())) }}, r)
	})
}

// watchedBody remembers what went wrong while a body was read.
type watchedBody struct {
	io.ReadCloser
	failure error
}

// Read implements io.Reader.
func (w *watchedBody) Read(p []byte) (int, error) {
	count, err := w.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.failure = err
	}
	return count, err
}

// blame tells what a status should have been: huma takes a body over the limit, whose length nobody said, for a form that it cannot read or for a failure of
// its own, and a body that ends in the middle for the latter. nil: it is right.
func (w *watchedBody) blame(status int, tooLarge *Problem) *Problem {
	var over *http.MaxBytesError
	switch {
	case errors.As(w.failure, &over) && (status == http.StatusUnprocessableEntity || status == http.StatusInternalServerError):
		return tooLarge
	case w.failure != nil && status == http.StatusInternalServerError:
		return refusalOf(http.StatusBadRequest)
	}
	return nil
}

// correctedWriter answers with a problem document in the place of some statuses.
type correctedWriter struct {
	http.ResponseWriter
	correct func(status int) *Problem
	// corrected: the answer was written, and what comes behind is that of somebody else.
	corrected bool
}

// WriteHeader implements http.ResponseWriter.
func (c *correctedWriter) WriteHeader(status int) {
	if document := c.correct(status); document != nil {
		c.corrected = true
		writeProblem(c.ResponseWriter, document)
		return
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (c *correctedWriter) Write(data []byte) (int, error) {
	if c.corrected {
		return len(data), nil
	}
	return c.ResponseWriter.Write(data)
}

// Unwrap lets http.ResponseController reach the real writer.
func (c *correctedWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
