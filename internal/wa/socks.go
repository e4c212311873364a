package wa

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"

	"github.com/dannsalud/broadcaster/internal/session"
)

// The words of SOCKS5 (RFC 1928 §3 to §6) and of its user and password (RFC 1929).
const (
	socksVersion      = 5
	socksConnect      = 1
	socksNoAuth       = 0
	socksPassword     = 2
	socksNoMethod     = 0xff
	socksPasswordForm = 1
	socksIPv4         = 1
	socksName         = 3
	socksIPv6         = 4
	socksSucceeded    = 0
)

// askSOCKS asks a SOCKS5 proxy to connect to an address. A name is sent as it is: the proxy looks it up.
func askSOCKS(conn net.Conn, proxy session.Proxy, address string) error {
	user, password, given := proxy.Credentials()
	methods := []byte{socksVersion, 1, socksNoAuth}
	if given {
		methods = []byte{socksVersion, 2, socksNoAuth, socksPassword}
	}
	chosen, err := exchange(conn, methods, 2)
	switch {
	case err != nil:
		return err
	case chosen[0] != socksVersion:
		return misspoken(errors.New("not SOCKS5"))
	case chosen[1] == socksPassword && given:
		if err := authenticate(conn, user, password); err != nil {
			return err
		}
	case chosen[1] == socksNoMethod || chosen[1] == socksPassword:
		return failed(session.EgressUnauthorized, errors.New("the proxy wants another way to authenticate"))
	case chosen[1] != socksNoAuth:
		return misspoken(errors.New("a method that was not offered"))
	}
	return askAddress(conn, address)
}

// authenticate says user and password (RFC 1929 §2).
func authenticate(conn net.Conn, user, password string) error {
	words := append([]byte{socksPasswordForm, byte(len(user))}, user...)
	words = append(append(words, byte(len(password))), password...)
	answer, err := exchange(conn, words, 2)
	if err != nil {
		return err
	}
	if answer[1] != socksSucceeded {
		return failed(session.EgressUnauthorized, errors.New("user and password were refused"))
	}
	return nil
}

func askAddress(conn net.Conn, address string) error {
	request, err := socksRequest(address)
	if err != nil {
		return failed(session.EgressRefused, err)
	}
	answer, err := exchange(conn, request, 4)
	switch {
	case err != nil:
		return err
	case answer[0] != socksVersion:
		return misspoken(errors.New("not SOCKS5"))
	case answer[1] != socksSucceeded:
		return failed(session.EgressRefused, fmt.Errorf("the proxy answered %d", answer[1]))
	}
	return skipAddress(conn, answer[3])
}

func socksRequest(address string) ([]byte, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("split the address: %w", err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("read the port: %w", err)
	}
	request := []byte{socksVersion, socksConnect, 0}
	switch ip, err := netip.ParseAddr(host); {
	case err == nil && ip.Is4():
		request = append(append(request, socksIPv4), ip.AsSlice()...)
	case err == nil:
		request = append(append(request, socksIPv6), ip.WithZone("").AsSlice()...)
	case len(host) > 255:
		return nil, errors.New("the name is too long for SOCKS5")
	default:
		request = append(append(request, socksName, byte(len(host))), host...)
	}
	return append(request, byte(port>>8), byte(port)), nil
}

// skipAddress reads the address from which the proxy connected; nobody needs it.
func skipAddress(conn net.Conn, kind byte) error {
	length := 0
	switch kind {
	case socksIPv4:
		length = net.IPv4len
	case socksIPv6:
		length = net.IPv6len
	case socksName:
		named, err := exchange(conn, nil, 1)
		if err != nil {
			return err
		}
		length = int(named[0])
	default:
		return misspoken(errors.New("an unknown kind of address"))
	}
	const portLength = 2
	_, err := exchange(conn, nil, length+portLength)
	return err
}

// exchange says something and reads an answer of a known length.
func exchange(conn net.Conn, words []byte, length int) ([]byte, error) {
	if len(words) > 0 {
		if _, err := conn.Write(words); err != nil {
			return nil, failed(session.EgressUnreachable, err)
		}
	}
	answer := make([]byte, length)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, misspoken(err)
	}
	return answer, nil
}
