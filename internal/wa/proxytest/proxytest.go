// Package proxytest runs small proxies on loopback for tests: an HTTP proxy that takes CONNECT, and a SOCKS5 proxy.
//
// Nouns: Server (a proxy that asks for a user and password, writes down what it is asked for, and can be told to refuse or be stopped).
//
// Callers: the tests of internal/wa and internal/app, which count what came through a proxy against what arrived. It is written from the
// standards (RFC 9110, RFC 1928, RFC 1929) and shares no code with the client in internal/wa: both would share their mistakes. It is
// no proxy for anything but tests.
package proxytest

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/dannsalud/broadcaster/internal/session"
)

// Server is a small proxy on loopback that asks for a user and password, and writes down what it is asked for.
type Server struct {
	t        testing.TB
	scheme   string
	listener net.Listener
	serving  sync.WaitGroup

	mu sync.Mutex
	// asked are the addresses that callers with the right password asked for, as they said them; refused counts the others.
	asked   []string
	refused int
	conns   map[net.Conn]bool
	// answer is said to a request that it would grant: a SOCKS reply, or what an HTTP status is above 500; zero: it grants it.
	answer int
	broken bool
}

// User and Password are what every proxy asks for. The password has what must be encoded in an address.
const (
	User     = "alice"
	Password = "hunter2 %&/:@ñ" //nolint:gosec // it guards nothing
)

// Start starts a proxy of a kind: session.ProxyHTTP or session.ProxySOCKS5.
func Start(t testing.TB, scheme string) *Server {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return Serve(t, scheme, listener)
}

// Serve is Start on a listener of the caller's, which the proxy closes.
func Serve(t testing.TB, scheme string, listener net.Listener) *Server {
	t.Helper()
	p := &Server{t: t, scheme: scheme, listener: listener, conns: map[net.Conn]bool{}}
	p.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.serving.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(p.Stop)
	return p
}

// Stop ends the proxy and every connection through it.
func (p *Server) Stop() {
	_ = p.listener.Close()
	p.mu.Lock()
	for conn := range p.conns {
		_ = conn.Close()
	}
	p.conns = nil
	p.mu.Unlock()
	p.serving.Wait()
}

// Break ends every connection, and lets nobody in until it is mended.
func (p *Server) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = true
	for conn := range p.conns {
		_ = conn.Close()
	}
	clear(p.conns)
}

// Mend lets callers in again.
func (p *Server) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = false
}

// keep notes a connection; false when the proxy has ended or is broken.
func (p *Server) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil || p.broken {
		return false
	}
	p.conns[conn] = true
	return true
}

// Address gives the proxy's address, with its user and this password.
func (p *Server) Address(password string) string {
	return p.scheme + "://" + User + ":" + escape(password) + "@" + p.listener.Addr().String()
}

// Proxy gives the address as the product reads it, with the right password.
func (p *Server) Proxy() session.Proxy {
	p.t.Helper()
	parsed, err := session.ParseProxy(p.Address(Password))
	if err != nil {
		p.t.Fatal(err)
	}
	return parsed
}

func escape(password string) string {
	return strings.NewReplacer("%", "%25", " ", "%20", "&", "%26", "/", "%2F", ":", "%3A", "@", "%40", "ñ", "%C3%B1").Replace(password)
}

// Listening gives the host and port of the proxy.
func (p *Server) Listening() string { return p.listener.Addr().String() }

// Requests gives what was asked for and granted.
func (p *Server) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

// Refusals counts the callers with a wrong user or password.
func (p *Server) Refusals() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

// Refuse makes it refuse what it would grant: with this SOCKS reply, or with an HTTP status of 500 more.
func (p *Server) Refuse(answer int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// note writes a request down and gives what to answer.
func (p *Server) note(address string, authenticated bool) (answer int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !authenticated {
		p.refused++
		return 0
	}
	if p.answer == 0 {
		p.asked = append(p.asked, address)
	}
	return p.answer
}

func (p *Server) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	if !p.keep(conn) {
		return
	}
	reader := bufio.NewReader(conn)
	open := p.openHTTP
	if p.scheme == session.ProxySOCKS5 {
		open = p.openSOCKS
	}
	onward := open(conn, reader)
	if onward == nil {
		return
	}
	defer func() { _ = onward.Close() }()
	if !p.keep(onward) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(conn, onward)
		_ = conn.Close()
	})
	_, _ = io.Copy(onward, reader)
	_ = onward.Close()
	back.Wait()
}

// openHTTP answers a CONNECT and gives the connection onward; nil when there is none.
func (p *Server) openHTTP(conn net.Conn, reader *bufio.Reader) net.Conn {
	request, err := http.ReadRequest(reader)
	if err != nil || request.Method != http.MethodConnect {
		return nil
	}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(User+":"+Password))
	authenticated := request.Header.Get("Proxy-Authorization") == want
	if answer := p.note(request.Host, authenticated); !authenticated {
		// As some do, it repeats what it was told.
		_, _ = io.WriteString(conn, "HTTP/1.1 407 No "+request.Header.Get("Proxy-Authorization")+"\r\nContent-Length: 0\r\n\r\n")
		return nil
	} else if answer != 0 {
		_, _ = io.WriteString(conn, "HTTP/1.1 "+strconv.Itoa(500+answer)+" No\r\nContent-Length: 0\r\n\r\n")
		return nil
	}
	onward := dial(request.Host)
	if onward != nil {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	}
	return onward
}

// openSOCKS is openHTTP for RFC 1928 and RFC 1929.
func (p *Server) openSOCKS(conn net.Conn, reader *bufio.Reader) net.Conn {
	_, _ = reader.ReadByte() // version
	_ = readCounted(reader)  // methods
	_, _ = conn.Write([]byte{5, 2})
	_, _ = reader.ReadByte() // version
	user, password := readCounted(reader), readCounted(reader)
	authenticated := user == User && password == Password
	if !authenticated {
		p.note("", false)
		_, _ = conn.Write([]byte{1, 1})
		return nil
	}
	_, _ = conn.Write([]byte{1, 0})
	head := make([]byte, 4)
	_, _ = io.ReadFull(reader, head)
	host := ""
	switch head[3] {
	case 1:
		raw := make([]byte, 4)
		_, _ = io.ReadFull(reader, raw)
		host = net.IP(raw).String()
	case 3:
		host = readCounted(reader)
	}
	port := make([]byte, 2)
	if _, err := io.ReadFull(reader, port); err != nil {
		return nil
	}
	address := net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(port))))
	if answer := p.note(address, true); answer != 0 {
		_, _ = conn.Write([]byte{5, byte(answer), 0, 1, 0, 0, 0, 0, 0, 0})
		return nil
	}
	onward := dial(address)
	if onward != nil {
		// The address of the answer is a name, which few servers give and all clients must take.
		_, _ = conn.Write([]byte{5, 0, 0, 3, 2, 'e', 'x', 0, 80})
	}
	return onward
}

func readCounted(reader *bufio.Reader) string {
	length, err := reader.ReadByte()
	if err != nil {
		return ""
	}
	text := make([]byte, length)
	_, _ = io.ReadFull(reader, text)
	return string(text)
}

func dial(address string) net.Conn {
	var dialer net.Dialer
	conn, err := dialer.DialContext(context.Background(), "tcp", address)
	if err != nil {
		return nil
	}
	return conn
}
