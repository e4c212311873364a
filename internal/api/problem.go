package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// Problem is an error as an RFC 9457 document. It has the fields of huma's own (which answers requests that do not match the schema),
// and two more for programs: the class and the code of the fault.
type Problem struct {
	huma.ErrorModel
	Class fault.Class `json:"class" doc:"The class of the failure: one of a short fixed list."`
	Code  string      `json:"code" doc:"A stable word for this failure."`
	// RetryAt is when the same request is worth sending again.
	RetryAt *time.Time `json:"retry_at,omitempty" doc:"When the same request is worth sending again."`

	after time.Duration
}

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders implements huma.HeadersError: Retry-After in whole seconds, where the fault knows it.
func (p *Problem) GetHeaders() http.Header {
	headers := http.Header{}
	if p.after > 0 {
		headers.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.after.Seconds()))))
	}
	return headers
}

// problem turns any error into its document. It is the only place that does; the cause of a failure inside the service is logged
// here, once, and not shown.
func (a *API) problem(ctx context.Context, doing string, err error) error {
	known := fault.As(err)
	tooSlow := errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), errTooSlow)
	if tooSlow {
		known = errTooSlow
	}
	status := known.Class.HTTPStatus()
	if status >= http.StatusInternalServerError && (tooSlow || !errors.Is(err, context.Canceled)) {
		a.options.Log.LogAttrs(ctx, known.Class.LogLevel(), "request failed", logDoing(doing), logError(err), logClass(known.Class))
	}
	return documentOf(known, a.now())
}

// documentOf is a fault as its document.
func documentOf(known *fault.Error, now time.Time) *Problem {
	status := known.Class.HTTPStatus()
	document := &Problem{
		ErrorModel: huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: known.Message},
		Class:      known.Class,
		Code:       known.Code,
		after:      known.After,
	}
	if known.After > 0 {
		at := now.Add(known.After).UTC()
		document.RetryAt = &at
	}
	for _, detail := range known.Details {
		entry := &huma.ErrorDetail{Location: detail.Location, Message: detail.Reason}
		if detail.Value != "" {
			entry.Value = detail.Value
		}
		document.Errors = append(document.Errors, entry)
	}
	return document
}

// writeProblem answers a request that never reaches a route's handler.
func writeProblem(w http.ResponseWriter, err error) {
	var document *Problem
	if !errors.As(err, &document) {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	maps.Copy(w.Header(), document.GetHeaders())
	w.Header().Set("Content-Type", document.ContentType(""))
	w.WriteHeader(document.Status)
	_ = json.NewEncoder(w).Encode(document) // a client that left cannot be told
}

// refusals are what is wrong with a request that never reaches a handler, by the status that huma or the mux gives it.
func refusals() map[int]*fault.Error {
	return map[int]*fault.Error{
		http.StatusBadRequest:            fault.New(fault.Invalid, "malformed_body", "The body is missing, or it is not the JSON that it says it is"),
		http.StatusNotFound:              fault.New(fault.NotFound, "no_route", "There is nothing at this address; /openapi.json lists what there is"),
		http.StatusMethodNotAllowed:      fault.New(fault.Invalid, "method_not_allowed", "This address does not take this method; the header Allow lists those that it takes"),
		http.StatusRequestTimeout:        fault.New(fault.RetryNow, "body_timeout", "The body did not arrive in time; send it again"),
		http.StatusRequestEntityTooLarge: fault.New(fault.TooLarge, "body_too_large", fmt.Sprintf("The body is larger than %d bytes; split it, or send a file", maxBodyBytes)),
		http.StatusUnsupportedMediaType:  fault.New(fault.Invalid, "unsupported_media_type", "The body must be application/json"),
		http.StatusUnprocessableEntity:   fault.New(fault.Invalid, "invalid_request", "The request does not match the schema of the operation; correct the places that errors names"),
	}
}

// refusalOf is the document of such a refusal. Its status is not always that of its class.
func refusalOf(status int) *Problem {
	known, is := refusals()[status]
	if !is {
		known = refusals()[http.StatusNotFound]
	}
	document := documentOf(known, time.Time{})
	document.Status, document.Title = status, http.StatusText(status)
	return document
}

// classified gives huma's own errors the class and the code that every other error has. It is a huma.Transformer.
func classified(_ huma.Context, _ string, body any) (any, error) {
	model, own := body.(*huma.ErrorModel)
	if !own {
		return body, nil
	}
	known, is := refusals()[model.Status]
	if !is {
		known = fault.As(errors.New("an answer of huma"))
	}
	document := &Problem{ErrorModel: *model, Class: known.Class, Code: known.Code}
	document.Detail = known.Message
	return document, nil
}

// refuseUnrouted answers requests that no route takes with a problem document; the mux itself has only plain text for them.
func refuseUnrouted(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		verdict := &verdict{header: w.Header()}
		handler.ServeHTTP(verdict, r)
		writeProblem(w, refusalOf(verdict.status))
	})
}

// verdict takes the status of an answer, and nothing else of it but its headers.
type verdict struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (v *verdict) Header() http.Header { return v.header }

// Write implements http.ResponseWriter.
func (v *verdict) Write(data []byte) (int, error) { return len(data), nil }

// WriteHeader implements http.ResponseWriter.
func (v *verdict) WriteHeader(status int) { v.status = status }
