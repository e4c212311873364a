package fault

import (
	"log/slog"
	"net/http"
)

// HTTPStatus gives the status of a problem document for this class.
func (c Class) HTTPStatus() int {
	switch c {
	case Invalid, Poison:
		return http.StatusUnprocessableEntity
	case NotFound:
		return http.StatusNotFound
	case Conflict, SkipRecipient, Relink, PauseSession:
		return http.StatusConflict
	case CoolingDown:
		return http.StatusTooManyRequests
	case Unauthorized:
		return http.StatusUnauthorized
	case Forbidden:
		return http.StatusForbidden
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case RetryNow, RetryLater, Upgrade:
		return http.StatusServiceUnavailable
	case UnknownOutcome:
		return http.StatusGatewayTimeout
	case Internal:
		return http.StatusInternalServerError
	}
	return http.StatusInternalServerError
}

// Redelivered tells whether the queue delivers a job again after this class. Internal is among them: an unclassified error may be a
// passing one, and the job's MaxDeliver bounds it. A job of any other class goes to FAILED at once.
func (c Class) Redelivered() bool {
	switch c {
	case RetryNow, RetryLater, CoolingDown, Internal:
		return true
	case PauseSession, Relink, Upgrade, SkipRecipient, UnknownOutcome, Poison,
		Invalid, NotFound, Conflict, Unauthorized, Forbidden, TooLarge:
		return false
	}
	return true
}

// Replay tells whether an operator may replay a failed job of this class without force, and why.
func (c Class) Replay() (safe bool, why string) {
	switch c {
	case RetryNow, RetryLater, CoolingDown, Internal:
		return true, "the job stopped before its effect, or its effects are idempotent"
	case PauseSession:
		return true, "the session may send again after its pause; until then the job ends the same way"
	case Relink:
		return true, "link the phone first; until then the job ends the same way"
	case Upgrade:
		return true, "upgrade the client first; until then the job ends the same way"
	case NotFound, Conflict:
		return true, "the job ends the same way unless the state changed meanwhile"
	case SkipRecipient:
		return false, "WhatsApp refused this recipient; sending again looks like spam"
	case UnknownOutcome:
		return false, "the message may have arrived; check its receipts first"
	case Poison, Invalid, Unauthorized, Forbidden, TooLarge:
		return false, "the job itself is wrong; edit its payload first"
	}
	return false, "unknown class"
}

// LogLevel gives the level at which a failure of this class is logged where it is handled.
func (c Class) LogLevel() slog.Level {
	switch c {
	case Invalid, NotFound, Conflict, CoolingDown, Unauthorized, Forbidden, TooLarge, SkipRecipient, RetryNow:
		return slog.LevelInfo
	case RetryLater, UnknownOutcome, PauseSession:
		return slog.LevelWarn
	case Relink, Upgrade, Poison, Internal:
		return slog.LevelError
	}
	return slog.LevelError
}

// Label gives the value for a metric label `class`. It equals the class, so that dashboards, jobs and logs use the same word;
// an unknown class becomes "internal" to keep the label bounded.
func (c Class) Label() string {
	for _, known := range Classes() {
		if c == known {
			return string(c)
		}
	}
	return string(Internal)
}
