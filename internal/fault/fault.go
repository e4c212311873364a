// Package fault is the one table of error classes. Every failure that leaves a function boundary that matters (a queue handler,
// an HTTP handler, a send) carries a Class, and the Class alone decides the policy: the HTTP status, whether the queue delivers the
// job again, whether a replay by an operator is safe, the metric label and the log level. One switch for each, each tested over all
// classes, so that a new class cannot be forgotten anywhere.
//
// Nouns: Class (what kind of failure), Error (a failure with its class, a stable code, a sentence for a person, and when to go on).
//
// The doors (internal/wa, internal/store/..., internal/bus) classify what their technology reports; the verbs and the API only ask
// Of. Nothing outside this package switches over classes to decide policy.
package fault

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Class says what kind of failure happened and, through its methods, what is done about it.
type Class string

// The classes of work: what can go wrong while a job runs or a message is sent.
const (
	// RetryNow: nothing left this process, so the same call can be made again at once.
	RetryNow Class = "retry_now"
	// RetryLater: a passing condition (429, 503, a lease that moved); again after Error.After or the backoff.
	RetryLater Class = "retry_later"
	// PauseSession: WhatsApp limits the account (463 lock, 475, temporary ban); nothing may be sent before Error.Until.
	PauseSession Class = "pause_session"
	// Relink: the device was logged out; a person has to link the phone again.
	Relink Class = "relink"
	// Upgrade: WhatsApp refuses this client version (405).
	Upgrade Class = "upgrade"
	// SkipRecipient: this recipient cannot be written to; the others can.
	SkipRecipient Class = "skip_recipient"
	// UnknownOutcome: the message may have left (time-out after the write); repeated only under the same message id.
	UnknownOutcome Class = "unknown_outcome"
	// Poison: the job itself is wrong (undecodable, unknown version, panics); it goes to FAILED at once.
	Poison Class = "poison"
)

// The classes of requests: what can be wrong with a call of the API or of a port.
const (
	// Invalid: the input does not hold; Error.Details names each place.
	Invalid Class = "invalid"
	// NotFound: the thing named does not exist, or not for this caller.
	NotFound Class = "not_found"
	// Conflict: the thing is in a state that does not allow the call, or changed meanwhile.
	Conflict Class = "conflict"
	// CoolingDown: too early; again after Error.After.
	CoolingDown Class = "cooling_down"
	// Unauthorized: no valid key was given.
	Unauthorized Class = "unauthorized"
	// Forbidden: the key is valid and may not do this.
	Forbidden Class = "forbidden"
	// TooLarge: the request body is over the limit that the message names.
	TooLarge Class = "too_large"
	// Internal: a defect or an unclassified error.
	Internal Class = "internal"
)

// Classes lists every class, in the order of their declaration.
func Classes() []Class {
	return []Class{RetryNow, RetryLater, PauseSession, Relink, Upgrade, SkipRecipient, UnknownOutcome, Poison,
		Invalid, NotFound, Conflict, CoolingDown, Unauthorized, Forbidden, TooLarge, Internal}
}

// Detail names one wrong place of an input: where ("row 17, column telefono", "body.text"), what stood there, and why it is wrong.
// Value must be left empty when it is a secret or a phone number that would end in a log.
type Detail struct {
	Location string
	Value    string
	Reason   string
}

// Error is a failure with its policy. Create it with New or Wrap; match it with errors.As or ask Of for the class only.
type Error struct {
	Class Class
	// Code is a stable word for programs, such as "recipient_not_on_whatsapp".
	Code string
	// Message says to a person what happened and what to do. It never holds a secret or a phone number.
	Message string
	// After is the shortest wait before the same thing is worth trying again; zero: the caller's backoff decides.
	After time.Duration
	// Until is the earliest time to go on (PauseSession); zero: unknown.
	Until time.Time
	// Details lists the wrong places of an input (Invalid).
	Details []Detail

	cause error
}

// New makes an error of a class. The message says what happened and what to do.
func New(class Class, code, message string) *Error {
	return &Error{Class: class, Code: code, Message: message}
}

// Wrap gives a cause a class, a code and a sentence; the cause stays reachable through errors.Is and errors.As.
func Wrap(cause error, class Class, code, message string) *Error {
	return &Error{Class: class, Code: code, Message: message, cause: cause}
}

// WithAfter sets the shortest wait before another try and returns the same error.
func (e *Error) WithAfter(wait time.Duration) *Error {
	e.After = wait
	return e
}

// WithUntil sets the earliest time to go on and returns the same error.
func (e *Error) WithUntil(at time.Time) *Error {
	e.Until = at
	return e
}

// WithDetails adds wrong places of an input and returns the same error.
func (e *Error) WithDetails(details ...Detail) *Error {
	e.Details = append(e.Details, details...)
	return e
}

// Error gives the sentence and, behind it, the cause.
func (e *Error) Error() string {
	if e.cause == nil {
		return e.Message
	}
	return fmt.Sprintf("%s: %v", e.Message, e.cause)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// As gives the first *Error in the chain of err. For an error without a class it makes one: a cancelled or expired context is
// RetryLater (the work was handed back), anything else Internal, with a sentence that shows nothing of the cause.
func As(err error) *Error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Wrap(err, RetryLater, "interrupted", "The work was interrupted before it finished; try again")
	}
	return Wrap(err, Internal, "internal", "Something went wrong inside the service; the log has the details")
}

// Of gives the class of an error, by the rules of As; the empty class for nil.
func Of(err error) Class {
	if err == nil {
		return ""
	}
	return As(err).Class
}
