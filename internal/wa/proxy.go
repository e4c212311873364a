package wa

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// way is how the connections of one client leave.
type way struct {
	// socket is for its websocket, whose pulse is felt; http is for the rest.
	socket, http *http.Client
	pulse        *pulse
	// leave closes what is idle when the client ends.
	leave func()
}

// newWay gives the way through a transport, which is the client's own, or shared by all that go straight.
func newWay(transport *http.Transport, own bool) way {
	pulse := newPulse()
	socket := pulse.feelTransport(transport)
	leave := socket.CloseIdleConnections
	if own {
		leave = func() {
			socket.CloseIdleConnections()
			transport.CloseIdleConnections()
		}
	}
	return way{socket: &http.Client{Transport: socket}, http: &http.Client{Transport: transport}, pulse: pulse, leave: leave}
}

// straight is the transport to the real WhatsApp from the host's own address. All sessions share it for media.
var straight = http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the standard library's own

// wayOut gives the way of a session. One with a proxy has that and no other: all of its connections are tunnels through the proxy, whatever
// the environment says, and a tunnel that cannot be made is an error.
func wayOut(endpoint Endpoint, proxy session.Proxy) (way, error) {
	if proxy.IsZero() {
		return straightWay(endpoint), nil
	}
	simulated := endpoint.HTTPClient != nil
	if simulated && endpoint.Address == "" {
		return way{}, fault.New(fault.Conflict, "egress_unsupported",
			"This simulator has no network address, so no proxy can reach it; use the direct egress, or a simulator that listens")
	}
	through := &tunnel{proxy: proxy, target: endpoint.Address}
	transport := &http.Transport{DialContext: through.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: handshakeTimeout,
		IdleConnTimeout: idleTimeout}
	if simulated { // it speaks in the open, whatever the address says
		transport.DialTLSContext = through.DialContext
	}
	return newWay(transport, true), nil
}

// straightWay gives the way of a session without a proxy.
func straightWay(endpoint Endpoint) way {
	if endpoint.HTTPClient == nil {
		return newWay(straight, false)
	}
	if transport, plain := endpoint.HTTPClient.Transport.(*http.Transport); plain {
		return newWay(transport, false)
	}
	return way{socket: endpoint.HTTPClient, http: endpoint.HTTPClient, leave: func() {}} // its pulse cannot be felt
}

// The limits of a connection through a proxy.
const (
	tunnelTimeout    = 30 * time.Second
	handshakeTimeout = 10 * time.Second
	idleTimeout      = 90 * time.Second
)

// tunnel makes connections through a proxy.
type tunnel struct {
	proxy session.Proxy
	// target is where every connection goes, whatever its address; empty: to its address.
	target string
	// roots are the authorities of the certificate of an https proxy; nil: the system's.
	roots *x509.CertPool
}

// wayError is a tunnel that could not be made. Its cause says nothing that the proxy said, as some repeat what they were told.
type wayError struct {
	problem session.EgressProblem
	cause   error
}

// Error implements error.
func (e *wayError) Error() string { return fmt.Sprintf("%s: %v", e.problem, e.cause) }

// Unwrap gives the cause.
func (e *wayError) Unwrap() error { return e.cause }

func failed(problem session.EgressProblem, cause error) error {
	return &wayError{problem: problem, cause: cause}
}

// DialContext gives a connection to an address. The name in it is looked up by the proxy, never here.
func (t *tunnel) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, tunnelTimeout)
	defer cancel()
	if t.target != "" {
		address = t.target
	}
	conn, err := t.reach(ctx)
	if err != nil {
		return nil, err
	}
	// The end of the context interrupts what waits for the proxy's words.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = t.ask(conn, address)
	if !stop() && err == nil {
		err = failed(session.EgressTimeout, ctx.Err())
	}
	if err != nil {
		_ = conn.Close() // the error of the tunnel says more
		return nil, err
	}
	return conn, nil
}

