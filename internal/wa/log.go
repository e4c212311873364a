package wa

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"

	waLog "go.mau.fi/whatsmeow/util/log"
)

// bridge gives whatsmeow a logger that writes into ours. whatsmeow's texts hold phone numbers, hidden ids and sometimes whole stanzas:
// only its warnings and errors are passed on, one level lower (what matters of them comes as a signal or an error too), and
// everything in them that could name a person or hold a key is hidden.
func bridge(log *slog.Logger, module string) waLog.Logger {
	return whatsmeowLog{log: log.With("module", "whatsmeow/"+module)}
}

type whatsmeowLog struct{ log *slog.Logger }

// Errorf implements waLog.Logger.
func (l whatsmeowLog) Errorf(format string, arguments ...any) {
	l.write(slog.LevelWarn, format, arguments)
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
