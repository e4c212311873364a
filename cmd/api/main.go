// Command api is the HTTP service: it answers the web app, writes what must survive, and publishes commands and nothing else. It makes the streams,
// consumers and buckets of the queue, which the other services wait for. Any number of it may run.
//
// Settings come from the environment (docs/configuration.md). It ends on SIGTERM when the requests in hand are answered. `api healthcheck` tells
// whether the service of the same settings is ready. The exit codes are 0, 1 when it failed, and 2 when a setting is wrong. It holds no logic:
// internal/app wires it.
package main

import (
	"io"
	"os"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/config"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(arguments []string, errOut io.Writer) int {
	return app.Service(app.RoleAPI, arguments, config.Environ(), errOut)
}
