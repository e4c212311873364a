package main

import (
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/dannsalud/broadcaster/client"
)

// defaultListen is where `up` listens and where the other commands look for it.
const defaultListen = "127.0.0.1:8080"

// remoteFlags adds the flag that says which process a command speaks to, and gives the client for it.
func remoteFlags(command *cobra.Command) func() (*client.Client, error) {
	address := command.Flags().String("api", "http://"+defaultListen, "address of the API of a running broadcaster")
	return func() (*client.Client, error) { return client.New(*address, nil) }
}

// isTerminal tells whether a command's output is read by a person at a terminal.
func isTerminal(out any) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
