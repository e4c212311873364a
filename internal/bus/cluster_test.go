package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/dannsalud/broadcaster/internal/events"
)

// cluster is three nats-servers that know each other, by their names.
type cluster map[string]*server.Server

// newCluster starts them. The kernel chooses the ports; those of the routes have to be known before the first server starts.
func newCluster(t *testing.T) (nodes cluster, addresses string) {
	t.Helper()
	var routes []*url.URL
	var ports []int
	var listeners []net.Listener
	for range 3 {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		handle(t, err)
		listeners = append(listeners, listener)
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
		routes = append(routes, &url.URL{Scheme: "nats", Host: listener.Addr().String()})
	}
	for _, listener := range listeners {
		handle(t, listener.Close())
	}
	nodes = cluster{}
	var urls []string
	for i, port := range ports {
		name := fmt.Sprint("node", i)
		node, err := server.NewServer(&server.Options{ServerName: name, Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(),
			NoSigs: true, NoLog: true, JetStreamMaxMemory: 64 << 20, Routes: routes,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port}})
		handle(t, err)
		node.Start()
		t.Cleanup(func() { node.Shutdown(); node.WaitForShutdown() })
		nodes[name] = node
	}
	for _, node := range nodes {
		eventually(t, "a server takes connections", func() bool { return node.ReadyForConnections(50 * time.Millisecond) })
		urls = append(urls, node.ClientURL())
	}
	return nodes, strings.Join(urls, ",")
}

// TestTheLeaderOfAClusterIsLostAndNothingElse shuts down the server that leads the commands while they are sent and done.
func TestTheLeaderOfAClusterIsLostAndNothingElse(t *testing.T) {
	t.Parallel()
	const count = 60
	nodes, addresses := newCluster(t)
	bus, err := Connect(t.Context(), Options{URL: addresses, Name: "worker", Replicas: 3, AckWait: 2 * time.Second, LeaseTTL: time.Minute,
		Log: slog.New(slog.DiscardHandler)})
	handle(t, err)
	t.Cleanup(func() { handle(t, bus.Close()) })
	eventually(t, "the topology is there", func() bool { return bus.EnsureTopology(t.Context()) == nil })
	var mu sync.Mutex
	done := map[string]bool{}
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleRunCampaign(func(_ context.Context, command events.RunCampaign) error {
		mu.Lock()
		defer mu.Unlock()
		done[string(command.CampaignID)] = true
		return nil
	}))
	start(t, w)
	leases := openBucket(t, bus, BucketLeases)
	held, err := leases.Create(t.Context(), "ses_1", []byte("holder"))
	handle(t, err)
	persist := func(what string, try func() error) {
		eventually(t, what, func() bool { return try() == nil })
	}
	facts := receipts(count)
	for i := range count {
		if i == count/2 {
			stream, err := bus.js.Stream(t.Context(), events.StreamCommands)
			handle(t, err)
			leader := stream.CachedInfo().Cluster.Leader
			if nodes[leader] == nil {
				t.Fatalf("the leader is %q, which is no server of this cluster", leader)
			}
			go nodes[leader].Shutdown()
		}
		persist("a command is taken", func() error { return bus.SendCommand(t.Context(), campaignJob(fmt.Sprint(i))) })
		persist("a fact is taken", func() error { return bus.PublishFact(t.Context(), facts[i]) })
	}
	eventually(t, "every job is done", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(done) == count
	})
	for i := range count { // a publisher that had no answer tries again; here all of them do
		persist("a command is known", func() error { return bus.SendCommand(t.Context(), campaignJob(fmt.Sprint(i))) })
	}
	for name, want := range map[string]uint64{events.StreamCommands: count, events.StreamEvents: count} {
		eventually(t, "the end of "+name+" can be read", func() bool {
			stream, err := bus.js.Stream(t.Context(), name)
			if err == nil && stream.CachedInfo().State.LastSeq != want {
				t.Fatalf("%s stored %d messages, want %d", name, stream.CachedInfo().State.LastSeq, want)
			}
			return err == nil
		})
	}
	eventually(t, "the lease is still held", func() bool {
		_, err := leases.Create(t.Context(), "ses_1", []byte("thief"))
		if err == nil {
			t.Fatal("the lease was given twice")
		}
		return errors.Is(err, ErrExists)
	})
	renewed, err := leases.Update(t.Context(), "ses_1", []byte("holder"), held)
	handle(t, err)
	if _, err := leases.Update(t.Context(), "ses_1", []byte("late"), held); !errors.Is(err, ErrRevision) || renewed <= held {
		t.Errorf("a late renewal answered %v, want %v", err, ErrRevision)
	}
}
