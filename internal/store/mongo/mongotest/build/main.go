// Command build puts the MongoDB-wire server of the tests where it is told to, building it first when this machine has not done so before:
//
//	go run ./internal/store/mongo/mongotest/build bin/ferret
//
// It is for the end-to-end run, which starts the server itself. It must be used instead of a plain "go build" in internal/store/mongo/ferret,
// which leaves out the changes that package mongotest makes to FerretDB.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/dannsalud/broadcaster/internal/store/mongo/mongotest"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "usage: build PATH")
		return 2
	}
	if err := put(args[0]); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		return 1
	}
	return 0
}

// put replaces the file at once, so that a server that runs from the former one goes on.
func put(path string) (err error) {
	built, err := mongotest.Binary(context.Background())
	if err != nil {
		return err
	}
	from, err := os.Open(built) //nolint:gosec // the program that was built
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o700) //nolint:gosec // a program, where the caller wants it
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path) //nolint:gosec // as above
}
