package embed

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// logger writes the nats-server's log to slog. A fatal line does not end the process, as it would in a nats-server of its own; the start
// fails with it.
type logger struct {
	log *slog.Logger

	mu        sync.Mutex
	lastFatal error
}

func newLogger(log *slog.Logger) *logger {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &logger{log: log}
}

// fatal gives the last fatal line; an error that says so when there was none.
func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lastFatal == nil {
		return errors.New("it was not ready in time")
	}
	return l.lastFatal
}

// failed tells whether there was a fatal line.
func (l *logger) failed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lastFatal != nil
}

// Noticef logs at debug level: the server's notices tell of its start and stop, not of ours.
func (l *logger) Noticef(format string, values ...any) {
	l.log.Debug("nats-server", "line", fmt.Sprintf(format, values...))
}

// Warnf logs a warning.
func (l *logger) Warnf(format string, values ...any) {
	l.log.Warn("nats-server", "line", fmt.Sprintf(format, values...))
}

// Fatalf logs an error and keeps it for fatal.
func (l *logger) Fatalf(format string, values ...any) {
	line := fmt.Sprintf(format, values...)
	l.mu.Lock()
	l.lastFatal = errors.New(line)
	l.mu.Unlock()
	l.log.Error("nats-server", "line", line)
}

// Errorf logs an error.
func (l *logger) Errorf(format string, values ...any) {
	l.log.Error("nats-server", "line", fmt.Sprintf(format, values...))
}

// Debugf logs a detail.
func (l *logger) Debugf(format string, values ...any) {
	l.log.Debug("nats-server", "line", fmt.Sprintf(format, values...))
}

// Tracef logs a protocol line; the server is never asked to trace.
func (l *logger) Tracef(format string, values ...any) {
	l.log.Debug("nats-server", "line", fmt.Sprintf(format, values...))
}
