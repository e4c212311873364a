package signal

import (
	"sync"

	"go.mau.fi/libsignal/logger"
)

// Quiet keeps libsignal from printing to the console. It must be called before the process's first use of libsignal: the library
// otherwise makes its logger at its first message, without a lock, which the race detector reports when two clients start at once.
// A logger that somebody has set before stays.
func Quiet() { quiet() }

var quiet = sync.OnceFunc(func() {
	if logger.Logger == nil {
		var nobody logger.Loggable = silence{}
		logger.Setup(&nobody)
	}
})

// silence is a logger that drops everything.
type silence struct{}

func (silence) Debug(string, string) {}

func (silence) Info(string, string) {}

func (silence) Warning(string, string) {}

func (silence) Error(string, string) {}

func (silence) Configure(string) {}
