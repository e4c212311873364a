// Package sender is the verb that sends: it hosts the live WhatsApp connections and runs campaigns over them.
//
// Nouns: Host (keeps linked sessions connected, one lease each, and answers the requests to send through them), Runner (runs one slice of a
// campaign), Projector (writes receipts into deliveries), Sweeper (puts back to work what a crash or a limit left behind), stages (stages.go:
// the steps of one message, in the order of the specification).
//
// A runner and the host of its session may be in different processes: between them is the one request of the system, "send this message
// through session S", which the holder of S answers. The runner decides what is sent and writes down what came of it; the host decides
// when, and is the only one that touches WhatsApp.
//
// Caller: internal/app. Everything outside reaches this package through the ports below. It must never send a message whose delivery is not
// written down first, nor twice under different ids; and only the holder of a session's lease writes what its connection reports.
package sender

import (
	"context"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
)

// Connection is one live WhatsApp connection.
type Connection interface {
	// Send sends one message and gives the time at which the server accepted it; its errors are classed.
	Send(ctx context.Context, message session.Outgoing) (time.Time, error)
	// Upload gives WhatsApp a file that messages refer to.
	Upload(ctx context.Context, file session.File) (session.Upload, error)
	// Typing shows somebody that the account types, or no longer does.
	Typing(ctx context.Context, phone string, typing bool) error
	// LookUp asks which numbers are on WhatsApp.
	LookUp(ctx context.Context, phones []string) ([]session.OnWhatsApp, error)
	// AskPhone asks the account's phone for a sign of life, which is a signal when it comes.
	AskPhone(ctx context.Context) error
	// Silence gives how long the connection has brought nothing; false where that is not known. It may be called at any time.
	Silence() (silent time.Duration, felt bool)
	// Logout removes the device from the phone's list and deletes its keys.
	Logout(ctx context.Context) error
	// Close ends the connection and waits for the signal that is being handled, which is then not confirmed to WhatsApp; no signal is
	// handled after it returned.
	Close()
}

// WhatsApp opens connections of linked devices.
type WhatsApp interface {
	// Open connects a device. A device whose keys are not here is fault.Relink. The context ends the dialling, not the connection.
	Open(ctx context.Context, request session.OpenRequest) (Connection, error)
	// Forget deletes the keys of a device; one that is unknown is no error.
	Forget(ctx context.Context, request session.ForgetRequest) error
}

// Lease is the right to hold a session's connection.
type Lease interface {
	// Epoch is greater than that of every earlier lease of the session.
	Epoch() uint64
	// Done is closed when the lease is not held any more.
	Done() <-chan struct{}
	// Held answers from memory.
	Held() bool
	// Release gives the lease back. It is called once, when the connection is closed, also after Done.
	Release(ctx context.Context) error
}

// Leases gives leases; that another worker holds a session is lease.ErrHeld.
type Leases interface {
	Claim(ctx context.Context, id session.ID) (Lease, error)
}

// Queue publishes commands and facts; both calls return when the queue has stored the message, and may be repeated.
type Queue interface {
	SendCommand(ctx context.Context, command events.Command) error
	PublishFact(ctx context.Context, fact events.Fact) error
	// Waiting tells whether a command with this subject is in the queue, in a worker's hands, or given up and waiting for an operator.
	Waiting(ctx context.Context, subject string) (bool, error)
}

// Watcher tells of facts as they are published, one at a time. It is a nudge that may be lost: who is nudged reads the store.
type Watcher interface {
	Watch(ctx context.Context, filter string, changed func(subject string, data []byte)) (stop func(), err error)
}

// Sends carries the request to send a message to the holder of a session.
type Sends interface {
	// RequestSend asks the holder. Its error says that there is no answer: fault.RetryLater when nobody is there, so nothing was sent;
	// fault.UnknownOutcome when none came in time. A failed send is in the reply.
	RequestSend(ctx context.Context, request events.SendRequest) (events.SendReply, error)
}

// SendServer receives the requests for a session, one at a time, in order. Each answer's context ends with ctx and with its requester's
// deadline. The stop that it gives takes no more requests and returns when the answer under way is given.
type SendServer interface {
	ServeSends(ctx context.Context, id session.ID, answer func(context.Context, events.SendRequest) events.SendReply) (stop func(), err error)
}
