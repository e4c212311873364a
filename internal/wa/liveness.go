package wa

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// DefaultSilence is how long a connection may bring nothing before it counts as dead: WhatsApp's client asks for a sign of life every 20 to 30 s
// and waits 10 s for it (peers.md W9), so that two of them in a row have failed by then. A status flag that says "connected" proves nothing
// (peers.md W8).
const DefaultSilence = 75 * time.Second

// pulse is when a connection last brought something, whatever it was.
type pulse struct {
	began time.Time
	last  atomic.Int64 // since began
}

func newPulse() *pulse { return &pulse{began: time.Now()} }

// beat notes that something came.
func (p *pulse) beat() { p.last.Store(int64(time.Since(p.began))) }

// age gives how long nothing has come.
func (p *pulse) age() time.Duration { return time.Since(p.began) - time.Duration(p.last.Load()) }

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// feel makes the connections of a dialer note what they read.
func (p *pulse) feel(dial dialer) dialer {
	if dial == nil {
		return nil
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		p.beat()
		return &felt{Conn: conn, pulse: p}, nil
	}
}

// felt is a connection whose pulse is felt.
type felt struct {
	net.Conn

	pulse *pulse
}

// Read implements net.Conn.
func (f *felt) Read(into []byte) (int, error) {
	read, err := f.Conn.Read(into)
	if read > 0 {
		f.pulse.beat()
	}
	return read, err
}

// feelTransport gives a transport like another one whose connections' pulse is felt.
func (p *pulse) feelTransport(transport *http.Transport) *http.Transport {
	transport = transport.Clone()
	if transport.DialContext == nil && transport.DialTLSContext == nil {
		transport.DialContext = (&net.Dialer{}).DialContext
	}
	transport.DialContext, transport.DialTLSContext = p.feel(transport.DialContext), p.feel(transport.DialTLSContext)
	return transport
}
