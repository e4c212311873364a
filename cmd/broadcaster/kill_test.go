package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/wasim"
)

// TestKilledInTheMiddleOfACampaign kills the whole product with SIGKILL while it sends, starts it again on the same data, and asks the
// simulator, which lived through it, what the phones saw.
func TestKilledInTheMiddleOfACampaign(t *testing.T) {
	t.Parallel()
	const recipients, killAfter = 400, 100
	world := startWorld(t)
	first := world.start(t)
	session := world.link(t, first)
	created, err := first.api.UploadCampaign(t.Context(), client.NewCampaign{SessionID: session, Text: "Hola {{nombre}}"}, audience(recipients))
	if err != nil {
		t.Fatalf("create campaign: %v", err)
	}
	if created.Recipients != recipients {
		t.Fatalf("%d recipients planned, want %d", created.Recipients, recipients)
	}
	world.awaitMessages(t, killAfter)
	first.kill(t)
	before := world.simulator.Books()
	if before.Messages >= recipients {
		t.Fatalf("the campaign was over before the kill (%d messages): the test shows nothing", before.Messages)
	}

	second := world.start(t)
	ended := await(t, func(ctx context.Context) (client.Campaign, bool, error) {
		found, err := second.api.Campaign(ctx, created.ID)
		return found, found.Ended() && found.Counts.Sent+found.Counts.Delivered == 0, err
	})
	second.stop(t)

	if ended.State != "completed" || ended.Counts.Read != recipients {
		t.Errorf("campaign %s with %+v, want completed with %d read", ended.State, ended.Counts, recipients)
	}
	books := world.simulator.Books()
	t.Logf("killed after %d messages; repeated on the wire: %d", before.Messages, books.Repeats)
	if lost := recipients - books.Messages; lost != 0 {
		t.Errorf("%d messages lost", lost)
	}
	if books.Duplicated != 0 {
		t.Errorf("%d messages seen twice", books.Duplicated)
	}
	if books.Linked != 1 {
		t.Errorf("%d devices linked, want 1: the session must come back without a QR", books.Linked)
	}
	for _, device := range books.Devices {
		if device.MaxConnections > 1 {
			t.Errorf("device %d had %d connections at once", device.Device, device.MaxConnections)
		}
	}
	if err := world.simulator.Err(); err != nil {
		t.Errorf("the simulator did not know a stanza: %v", err)
	}
}

// world is what outlives the product: its binary, its data, and a WhatsApp.
type world struct {
	binary, data, address string
	simulator             *wasim.Server
	phone                 *wasim.Phone
}

func startWorld(t *testing.T) *world {
	t.Helper()
	simulator, err := wasim.New(wasim.Options{AutoContacts: true, Receipts: wasim.DeliveredAndRead(), Strict: true, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- simulator.Serve(context.WithoutCancel(t.Context()), listener) }()
	t.Cleanup(func() {
		if err := simulator.Close(); err != nil {
			t.Errorf("close the simulator: %v", err)
		}
		_ = listener.Close()
		<-served
	})
	phone, err := simulator.NewPhone("+5491150000011")
	if err != nil {
		t.Fatal(err)
	}
	return &world{binary: build(t), data: t.TempDir(), address: listener.Addr().String(), simulator: simulator, phone: phone}
}

// build makes the binary that people run.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "broadcaster")
	command := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, output)
	}
	return binary
}

// process is one run of the product.
type process struct {
	command *exec.Cmd
	api     *client.Client
}

var announced = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

func (w *world) start(t *testing.T) *process {
	t.Helper()
	key := w.simulator.RootPublicKey()
	command := exec.Command(w.binary, "up", "--data", w.data, "--listen", "127.0.0.1:0", "--pace", "off", "--log", "text", //nolint:gosec // our own binary
		"--simulator", w.address, "--simulator-key", hex.EncodeToString(key[:]))
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	started := &process{command: command}
	t.Cleanup(func() {
		if command.ProcessState == nil {
			_ = command.Process.Kill()
			_ = command.Wait()
		}
	})
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if url := announced.FindString(lines.Text()); url != "" {
			if started.api, err = client.New(url, nil); err != nil {
				t.Fatal(err)
			}
			return started
		}
	}
	t.Fatalf("the process ended without saying where it listens: %v", command.Wait())
	return nil
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = p.command.Wait() // it says that it was killed
}

func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.command.Wait(); err != nil && p.command.ProcessState.ExitCode() != interrupted {
		t.Errorf("the process did not stop cleanly: %v", err)
	}
}

func (w *world) link(t *testing.T, p *process) string {
	t.Helper()
	session, err := p.api.CreateSession(t.Context(), "ana", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.api.StartLink(t.Context(), session.ID, "qr", ""); err != nil {
		t.Fatal(err)
	}
	link := await(t, func(ctx context.Context) (client.Link, bool, error) {
		link, err := p.api.Link(ctx, session.ID)
		return link, link.Prompt != nil, err
	})
	if err := w.phone.ScanQR(t.Context(), link.Prompt.QR); err != nil {
		t.Fatalf("scan: %v", err)
	}
	await(t, func(ctx context.Context) (client.Session, bool, error) {
		found, err := p.api.Session(ctx, session.ID)
		return found, found.State == "ready", err
	})
	return session.ID
}

func (w *world) awaitMessages(t *testing.T, least int) {
	t.Helper()
	await(t, func(context.Context) (int, bool, error) {
		messages := w.simulator.Books().Messages
		return messages, messages >= least, nil
	})
}

// await asks another process until it says yes: there is no event to wait for across an HTTP API.
func await[T any](t *testing.T, ask func(context.Context) (T, bool, error)) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		answer, done, err := ask(ctx)
		if err != nil {
			t.Fatalf("ask: %v", err)
		}
		if done {
			return answer
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waited too long; the last answer was %+v", answer)
		}
	}
}

func audience(size int) *strings.Reader {
	var file strings.Builder
	file.WriteString("nombre,telefono\n")
	for i := range size {
		fmt.Fprintf(&file, "Ana %d,+54911%08d\n", i, 40000000+i)
	}
	return strings.NewReader(file.String())
}
