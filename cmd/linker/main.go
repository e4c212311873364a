// Command linker is the service that pairs phones, one in the whole fleet at a time. Several may run: the others stand by.
//
// Settings come from the environment (docs/configuration.md). On SIGTERM it hands its job back, without counting an attempt, and ends. `linker
// healthcheck` tells whether the service of the same settings is ready. The exit codes are 0, 1 when it failed, and 2 when a setting is
// wrong. It holds no logic: internal/app wires it.
package main

import (
	"io"
	"os"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/config"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(arguments []string, errOut io.Writer) int {
	return app.Service(app.RoleLinker, arguments, config.Environ(), errOut)
}
