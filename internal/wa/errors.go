package wa

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.mau.fi/whatsmeow"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// refusals are the numbers with which the server refuses a message (peers.md §3 W12, §9): what they mean and what to do. A number that is
// not listed is refused by notListed.
var refusals = map[int]struct {
	class   fault.Class
	code    string
	message string
	after   time.Duration
}{
	// Not the recipient but the message may be wrong: it counts as failed, so that many in a row pause the campaign instead of using it up.
	400: {fault.Invalid, "message_refused", "WhatsApp refused the message as malformed", 0},
	403: {fault.SkipRecipient, "recipient_forbidden", "WhatsApp does not let this account write to this contact", 0},
	404: {fault.SkipRecipient, "recipient_not_on_whatsapp", "This number is not on WhatsApp; check it with the person", 0},
	429: {fault.RetryLater, "rate_limited", "WhatsApp asks to slow down; the message is sent later", time.Minute},
	// 463 without the account's lock: the token of this one contact is missing. The lock itself is a signal (session.Restricted).
	463: {fault.SkipRecipient, "reach_out_refused", "WhatsApp does not let this account write to this contact first", 0},
	475: {fault.PauseSession, "new_chat_quota", "The account has used up its new chats; WhatsApp gives more later", 0},
	479: {fault.RetryLater, "session_with_contact_stale", "The encryption session with this contact is stale; the message is sent again", 5 * time.Second},
	500: {fault.RetryLater, "server_error", "WhatsApp had an internal error; the message is sent again", 5 * time.Second},
	503: {fault.RetryLater, "server_unavailable", "WhatsApp is not available at the moment; the message is sent again", 10 * time.Second},
}

// classifySend gives the class of an error of SendMessage. What may have left the process is UnknownOutcome.
func classifySend(err error) error {
	var disconnected *whatsmeow.DisconnectedError
	var known *fault.Error
	switch {
	case errors.Is(err, whatsmeow.ErrServerReturnedError):
		return refusal(err)
	case errors.As(err, &known): // the key store's own, from before the message left
		return err
	case errors.Is(err, whatsmeow.ErrNotConnected):
		return fault.Wrap(err, fault.RetryLater, "not_connected", "The session is not connected at the moment; the message is sent when it is").
			WithAfter(notConnectedWait)
	case errors.Is(err, whatsmeow.ErrNotLoggedIn):
		return fault.Wrap(err, fault.Relink, "logged_out", "The session is logged out; link the phone again")
	case errors.Is(err, whatsmeow.ErrMessageTimedOut), errors.As(err, &disconnected),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(err, fault.UnknownOutcome, "no_acknowledgement",
			"WhatsApp did not confirm the message; a receipt tells, or it is sent again under the same id")
	case strings.Contains(err.Error(), "no LID found"):
		return notOnWhatsApp()
	}
	return fault.Wrap(err, fault.RetryLater, "send_failed", "The message could not be sent; it is tried again").WithAfter(notConnectedWait)
}

// notConnectedWait is how long a session usually takes to reconnect.
const notConnectedWait = 2 * time.Second

// refusal reads the number of a refused message; whatsmeow has it in the text only.
func refusal(err error) error {
	text := err.Error()
	number, parseErr := strconv.Atoi(text[strings.LastIndexByte(text, ' ')+1:])
	known, listed := refusals[number]
	if parseErr != nil || !listed {
		return fault.Wrap(err, fault.Invalid, "message_refused", fmt.Sprintf("WhatsApp refused the message (%d)", number))
	}
	return fault.Wrap(err, known.class, known.code, known.message).WithAfter(known.after)
}

// classifyQuery gives the class of a lookup that failed: nothing has been sent.
func classifyQuery(err error) error {
	switch {
	case errors.Is(err, whatsmeow.ErrIQRateOverLimit):
		return fault.Wrap(err, fault.RetryLater, "lookup_rate_limited", "WhatsApp limits lookups of numbers at the moment; the message is sent later").
			WithAfter(time.Minute)
	case errors.Is(err, whatsmeow.ErrNotLoggedIn):
		return fault.Wrap(err, fault.Relink, "logged_out", "The session is logged out; link the phone again")
	}
	return fault.Wrap(err, fault.RetryLater, "lookup_failed", "The number could not be looked up; it is tried again").WithAfter(notConnectedWait)
}
