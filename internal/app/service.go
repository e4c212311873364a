package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/config"
	"github.com/dannsalud/broadcaster/internal/linker"
	"github.com/dannsalud/broadcaster/internal/ops"
	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/control"
)

// The exit codes of a service.
const (
	exitFine   = 0
	exitFailed = 1
	exitUsage  = 2
)

// Service is the whole main of cmd/api, cmd/linker and cmd/sender: it reads the settings of a role from an environment, runs it until SIGTERM or an
// interrupt, and gives the exit code. With the argument "healthcheck" it asks the running service of the same settings whether it is
// ready, which is what an image without a shell needs.
func Service(role Role, arguments []string, environ map[string]string, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from then on a second signal ends the process
	settings, err := load(role, environ)
	if err == nil && (len(arguments) > 1 || len(arguments) == 1 && arguments[0] != "healthcheck") {
		err = errors.New(`the only argument is "healthcheck"; settings come from the environment, see docs/configuration.md`)
	}
	if err != nil {
		_, _ = fmt.Fprintf(errOut, "%s: %v\n", role, err)
		return exitUsage
	}
	if len(arguments) == 1 {
		err = ops.ProbeReady(ctx, localAddress(settings.options.Listen))
	} else {
		err = settings.run(ctx, errOut)
	}
	if err != nil && !(errors.Is(err, context.Canceled) && ctx.Err() != nil) {
		_, _ = fmt.Fprintf(errOut, "%s: %v\n", role, ops.Redact(err.Error()))
		return exitFailed
	}
	return exitFine
}

