// Command e2e proves the deployable system on one machine: it starts nats-server, a MongoDB-wire server, the simulator, the API, a linker and two
// senders as processes of their own, from built binaries, links phones, sends campaigns, and ends senders in the middle: one by SIGKILL, as
// a crash does, and one by SIGTERM, as a deployment does. Then it compares what the simulated contacts have with what was planned.
//
// Where a Prometheus is installed it reads the services meanwhile, with the alert rules that operators get. At the end, things are broken that alerts
// are about until those fire, and every selector of the rules and the dashboards must have had series.
//
// Nouns: process (one started binary, its log and its end), fleet (all of them, and where they listen), story (what happens to them), watcher
// (the Prometheus), alarm (something broken, and the alerts about it), report
// (the numbers; with -json the last line of the standard output).
//
// `make e2e` builds the binaries and runs it. It speaks to the product through its HTTP API and to the simulator through its control API, as
// any other program does; the simulator alone says what was lost, seen twice, or connected twice. It is a program of its own and no test
// of a package, because it needs binaries of three modules. Everything listens on loopback, and it ends only what it started.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// timeLimit ends a story that hangs.
const timeLimit = 10 * time.Minute

func run(arguments []string, out, errOut io.Writer) int {
	given, err := parse(arguments, errOut)
	if err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	report, err := prove(ctx, given, out)
	if err == nil && given.json {
		err = json.NewEncoder(out).Encode(report)
	}
	if err == nil {
		err = report.verdict(given)
	}
	if err != nil {
		fmt.Fprintln(errOut, "e2e:", err)
		return 1
	}
	return 0
}
