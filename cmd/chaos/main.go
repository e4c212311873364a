// Command chaos does harm to the deployed system while it runs campaigns, by a schedule that a seed decides, and counts what came of it. Services and
// servers are built binaries, each a process of its own; every service reaches its servers through a proxy of this program.
//
// Nouns: kind (a way to do harm), fault (one entry of a schedule), plan (what a schedule is made from), proxy and ways (a service's TCP ways
// to its servers, which can be cut, slowed down or made to lose every byte), harm (how a fault begins and ends), report (the numbers; with
// -json the last line of the standard output).
//
// What the numbers mean:
//
//   - faults: those that were done; recipients: those who were planned.
//   - lost: recipients whose simulated phone never got its message, and those who got it while the store says anything but that it was sent.
//   - duplicated: how often a person got the same text from the same sender under another message id, and so sees it twice. The same id once
//     more is a resend on the wire (resent_on_wire), of which WhatsApp and the phone keep one.
//   - double_connections: logins of a device that took over from a connection whose client could have used it. A client cannot while its process is
//     frozen, while its way to WhatsApp is impaired, or when the simulator has fallen silent towards it: what it said last is all that the
//     server knows, so that the next owner takes over, as with the real WhatsApp. Once it can again it has a lease's margin, a fifth of
//     the TTL, to close. Whoever sends as a former owner must take over from the present one, which is counted.
//   - failover_p99_s: the 99th percentile, over the sessions of senders that were killed, frozen or cut off from the broker, of the seconds
//     from then until the session was connected from another sender. It must be within two lease TTLs.
//
// Clocks cannot be made to jump: a process has no realtime clock of its own without virtual machines, and Go asks the kernel without the C
// library, where it could be deceived. Leases count by monotonic clocks; internal/lease tests that in virtual time. A disk that is full is a
// limit on the size of the broker's or the database's files (RLIMIT_FSIZE), which needs no root: existing files cannot grow and new ones get
// nothing, but the error is "file too large". When there is room again the server is started anew, as an operator does.
//
// When a run fails, the services write what their goroutines do into their logs, and the folder of the logs is kept and named.
//
// `make chaos` builds the binaries and runs it, `make chaos-long` for longer. It knows the product by its HTTP API alone. It must never end or
// harm a process that it did not start, and everything listens on loopback.
package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/dannsalud/broadcaster/cmd/internal/fleet"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// timeLimit ends a run that hangs: each fault may take this long.
const timeLimit = time.Minute

func run(arguments []string, out, errOut io.Writer) int {
	given, err := parse(arguments, errOut)
	if err != nil {
		return 2
	}
	return fleet.Trial[report]{Name: "chaos", Limit: 5*time.Minute + timeLimit*time.Duration(given.faults), JSON: given.json, Out: out, ErrOut: errOut,
		Prove:   func(ctx context.Context) (report, error) { return prove(ctx, given, out) },
		Verdict: func(result report) error { return result.verdict(given) }}.Run()
}
