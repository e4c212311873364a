package session

import "context"

// PairRequest asks the WhatsApp door for a new device: it connects, reports QROffered (or PairingCode) and what follows, and saves the
// device's keys when the phone has accepted it.
type PairRequest struct {
	Session ID
	// Epoch is that of the lease under which the device's keys are written.
	Epoch    uint64
	Identity Identity
	// Proxy is the only way that the connection takes; a zero one is the host's own address.
	Proxy  Proxy
	Method Method
	// Phone is the number to pair by code, E.164; empty for QR.
	Phone string
	// Accept is asked once, before the pairing completes, with the device that the phone offers; an error refuses the pairing, so that
	// no device comes to exist. It may be called from another goroutine than Signals.
	Accept func(Device) error
	// Signals receives what the connection reports: in order, never two at once, none after Close returned. It must not call Close.
	Signals func(Signal)
}

// OpenRequest asks the WhatsApp door to connect a linked device.
type OpenRequest struct {
	Session ID
	// Epoch is that of the lease under which the device's keys are written.
	Epoch    uint64
	Device   Device
	Identity Identity
	// Proxy is the only way that the connection takes; a zero one is the host's own address.
	Proxy Proxy
	// Signals receives what the connection reports: in order, never two at once, none after Close returned. It must not call Close.
	// A receipt or a message is acknowledged to WhatsApp only after Signals returned, so that what was not written down comes again.
	Signals func(Signal)
	// Again is asked before each reconnect, with how many did not last so far, and returns when it is the session's turn to connect; an error ends
	// the tries. Nil: a random while that grows with the failures.
	Again func(ctx context.Context, failures int) error
}

// ForgetRequest asks the WhatsApp door to delete the keys of a session's device.
type ForgetRequest struct {
	Session ID
	// Epoch is that of the lease under which the keys are deleted.
	Epoch  uint64
	Device Device
	// Reason says why; it stays behind as the device's tombstone.
	Reason Reason
}
