package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/ops"
	"github.com/dannsalud/broadcaster/wasim/control"
)

const (
	// startPatience is how long a process may take to be ready, on a machine that builds something else meanwhile.
	startPatience = 90 * time.Second
	pollEvery     = 50 * time.Millisecond
)

// fleet is the deployed system.
type fleet struct {
	dir      string
	binaries string
	// environment is what the services share.
	environment []string
	processes   []*process

	api       *client.Client
	adminKey  string
	simulator *control.Client
	// watcher is nil where there is no Prometheus; metrics has where each service shows its metrics, by its name.
	watcher *watcher
	metrics map[string]string
	// database is the server that was started for this run; nil when it is somebody else's.
	database *process
}

func newFleet(given options) (*fleet, error) {
	binaries, err := filepath.Abs(given.binaries)
	if err != nil {
		return nil, fmt.Errorf("find the binaries: %w", err)
	}
	dir := given.logs
	if dir == "" {
		dir, err = os.MkdirTemp("", "broadcaster-e2e-")
	} else {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("make the folder of the logs: %w", err)
	}
	return &fleet{dir: dir, binaries: binaries, metrics: map[string]string{}}, nil
}

// start starts everything, the services first and what they need last: the order must not matter.
func (f *fleet) start(ctx context.Context) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	broker, api := ports[0], ports[1]
	simulator, err := f.launchSimulator()
	if err != nil {
		return err
	}
	mongo, err := f.mongo()
	if err != nil {
		return err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	f.environment = append(os.Environ(), "ENVIRONMENT=development", "NATS_URL=nats://"+broker, "MONGODB_URI="+mongo, "MONGODB_DATABASE="+databaseName(),
		"KEYSTORE_KEY="+base64.StdEncoding.EncodeToString(key), "WASIM_URL="+simulator.Control, "SEND_GAP_MIN=0s", "SEND_GAP_MAX=0s",
		"LINK_JITTER=0s", "LINK_SPACING=0s", "SEND_HOURS=always", "LOG_LEVEL=info")
	adminKey := app.GenerateAdminKey()
	apiProcess, err := f.service("api", "LISTEN="+api, "ADMIN_KEY="+adminKey)
	if err != nil {
		return err
	}
	for _, name := range []string{"linker", "sender-1", "sender-2"} {
		if _, err := f.service(name); err != nil {
			return err
		}
	}
	if err := f.launchBroker(broker); err != nil {
		return err
	}
	if f.api, err = client.New("http://"+api, nil); err != nil {
		return err
	}
	f.api, f.adminKey = f.api.WithKey(adminKey), adminKey
	return apiProcess.await(ctx, "ready", func(ctx context.Context) error { return ops.ProbeReady(ctx, api) })
}

// service starts a service under a name whose first word is its binary, and tells the watcher of it.
func (f *fleet) service(name string, settings ...string) (*process, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	binary, _, _ := strings.Cut(name, "-")
	environment := append(append([]string{}, f.environment...), "WORKER_NAME="+name, "METRICS_LISTEN="+ports[0])
	started, err := launch(f.dir, name, filepath.Join(f.binaries, binary), nil, append(environment, settings...))
	if err != nil {
		return nil, err
	}
	f.keep(started)
	for _, setting := range settings { // the API shows its metrics where it listens
		if listen, is := strings.CutPrefix(setting, "LISTEN="); is {
			ports[0] = listen
		}
	}
	f.metrics[name] = ports[0]
	if f.watcher != nil {
		err = f.watcher.add(binary, ports[0])
	}
	return started, err
}

func (f *fleet) keep(started *process) *process {
	f.processes = append(f.processes, started.watch())
	return started
}

func (f *fleet) launchBroker(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("read the broker's address: %w", err)
	}
	started, err := launch(f.dir, "nats-server", filepath.Join(f.binaries, "nats-server"),
		[]string{"-js", "-sd", filepath.Join(f.dir, "jetstream"), "-a", host, "-p", port}, os.Environ())
	if err != nil {
		return err
	}
	f.keep(started)
	return nil
}

func (f *fleet) launchSimulator() (control.Info, error) {
	started, err := launch(f.dir, "wasim", filepath.Join(f.binaries, "wasim"), []string{"-strict"}, os.Environ())
	if err != nil {
		return control.Info{}, err
	}
	var info control.Info
	line, err := started.lines.ReadBytes('\n')
	f.keep(started)
	if err == nil {
		err = json.Unmarshal(line, &info)
	}
	if err != nil {
		return info, fmt.Errorf("read where the simulator listens: %w", err)
	}
	f.simulator = control.NewClient(info.Control, nil)
	return info, nil
}

// mongo gives the URI of the database server: that of MONGODB_TEST_URI, or of a server that is started.
func (f *fleet) mongo() (string, error) {
	if uri := os.Getenv("MONGODB_TEST_URI"); uri != "" {
		return uri, nil
	}
	started, err := launch(f.dir, "ferret", filepath.Join(f.binaries, "ferret"), []string{"-attached", "-dir", f.dir}, os.Environ())
	if err != nil {
		return "", err
	}
	line, err := started.lines.ReadString('\n')
	f.database = f.keep(started)
	if err != nil {
		return "", fmt.Errorf("read where the database listens: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// databaseName is that of a database of this run's own.
func databaseName() string {
	return "e2e_" + strings.ReplaceAll(strings.ToLower(rand.Text()), "-", "")[:8]
}

// process finds a running process by its name.
func (f *fleet) process(name string) (*process, error) {
	for _, found := range f.processes {
		if found.name == name {
			return found, nil
		}
	}
	return nil, errors.New("there is no process " + name)
}

// stop ends what is left, the last one first.
func (f *fleet) stop() {
	for i := len(f.processes) - 1; i >= 0; i-- {
		f.processes[i].kill()
	}
}

// freePorts gives loopback addresses with ports that are free now.
func freePorts(count int) ([]string, error) {
	addresses := make([]string, count)
	for i := range addresses {
		listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = listener.Close() }()
		addresses[i] = listener.Addr().String()
	}
	return addresses, nil
}
