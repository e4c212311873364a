package wa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strings"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/socket"
	waLog "go.mau.fi/whatsmeow/util/log"

	"github.com/dannsalud/broadcaster/internal/wa/keys"
)

// bridge gives whatsmeow a logger that writes into ours. whatsmeow's texts hold phone numbers, hidden ids and sometimes whole stanzas:
// only its warnings and errors are passed on, one level lower (what matters of them comes as a signal or an error too), and
// everything in them that could name a person or hold a key is hidden.
//
// missed is called for a message that could not be sent again: whatsmeow says so in its log, and nowhere else.
func bridge(log *slog.Logger, module string, missed func()) waLog.Logger {
	return whatsmeowLog{log: log.With("module", "whatsmeow/"+module), missed: missed}
}

type whatsmeowLog struct {
	log    *slog.Logger
	missed func()
}

// missedRetry begins whatsmeow's text about a message that could not be sent again (its retry.go); metrics_test.go holds it against the library.
const missedRetry = "Failed to handle retry receipt"

// Errorf implements waLog.Logger.
func (l whatsmeowLog) Errorf(format string, arguments ...any) {
	if strings.HasPrefix(format, missedRetry) && !interrupted(arguments) {
		l.missed()
	}
	l.write(slog.LevelWarn, format, arguments)
}

// endings are the errors of what the end of its connection interrupted; the keys are closed after the connection, under whatever is still at work.
var endings = []error{context.Canceled, net.ErrClosed, socket.ErrSocketClosed, whatsmeow.ErrNotConnected, whatsmeow.ErrIQDisconnected, keys.ErrClosed}

// interrupted tells whether what failed comes again: it is confirmed to WhatsApp only when it did not fail by the end of its connection.
func interrupted(arguments []any) bool {
	for _, argument := range arguments {
		err, is := argument.(error)
		if is && slices.ContainsFunc(endings, func(ending error) bool { return errors.Is(err, ending) }) {
			return true
		}
	}
	return false
}

// Warnf implements waLog.Logger.
func (l whatsmeowLog) Warnf(format string, arguments ...any) {
	l.write(slog.LevelInfo, format, arguments)
}

// Infof implements waLog.Logger.
func (l whatsmeowLog) Infof(string, ...any) {}

// Debugf implements waLog.Logger.
func (l whatsmeowLog) Debugf(string, ...any) {}

// Sub implements waLog.Logger.
func (l whatsmeowLog) Sub(string) waLog.Logger { return l }

func (l whatsmeowLog) write(level slog.Level, format string, arguments []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "whatsmeow reported", "detail", hide(fmt.Sprintf(format, arguments...)))
	}
}

// secretive is whatever may name a person or be a key: runs of digits as long as a number or a hidden id, and long runs of base64 or hex.
var secretive = regexp.MustCompile(`\+?\d{6,}|[A-Za-z0-9+/=_-]{24,}`)

func hide(text string) string { return secretive.ReplaceAllString(text, "…") }
