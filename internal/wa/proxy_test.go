package wa_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/wa"
	"github.com/dannsalud/broadcaster/internal/wa/proxytest"
	"github.com/dannsalud/broadcaster/wasim"
)

// listening is a world whose simulator listens on loopback, where proxies reach it by a name.
type listening struct {
	*world
	endpoint wa.Endpoint
	// accepted counts the connections that reached the simulator's port.
	accepted *countedListener
}

type countedListener struct {
	net.Listener
	mu    sync.Mutex
	count int
}

func (l *countedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		l.count++
		l.mu.Unlock()
	}
	return conn, err
}

func (l *countedListener) total() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

func listen(t *testing.T) *listening {
	t.Helper()
	w := start(t)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := &countedListener{Listener: inner}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- w.simulator.Serve(ctx, accepted) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	_, port, err := net.SplitHostPort(inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l := &listening{world: w, accepted: accepted, endpoint: wa.Endpoint{HTTPClient: wasim.DialClient(inner.Addr().String()),
		RootKey: w.simulator.RootPublicKey(), Address: net.JoinHostPort("localhost", port)}}
	if w.gateway, err = wa.New(wa.Options{Keys: w.keys, Log: w.logger, Endpoint: l.endpoint}); err != nil {
		t.Fatal(err)
	}
	return l
}

// pairThrough links a phone through a proxy and opens the device through it.
func (l *listening) pairThrough(number int, user string, proxy session.Proxy) (*wa.Client, session.Device) {
	l.t.Helper()
	heard := newEar(l.t)
	pairing, err := l.gateway.Pair(l.t.Context(), session.PairRequest{Session: session.ID("ses_" + user), Epoch: 1, Identity: session.IdentityFor(user),
		Method: session.MethodQR, Proxy: proxy, Accept: func(session.Device) error { return nil }, Signals: heard.hear})
	if err != nil {
		l.t.Fatal(err)
	}
	if err := l.phone(number).ScanQR(l.t.Context(), await[session.QROffered](heard, nil).Codes[0]); err != nil {
		l.t.Fatal(err)
	}
	await[session.Connected](heard, nil)
	device := await[session.Paired](heard, nil).Device
	pairing.Close()
	client, err := l.openThrough(l.t.Context(), user, device, proxy)
	if err != nil {
		l.t.Fatal(err)
	}
	return client, device
}

func (l *listening) openThrough(ctx context.Context, user string, device session.Device, proxy session.Proxy) (*wa.Client, error) {
	l.t.Helper()
	heard := newEar(l.t)
	client, err := l.gateway.Open(ctx, session.OpenRequest{Session: session.ID("ses_" + user), Epoch: 1, Device: device,
		Identity: session.IdentityFor(user), Proxy: proxy, Signals: heard.hear})
	if err != nil {
		return nil, err
	}
	l.t.Cleanup(client.Close)
	await[session.Connected](heard, nil)
	return client, nil
}

// wantNoSecrets looks for user and password in everything that was logged, and in these texts.
func (l *listening) wantNoSecrets(texts ...string) {
	l.t.Helper()
	for _, text := range append(texts, l.log.String()) {
		for _, word := range []string{"hunter2", proxytest.User, "YWxpY2U"} { // the last is how the user begins in base64
			if strings.Contains(text, word) {
				l.t.Errorf("%q is shown in %s", word, text)
			}
		}
	}
}

func TestASessionWithAProxyUsesItAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{session.ProxyHTTP, session.ProxySOCKS5} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			l := listen(t)
			server := proxytest.Start(t, scheme)
			client, _ := l.pairThrough(1, "ana", server.Proxy())
			if _, err := client.Send(t.Context(), session.Outgoing{ID: "3EB0AAAABBBBCCCCDDDDEE", Phone: "+5491140000001", Text: "Hola"}); err != nil {
				t.Fatal(err)
			}
			client.Close()
			asked := server.Requests()
			// The pairing, the restart behind it, and the open connection; the name is for the proxy to look up.
			if len(asked) != 3 || slices.ContainsFunc(asked, func(address string) bool { return address != l.endpoint.Address }) {
				t.Errorf("the proxy was asked for %v, want %s three times", asked, l.endpoint.Address)
			}
			if got := l.accepted.total(); got != len(asked) {
				t.Errorf("%d connections reached the simulator, and %d came through the proxy", got, len(asked))
			}
			l.wantNoSecrets()
		})
	}
}

func TestEachSessionUsesItsOwnProxy(t *testing.T) {
	t.Parallel()
	l := listen(t)
	one, other := proxytest.Start(t, session.ProxyHTTP), proxytest.Start(t, session.ProxySOCKS5)
	first, _ := l.pairThrough(1, "ana", one.Proxy())
	if got := len(other.Requests()); got != 0 {
		t.Errorf("the other proxy was asked %d times", got)
	}
	before := len(one.Requests())
	second, _ := l.pairThrough(2, "bea", other.Proxy())
	if got := len(one.Requests()); got != before {
		t.Errorf("the first proxy was asked %d times more", got-before)
	}
	if got := len(other.Requests()); got != 3 {
		t.Errorf("the second proxy was asked %d times, want 3", got)
	}
	if !first.Connected() || !second.Connected() {
		t.Error("they are not connected both")
	}
}

