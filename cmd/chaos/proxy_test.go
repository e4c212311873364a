package main

import (
	"bufio"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/wasim"
)

// echo is a server that says every line again.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = listener.Close(); <-done })
	go func() {
		defer close(done)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = connection.Close() }()
				for lines := bufio.NewScanner(connection); lines.Scan(); {
					_, _ = connection.Write(append(lines.Bytes(), '\n'))
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// caller is a connection through a proxy.
type caller struct {
	t *testing.T
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, way *proxy) *caller {
	t.Helper()
	connection, err := net.Dial("tcp", way.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return &caller{t, connection, bufio.NewReader(connection)}
}

// asks says a line and gives the error of the answer, which must come within a time.
func (c *caller) asks(patience time.Duration) error {
	c.t.Helper()
	_, _ = c.Write([]byte("hello\n")) // the answer tells
	return c.hears(patience)
}

func (c *caller) hears(patience time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	_, err := c.lines.ReadString('\n')
	return err
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

const soon, long = 100 * time.Millisecond, 10 * time.Second

func TestWaysCanBeCutMutedAndHealed(t *testing.T) {
	t.Parallel()
	way, err := newProxy(t.Context(), echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(way.close)
	first := dial(t, way)
	if err := first.asks(long); err != nil {
		t.Fatalf("a way in order: %v", err)
	}
	way.impair(impairment{Hang: true})
	if err := first.asks(soon); !isTimeout(err) {
		t.Errorf("a mute way answered with %v", err)
	}
	way.impair(impairment{})
	if err := first.hears(long); err != nil {
		t.Errorf("what was said on a mute way did not arrive later: %v", err)
	}
	way.impair(impairment{Cut: true})
	if err := first.hears(long); err == nil || isTimeout(err) {
		t.Errorf("a cut way left its connection open: %v", err)
	}
	if err := dial(t, way).asks(long); err == nil || isTimeout(err) {
		t.Errorf("a cut way took a connection: %v", err)
	}
	way.impair(impairment{Delay: 30 * time.Millisecond})
	began := time.Now()
	if err := dial(t, way).asks(long); err != nil || time.Since(began) < 60*time.Millisecond {
		t.Errorf("a slow way took %s for both directions: %v", time.Since(began), err)
	}
}

func TestTakeoversCountWhenTheFormerClientCouldSpeak(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const one, other = "127.0.0.1:1", "127.0.0.1:2"
		n := &network{ways: map[string]*ways{"sender-1": {whatsapp: &proxy{used: map[string]bool{one: true}}},
			"sender-2": {whatsapp: &proxy{used: map[string]bool{other: true}}}}, impaired: map[string][]span{}}
		s := &story{network: n, options: options{ttl: 5 * time.Second}, out: t.Output(), began: time.Now()}
		count := func(silent bool) int {
			return s.doubleConnections(wasim.Books{Takeovers: []wasim.Takeover{{At: time.Now(), From: one, By: other, Silent: silent}}})
		}
		if got := count(false); got != 1 {
			t.Errorf("taken over from a healthy client: %d", got)
		}
		if got := count(true); got != 0 {
			t.Errorf("taken over from a client that nothing reached: %d", got)
		}
		n.beginMute("sender-2")
		if got := count(false); got != 1 {
			t.Errorf("the new client was mute, not the former one: %d", got)
		}
		n.beginMute("sender-1")
		if got := count(false); got != 0 {
			t.Errorf("taken over from a frozen client: %d", got)
		}
		n.endMute("sender-1")
		time.Sleep(900 * time.Millisecond)
		if got := count(false); got != 0 {
			t.Errorf("taken over within the margin: %d", got)
		}
		time.Sleep(200 * time.Millisecond)
		if got := count(false); got != 1 {
			t.Errorf("taken over from a client that could close and did not: %d", got)
		}
	})
}
