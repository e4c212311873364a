package api

import (
	"context"
	"encoding/json"
	"errors"
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
	Class fault.Class `json:"class,omitempty" doc:"The class of the failure: one of a short fixed list."`
	Code  string      `json:"code,omitempty" doc:"A stable word for this failure."`
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
	if errors.Is(err, context.DeadlineExceeded) && errors.Is(context.Cause(ctx), errTooSlow) {
		known = errTooSlow
	}
	status := known.Class.HTTPStatus()
	if status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
		a.options.Log.LogAttrs(ctx, known.Class.LogLevel(), "request failed", logDoing(doing), logError(err), logClass(known.Class))
	}
	document := &Problem{
		ErrorModel: huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: known.Message},
		Class:      known.Class,
		Code:       known.Code,
		after:      known.After,
	}
	if known.After > 0 {
		at := a.now().Add(known.After).UTC()
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
