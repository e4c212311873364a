// Command wasim runs the WhatsApp simulator as a process of its own, with its HTTP control API, for tests of systems that have several
// processes.
//
// When it serves, it prints one line of JSON on standard output: the address for WhatsApp clients, the base URL of the control API and
// the root key that clients must trust (control.Info). It stops on an interrupt or SIGTERM with exit code 0; 1 means that it could not
// serve, 2 that the command line is wrong.
//
// Whoever starts it talks to it through control.Client. It is for loopback and closed test networks and must never be reachable from
// elsewhere: the control API has no authentication.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

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

// run is the whole program: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	settings, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitFine
	}
	if err != nil {
		return exitUsage
	}
	server, err := wasim.New(settings.options)
	if err == nil {
		err = control.Serve(ctx, server, settings.addresses, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "wasim:", err)
		return exitFailed
	}
	return exitFine
}
