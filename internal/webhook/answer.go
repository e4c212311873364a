package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/guard"
)

// longestRetryAfter bounds what a receiver may ask for.
const longestRetryAfter = time.Hour

// judge says what a receiver's answer means: nil is delivered. It is the one table of answers.
func judge(response *http.Response, at time.Time) error {
	status := response.StatusCode
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return fault.New(fault.RetryLater, "webhook_unavailable", fmt.Sprintf("The receiver answered %d; it is tried again", status)).
			WithAfter(retryAfter(response.Header.Get("Retry-After"), at))
	case status == http.StatusGone:
		return fault.New(fault.Conflict, "webhook_gone", "The receiver answered 410: it is gone, and the webhook is disabled; enable it when the receiver is back")
	case status >= 300 && status < 400:
		return fault.New(fault.Conflict, "webhook_redirected", fmt.Sprintf("The receiver answered %d, and redirects are not followed; give the webhook the new address", status))
	}
	return fault.New(fault.Conflict, "webhook_refused", fmt.Sprintf("The receiver answered %d, which is not tried again; mend the receiver and replay", status))
}

// unanswered says what it means that there is no answer. The cause is kept without the address, which may hold a secret.
func unanswered(ctx context.Context, err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	switch {
	case guard.IsForbidden(err):
		return fault.New(fault.Conflict, "webhook_forbidden_address", "The receiver's address is not a public one; use another, or allow its network by WEBHOOK_ALLOW_PRIVATE")
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.RetryLater, "webhook_timeout", "The receiver did not answer in time; it is tried again")
	}
	return fault.Wrap(err, fault.RetryLater, "webhook_unreachable", "The receiver could not be reached; it is tried again")
}

// retryAfter reads that header (RFC 9110 §10.2.3): seconds, or a time. Zero: the backoff decides.
func retryAfter(value string, at time.Time) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second // #nosec G115 -- 31 bits
	} else if when, err := http.ParseTime(value); err == nil {
		wait = when.Sub(at)
	}
	return min(max(wait, 0), longestRetryAfter)
}

// resultOf says what an attempt tells about its receiver.
func resultOf(ctx context.Context, err error) result {
	switch {
	case err == nil:
		return answered
	case ctx.Err() != nil:
		return unknown
	case fault.Of(err).Redelivered():
		return failing
	}
	return answered
}

func outcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return Delivered
	case fault.Of(err).Redelivered():
		return Again
	}
	return Refused
}
