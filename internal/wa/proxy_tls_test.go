package wa

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/wa/proxytest"
)

// TestAnHTTPSProxyIsReachedInsideTLS: the request for the tunnel, with its password, is sent to the holder of the certificate only.
func TestAnHTTPSProxyIsReachedInsideTLS(t *testing.T) {
	t.Parallel()
	target := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(target.Close)
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := proxytest.Serve(t, session.ProxyHTTPS, tls.NewListener(listener, &tls.Config{Certificates: target.TLS.Certificates, MinVersion: tls.VersionTLS12}))
	roots := x509.NewCertPool()
	roots.AddCert(target.Certificate())

	_, err = (&tunnel{proxy: server.Proxy()}).DialContext(t.Context(), "tcp", target.Listener.Addr().String())
	var failure *wayError
	if !errors.As(err, &failure) || failure.problem != session.EgressUntrusted || len(server.Requests()) != 0 {
		t.Errorf("a certificate that nobody trusts: %v, and the proxy was asked for %v", err, server.Requests())
	}

	through := &tunnel{proxy: server.Proxy(), roots: roots}
	transport := &http.Transport{DialContext: through.DialContext, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil || string(body) != "hello" {
		t.Errorf("got %q, %v", body, err)
	}
	if asked := server.Requests(); len(asked) != 1 || asked[0] != target.Listener.Addr().String() {
		t.Errorf("the proxy was asked for %v", asked)
	}
}
