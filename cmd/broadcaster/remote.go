package main

import (
	"cmp"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/dannsalud/broadcaster/client"
)

// defaultListen is where `up` listens and where the other commands look for it.
const defaultListen = "127.0.0.1:8080"

// keyVariable is the environment variable of the API key; on a command line others on the machine can read it.
const keyVariable = "BROADCASTER_API_KEY"

// remoteFlags adds the flags that say which process a command speaks to and with which key, and gives the client for it.
func remoteFlags(command *cobra.Command) func() (*client.Client, error) {
	address := command.Flags().String("api", "http://"+defaultListen, "address of the API of a running broadcaster")
	key := command.Flags().String("key", "", "API key; better in "+keyVariable+", since other people on this machine can read a command line")
	return func() (*client.Client, error) { return remoteClient(*address, *key) }
}

// remoteClient makes a client that shows a key, or else that of the environment.
func remoteClient(address, key string) (*client.Client, error) {
	api, err := client.New(address, nil)
	if err != nil {
		return nil, err
	}
	return api.WithKey(cmp.Or(key, os.Getenv(keyVariable))), nil
}

// isTerminal tells whether a command's output is read by a person at a terminal.
func isTerminal(out any) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
