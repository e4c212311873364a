package fleet

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
	"syscall"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/ops"
	"github.com/dannsalud/broadcaster/wasim/control"
)

// Options configure a Fleet.
type Options struct {
	// Name begins the names of the temporary folder and of the database.
	Name string
	// Logs is the folder of everything that the processes write; empty: a temporary one.
	Logs string
	// Binaries is the folder of the built programs; Program, if it is set, gives a program by its name in their place.
	Binaries string
	Program  func(name string) Program
	// AdminKey is the API's first key.
	AdminKey string
	// Senders is how many there are.
	Senders int
	// Settings are added to the environment of all services.
	Settings []string
	// Ways gives the addresses by which a service reaches its servers, if not by their own.
	Ways func(service string, servers Servers) (Servers, error)
	// Started is told of every service that was started: its binary, and where its metrics are.
	Started func(binary, metrics string) error
}

// Servers are where the servers listen: the host and port of the broker and the database, and the base URL of the simulator's control API.
type Servers struct{ Broker, Database, Simulator string }

// Fleet is the deployed system. Make it with New.
type Fleet struct {
	// Dir is the folder of the logs and the stores.
	Dir string
	// API and Simulator are how to speak to them.
	API       *client.Client
	Simulator *control.Client
	// Metrics has where each service shows its metrics, by its name.
	Metrics map[string]string
	// Database is the server that was started for this run; nil when it is somebody else's.
	Database *Process

	options   Options
	servers   Servers
	api       string
	processes []*Process
	// environment is what the services share.
	environment []string
}

// New makes the folder of a fleet, and starts nothing.
func New(options Options) (*Fleet, error) {
	binaries, err := filepath.Abs(options.Binaries)
	if err != nil {
		return nil, fmt.Errorf("find the binaries: %w", err)
	}
	options.Binaries = binaries
	dir := options.Logs
	if dir == "" {
		dir, err = os.MkdirTemp("", "broadcaster-"+options.Name+"-")
	} else if err = os.MkdirAll(dir, 0o700); err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("make the folder of the logs: %w", err)
	}
	return &Fleet{Dir: dir, options: options, Metrics: map[string]string{}}, nil
}

