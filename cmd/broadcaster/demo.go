package main

import (
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/dannsalud/broadcaster/internal/app/demo"
	"github.com/dannsalud/broadcaster/internal/ops"
)

func newDemo() *cobra.Command {
	command := &cobra.Command{
		Use:   "demo",
		Short: "Run the main job on simulated phones: link, send, count",
		Args:  cobra.NoArgs,
	}
	options := demo.Options{}
	flags := command.Flags()
	flags.IntVar(&options.Sessions, "sessions", 2, "phones to link, 1 to 6")
	flags.IntVar(&options.Recipients, "recipients", 0, "size of a generated audience, split over the sessions; 0: every session sends to examples/contacts.csv")
	flags.BoolVar(&options.Pace, "pace", false, "send at a human-like pace")
	flags.BoolVar(&options.Keep, "keep", false, "leave it running and print the URL")
	flags.BoolVar(&options.JSON, "json", false, "print the numbers as one JSON object on the last line")
	verbose := flags.Bool("verbose", false, "write the product's own log to standard error")
	command.RunE = func(command *cobra.Command, _ []string) error {
		options.Out = command.OutOrStdout()
		options.Terminal = isTerminal(options.Out)
		options.Log = demoLog(command.ErrOrStderr(), *verbose)
		_, err := demo.Run(command.Context(), options)
		return err
	}
	return command
}

// demoLog shows only what went wrong, unless all of it is asked for.
func demoLog(out io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelError
	if verbose {
		level = slog.LevelInfo
	}
	return ops.NewLogger(ops.LogOptions{Writer: out, Format: ops.FormatText, Level: level})
}
