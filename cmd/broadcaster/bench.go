package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/dannsalud/broadcaster/internal/app/bench"
)

func newBench() *cobra.Command {
	options := bench.Options{}
	command := &cobra.Command{
		Use:   "bench",
		Short: "Measure the product beside bare whatsmeow, JetStream, HTTP and SQL",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			options.Out = command.OutOrStdout()
			_, err := bench.Run(command.Context(), options)
			return err
		},
	}
	flags := command.Flags()
	flags.BoolVar(&options.Quick, "quick", false, "take small sizes and few rounds, and end within a minute")
	flags.StringSliceVar(&options.Only, "only", nil, "run these workloads only: "+strings.Join(bench.Names(), ", "))
	flags.BoolVar(&options.JSON, "json", false, "print the numbers as one JSON object on the last line")
	return command
}
