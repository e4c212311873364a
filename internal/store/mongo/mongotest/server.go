package mongotest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// ServerOptions say how a server is started.
type ServerOptions struct {
	// Dir is the folder of its databases; empty: a temporary one, which it deletes at its end.
	Dir string
	// Address is where it listens; empty: a free port on loopback.
	Address string
}

// Server is a running process.
type Server struct {
	// URI is that of the server, without a database.
	URI string

	process *exec.Cmd
	input   *os.File
}

// Start builds the program when that was not done before, starts it, and returns when it listens. It ends with Stop, and at the latest with
// this process.
func Start(ctx context.Context, options ServerOptions) (*Server, error) {
	binary, err := Binary(ctx)
	if err != nil {
		return nil, err
	}
	args := []string{"-attached"}
	if options.Dir != "" {
		args = append(args, "-dir", options.Dir)
	}
	if options.Address != "" {
		args = append(args, "-listen", options.Address)
	}
	// Not CommandContext: the server outlives this call, and ends with its input.
	server := &Server{process: exec.Command(binary, args...)} //nolint:gosec,noctx // our own program; see above
	if err := server.start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	return server, nil
}

// start gives the process files, not writers: nothing of this process has to run so that the server can, and no goroutine is left behind.
func (s *Server) start() (err error) {
	input, keep, err := os.Pipe()
	if err != nil {
		return err
	}
	output, said, err := os.Pipe()
	if err != nil {
		return errors.Join(err, input.Close(), keep.Close())
	}
	s.input, s.process.Stdin, s.process.Stdout, s.process.Stderr = keep, input, said, os.Stderr
	err = errors.Join(s.process.Start(), input.Close(), said.Close())
	if err != nil {
		return errors.Join(err, keep.Close(), output.Close())
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		return errors.Join(fmt.Errorf("it ended before it listened: %w", err), s.Stop(), output.Close())
	}
	s.URI = strings.TrimSpace(line)
	return output.Close()
}

// Stop ends the process and waits for its end. What it wrote is kept when it has a folder of its own.
func (s *Server) Stop() error {
	err := s.input.Close()
	killer := time.AfterFunc(10*time.Second, func() { _ = s.process.Process.Kill() })
	defer killer.Stop()
	return errors.Join(err, ignoreExit(s.process.Wait()))
}

// Kill ends the process without a warning, as a crash does, and waits for its end.
func (s *Server) Kill() error {
	err := s.process.Process.Signal(syscall.SIGKILL)
	return errors.Join(err, ignoreExit(s.process.Wait()), s.input.Close())
}

// ignoreExit drops the status of a process that was told to end.
func ignoreExit(err error) error {
	var status *exec.ExitError
	if errors.As(err, &status) {
		return nil
	}
	return err
}