// localAddress is where a process reaches itself that listens at an address.
func localAddress(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// service is what the settings of a process come to.
type service struct {
	options Options
	process config.Process
	// simulator is the address of a simulator's control API; empty: there is none.
	simulator string
	warnings  []string
	shown     []slog.Attr
}

func load(role Role, environ map[string]string) (service, error) {
	switch role {
	case RoleAPI:
		c, err := config.LoadAPI(environ)
		loaded := newService(role, c.Process, c.Observe, c.Queue, c.Database)
		loaded.options.Listen, loaded.options.AllowedOrigins, loaded.options.ReplaysPerSecond = c.Listen, c.AllowedOrigins, c.ReplaysPerSecond
		loaded.options.AdminKey, loaded.options.RequestsPerSecond, loaded.options.RequestTimeout = c.AdminKey.Reveal(), c.RequestsPerSecond, c.RequestTimeout
		loaded.options.SeeFirstKey = func(key string) { ShowFirstKey(os.Stdout, key) }
		hours, limits := c.Hours(), c.Limits(campaign.DefaultLimits().MinGap, campaign.DefaultLimits().MaxGap)
		loaded.options.Hours, loaded.options.Limits, loaded.options.TimeZone = &hours, &limits, c.TimeZone
		loaded.options.Region = c.Region
		loaded.options.EgressKey, loaded.options.DefaultProxies = KeySource{Key: c.EgressKey.Reveal()}, c.DefaultProxies()
		loaded.options.Webhooks.AllowPrivate = c.Private()
		loaded.warnings, loaded.shown = c.Warnings(), c.Redacted()
		return loaded, err
	case RoleLinker:
		c, err := config.LoadLinker(environ)
		loaded := newService(role, c.Process, c.Observe, c.Queue, c.Database)
		loaded.connects(c.WhatsApp)
		loaded.options.EgressKey = KeySource{Key: c.EgressKey.Reveal()}
		loaded.options.Listen, loaded.options.Links = c.MetricsListen, timing(c.Links, c.Simulated())
		loaded.warnings, loaded.shown = c.Warnings(), c.Redacted()
		return loaded, err
	case RoleSender:
		c, err := config.LoadSender(environ)
		loaded := newService(role, c.Process, c.Observe, c.Queue, c.Database)
		loaded.connects(c.WhatsApp)
		loaded.options.EgressKey = KeySource{Key: c.EgressKey.Reveal()}
		loaded.options.Listen, loaded.options.Pace, loaded.options.MaxConnections = c.MetricsListen, c.Pace(), c.MaxConnections
		loaded.options.Consent, loaded.options.Webhooks = c.Consent(), Webhooks{AllowPrivate: c.Private(), Timeout: c.WebhookTimeout}
		if !c.Pace().Off() { // without gaps, as only a simulator may be sent to, there are no limits either
			limits := c.Limits(c.MinGap, c.MaxGap)
			loaded.options.Limits = &limits
		}
		loaded.warnings, loaded.shown = c.Warnings(), c.Redacted()
		return loaded, err
	}
	return service{}, fmt.Errorf("there is no service %q", role)
}

// ShowFirstKey tells a person the first key. Where there is no terminal the output may be kept, as that of a container is; the log of the process, which is on
// standard error and goes further, never has it.
func ShowFirstKey(out io.Writer, key string) {
	_, _ = fmt.Fprintf(out, "\nThe first API key, for an administrator. It is shown now and never again; keep it safe:\n\n    %s\n\n", key)
	if file, is := out.(*os.File); !is || !term.IsTerminal(int(file.Fd())) {
		_, _ = fmt.Fprintln(out, "Whatever keeps this output has the key, too. Make another one with it, and revoke this one: broadcaster api-keys --help")
	}
}

func newService(role Role, process config.Process, observe config.Observe, queue config.Queue, database config.Database) service {
	return service{process: process, options: Options{
		Roles: []Role{role}, Name: process.Name(), DrainTime: process.DrainTimeout,
		MaxConcurrentJobs: queue.MaxConcurrentJobs, LeaseTTL: queue.LeaseTTL,
		Admin: observe.Admin(), AdminRemote: observe.AdminRemote,
		Traces: ops.TracingOptions{Endpoint: observe.TraceURL(), Headers: observe.Headers(), Ratio: observe.TraceRatio, Service: "broadcaster-" + string(role)},
		Servers: &Servers{NATS: queue.URL(), Replicas: queue.NATSReplicas, User: queue.NATSUser, Password: queue.NATSPassword.Reveal(),
			Credentials: queue.NATSCredentials, InboxPrefix: queue.InboxPrefix(), Mongo: database.MongoURI.Reveal(), Database: database.MongoDatabase},
	}}
}

// connects sets what a process needs that opens connections to WhatsApp.
func (s *service) connects(whatsapp config.WhatsApp) {
	s.simulator = whatsapp.SimulatorURL
	s.options.KeySource = KeySource{Key: whatsapp.KeystoreKey.Reveal()}
	if !whatsapp.Simulated() {
		s.options.ConnectJitter = ConnectJitter
	}
}

// timing gives the linker's timing. What only the real WhatsApp needs is left out with a simulator.
func timing(links config.Links, simulated bool) linker.Timing {
	steps := linker.Timing{Spacing: links.LinkSpacing, Jitter: links.LinkJitter, FirstQR: links.QRTimeout}
	if links.LinkSpacing == 0 {
		steps.Spacing = -1 // zero would be the linker's default
	}
	if links.LinkJitter == 0 {
		steps.Jitter, steps.InLine = -1, -1
	}
	if simulated {
		steps.Settle = -1
	}
	return steps
}

func (s *service) run(ctx context.Context, errOut io.Writer) error {
	begins, err := ops.ParseLevel(s.process.LogLevel)
	if err != nil {
		return fmt.Errorf("read LOG_LEVEL: %w", err)
	}
	level := new(slog.LevelVar)
	level.Set(begins)
	log := ops.NewLogger(ops.LogOptions{Writer: errOut, Format: ops.Format(s.process.LogFormat), Level: level, Worker: s.options.Name})
	defer ops.FlushLog(log)
	log.LogAttrs(ctx, slog.LevelInfo, "starting", slog.String("version", ops.Version()), slog.Any("settings", slog.GroupValue(s.shown...)))
	for _, warning := range s.warnings {
		log.WarnContext(ctx, "unwise setting", "why", warning)
	}
	s.options.Log, s.options.Level = log, level
	if s.simulator != "" {
		endpoint, err := awaitSimulator(ctx, s.simulator, log)
		if err != nil {
			return err
		}
		s.options.WhatsApp = endpoint
	}
	product, err := New(s.options)
	if err != nil {
		return err
	}
	if err := product.Run(ctx); err != nil {
		return err
	}
	log.InfoContext(ctx, "stopped")
	return nil
}

// simulatorRetry is how often a simulator is looked for.
const simulatorRetry = time.Second

// awaitSimulator asks a simulator where clients connect and which key they trust, and waits for it as for any other server.
func awaitSimulator(ctx context.Context, address string, log *slog.Logger) (Endpoint, error) {
	for {
		info, err := control.NewClient(address, nil).Server(ctx)
		if err == nil && len(info.RootPublicKey) == 32 {
			return Endpoint{HTTPClient: wasim.DialClient(info.Address), Address: info.Address, RootKey: [32]byte(info.RootPublicKey)}, nil
		}
		log.InfoContext(ctx, "waiting", "for", "the simulator at "+address, "error", err)
		timer := time.NewTimer(simulatorRetry)
		select {
		case <-ctx.Done():
			timer.Stop()
			return Endpoint{}, fmt.Errorf("wait for the simulator: %w", ctx.Err())
		case <-timer.C:
		}
	}
}
