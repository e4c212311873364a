package keys

import (
	"sync"

	"go.mau.fi/libsignal/logger"
)

// quietSignal keeps libsignal from printing to the console. The library makes its logger at its first message, without a lock, which is a race
// when two devices are made, or two clients start, at once; nothing of them happens before a key store is opened. A logger that somebody has set
// before stays.
var quietSignal = sync.OnceFunc(func() {
	if logger.Logger == nil {
		var nobody logger.Loggable = silence{}
		logger.Setup(&nobody)
	}
})

// silence drops everything: what fails to decrypt is reported by whatsmeow as an event.
type silence struct{}

// Debug implements logger.Loggable.
func (silence) Debug(string, string) {}

// Info implements logger.Loggable.
func (silence) Info(string, string) {}

// Warning implements logger.Loggable.
func (silence) Warning(string, string) {}

// Error implements logger.Loggable.
func (silence) Error(string, string) {}

// Configure implements logger.Loggable.
func (silence) Configure(string) {}
