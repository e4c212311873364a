package wa

import (
	"errors"
	"sync"

	"go.mau.fi/libsignal/logger"
	"go.mau.fi/whatsmeow"
)

// This file is the only one that touches the process-wide variables of whatsmeow and its libraries.

// quietSignal keeps libsignal from printing to the console. The library makes its logger at its first message, without a lock, which is a race
// when two clients start at once. A logger that somebody has set before stays.
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

var trusted struct {
	sync.Mutex
	key [32]byte
	set bool
}

// trustSimulator makes every connection of this process trust a simulator's root key. whatsmeow reads the key without a lock at each
// handshake, so it is written once, before the first connection.
func trustSimulator(key [32]byte) error {
	trusted.Lock()
	defer trusted.Unlock()
	if trusted.set {
		if trusted.key != key {
			return errors.New("this process trusts the root key of another simulator already; give both simulators one root key")
		}
		return nil
	}
	whatsmeow.WACertPubKey = key
	trusted.key, trusted.set = key, true
	return nil
}
