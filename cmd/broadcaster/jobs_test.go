package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/bus/bustest"
	"github.com/dannsalud/broadcaster/internal/bus/embed"
	"github.com/dannsalud/broadcaster/internal/events"
)

// TestABulkReplayThatIsKilledGoesOnAndPublishesEachOnce replays ten thousand failed jobs by the command line, kills that in the middle with SIGKILL, begins
// again, kills the whole product, begins again, and counts what the queue was given.
func TestABulkReplayThatIsKilledGoesOnAndPublishesEachOnce(t *testing.T) {
	t.Parallel()
	const jobs = 10_000
	w := newWorld(t)
	failMany(t, w, jobs)

	first := w.start(t)
	replay := w.replayAll(t, first)
	first.awaitFailed(t, jobs*3/4)
	if err := replay.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = replay.Wait() // it says that it was killed
	again := w.replayAll(t, first)
	first.awaitFailed(t, jobs/2)
	first.kill(t)
	if err := again.Wait(); err == nil {
		t.Error("the command says that it did its work, and the product was killed")
	}
	second := w.start(t)
	if err := w.replayAll(t, second).Wait(); err != nil {
		t.Errorf("the last run: %v", err)
	}
	second.awaitFailed(t, 0)
	await(t, func(ctx context.Context) (int, bool, error) {
		left := 0
		for _, err := range second.api.Jobs(ctx) {
			if err != nil {
				return left, false, err
			}
			left++
		}
		return left, left == 0, nil
	})
	second.stop(t)
	if published := published(t, w); published != 2*jobs {
		t.Errorf("the queue was given %d jobs, want %d that failed and %d replays", published, jobs, jobs)
	}
}

// queueOf opens the queue that the product keeps in its folder, while the product does not run.
func queueOf(t *testing.T, w *world) (queue *bus.Bus, end func()) {
	t.Helper()
	broker, err := embed.Start(embed.Options{Dir: filepath.Join(w.data, "nats")})
	if err != nil {
		t.Fatal(err)
	}
	queue, err = bus.Connect(t.Context(), bus.Options{Server: broker, Name: "test", MaxConcurrentJobs: 64, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = queue.EnsureTopology(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return queue, func() {
		if err := errors.Join(queue.Close(), broker.Stop()); err != nil {
			t.Error(err)
		}
	}
}

// failMany fills the product's FAILED while the product does not run.
func failMany(t *testing.T, w *world, count int) {
	t.Helper()
	queue, end := queueOf(t, w)
	defer end()
	bustest.FailMany(t, queue, count)
}

// published counts the jobs that the queue was ever given: the number of one more, less that one.
func published(t *testing.T, w *world) int {
	t.Helper()
	queue, end := queueOf(t, w)
	defer end()
	job := events.RunCampaign{Version: events.RunCampaignVersion, CampaignID: "cmp_last", SessionID: "ses_none", Slice: 1}
	if err := queue.SendCommand(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	found, _, err := queue.LiveJobs(t.Context(), nil, 0, 1)
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	return int(found[0].Sequence) - 1 // #nosec G115 -- a small count
}

// replayAll starts the command that replays all failed jobs.
func (w *world) replayAll(t *testing.T, p *process) *exec.Cmd {
	t.Helper()
	command := exec.Command(w.binary, "jobs", "replay", "--all", "--rate", "10000", "--as", "test", "--api", p.url) // #nosec G204 -- built by this test
	command.Env = append(os.Environ(), keyVariable+"="+w.key)
	command.Stdout, command.Stderr = t.Output(), t.Output()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if command.ProcessState == nil {
			_ = command.Process.Kill()
			_ = command.Wait()
		}
	})
	return command
}

// awaitFailed waits until no more than some jobs are in FAILED.
func (p *process) awaitFailed(t *testing.T, most int) {
	t.Helper()
	await(t, func(ctx context.Context) (int, bool, error) {
		groups, err := p.api.FailedStats(ctx, client.FailedFilter{})
		total := 0
		for _, group := range groups {
			total += group.Count
		}
		return total, total <= most, err
	})
}

// TestTheCommandLineMendsWhatFailed walks through the commands as an operator would.
func TestTheCommandLineMendsWhatFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	failMany(t, w, 5)
	p := w.start(t)
	run := func(input string, arguments ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), w.binary, append([]string{"jobs"}, append(arguments, "--api", p.url)...)...) // #nosec G204 -- built by this test
		command.Env = append(os.Environ(), keyVariable+"="+w.key)
		command.Stdin = strings.NewReader(input)
		output, err := command.CombinedOutput()
		if err != nil {
			t.Logf("%v: %s", err, output)
		}
		return string(output)
	}
	wants := func(output string, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(output, text) {
				t.Errorf("the output lacks %q:\n%s", text, output)
			}
		}
	}
	wants(run("", "stats"), "not_found", "FAILED", "sender", "10 attempts")
	wants(run("", "list", "--class", "not_found"), "for_the_test", "cmp_4", "safe")
	if lines := strings.Count(run("", "list", "--json"), "\n"); lines != 5 {
		t.Errorf("%d lines of JSON", lines)
	}
	wants(run("", "show", "1"), `"subject": "commands.campaign.`, `"why"`, `"slice": 1`)
	wants(run("", "show", "99"), "no such failed job")
	wants(run("", "show", "x"), "is no number of a job")
	wants(run("{}", "edit", "1"), "The payload does not hold")
	payload := fmt.Sprintf(`{"version":1,"campaign_id":%q,"session_id":"ses_none","slice":2,"requested_at":"2026-01-01T00:00:00Z"}`, campaignOf(t, p, 1))
	wants(run(payload, "edit", "1", "--as", "ana"), "edited")
	wants(run("", "show", "1"), `"slice": 2`, `"by": "ana"`)
	wants(run("", "replay", "1"), "queued again as campaign:", ":r1")
	wants(run("", "replay"), "name one entry, or --all")
	wants(run("", "replay", "--all", "--dry-run"), "4 match, up to entry 5")
	wants(run("", "discard", "2", "--reason", "not needed"), "discarded 2")
	wants(run("", "discard", "--all", "--text", "GIVEN UP", "--until", "3", "--reason", "not needed"), "1 match", "1 discarded")
	wants(run("", "replay", "--all"), "2 match", "2 replayed")
	wants(run("", "running"), "HEARTBEAT")
	wants(run("", "pending"), "DUE")
	wants(run("", "cancel", "999"), "no such job")
}

func campaignOf(t *testing.T, p *process, entry uint64) string {
	t.Helper()
	job, err := p.api.FailedJob(t.Context(), entry)
	if err != nil {
		t.Fatal(err)
	}
	return job.CampaignID
}

// TestShownTimesAreEmptyOrReadable: a table has no year 1.
func TestShownTimesAreEmptyOrReadable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	table := newPrinter(&out, false, "A B")
	if err := errors.Join(table.row(nil, moment(time.Time{}), "x"), table.end()); err != nil {
		t.Fatal(err)
	}
	if out.String() != "A  B\n   x\n" {
		t.Errorf("%q", out.String())
	}
}
