package fleet

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

const (
	// startPatience is how long a process may take to be ready, on a machine that builds something else meanwhile.
	startPatience = 90 * time.Second
	pollEvery     = 50 * time.Millisecond
)

// Process is one started binary. Its standard error is its log.
type Process struct {
	Name    string
	command *exec.Cmd
	// lines is the standard output.
	lines *bufio.Reader
	ended chan struct{}
	// err is how it ended, once ended is closed.
	err error
}

// Program is what a process runs.
type Program struct {
	Binary                 string
	Arguments, Environment []string
}

// launch starts a program. Every process gets a pipe as its standard input that nobody writes to: its end tells one that asks for it
// (the MongoDB-wire server) that its starter is gone. A process that has had the name before keeps its part of the log.
func launch(logs, name string, program Program) (*Process, error) {
	command := exec.Command(program.Binary, program.Arguments...) //nolint:gosec,noctx // our own binaries; a story ends them by signals
	command.Env, command.SysProcAttr = program.Environment, attached()
	log, err := os.OpenFile(filepath.Join(logs, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // both names are ours
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
	return &Process{Name: name, command: command, lines: bufio.NewReader(output), ended: make(chan struct{})}, nil
}

// watch waits for the end in the background; what the process prints from now on is dropped. It is called once, before the others below.
func (p *Process) watch() *Process {
	go func() {
		defer close(p.ended)
		_, _ = io.Copy(io.Discard, p.lines)
		p.err = p.command.Wait()
	}()
	return p
}

// PID is the process's number.
func (p *Process) PID() int { return p.command.Process.Pid }

// Ended tells whether the process has ended, by itself or not.
func (p *Process) Ended() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Kill ends the process as a crash does, also one that is frozen, and waits for its end.
func (p *Process) Kill() {
	_ = p.command.Process.Kill() // it may have ended already
	<-p.ended
}

// Terminate asks the process to end, and gives how long that took; an error when it took longer than it may or ended badly.
func (p *Process) Terminate(ctx context.Context, longest time.Duration) (time.Duration, error) {
	began := time.Now()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, fmt.Errorf("end %s: %w", p.Name, err)
	}
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-p.ended:
		if p.err != nil {
			return 0, fmt.Errorf("%s ended badly: %w", p.Name, p.err)
		}
		return time.Since(began), nil
	case <-timer.C:
		return 0, fmt.Errorf("%s did not end within %s", p.Name, longest)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Await asks until the answer is yes. A process that ends meanwhile ends the wait.
func (p *Process) Await(ctx context.Context, what string, reached func(context.Context) error) error {
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
			return fmt.Errorf("%s ended before it was %s: %w", p.Name, what, errors.Join(p.err, err))
		case <-ctx.Done():
			return fmt.Errorf("%s was not %s in time: %w", p.Name, what, err)
		}
	}
}
