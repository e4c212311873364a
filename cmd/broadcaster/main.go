// Command broadcaster is the whole product in one process (up), its main job on simulated phones (demo), and the operator's command line
// (link, send, sessions, campaigns, jobs, webhooks, events), which speaks to a running process through its HTTP API like any other program, and keys, api-keys and doctor, which
// work on the data folder or the servers.
//
// One file per command holds its flags and what it prints; what the commands do is in internal/app and client. People and scripts call it:
// what is read by machines goes to standard output, the log to standard error, and the exit code tells success. It must hold no rule of the
// product: a command that needs one asks the API.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// interrupted is the exit code that a shell reports for a program ended by an interrupt.
const interrupted = 130

// run is the whole program: it gives the exit code. The first signal asks for a clean stop, the second one ends the process hard.
func run(arguments []string, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from then on a signal has its default effect
	root := newRoot(out, errOut)
	root.SetArgs(arguments)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return interrupted
	}
	_, _ = fmt.Fprintln(errOut, "broadcaster:", err)
	return 1
}

func newRoot(out, errOut io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "broadcaster",
		Short:         "Link WhatsApp accounts and send campaigns from them",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(out)
	root.SetErr(errOut)
	root.AddCommand(newUp(), newDemo(), newBench(), newLink(), newSend(), newSessions(), newCampaigns(), newJobs(), newWebhooks(), newEvents(), newKeys(), newAPIKeys(), newDoctor(), newSimulator())
	return root
}
