package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// impairment is what is wrong with a way.
type impairment struct {
	// Cut ends every connection and lets none begin.
	Cut bool
	// Hang holds back every byte, in both directions, also the end of a connection: nobody learns that nobody is there.
	Hang bool
	// Delay holds back every piece for a time, in each direction.
	Delay time.Duration
}

// proxy is a TCP way from one service to one server that can be impaired. It knows nothing of what goes through it.
type proxy struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	state impairment
	// changed is closed when the state changes.
	changed chan struct{}
	closed  bool
	pairs   map[*pair]struct{}
	// used has the address of every connection that was ever made to the target.
	used map[string]bool
}

// pair is one connection through a proxy: the client's half and the server's.
type pair struct{ client, server net.Conn }

func (p *pair) close() {
	_ = p.client.Close() // each may be closed already
	_ = p.server.Close()
}

// newProxy starts a proxy on a free port of loopback.
func newProxy(ctx context.Context, target string) (*proxy, error) {
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a way to %s: %w", target, err)
	}
	p := &proxy{target: target, listener: listener, changed: make(chan struct{}), pairs: map[*pair]struct{}{}, used: map[string]bool{}}
	p.running.Go(p.accept)
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// close ends the proxy and all that goes through it.
func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close() // only the process's end closes it otherwise
	p.impair(impairment{Cut: true})
	p.running.Wait()
}

// impair changes the state of the way.
func (p *proxy) impair(state impairment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = state
	close(p.changed)
	p.changed = make(chan struct{})
	if state.Cut {
		for through := range p.pairs {
			through.close()
		}
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			p.running.Go(func() { p.serve(client) })
		}
	}
}

// serve joins a client to the target until either of them ends.
func (p *proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	if state, _ := p.now(); state.Cut {
		return
	}
	server, err := net.Dial("tcp", p.target) //nolint:noctx // loopback: it answers at once, or nobody is there
	if err != nil {
		return
	}
	through := &pair{client, server}
	defer through.close()
	if !p.join(through) {
		return
	}
	defer p.leave(through)
	var halves sync.WaitGroup
	for _, half := range [][2]net.Conn{{client, server}, {server, client}} {
		halves.Go(func() {
			defer through.close()
			p.copy(half[0], half[1])
		})
	}
	halves.Wait()
}

// copy brings what one side says to the other one, as the state of the way allows.
func (p *proxy) copy(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		count, err := from.Read(buffer)
		if !p.pass() {
			return
		}
		if _, writeErr := to.Write(buffer[:count]); writeErr != nil || err != nil {
			return
		}
	}
}

// pass waits until a piece, or the end, may go on; false when the way was cut.
func (p *proxy) pass() bool {
	for {
		state, changed := p.now()
		switch {
		case state.Cut:
			return false
		case state.Hang:
			<-changed
		case state.Delay > 0:
			timer := time.NewTimer(state.Delay)
			select {
			case <-timer.C:
				return true
			case <-changed:
				timer.Stop()
			}
		default:
			return true
		}
	}
}

func (p *proxy) now() (impairment, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state, p.changed
}

// join registers a connection; false when the way was cut meanwhile.
func (p *proxy) join(through *pair) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.state.Cut {
		return false
	}
	p.pairs[through] = struct{}{}
	p.used[through.server.LocalAddr().String()] = true
	return true
}

func (p *proxy) leave(through *pair) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pairs, through)
}

// carried tells whether a connection from an address to the target went this way.
func (p *proxy) carried(address string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used[address]
}