// reach connects to the proxy itself.
func (t *tunnel) reach(ctx context.Context) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", t.proxy.Address())
	if err != nil {
		return nil, failed(session.EgressUnreachable, err)
	}
	if t.proxy.Scheme() != session.ProxyHTTPS {
		return conn, nil
	}
	secure := tls.Client(conn, &tls.Config{ServerName: t.proxy.Host(), RootCAs: t.roots, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the error of the handshake says more
		var untrusted *tls.CertificateVerificationError
		if errors.As(err, &untrusted) {
			return nil, failed(session.EgressUntrusted, err)
		}
		return nil, failed(session.EgressMisspoken, err)
	}
	return secure, nil
}

// ask makes the proxy connect to an address.
func (t *tunnel) ask(conn net.Conn, address string) error {
	if t.proxy.Scheme() == session.ProxySOCKS5 {
		return askSOCKS(conn, t.proxy, address)
	}
	return askHTTP(conn, t.proxy, address)
}

// askHTTP asks with CONNECT (RFC 9110 §9.3.6).
func askHTTP(conn net.Conn, proxy session.Proxy, address string) error {
	request := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n"
	if user, password, given := proxy.Credentials(); given {
		request += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return failed(session.EgressUnreachable, err)
	}
	// Both ends of the tunnel are silent until we speak, so nothing of theirs is lost in the reader.
	reader := bufio.NewReader(io.LimitReader(conn, maxAnswer))
	answer, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect}) //nolint:bodyclose // the answer to CONNECT has no body: what follows is the tunnel
	if err != nil {
		return misspoken(err)
	}
	switch status := answer.StatusCode; {
	case status == http.StatusProxyAuthRequired || status == http.StatusUnauthorized:
		return failed(session.EgressUnauthorized, fmt.Errorf("CONNECT was answered with %d", status))
	case status < 200 || status > 299:
		return failed(session.EgressRefused, fmt.Errorf("CONNECT was answered with %d", status))
	case reader.Buffered() > 0:
		return failed(session.EgressMisspoken, errors.New("the proxy spoke inside the tunnel"))
	}
	return nil
}

// maxAnswer bounds what is read of a proxy's answer.
const maxAnswer = 64 << 10

// misspoken tells a proxy that does not answer, or hangs up, from one that says something else than it should. What it said is not repeated.
func misspoken(err error) error {
	var broken *net.OpError
	if errors.As(err, &broken) || errors.Is(err, os.ErrDeadlineExceeded) {
		return failed(session.EgressUnreachable, err)
	}
	return failed(session.EgressMisspoken, errors.New("the answer is not that of such a proxy"))
}

// explainWay gives the failure of a tunnel its class; nil when the error is another one.
func explainWay(err error) error {
	var failure *wayError
	if !errors.As(err, &failure) {
		return nil
	}
	english, _ := failure.problem.Explain()
	return fault.Wrap(failure, fault.RetryLater, "egress_unreachable", english).WithAfter(egressWait)
}

// egressWait is how long a proxy that does not work is left alone.
const egressWait = 30 * time.Second

// checkedAddress is asked for: any answer from there, over a connection that WhatsApp's certificate secures, says that the way is open.
const checkedAddress = "https://web.whatsapp.com/"

// Check tries the way to WhatsApp, or to the simulator, through a proxy or straight, until an answer comes or the context ends. It opens no session.
func Check(ctx context.Context, endpoint Endpoint, proxy session.Proxy) (session.EgressCheck, error) {
	out, err := wayOut(endpoint, proxy)
	if err != nil {
		return session.EgressCheck{}, err
	}
	defer out.leave()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, checkedAddress, nil)
	if err != nil {
		return session.EgressCheck{}, fmt.Errorf("make the request: %w", err)
	}
	begin := time.Now()
	answer, err := out.http.Transport.RoundTrip(request) // follows no redirect
	if err != nil {
		return session.EgressCheck{Problem: problemOf(err), Latency: time.Since(begin)}, nil
	}
	_ = answer.Body.Close() // nothing was read of it
	return session.EgressCheck{Latency: time.Since(begin)}, nil
}

func problemOf(err error) session.EgressProblem {
	var failure *wayError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return session.EgressTimeout
	case errors.As(err, &failure):
		return failure.problem
	}
	return session.EgressBlocked
}
