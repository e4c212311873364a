package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/dannsalud/broadcaster/cmd/internal/fleet"
	"github.com/dannsalud/broadcaster/wasim/control"
)

// ways are those of one service to its servers. database is nil where the database is somebody else's.
type ways struct{ broker, database, whatsapp *proxy }

// network has every service's ways. A service keeps its ways when it is started again.
type network struct {
	// directory tells services where WhatsApp is: each at its own way.
	directory *http.Server
	address   string

	mu    sync.Mutex
	ways  map[string]*ways
	infos map[string]control.Info
	// impaired has, for each service, when it could say nothing to WhatsApp.
	impaired map[string][]span
}

// span is a time; a zero end: it lasts.
type span struct{ from, to time.Time }

func newNetwork(ctx context.Context) (*network, error) {
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for those who look for the simulator: %w", err)
	}
	n := &network{address: "http://" + listener.Addr().String(), ways: map[string]*ways{}, infos: map[string]control.Info{}, impaired: map[string][]span{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{service}/v1/server", n.tell)
	n.directory = &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { _ = n.directory.Serve(listener) }() // it says that it was closed
	return n, nil
}

// tell answers as the simulator's control API does, with the way of the service that asks.
func (n *network) tell(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	info := n.infos[r.PathValue("service")]
	n.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(info) // the service asks again
}

// lay makes the ways of a service, or finds them.
func (n *network) lay(service string, servers fleet.Servers) (fleet.Servers, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ctx := context.Background() // the proxies end with close
	found := n.ways[service]
	if found == nil {
		info, err := control.NewClient(servers.Simulator, nil).Server(ctx)
		if err != nil {
			return servers, err
		}
		found = &ways{}
		if found.whatsapp, err = newProxy(ctx, info.Address); err != nil {
			return servers, err
		}
		if found.broker, err = newProxy(ctx, servers.Broker); err != nil {
			return servers, err
		}
		if !strings.Contains(servers.Database, "://") {
			if found.database, err = newProxy(ctx, servers.Database); err != nil {
				return servers, err
			}
		}
		info.Address = found.whatsapp.address()
		n.ways[service], n.infos[service] = found, info
	}
	servers.Broker, servers.Simulator = found.broker.address(), n.address+"/"+service
	if found.database != nil {
		servers.Database = found.database.address()
	}
	return servers, nil
}

func (n *network) of(service string) *ways {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ways[service]
}

// beginMute and endMute note that a service can say nothing to WhatsApp.
func (n *network) beginMute(service string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.impaired[service] = append(n.impaired[service], span{from: time.Now()})
}

func (n *network) endMute(service string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	spans := n.impaired[service]
	spans[len(spans)-1].to = time.Now()
}

// carrier names the service that a connection to WhatsApp belongs to.
func (n *network) carrier(address string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for service, found := range n.ways {
		if found.whatsapp.carried(address) {
			return service
		}
	}
	return ""
}

// mute tells whether a service could say nothing to WhatsApp at a moment, or had not had the grace to close its connections since.
func (n *network) mute(service string, at time.Time, grace time.Duration) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range n.impaired[service] {
		if !at.Before(one.from) && (one.to.IsZero() || at.Before(one.to.Add(grace))) {
			return true
		}
	}
	return false
}

// close ends every way.
func (n *network) close() {
	_ = n.directory.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, found := range n.ways {
		for _, way := range []*proxy{found.broker, found.database, found.whatsapp} {
			if way != nil {
				way.close()
			}
		}
	}
}
