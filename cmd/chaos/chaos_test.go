package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dannsalud/broadcaster/cmd/internal/fleet"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/bus/embed"
	"github.com/dannsalud/broadcaster/internal/config"
	"github.com/dannsalud/broadcaster/internal/store/mongo/mongotest"
	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/control"
)

// programVariable makes this test's binary one of the fleet's programs: it has them all in it, under the race detector if the test is.
const programVariable = "CHAOS_PROGRAM"

func TestMain(m *testing.M) {
	if name := os.Getenv(programVariable); name != "" {
		if err := os.Unsetenv(programVariable); err != nil {
			panic(err)
		}
		os.Exit(be(name, os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

// be runs one of the programs and gives its exit code.
func be(name string, arguments []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var err error
	switch name {
	case "wasim":
		var server *wasim.Server
		if server, err = wasim.New(wasim.Options{Strict: true, AutoContacts: true, Receipts: wasim.Receipts{Delivered: 1, Read: 1}}); err == nil {
			err = control.Serve(ctx, server, control.Addresses{WhatsApp: "127.0.0.1:0", Control: "127.0.0.1:0"}, os.Stdout)
		}
	case "nats-server":
		err = beBroker(ctx, arguments)
	default:
		return app.Service(app.Role(name), nil, config.Environ(), os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// beBroker takes the arguments of nats-server that the fleet gives.
func beBroker(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("nats-server", flag.ContinueOnError)
	flags.Bool("js", false, "")
	dir, host, port := flags.String("sd", "", ""), flags.String("a", "", ""), flags.String("p", "", "")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	server, err := embed.Start(embed.Options{Dir: *dir, Listen: *host + ":" + *port})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return server.Stop()
}

// programs gives the programs of a fleet: this binary, but for the database.
func programs(t *testing.T) func(name string) fleet.Program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	database, err := mongotest.Binary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func(name string) fleet.Program {
		if name == "ferret" {
			return fleet.Program{Binary: database}
		}
		return fleet.Program{Binary: self, Environment: []string{programVariable + "=" + name}}
	}
}

func emptyFleet(t *testing.T) *fleet.Fleet {
	t.Helper()
	made, err := fleet.New(fleet.Options{Logs: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestAShortSeededRunLosesNothing is the whole program on a small schedule. How fast sessions move is measured and not judged: the machine may
// be busy with other tests. By its seed the sender is killed first: a campaign that it ran is given out again after half a minute, during the others.
func TestAShortSeededRunLosesNothing(t *testing.T) {
	given, err := parse([]string{"-seed=10", "-faults=3", "-senders=2", "-sessions=2", "-recipients=40", "-ttl=3s", "-latency=20ms", "-logs=" + t.TempDir()}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	given.kinds = []kind{killSender, freezeSender, killBroker}
	given.program, given.slow = programs(t), true
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	result, err := prove(ctx, given, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if err := result.verdict(given); err != nil {
		t.Error(err)
	}
	if result.Faults != len(given.kinds) || result.FailoverP99 <= 0 {
		t.Errorf("%+v: nothing was done, or nothing had to move", result)
	}
	line, err := json.Marshal(result)
	if want := `{"faults":3,"recipients":80,"lost":0,"duplicated":0,"double_connections":0,"resent_on_wire":`; err != nil || !strings.HasPrefix(string(line), want) {
		t.Errorf("the last line is %s: %v", line, err)
	}
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{{"-senders=1"}, {"-recipients=0"}, {"-seed=x"}} {
		if code := run(arguments, io.Discard, t.Output()); code != 2 {
			t.Errorf("%v: exit code %d", arguments, code)
		}
	}
}
