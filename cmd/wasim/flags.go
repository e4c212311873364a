package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"

	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/control"
)

// settings are the command line.
type settings struct {
	addresses control.Addresses
	options   wasim.Options
}

// parse reads the command line; what is wrong with it is written to stderr.
func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	var verbose bool
	flags := flag.NewFlagSet("wasim", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.addresses.WhatsApp, "listen", "127.0.0.1:0", "address of the WhatsApp server")
	flags.StringVar(&s.addresses.Control, "control", "127.0.0.1:0", "address of the control API")
	flags.BoolVar(&verbose, "v", false, "log what happens to standard error")
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
	if verbose {
		s.options.Log = slog.New(slog.NewJSONHandler(stderr, nil))
	}
	return s, nil
}
