// Command sender is the service that keeps linked sessions connected and runs campaigns. Several may run: each session has one owner at a
// time, and campaigns and sessions spread over them.
//
// Settings come from the environment (docs/configuration.md). On SIGTERM it finishes the message in hand, gives its sessions to the other
// senders and its jobs back, without counting an attempt, and ends. `sender healthcheck` tells whether the service of the same settings is
// ready. The exit codes are 0, 1 when it failed, and 2 when a setting is wrong. It holds no logic: internal/app wires it.
package main

import (
	"io"
	"os"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/config"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(arguments []string, errOut io.Writer) int {
	return app.Service(app.RoleSender, arguments, config.Environ(), errOut)
}
