package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/dannsalud/broadcaster/wasim/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServesUntilItIsStopped(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lines, stdout := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"-strict", "-latency", "1ms", "-v"}, stdout, &stderr) }()

	var info control.Info
	if err := json.NewDecoder(lines).Decode(&info); err != nil {
		t.Fatal(err)
	}
	if len(info.RootPublicKey) != 32 || !strings.HasPrefix(info.Address, "127.0.0.1:") {
		t.Errorf("info %+v", info)
	}
	client := control.NewClient(info.Control, nil)
	if err := client.NewPhone(t.Context(), control.NewPhone{Number: "+4915112345678"}); err != nil {
		t.Error(err)
	}
	if answered, err := client.Server(t.Context()); err != nil || answered.Address != info.Address || answered.Control != info.Control {
		t.Errorf("the API says %+v, %v", answered, err)
	}
	stop()
	if got := <-code; got != exitFine {
		t.Errorf("exit code %d: %s", got, &stderr)
	}
	if err := client.NewPhone(t.Context(), control.NewPhone{Number: "+4915112345679"}); err == nil {
		t.Error("the API still answers")
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		args []string
		code int
		says string
	}{
		"unknown flag":      {[]string{"-nonsense"}, exitUsage, "-nonsense"},
		"argument":          {[]string{"extra"}, exitUsage, "extra"},
		"help":              {[]string{"-h"}, exitFine, "address of the control API"},
		"impossible share":  {[]string{"-read", "2"}, exitFailed, "shares are between 0 and 1"},
		"no such interface": {[]string{"-listen", "nowhere:0"}, exitFailed, "listen for clients"},
		"no control":        {[]string{"-control", "nowhere:0"}, exitFailed, "listen for the control API"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			if code := run(t.Context(), row.args, io.Discard, &stderr); code != row.code || !strings.Contains(stderr.String(), row.says) {
				t.Errorf("exit code %d: %s", code, &stderr)
			}
		})
	}
}
