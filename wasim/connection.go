package wasim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/dannsalud/broadcaster/wasim/internal/noise"
	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// errGone is returned by what waits for a client that went away.
var errGone = errors.New("the client's connection ended")

// connection is one client's websocket. One goroutine reads and handles stanzas, one writes: send never blocks.
type connection struct {
	server *Server
	socket *websocket.Conn
	noise  *noise.Conn
	peer   noise.Peer
	cancel context.CancelFunc
	gone   chan struct{}
	silent atomic.Bool
	// remote is the client's address.
	remote string

	// companion is the linked device that logged in, pairing the pairing of an unlinked one: set before the first stanza is read.
	companion *companion
	pairing   *pairing
	attached  bool // guarded by companion.mu

	mu      sync.Mutex
	queue   []outgoing
	ending  bool
	wake    chan struct{}
	waiters map[string]chan *stanza.Node
}

// outgoing is one frame to send, or the end of the connection.
type outgoing struct {
	frame  []byte
	due    time.Time
	end    bool
	linger time.Duration
}

// socketMessages is a websocket as the noise package wants it.
type socketMessages struct{ *websocket.Conn }

func (s socketMessages) ReadMessage(ctx context.Context) ([]byte, error) {
	_, message, err := s.Read(ctx)
	return message, err
}

func (s socketMessages) WriteMessage(ctx context.Context, message []byte) error {
	return s.Write(ctx, websocket.MessageBinary, message)
}

func (s *Server) serveWebsocket(w http.ResponseWriter, r *http.Request) {
	if verdict := s.script.Decide(script.Moment{Event: script.Upgrade}); verdict.Kind == script.HTTPStatus {
		http.Error(w, http.StatusText(verdict.Code), verdict.Code)
		return
	}
	// The client's Origin is WhatsApp's web page, whatever address was dialled: there is nothing to protect here.
	socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		s.options.Log.WarnContext(r.Context(), "websocket upgrade failed", "error", err)
		return
	}
	socket.SetReadLimit(noise.MaxFrame)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	c := &connection{
		server: s, socket: socket, remote: r.RemoteAddr, cancel: cancel, gone: make(chan struct{}), wake: make(chan struct{}, 1),
		waiters: make(map[string]chan *stanza.Node),
	}
	if !s.enter(c) {
		c.cut()
		return
	}
	defer s.leave(c)
	c.serve(ctx)
}

// enter registers a connection; false if the server is closed.
func (s *Server) enter(c *connection) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.handlers.Add(1)
	s.connections[c] = struct{}{}
	return true
}

func (s *Server) leave(c *connection) {
	s.mu.Lock()
	delete(s.connections, c)
	s.mu.Unlock()
	s.handlers.Done()
}

// serve shakes hands, starts the writer and handles stanzas until the connection ends.
func (c *connection) serve(ctx context.Context) {
	defer c.cut()
	var err error
	if c.noise, c.peer, err = noise.Accept(ctx, socketMessages{c.socket}, c.server.identity); err != nil {
		c.server.options.Log.WarnContext(ctx, "noise handshake failed", "error", err)
		return
	}
	var writer sync.WaitGroup
	writer.Go(func() { c.write(ctx) })
	defer writer.Wait()
	defer c.cut()
	defer close(c.gone)
	if err := c.welcome(); err != nil {
		c.server.options.Log.WarnContext(ctx, "client payload unreadable", "error", err)
		return
	}
	defer c.farewell()
	c.read(ctx)
}

func (c *connection) read(ctx context.Context) {
	for {
		frame, err := c.noise.Read(ctx)
		if err != nil {
			return
		}
		node, err := stanza.Decode(frame)
		if err != nil {
			c.server.options.Log.WarnContext(ctx, "frame unreadable", "error", err)
			continue
		}
		c.handle(ctx, node)
	}
}

// send queues a stanza; it is lost if the connection is ending.
func (c *connection) send(node stanza.Node) {
	frame, err := stanza.Encode(node)
	if err != nil {
		c.server.options.Log.Error("stanza not encoded", "error", err, "tag", node.Tag)
		return
	}
	c.enqueue(outgoing{frame: frame})
}

// end closes the connection after what is queued was sent and the close delay has passed. Nothing can be sent any more.
func (c *connection) end() { c.endAfter(c.server.options.CloseDelay) }

func (c *connection) endAfter(delay time.Duration) {
	c.enqueue(outgoing{end: true, linger: delay})
}

func (c *connection) enqueue(item outgoing) {
	if latency := time.Duration(c.server.latency.Load()); latency > 0 {
		item.due = time.Now().Add(latency)
	}
	c.mu.Lock()
	if !c.ending {
		c.queue = append(c.queue, item)
		c.ending = item.end
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write sends what is queued until the connection ends.
func (c *connection) write(ctx context.Context) {
	for {
		batch, ok := c.nextBatch()
		if !ok {
			return
		}
		for _, item := range batch {
			if !c.pause(time.Until(item.due)) {
				return
			}
			if item.end {
				c.finish(item.linger)
				return
			}
			if c.silent.Load() {
				continue
			}
			if err := c.noise.Write(ctx, item.frame); err != nil {
				c.cut()
				return
			}
		}
	}
}

func (c *connection) nextBatch() ([]outgoing, bool) {
	for {
		c.mu.Lock()
		batch := c.queue
		c.queue = nil
		c.mu.Unlock()
		if len(batch) > 0 {
			return batch, true
		}
		select {
		case <-c.wake:
		case <-c.gone:
			return nil, false
		}
	}
}

// finish closes the websocket politely, after a delay.
func (c *connection) finish(linger time.Duration) {
	if c.pause(linger) {
		_ = c.socket.Close(websocket.StatusNormalClosure, "") // the peer may be gone already
	}
}

// pause waits; false if the connection ended meanwhile.
func (c *connection) pause(wait time.Duration) bool {
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.gone:
		return false
	}
}

// cut closes the TCP connection without a word.
func (c *connection) cut() {
	c.cancel()
	_ = c.socket.CloseNow() // it may be closed already
}

// ask sends a query of the server's own to the client and waits for the answer, which may be an error stanza.
func (c *connection) ask(ctx context.Context, query stanza.Node) (*stanza.Node, error) {
	id := strconv.FormatUint(c.server.nextID.Add(1), 10)
	query.Attrs["id"] = id
	answer := make(chan *stanza.Node, 1)
	c.mu.Lock()
	c.waiters[id] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiters, id)
		c.mu.Unlock()
	}()
	c.send(query)
	select {
	case node := <-answer:
		return node, nil
	case <-c.gone:
		return nil, fmt.Errorf("wait for the client's answer: %w", errGone)
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the client's answer: %w", ctx.Err())
	}
}

// answered hands the client's answer to whoever asked.
func (c *connection) answered(node *stanza.Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if waiter, found := c.waiters[stanza.Text(node, "id")]; found {
		select {
		case waiter <- node:
		default:
		}
	}
}