func TestAProxyThatFailsMeansNoConnection(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{session.ProxyHTTP, session.ProxySOCKS5} {
		for name, spoil := range map[string]func(*proxytest.Server) session.Proxy{
			"dead": func(p *proxytest.Server) session.Proxy { p.Stop(); return p.Proxy() },
			"wrong password": func(p *proxytest.Server) session.Proxy {
				proxy, err := session.ParseProxy(p.Address("hunter2 wrong"))
				if err != nil {
					t.Fatal(err)
				}
				return proxy
			},
			"refuses": func(p *proxytest.Server) session.Proxy { p.Refuse(2); return p.Proxy() },
		} {
			t.Run(scheme+" "+name, func(t *testing.T) {
				t.Parallel()
				l := listen(t)
				server := proxytest.Start(t, scheme)
				client, device := l.pairThrough(1, "ana", server.Proxy())
				client.Close()
				before := l.accepted.total()
				broken := spoil(server)
				_, opened := l.openThrough(t.Context(), "ana", device, broken)
				_, paired := l.gateway.Pair(t.Context(), session.PairRequest{Session: "ses_bea", Epoch: 1, Method: session.MethodQR, Proxy: broken,
					Accept: func(session.Device) error { return nil }, Signals: newEar(t).hear})
				for _, err := range []error{opened, paired} {
					if fault.Of(err) != fault.RetryLater || fault.As(err).Code != "egress_unreachable" || fault.As(err).After == 0 {
						t.Errorf("got %v", err)
					}
					l.wantNoSecrets(fmt.Sprintf("%v %+v", err, err))
				}
				if got := l.accepted.total(); got != before {
					t.Errorf("%d connections reached the simulator all the same", got-before)
				}
				if wrong := name == "wrong password"; wrong != (server.Refusals() == 2) {
					t.Errorf("the proxy refused %d times", server.Refusals())
				}
			})
		}
	}
}

func TestASimulatorWithoutAnAddressCannotBeReachedThroughAProxy(t *testing.T) {
	t.Parallel()
	w := start(t)
	server := proxytest.Start(t, session.ProxyHTTP)
	_, err := w.gateway.Pair(t.Context(), session.PairRequest{Session: "ses_ana", Epoch: 1, Method: session.MethodQR, Proxy: server.Proxy(),
		Accept: func(session.Device) error { return nil }, Signals: newEar(t).hear})
	if fault.As(err).Code != "egress_unsupported" || len(server.Requests()) != 0 {
		t.Errorf("got %v, and the proxy was asked for %v", err, server.Requests())
	}
}

// TestAProxyThatDiesIsNotGoneAround: what was connected reconnects through the proxy or not at all.
func TestAProxyThatDiesIsNotGoneAround(t *testing.T) {
	t.Parallel()
	l := listen(t)
	server := proxytest.Start(t, session.ProxySOCKS5)
	proxy := server.Proxy()
	heard := newEar(t)
	first, device := l.pairThrough(1, "ana", proxy)
	first.Close()
	client, err := l.gateway.Open(t.Context(), session.OpenRequest{Session: "ses_ana", Epoch: 1, Device: device, Proxy: proxy, Signals: heard.hear})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	await[session.Connected](heard, nil)
	before, through := l.accepted.total(), len(server.Requests())
	server.Break()
	await[session.Disconnected](heard, nil)
	if got := l.accepted.total(); got != before || client.Connected() {
		t.Errorf("%d connections went around the proxy", got-before)
	}
	server.Mend()
	await(heard, func(session.Connected) bool { return client.Connected() })
	if got, want := l.accepted.total()-before, len(server.Requests())-through; got != want || got == 0 {
		t.Errorf("%d connections came back, %d of them through the proxy", got, want)
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	l := listen(t)
	parse := func(text string) session.Proxy {
		proxy, err := session.ParseProxy(text)
		if err != nil {
			t.Fatal(err)
		}
		return proxy
	}
	silent, stranger := startStranger(t, ""), startStranger(t, "SSH-2.0-hunter2\r\n")
	for _, scheme := range []string{session.ProxyHTTP, session.ProxySOCKS5} {
		works, refuses, dead := proxytest.Start(t, scheme), proxytest.Start(t, scheme), proxytest.Start(t, scheme)
		refuses.Refuse(3)
		dead.Stop()
		for _, row := range []struct {
			name  string
			proxy session.Proxy
			want  session.EgressProblem
		}{
			{"works", works.Proxy(), ""},
			{"wrong password", parse(works.Address("wrong")), session.EgressUnauthorized},
			{"refuses", refuses.Proxy(), session.EgressRefused},
			{"dead", dead.Proxy(), session.EgressUnreachable},
			{"no proxy", parse(scheme + "://" + stranger), session.EgressMisspoken},
			{"silent", parse(scheme + "://" + silent), session.EgressTimeout},
		} {
			t.Run(scheme+" "+row.name, func(t *testing.T) {
				limit := 20 * time.Second
				if row.want == session.EgressTimeout {
					limit = 50 * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				found, err := wa.Check(ctx, l.endpoint, row.proxy)
				if err != nil || found.Problem != row.want || found.Latency <= 0 {
					t.Errorf("found %+v (%v), want %q", found, err, row.want)
				}
			})
		}
		if len(works.Requests()) != 1 {
			t.Errorf("the proxy was asked for %v", works.Requests())
		}
	}
	direct, err := wa.Check(t.Context(), l.endpoint, session.Proxy{})
	if err != nil || !direct.Reachable() {
		t.Errorf("straight: %+v, %v", direct, err)
	}
}

// startStranger listens, and says one thing or nothing to whoever comes.
func startStranger(t *testing.T, greeting string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				_, _ = conn.Write([]byte(greeting))
				_, _ = io.Copy(io.Discard, conn) // until the caller leaves
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return listener.Addr().String()
}
