// Command wasim runs the WhatsApp simulator as a process of its own, with its HTTP control API, for tests of systems that have several
// processes. It prints one line of JSON with its addresses and its root key when it serves, and stops on an interrupt.
//
// It is for loopback and closed test networks: the control API has no authentication.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/control"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

// The exit codes.
const (
	exitFine   = 0
	exitFailed = 1
	exitUsage  = 2
)

// stopWait is how long requests of the control API may go on after the signal to stop.
const stopWait = 5 * time.Second

// settings are the command line.
type settings struct {
	listen, control string
	verbose         bool
	options         wasim.Options
}

// run is the whole program: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	settings, err := parse(args, stderr)
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			return exitUsage
		}
		return exitFine
	}
	if err := serve(ctx, settings, stdout); err != nil {
		fmt.Fprintln(stderr, "wasim:", err)
		return exitFailed
	}
	return exitFine
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("wasim", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.listen, "listen", "127.0.0.1:0", "address of the WhatsApp server")
	flags.StringVar(&s.control, "control", "127.0.0.1:0", "address of the control API")
	flags.BoolVar(&s.verbose, "v", false, "log what happens to standard error")
	flags.BoolVar(&s.options.Strict, "strict", false, "end connections that send stanzas the simulator does not know")
	flags.BoolVar(&s.options.AutoContacts, "contacts", true, "every valid phone number is on WhatsApp unless declared otherwise")
	flags.BoolVar(&s.options.DropPlaintext, "drop-plaintext", false, "keep counts of messages but not their bodies")
	flags.BoolVar(&s.options.ListOwnDevice, "list-own-device", false, "list the asking device among its account's devices")
	flags.Float64Var(&s.options.Receipts.Delivered, "delivered", 1, "share of messages that contacts confirm as delivered")
	flags.Float64Var(&s.options.Receipts.Read, "read", 1, "share of delivered messages that contacts confirm as read")
	flags.DurationVar(&s.options.Receipts.DeliveredAfter, "delivered-after", 0, "time from arrival to the delivery receipt")
	flags.DurationVar(&s.options.Receipts.ReadAfter, "read-after", 0, "time from the delivery receipt to the read receipt")
	flags.DurationVar(&s.options.Latency, "latency", 0, "time that every stanza takes to a client")
	flags.DurationVar(&s.options.CloseDelay, "close-delay", 0, "time from a stream error to the end of the connection (0: 100ms, -1ns: none)")
	flags.Uint64Var(&s.options.Seed, "seed", 0, "makes keys and chances the same in every run (0: random)")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "wasim: unexpected argument %q\n", flags.Arg(0))
		return s, errors.New("unexpected argument")
	}
	if s.verbose {
		s.options.Log = slog.New(slog.NewJSONHandler(stderr, nil))
	}
	return s, nil
}

// serve runs the simulator and its control API until the context ends.
func serve(ctx context.Context, s settings, stdout io.Writer) error {
	server, err := wasim.New(s.options)
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	var listening net.ListenConfig
	whatsapp, err := listening.Listen(ctx, "tcp", s.listen)
	if err != nil {
		return fmt.Errorf("listen for clients: %w", err)
	}
	defer func() { _ = whatsapp.Close() }()
	api, err := listening.Listen(ctx, "tcp", s.control)
	if err != nil {
		return fmt.Errorf("listen for the control API: %w", err)
	}
	defer func() { _ = api.Close() }()

	info := control.Info{Address: whatsapp.Addr().String(), Control: "http://" + api.Addr().String()}
	key := server.RootPublicKey()
	info.RootPublicKey = key[:]
	if err := json.NewEncoder(stdout).Encode(info); err != nil {
		return fmt.Errorf("print addresses: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(ctx, whatsapp) })
	group.Go(func() error { return serveControl(ctx, api, control.NewHandler(server, info)) })
	return group.Wait()
}

// serveControl serves the control API until the context ends, and lets requests in progress finish.
func serveControl(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: stopWait,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
		defer cancel()
		stopped <- server.Shutdown(last)
	})
	err := server.Serve(listener)
	if stop() || !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the control API: %w", err)
	}
	return <-stopped
}
