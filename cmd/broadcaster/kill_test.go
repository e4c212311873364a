package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	"github.com/dannsalud/broadcaster/wasim/control"
)

// TestKilledInTheMiddleOfACampaign kills the whole product with SIGKILL while it sends, starts it again on the same data, and asks the
// simulator, which lived through it as the real WhatsApp would, what the phones saw.
func TestKilledInTheMiddleOfACampaign(t *testing.T) {
	t.Parallel()
	const recipients, killAfter = 400, 100
	world := newWorld(t)
	first := world.start(t)
	session := world.link(t, first)
	created, err := first.api.UploadCampaign(t.Context(), client.NewCampaign{SessionID: session, Text: "Hola {{nombre}}"}, audience(recipients))
	if err != nil {
		t.Fatalf("create campaign: %v", err)
	}
	if created.Recipients != recipients {
		t.Fatalf("%d recipients planned, want %d", created.Recipients, recipients)
	}
	await(t, func(ctx context.Context) (int, bool, error) {
		messages := world.books(t).Messages
		return messages, messages >= killAfter, nil
	})
	first.kill(t)
	before := world.books(t)
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
	books := world.books(t)
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
	if books.Unknown != 0 {
		t.Errorf("the simulator did not know %d stanzas", books.Unknown)
	}
}

// world is what outlives the product: its binary, its data, and the WhatsApp that it started.
type world struct {
	binary, data string
	// key is the first key, as the first start shows it.
	key string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{binary: build(t), data: t.TempDir()}
	t.Cleanup(func() { w.endSimulator(t) })
	return w
}

// simulator gives the control of the WhatsApp that `up --simulate` started.
func (w *world) simulator(t *testing.T) *control.Client {
	t.Helper()
	info, err := readSimulator(context.WithoutCancel(t.Context()), w.data)
	if err != nil {
		t.Fatal(err)
	}
	return control.NewClient(info.Control, nil)
}

func (w *world) books(t *testing.T) wasim.Books {
	t.Helper()
	books, err := w.simulator(t).Books(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return books
}

// endSimulator ends the process that outlived the product, and waits until it has removed the file that names it.
func (w *world) endSimulator(t *testing.T) {
	t.Helper()
	path := filepath.Join(w.data, simulatorFile)
	content, err := os.ReadFile(path)
	if err != nil {
		return // it never started
	}
	var process struct{ PID int }
	if err := json.Unmarshal(content, &process); err != nil || process.PID == 0 {
		t.Fatalf("the simulator's file names no process: %s", content)
	}
	if err := syscall.Kill(process.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for range 1000 {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return
		}
		<-ticker.C
	}
	t.Error("the simulator did not stop")
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
	url     string
	api     *client.Client
}

var shownKey = regexp.MustCompile(`bcr_\S+`)

var announced = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

func (w *world) start(t *testing.T) *process {
	t.Helper()
	command := exec.Command(w.binary, "up", "--simulate", "--data", w.data, "--listen", "127.0.0.1:0", "--pace", "off", "--log", "text")
	command.Env = append(os.Environ(), "REQUESTS_PER_SECOND=10000") // the tests ask all the time how far it is
	command.Stderr = t.Output()
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
		if key := shownKey.FindString(lines.Text()); key != "" {
			if w.key != "" {
				t.Error("a second start shows a first key")
			}
			w.key = key
		}
		if url := announced.FindString(lines.Text()); url != "" {
			started.url = url
			if started.api, err = client.New(url, nil); err != nil {
				t.Fatal(err)
			}
			started.api = started.api.WithKey(w.key)
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
	await(t, func(ctx context.Context) (client.Session, bool, error) {
		found, err := p.api.Session(ctx, session.ID)
		return found, found.State == "ready", err
	})
	return session.ID
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
