package embedtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Cluster is servers that know each other, by their names. The product's embedded server has no such thing: a cluster is for machines of their own.
type Cluster map[string]*Process

// node is what a server of a cluster has to know.
type node struct {
	Name   string   `json:"name"`
	Port   int      `json:"port"`
	Routes []string `json:"routes"`
}

// StartCluster starts three servers on new folders; they end with the test.
func StartCluster(t testing.TB) Cluster {
	t.Helper()
	const count = 3
	nodes, cluster := make([]node, count), Cluster{}
	var routes []string
	for i, port := range freePorts(t, count) {
		nodes[i] = node{Name: fmt.Sprint("node", i), Port: port}
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	for _, one := range nodes {
		one.Routes = routes
		encoded, err := json.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		cluster[one.Name] = &Process{t: t, dir: t.TempDir(), url: "nats://127.0.0.1:0", node: string(encoded)}
		cluster[one.Name].Restart()
		t.Cleanup(cluster[one.Name].Kill)
	}
	return cluster
}

// URL has the addresses of all servers.
func (c Cluster) URL() string {
	var urls []string
	for _, process := range c {
		urls = append(urls, process.URL())
	}
	return strings.Join(urls, ",")
}

// freePorts asks the kernel for ports: those of the routes have to be known before the first server starts.
func freePorts(t testing.TB, count int) (ports []int) {
	t.Helper()
	for range count {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = listener.Close() }() // only once all are chosen, or they would be the same
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// startTimeout bounds the start of a server.
const startTimeout = 10 * time.Second

// serveNode is a server of a cluster, until its standard input ends.
func serveNode(dir, encoded string) error {
	var self node
	if err := json.Unmarshal([]byte(encoded), &self); err != nil {
		return fmt.Errorf("read what the server is to be: %w", err)
	}
	address, err := url.Parse("nats://" + os.Getenv(listenVariable))
	if err != nil {
		return fmt.Errorf("read where the server is to listen: %w", err)
	}
	port := server.RANDOM_PORT
	if chosen := address.Port(); chosen != "0" {
		if _, err := fmt.Sscan(chosen, &port); err != nil {
			return fmt.Errorf("read where the server is to listen: %w", err)
		}
	}
	running, err := server.NewServer(&server.Options{ServerName: self.Name, Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir,
		NoSigs: true, NoLog: true, JetStreamMaxMemory: 64 << 20, Routes: server.RoutesFromStr(strings.Join(self.Routes, ",")),
		Cluster: server.ClusterOpts{Name: "embedtest", Host: "127.0.0.1", Port: self.Port}})
	if err != nil {
		return fmt.Errorf("make a server of the cluster: %w", err)
	}
	running.Start()
	if !running.ReadyForConnections(startTimeout) {
		return errors.New("a server of the cluster does not take connections")
	}
	fmt.Println(running.ClientURL())
	_, _ = io.Copy(io.Discard, os.Stdin) // It ends when the test does, however that ends.
	running.Shutdown()
	running.WaitForShutdown()
	return nil
}
