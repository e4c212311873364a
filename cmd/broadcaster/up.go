package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/config"
	"github.com/dannsalud/broadcaster/internal/ops"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/wasim"
)

type upFlags struct {
	data, listen           string
	simulate               bool
	simulator, simulatorID string
	pace, logFormat, admin string
}

func newUp() *cobra.Command {
	command := &cobra.Command{
		Use:   "up",
		Short: "Run everything in this process, on an embedded broker and database",
		Args:  cobra.NoArgs,
	}
	given := upFlags{}
	flags := command.Flags()
	flags.StringVar(&given.data, "data", "./data", "folder of everything that must survive")
	flags.StringVar(&given.listen, "listen", defaultListen, "address of the API")
	flags.BoolVar(&given.simulate, "simulate", false, "use a simulated WhatsApp, a process of its own that outlives this one by some minutes; its phones scan every QR by themselves")
	flags.StringVar(&given.simulator, "simulator", "", "use the simulated WhatsApp of another process at this loopback address")
	flags.StringVar(&given.simulatorID, "simulator-key", "", "public root key of that simulator, as hex")
	flags.StringVar(&given.pace, "pace", "human", `gap between two messages of a session: "human", or "off" with a simulator`)
	flags.StringVar(&given.logFormat, "log", "auto", `format of the log: "text", "json", or "auto" (text on a terminal, else JSON)`)
	flags.StringVar(&given.admin, "admin", "127.0.0.1:0", `loopback address of /log/level and /debug/pprof; port 0: a free one, which the log names; "": none`)
	command.MarkFlagsMutuallyExclusive("simulate", "simulator")
	command.MarkFlagsRequiredTogether("simulator", "simulator-key")
	command.RunE = func(command *cobra.Command, _ []string) error {
		return up(command.Context(), given, command.OutOrStdout(), command.ErrOrStderr())
	}
	return command
}

func up(ctx context.Context, given upFlags, out, errOut io.Writer) error {
	level := new(slog.LevelVar)
	log, err := upLog(given.logFormat, level, errOut)
	if err != nil {
		return err
	}
	proxies, err := config.LoadProxies(config.Environ())
	if err != nil {
		return err
	}
	webhooks, deliveries, err := config.LoadWebhooks(config.Environ())
	if err != nil {
		return err
	}
	options := app.Options{DataDir: given.data, KeySource: keySource(), DefaultProxies: proxies, Listen: given.listen, Admin: given.admin, Log: log, Level: level, ConnectJitter: app.ConnectJitter}
	limits, err := config.LoadAccess(config.Environ())
	if err != nil {
		return err
	}
	options.AdminKey, options.RequestsPerSecond, options.RequestTimeout = limits.AdminKey.Reveal(), limits.RequestsPerSecond, limits.RequestTimeout
	options.SeeFirstKey = func(key string) { app.ShowFirstKey(out, key) }
	options.Webhooks = app.Webhooks{AllowPrivate: webhooks.Private(), Timeout: deliveries.WebhookTimeout}
	if given.simulated() {
		options.Links, options.ConnectJitter, options.Hours = app.QuickLinks(), 0, app.AnyHour()
		options.ReplaysPerSecond = 10_000
	}
	if options.Pace, err = given.pacing(); err != nil {
		return err
	}
	switch {
	case given.simulator != "":
		options.WhatsApp, err = remoteSimulator(given.simulator, given.simulatorID)
	case given.simulate:
		options.WhatsApp, options.SeeQR, err = simulated(ctx, given.data, log)
	}
	if err != nil {
		return err
	}
	product, err := app.New(options)
	if err != nil {
		return err
	}
	defer ops.FlushLog(log)
	return runAndAnnounce(ctx, product, out)
}

// runAndAnnounce runs the product, and says where the API is as soon as it answers.
func runAndAnnounce(ctx context.Context, product *app.App, out io.Writer) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return product.Run(ctx) })
	group.Go(func() error {
		select {
		case <-ctx.Done():
		case <-product.Ready():
			_, _ = fmt.Fprintf(out, "Broadcaster is at %s (documentation: %s/docs)\n", product.URL(), product.URL())
		}
		return nil
	})
	return group.Wait()
}

func (f upFlags) simulated() bool { return f.simulate || f.simulator != "" }

// pacing gives the gaps. Sending without them is only for a simulator: a real number would be blocked within minutes.
func (f upFlags) pacing() (pace.Options, error) {
	switch f.pace {
	case "human":
		return pace.Human(), nil
	case "off":
		if !f.simulated() {
			return pace.Options{}, errors.New("--pace off needs --simulate or --simulator: WhatsApp blocks numbers that send without gaps")
		}
		return pace.Options{}, nil
	}
	return pace.Options{}, fmt.Errorf("--pace must be human or off, not %q", f.pace)
}

func remoteSimulator(address, key string) (app.Endpoint, error) {
	root, err := hex.DecodeString(key)
	if err != nil || len(root) != 32 {
		return app.Endpoint{}, errors.New("--simulator-key must be 64 hex digits, as the simulator prints them")
	}
	return app.Endpoint{HTTPClient: wasim.DialClient(address), Address: address, RootKey: [32]byte(root)}, nil
}

func upLog(format string, level *slog.LevelVar, out io.Writer) (*slog.Logger, error) {
	if format != "auto" && format != "text" && format != "json" {
		return nil, fmt.Errorf("--log must be auto, text or json, not %q", format)
	}
	return ops.NewLogger(ops.LogOptions{Writer: out, Format: ops.Format(format), Level: level}), nil
}
