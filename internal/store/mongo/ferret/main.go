// Ferret is a server that speaks the MongoDB wire protocol on loopback, for tests without Docker: FerretDB with its SQLite backend, in a
// process of its own. It is a module of its own, so that its dependencies never meet the product's.
//
// It prints its URI on a line of the standard output as soon as it listens, and ends on SIGTERM, on an interrupt, or, with -attached, when its
// standard input ends: then it cannot outlive the test that started it, however that test ends.
//
// internal/store/mongo/mongotest builds and starts it. It must never hold data that matters: it does not wait for the disk.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"
)

// drain is how long connections in use are waited for at the end.
const drain = 2 * time.Second

func main() { os.Exit(run()) }

func run() int {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen at, on loopback")
	dir := flag.String("dir", "", "folder of the databases; empty: a temporary one, deleted at the end")
	level := slog.LevelError
	flag.TextVar(&level, "log", level, "least level of what is logged")
	attached := flag.Bool("attached", false, "end when the standard input ends")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if *attached {
		ctx = untilInputEnds(ctx)
	}
	if err := serve(ctx, *listen, *dir, level); err != nil {
		fmt.Fprintln(os.Stderr, "ferret:", err)
		return 1
	}
	return 0
}

// untilInputEnds gives a context that also ends with the standard input.
func untilInputEnds(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	return ctx
}

func serve(ctx context.Context, listen, dir string, level slog.Level) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "ferret-"); err != nil {
			return fmt.Errorf("make a temporary folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: listen},
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
		Handler:   "sqlite",
		SQLiteURL: "file:" + filepath.ToSlash(filepath.Clean(dir)) + "/?_pragma=synchronous(off)",
	})
	if err != nil {
		return fmt.Errorf("make the server: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	fmt.Println(server.MongoDBURI())
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(drain): // a client keeps its connection
		return nil
	}
}
