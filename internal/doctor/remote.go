package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Answer is what a page answered.
type Answer struct {
	Status int
	// Body is the beginning of it.
	Body string
	// Date is the server's clock, by the header; zero: there is none. At is this machine's, and Took how long the answer took.
	Date, At time.Time
	Took     time.Duration
}

const (
	askTimeout = 5 * time.Second
	maxAnswer  = 1 << 10
)

// Ask asks for a page.
func Ask(ctx context.Context, client *http.Client, address string) (Answer, error) {
	if client == nil {
		own := &http.Transport{Proxy: http.ProxyFromEnvironment}
		defer own.CloseIdleConnections()
		client = &http.Client{Transport: own}
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Answer{}, fmt.Errorf("ask %s: %w", address, err)
	}
	began := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return Answer{}, fmt.Errorf("ask the API: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	answer := Answer{Status: response.StatusCode, At: time.Now(), Took: time.Since(began)}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer of the API: %w", err)
	}
	answer.Body = strings.TrimSpace(string(body))
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		answer.Date = date
	}
	return answer, nil
}

// CertificateEnd tells when the certificate behind an https address expires, whoever signed it; zero for another address.
func CertificateEnd(ctx context.Context, address string) (time.Time, error) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme != "https" {
		return time.Time{}, err
	}
	host := parsed.Host
	if parsed.Port() == "" {
		host = net.JoinHostPort(parsed.Hostname(), "443")
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	dialer := &tls.Dialer{Config: &tls.Config{
		ServerName: parsed.Hostname(), MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, // #nosec G402 -- an expired certificate must be read, too; nothing is sent, and the API is asked by a client that verifies
	}}
	conn, err := dialer.DialContext(ctx, "tcp", host)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the certificate: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if secured, ok := conn.(*tls.Conn); ok && len(secured.ConnectionState().PeerCertificates) > 0 {
		return secured.ConnectionState().PeerCertificates[0].NotAfter, nil
	}
	return time.Time{}, nil
}

// Older tells whether a version such as "2.11.3" is older than one such as "2.12". One that is not understood is not.
func Older(version, least string) bool {
	have, want := numbers(version), numbers(least)
	for i := range want {
		if i >= len(have) || have[i] > want[i] {
			return false
		}
		if have[i] < want[i] {
			return true
		}
	}
	return false
}

func numbers(version string) (parts []int) {
	for part := range strings.SplitSeq(strings.TrimPrefix(version, "v"), ".") {
		number, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		parts = append(parts, number)
	}
	return parts
}
