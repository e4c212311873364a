package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/control"
)

// The simulated WhatsApp of `up --simulate` is a process of its own, as the real one is: it lives on when this one is stopped or killed, so that
// linked sessions and messages on their way survive a restart. It ends by itself when nobody has been connected for a while.

const (
	simulatorFile = "simulator.json"
	simulatorLog  = "simulator.log"
	// simulatorPatience is how long a simulator may take to start.
	simulatorPatience = 15 * time.Second
	// idleLimit is how long a simulator without connections lives.
	idleLimit = 10 * time.Minute
)

// newSimulator is the command that `up --simulate` runs; people have cmd/wasim.
func newSimulator() *cobra.Command {
	command := &cobra.Command{Use: "simulator", Short: "Run the simulated WhatsApp of a data folder", Args: cobra.NoArgs, Hidden: true}
	data := command.Flags().String("data", "./data", "folder that says where it listens")
	command.RunE = func(command *cobra.Command, _ []string) error {
		server, err := wasim.New(wasim.Options{AutoContacts: true, Receipts: wasim.DeliveredAndRead()})
		if err != nil {
			return err
		}
		path := filepath.Join(*data, simulatorFile)
		ctx, cancel := context.WithCancel(command.Context())
		defer cancel()
		go endWhenIdle(ctx, server, cancel)
		defer func() { _ = os.Remove(path) }()
		return control.Serve(ctx, server, control.Addresses{WhatsApp: "127.0.0.1:0", Control: "127.0.0.1:0"}, announcement(path))
	}
	return command
}

// simulatorInfo is the content of the file: where the simulator listens, and which process to end.
type simulatorInfo struct {
	control.Info
	PID int `json:"pid"`
}

// announcement is the file in which a simulator says where it listens. It is written whole, beside its place, and moved there.
type announcement string

// Write implements io.Writer.
func (a announcement) Write(line []byte) (int, error) {
	info := simulatorInfo{PID: os.Getpid()}
	err := json.Unmarshal(line, &info.Info)
	if err == nil {
		var content []byte
		if content, err = json.Marshal(info); err == nil {
			err = os.WriteFile(string(a)+".partial", content, 0o600)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("announce the simulator: %w", err)
	}
	return len(line), os.Rename(string(a)+".partial", string(a))
}

func endWhenIdle(ctx context.Context, server *wasim.Server, end func()) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	busy := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if books := server.Books(); books.Connections+books.Pairings > 0 {
				busy = now
			}
			if now.Sub(busy) > idleLimit {
				end()
			}
		}
	}
}

// simulatorOf finds the running simulator of a data folder, or starts one.
func simulatorOf(ctx context.Context, data string) (control.Info, error) {
	if info, err := readSimulator(ctx, data); err == nil {
		return info, nil
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return control.Info{}, fmt.Errorf("make the data folder: %w", err)
	}
	ended, err := startSimulator(data)
	if err != nil {
		return control.Info{}, err
	}
	timeout := time.After(simulatorPatience)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		if info, err := readSimulator(ctx, data); err == nil {
			return info, nil
		}
		select {
		case <-ctx.Done():
			return control.Info{}, ctx.Err()
		case <-ended:
			return control.Info{}, fmt.Errorf("the simulator ended at its start; %s says why", filepath.Join(data, simulatorLog))
		case <-timeout:
			return control.Info{}, errors.New("the simulator did not start in time")
		case <-ticker.C:
		}
	}
}

// readSimulator reads where a simulator listens, and asks whether it still does.
func readSimulator(ctx context.Context, data string) (control.Info, error) {
	content, err := os.ReadFile(filepath.Join(data, simulatorFile)) //nolint:gosec // the folder is the person's choice
	if err != nil {
		return control.Info{}, fmt.Errorf("find the simulator: %w", err)
	}
	var info control.Info
	if err := json.NewDecoder(bytes.NewReader(content)).Decode(&info); err != nil {
		return control.Info{}, fmt.Errorf("find the simulator: %w", err)
	}
	return control.NewClient(info.Control, nil).Server(ctx)
}

// startSimulator starts this very program as a simulator that outlives it. The channel is closed when it ends.
func startSimulator(data string) (ended <-chan struct{}, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(data, simulatorLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // the folder is the person's choice
	if err != nil {
		return nil, fmt.Errorf("open the simulator's log: %w", err)
	}
	defer func() { _ = log.Close() }()
	command := exec.Command(self, "simulator", "--data", data) //nolint:gosec,noctx // it must outlive this process and every context of it
	command.Stdout, command.Stderr = log, log
	detach(command)
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start the simulator: %w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = command.Wait() // its log says why it ended
	}()
	return done, nil
}

// scanAfter is how long a simulated person needs to take out the phone.
const scanAfter = time.Second

// scanner lets a new simulated phone scan each code that is shown.
type scanner struct {
	api *control.Client
	log *slog.Logger
	ctx context.Context //nolint:containedctx // codes come from a callback that has none
}

func (s scanner) see(qr string) {
	time.AfterFunc(scanAfter, func() {
		number := fmt.Sprintf("+54911%08d", time.Now().UnixMilli()%100_000_000)
		err := s.api.NewPhone(s.ctx, control.NewPhone{Number: number})
		if err == nil {
			err = s.api.ScanQR(s.ctx, number, qr)
		}
		if err != nil && s.ctx.Err() == nil {
			s.log.Info("simulated phone could not link", "error", err)
		}
	})
}

// simulated gives the endpoint of a data folder's simulator, and what scans the codes.
func simulated(ctx context.Context, data string, log *slog.Logger) (app.Endpoint, func(qr string), error) {
	info, err := simulatorOf(ctx, data)
	if err != nil {
		return app.Endpoint{}, nil, err
	}
	endpoint, err := remoteSimulator(info.Address, hex.EncodeToString(info.RootPublicKey))
	return endpoint, scanner{control.NewClient(info.Control, nil), log, ctx}.see, err
}
