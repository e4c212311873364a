package main

import (
	"errors"
	"flag"
	"io"
	"time"

	"github.com/dannsalud/broadcaster/cmd/internal/fleet"
)

// options are the command line, and what a test sets besides.
type options struct {
	binaries   string
	logs       string
	seed       uint64
	faults     int
	senders    int
	sessions   int
	recipients int
	ttl        time.Duration
	latency    time.Duration
	json       bool

	kinds   []kind
	program func(name string) fleet.Program
	// slow says that the machine may be too busy for the limit of failover, which is measured all the same.
	slow bool
}

// parse reads the command line; what is wrong with it is written to errOut.
func parse(arguments []string, errOut io.Writer) (options, error) {
	given := options{kinds: everyKind[:]}
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&given.binaries, "bin", "bin", "folder of the built binaries")
	flags.StringVar(&given.logs, "logs", "", "folder that keeps what the processes write; empty: it is deleted when all went well")
	flags.Uint64Var(&given.seed, "seed", 1, "decides the schedule")
	flags.IntVar(&given.faults, "faults", 12, "how many faults; every kind comes once before one comes twice")
	flags.IntVar(&given.senders, "senders", 3, "senders")
	flags.IntVar(&given.sessions, "sessions", 4, "phones to link, one campaign each")
	flags.IntVar(&given.recipients, "recipients", 200, "recipients of each campaign")
	flags.DurationVar(&given.ttl, "ttl", 3*time.Second, "how long a lease outlives its last renewal")
	flags.DurationVar(&given.latency, "latency", 40*time.Millisecond, "time of every stanza from WhatsApp, so that the campaigns outlast the faults")
	flags.BoolVar(&given.json, "json", false, "print the numbers as one JSON object on the last line")
	err := flags.Parse(arguments)
	if err == nil && (given.faults < 0 || given.senders < 2 || given.sessions < 1 || given.recipients < 1) {
		err = errors.New("chaos needs two senders, and at least one session with one recipient")
		_, _ = io.WriteString(errOut, err.Error()+"\n")
	}
	return given, err
}
