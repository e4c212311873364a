// Command e2e proves the deployable system on one machine: it starts nats-server, a MongoDB-wire server, the simulator, the API, a linker and two
// senders as processes of their own, from built binaries, links phones, sends campaigns, and ends senders in the middle: one by SIGKILL, as
// a crash does, and one by SIGTERM, as a deployment does. Then it compares what the simulated contacts have with what was planned.
//
// Where a Prometheus is installed it reads the services meanwhile, with the alert rules that operators get. At the end, things are broken that alerts
// are about until those fire, and every selector of the rules and the dashboards must have had series.
//
// Nouns: story (what happens to a fleet), watcher (the Prometheus), alarm (something broken, and the alerts about it), report (the numbers;
// with -json the last line of the standard output).
//
// `make e2e` builds the binaries and runs it. It speaks to the product through its HTTP API and to the simulator through its control API, as
// any other program does; the simulator alone says what was lost, seen twice, or connected twice. It is a program of its own and no test
// of a package, because it needs binaries of three modules. Everything listens on loopback, and it ends only what it started.
package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/dannsalud/broadcaster/cmd/internal/fleet"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// timeLimit ends a story that hangs.
const timeLimit = 10 * time.Minute

func run(arguments []string, out, errOut io.Writer) int {
	given, err := parse(arguments, errOut)
	if err != nil {
		return 2
	}
	return fleet.Trial[report]{Name: "e2e", Limit: timeLimit, JSON: given.json, Out: out, ErrOut: errOut,
		Prove:   func(ctx context.Context) (report, error) { return prove(ctx, given, out) },
		Verdict: func(result report) error { return result.verdict(given) }}.Run()
}
