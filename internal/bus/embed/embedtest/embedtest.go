// Package embedtest runs a nats-server as a process of its own that a test can kill with SIGKILL and start again on its files and its address, as a machine
// that fails and comes back.
//
// Nouns: Process (the server's process), Cluster (three of them that keep each other's copies). The process is the test's own binary, started again: a package that uses this calls Serve first thing in its
// TestMain, and leaves if it served. Callers: the tests of internal/bus and internal/app. It must never be imported by the product.
package embedtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/internal/bus/embed"
)

// The environment of a process that is to be the server.
const (
	dirVariable    = "EMBEDTEST_DIR"
	listenVariable = "EMBEDTEST_LISTEN"
	nodeVariable   = "EMBEDTEST_NODE"
)

// Serve is the server, if this process was started as one, until its standard input ends; else it returns at once.
func Serve() (served bool, err error) {
	dir := os.Getenv(dirVariable)
	if dir == "" {
		return false, nil
	}
	if node := os.Getenv(nodeVariable); node != "" {
		return true, serveNode(dir, node)
	}
	server, err := embed.Start(embed.Options{Dir: dir, Listen: os.Getenv(listenVariable)})
	if err != nil {
		return true, err
	}
	fmt.Println(server.ClientURL())
	_, _ = io.Copy(io.Discard, os.Stdin) // It ends when the test does, however that ends.
	return true, server.Stop()
}

// Process is a nats-server in a process of its own.
type Process struct {
	t       testing.TB
	dir     string
	url     string
	node    string
	command *exec.Cmd
	stdin   io.Closer
}

// Start starts a server on a new folder; it ends with the test.
func Start(t testing.TB) *Process {
	t.Helper()
	p := &Process{t: t, dir: t.TempDir(), url: "nats://127.0.0.1:0"}
	p.Restart()
	t.Cleanup(p.Kill)
	return p
}

// URL is the server's address, the same after a restart.
func (p *Process) URL() string { return p.url }

// Restart starts the server again after Kill, on the same files and the same address.
func (p *Process) Restart() {
	p.t.Helper()
	binary, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	// The test ends it, by Kill: after the end of the test's context, too.
	p.command = exec.CommandContext(context.WithoutCancel(p.t.Context()), binary) // #nosec G204 -- this test itself
	p.command.Env = append(os.Environ(), dirVariable+"="+p.dir, listenVariable+"="+strings.TrimPrefix(p.url, "nats://"), nodeVariable+"="+p.node)
	p.command.Stderr = os.Stderr
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	output, err := p.command.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		p.t.Fatalf("the nats-server did not say where it listens: %v", err)
	}
	p.url = strings.TrimSpace(line)
}

// Kill ends the server with SIGKILL: it can write nothing and say nothing more.
func (p *Process) Kill() {
	p.t.Helper()
	if p.command == nil {
		return
	}
	if err := p.command.Process.Kill(); err != nil {
		p.t.Error(err)
	}
	_ = p.command.Wait() // It says that the process was killed.
	_ = p.stdin.Close()
	p.command = nil
}
