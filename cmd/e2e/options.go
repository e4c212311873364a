package main

import (
	"flag"
	"io"
)

// options are the command line.
type options struct {
	binaries   string
	logs       string
	sessions   int
	recipients int
	json       bool
	// deployments is the folder of the rules and of what they and the dashboards select.
	deployments string
	// prometheus is a binary; empty: one that is installed.
	prometheus string
	alerts     bool
}

// parse reads the command line; what is wrong with it is written to errOut.
func parse(arguments []string, errOut io.Writer) (options, error) {
	given := options{}
	flags := flag.NewFlagSet("e2e", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&given.binaries, "bin", "bin", "folder of the built binaries")
	flags.StringVar(&given.logs, "logs", "", "folder that keeps the processes' logs; empty: they are deleted when all went well")
	flags.IntVar(&given.sessions, "sessions", 3, "phones to link, one campaign each")
	flags.IntVar(&given.recipients, "recipients", 500, "recipients of each campaign")
	flags.BoolVar(&given.json, "json", false, "print the numbers as one JSON object on the last line")
	flags.StringVar(&given.deployments, "deployments", "deployments", "folder of prometheus/rules.yml and prometheus/series.txt")
	flags.StringVar(&given.prometheus, "prometheus", "", "the Prometheus that reads the services' metrics; empty: an installed one, if there is one")
	flags.BoolVar(&given.alerts, "alerts", true, "with a Prometheus: cause what some alerts are about after the story, and wait until they fire")
	return given, flags.Parse(arguments)
}
