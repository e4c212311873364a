package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// process is one started binary. Its standard error is its log.
type process struct {
	name    string
	command *exec.Cmd
	// lines is the standard output.
	lines *bufio.Reader
	ended chan struct{}
	// err is how it ended, once ended is closed.
	err error
}

// launch starts a binary. Every process gets a pipe as its standard input that nobody writes to: its end tells one that asks for it
// (the MongoDB-wire server) that its starter is gone.
func launch(logs, name, binary string, arguments, environment []string) (*process, error) {
	command := exec.Command(binary, arguments...) //nolint:gosec,noctx // our own binaries; a story ends them by signals
	command.Env = environment
	log, err := os.Create(filepath.Join(logs, name+".log")) //nolint:gosec // both names are ours
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", name, err)
	}
	defer func() { _ = log.Close() }()
	command.Stderr = log
	output, err := command.StdoutPipe()
	if err == nil {
		_, err = command.StdinPipe()
	}
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	started := &process{name: name, command: command, lines: bufio.NewReader(output), ended: make(chan struct{})}
	return started, nil
}

// watch waits for the end in the background; what the process prints from now on is dropped. It is called once, before the others below.
func (p *process) watch() *process {
	go func() {
		defer close(p.ended)
		_, _ = io.Copy(io.Discard, p.lines)
		p.err = p.command.Wait()
	}()
	return p
}

// kill ends the process as a crash does, and waits for its end.
func (p *process) kill() {
	_ = p.command.Process.Kill() // it may have ended already
	<-p.ended
}

// terminate asks the process to end, and gives how long that took; an error when it took longer than it may or ended badly.
func (p *process) terminate(ctx context.Context, longest time.Duration) (time.Duration, error) {
	began := time.Now()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, fmt.Errorf("end %s: %w", p.name, err)
	}
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-p.ended:
		if p.err != nil {
			return 0, fmt.Errorf("%s ended badly: %w", p.name, p.err)
		}
		return time.Since(began), nil
	case <-timer.C:
		return 0, fmt.Errorf("%s did not end within %s", p.name, longest)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// await asks until the answer is yes. A process that ends meanwhile ends the wait.
func (p *process) await(ctx context.Context, what string, reached func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := reached(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-p.ended:
			return fmt.Errorf("%s ended before it was %s: %w", p.name, what, errors.Join(p.err, err))
		case <-ctx.Done():
			return fmt.Errorf("%s was not %s in time: %w", p.name, what, err)
		}
	}
}