// Start starts everything, the services first and what they need last: the order must not matter.
func (f *Fleet) Start(ctx context.Context) error {
	ports, err := FreePorts(2)
	if err != nil {
		return err
	}
	f.servers.Broker, f.api = ports[0], ports[1]
	if err := f.launchSimulator(); err != nil {
		return err
	}
	if err := f.launchDatabase(); err != nil {
		return err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	f.environment = append(os.Environ(), "ENVIRONMENT=development", "MONGODB_DATABASE="+databaseName(f.options.Name),
		"KEYSTORE_KEY="+base64.StdEncoding.EncodeToString(key), "SEND_GAP_MIN=0s", "SEND_GAP_MAX=0s",
		"LINK_JITTER=0s", "LINK_SPACING=0s", "SEND_HOURS=always", "LOG_LEVEL=info")
	f.environment = append(f.environment, f.options.Settings...)
	names := []string{"api", "linker"}
	for number := range f.options.Senders {
		names = append(names, fmt.Sprint("sender-", number+1))
	}
	for _, name := range names {
		if err := f.Service(name); err != nil {
			return err
		}
	}
	if err := f.StartBroker(); err != nil {
		return err
	}
	if f.API, err = client.New("http://"+f.api, nil); err != nil {
		return err
	}
	f.API = f.API.WithKey(f.options.AdminKey)
	return f.AwaitReady(ctx, "api")
}

// AwaitReady waits until a service says that it is ready.
func (f *Fleet) AwaitReady(ctx context.Context, name string) error {
	service, err := f.Process(name)
	if err != nil {
		return err
	}
	return service.Await(ctx, "ready", func(ctx context.Context) error { return ops.ProbeReady(ctx, f.Metrics[name]) })
}

// Service starts a service under a name whose first word is its binary; again, when one of that name has ended.
func (f *Fleet) Service(name string) error {
	servers := f.servers
	if f.options.Ways != nil {
		var err error
		if servers, err = f.options.Ways(name, servers); err != nil {
			return fmt.Errorf("make the ways of %s: %w", name, err)
		}
	}
	ports, err := FreePorts(1)
	if err != nil {
		return err
	}
	binary, _, _ := strings.Cut(name, "-")
	settings := []string{"NATS_URL=nats://" + servers.Broker, "MONGODB_URI=" + mongoURI(servers.Database), "WASIM_URL=" + servers.Simulator,
		"WORKER_NAME=" + name, "METRICS_LISTEN=" + ports[0]}
	f.Metrics[name] = ports[0]
	if name == "api" { // it shows its metrics where it listens
		settings = append(settings, "LISTEN="+f.api, "ADMIN_KEY="+f.options.AdminKey)
		f.Metrics[name] = f.api
	}
	if _, err := f.Launch(name, f.program(binary, nil, append(append([]string{}, f.environment...), settings...))); err != nil {
		return err
	}
	if f.options.Started != nil {
		return f.options.Started(binary, f.Metrics[name])
	}
	return nil
}

// mongoURI is a URI by itself, or that of a server at an address.
func mongoURI(database string) string {
	if strings.Contains(database, "://") {
		return database
	}
	return "mongodb://" + database + "/?directConnection=true"
}

// program gives a program by its name.
func (f *Fleet) program(name string, arguments, environment []string) Program {
	program := Program{Binary: filepath.Join(f.options.Binaries, name)}
	if f.options.Program != nil {
		program = f.options.Program(name)
	}
	program.Arguments = append(program.Arguments, arguments...)
	program.Environment = append(program.Environment, environment...)
	return program
}

// Launch starts a program of any kind under a name, and ends it with the others.
func (f *Fleet) Launch(name string, program Program) (*Process, error) {
	started, err := launch(f.Dir, name, program)
	if err != nil {
		return nil, err
	}
	return f.keep(started), nil
}

func (f *Fleet) keep(started *Process) *Process {
	f.processes = append(f.processes, started.watch())
	return started
}

// StartBroker starts the broker; again at its address and on its store, when it has ended.
func (f *Fleet) StartBroker() error {
	host, port, err := net.SplitHostPort(f.servers.Broker)
	if err != nil {
		return fmt.Errorf("read the broker's address: %w", err)
	}
	_, err = f.Launch("nats-server", f.program("nats-server", []string{"-js", "-sd", filepath.Join(f.Dir, "jetstream"), "-a", host, "-p", port}, os.Environ()))
	return err
}

// StartDatabase starts the database again, at its address and on its store.
func (f *Fleet) StartDatabase() error {
	if f.Database == nil || !f.Database.Ended() {
		return errors.New("the database is not one that was started and has ended")
	}
	return f.launchOwnDatabase(f.servers.Database)
}

func (f *Fleet) launchSimulator() error {
	started, err := launch(f.Dir, "wasim", f.program("wasim", []string{"-strict"}, os.Environ()))
	if err != nil {
		return err
	}
	var info control.Info
	line, err := started.lines.ReadBytes('\n')
	f.keep(started)
	if err == nil {
		err = json.Unmarshal(line, &info)
	}
	if err != nil {
		return fmt.Errorf("read where the simulator listens: %w", err)
	}
	f.servers.Simulator = info.Control
	f.Simulator = control.NewClient(info.Control, nil)
	return nil
}

// launchDatabase finds the database server: that of MONGODB_TEST_URI, or one that is started.
func (f *Fleet) launchDatabase() error {
	if uri := os.Getenv("MONGODB_TEST_URI"); uri != "" {
		f.servers.Database = uri
		return nil
	}
	return f.launchOwnDatabase("127.0.0.1:0")
}

func (f *Fleet) launchOwnDatabase(address string) error {
	store := filepath.Join(f.Dir, "ferret")
	if err := os.MkdirAll(store, 0o700); err != nil {
		return fmt.Errorf("make the folder of the database: %w", err)
	}
	started, err := launch(f.Dir, "ferret", f.program("ferret", []string{"-attached", "-dir", store, "-listen", address}, os.Environ()))
	if err != nil {
		return err
	}
	line, err := started.lines.ReadString('\n')
	f.Database = f.keep(started)
	if err != nil {
		return fmt.Errorf("read where the database listens: %w", err)
	}
	f.servers.Database = strings.Trim(strings.TrimPrefix(strings.TrimSpace(line), "mongodb://"), "/")
	return nil
}

// databaseName is that of a database of this run's own.
func databaseName(run string) string {
	return run + "_" + strings.ReplaceAll(strings.ToLower(rand.Text()), "-", "")[:8]
}

// Process finds the last process that was started under a name.
func (f *Fleet) Process(name string) (*Process, error) {
	for i := len(f.processes) - 1; i >= 0; i-- {
		if f.processes[i].Name == name {
			return f.processes[i], nil
		}
	}
	return nil, errors.New("there is no process " + name)
}

// dumpPatience is how long a process may take to write down what its goroutines do.
const dumpPatience = 5 * time.Second

// Dump lets the services write what each of their goroutines does into their logs, and end: for a run that went wrong.
func (f *Fleet) Dump(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dumpPatience)
	defer cancel()
	for name := range f.Metrics {
		if found, err := f.Process(name); err == nil {
			_ = found.command.Process.Signal(syscall.SIGQUIT) // it may have ended already
			select {
			case <-found.ended:
			case <-ctx.Done():
			}
		}
	}
}

// Stop ends what is left, the last one first.
func (f *Fleet) Stop() {
	for i := len(f.processes) - 1; i >= 0; i-- {
		f.processes[i].Kill()
	}
}

// FreePorts gives loopback addresses with ports that are free now.
func FreePorts(count int) ([]string, error) {
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

// stepPatience is how long one step of a story may take.
const stepPatience = 3 * time.Minute

var errPatience = errors.New("it took too long")

// Await asks until the answer is yes.
func Await(ctx context.Context, what string, reached func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stepPatience, errPatience)
	defer cancel()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		done, err := reached(ctx)
		if done && err == nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
