package wa

import (
	"errors"
	"sync"

	"go.mau.fi/whatsmeow"
)

// This file is the only one that touches the process-wide variables of whatsmeow. That of libsignal is set by package keys, whose use of it is the first.

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
