package bus

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/bus/embed/embedtest"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// A worker in a process of its own, for failures that are the end of a process. It is this test's binary, started again with these variables.
const (
	workerURL  = "BUS_TEST_URL"
	workerMode = "BUS_TEST_MODE"
	// workerLog is a file that gets a line for each job that was done.
	workerLog = "BUS_TEST_LOG"
	// workerDeliveries is the MaxDeliver of the topology, which every process must agree on.
	workerDeliveries = "BUS_TEST_DELIVERIES"
)

// The ways of a worker's process.
const (
	modeDo    = "do"
	modeCrash = "crash"
	modeStall = "stall"
	modePanic = "panic"
	modeFail  = "fail"
)

// serveWorker is a worker, if this process was started as one, until its standard input ends; else it returns at once.
func serveWorker() (served bool, err error) {
	if os.Getenv(workerURL) == "" {
		return false, nil
	}
	return true, runWorker()
}

func runWorker() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	deliveries := 100
	if _, err := fmt.Sscan(os.Getenv(workerDeliveries), &deliveries); err != nil {
		return err
	}
	bus, err := Connect(ctx, Options{URL: os.Getenv(workerURL), Name: "process", AckWait: testAckWait, MaxDeliver: deliveries})
	if err != nil {
		return err
	}
	w, err := bus.NewWorker(WorkerOptions{DrainTime: -1, Policies: hasty()})
	if err != nil {
		return err
	}
	if err := w.HandleRunCampaign(func(_ context.Context, job events.RunCampaign) error { return act(job) }); err != nil {
		return err
	}
	go func() { // It ends with the test, however that ends.
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := w.Run(ctx); err != nil {
		return err
	}
	return bus.Close()
}

// act does a job in the way of this process.
func act(job events.RunCampaign) error {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	fmt.Println("started") // The test waits for it.
	switch os.Getenv(workerMode) {
	case modeCrash:
		return self.Kill()
	case modeStall:
		if err := self.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		select {} // Until it is killed.
	case modePanic:
		panic("a defect")
	case modeFail:
		return fault.New(fault.RetryLater, "no_answer", "The other side did not answer")
	}
	file, err := os.OpenFile(os.Getenv(workerLog), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, job.CampaignID, job.Slice)
	return joinClose(err, file)
}

func joinClose(err error, file *os.File) error {
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// workerProcess starts a worker's process. started gets a value for each job that it begins, and is closed at its end.
func workerProcess(t *testing.T, url, mode, log string, deliveries int) (end func(), started <-chan struct{}) {
	t.Helper()
	binary, err := os.Executable()
	handle(t, err)
	command := exec.CommandContext(t.Context(), binary) // #nosec G204 -- this test itself
	command.Env = append(os.Environ(), workerURL+"="+url, workerMode+"="+mode, workerLog+"="+log, fmt.Sprintf("%s=%d", workerDeliveries, deliveries))
	command.Stderr = io.Discard // A panic and the log of a broken connection, which are meant.
	stdin, err := command.StdinPipe()
	handle(t, err)
	output, err := command.StdoutPipe()
	handle(t, err)
	handle(t, command.Start())
	begun := make(chan struct{}, 100)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(begun)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			begun <- struct{}{}
		}
	})
	var once sync.Once
	end = func() {
		once.Do(func() {
			_ = command.Process.Kill() // It may have ended by itself.
			reading.Wait()
			_ = command.Wait() // It says how it ended, which is meant.
			_ = stdin.Close()
		})
	}
	t.Cleanup(end)
	return end, begun
}

// TestEveryWayOfFailingEndsInFailedOnceAndIsReplayedToSuccess breaks a job in each way on a real nats-server, with real processes as workers, then removes the
// cause and replays it.
func TestEveryWayOfFailingEndsInFailedOnceAndIsReplayedToSuccess(t *testing.T) {
	t.Parallel()
	const good = `{"version":1,"campaign_id":"cmp_1","session_id":"ses_1","slice":1,"requested_at":"2026-01-01T00:00:00Z"}`
	rows := map[string]struct {
		mode, payload string
		// deliveries is the server's own limit; under it the workers' policy (3 attempts) ends a job.
		deliveries int
		code       string
		attempts   int
	}{
		"the handler's error":            {mode: modeFail, code: "no_answer", attempts: 3},
		"a panic":                        {mode: modePanic, code: "handler_panicked", attempts: 1},
		"a crash each time":              {mode: modeCrash, code: codeExhausted, attempts: 3},
		"a crash, and the server's end":  {mode: modeCrash, deliveries: 2, code: codeExhausted, attempts: 2},
		"a worker that stalls":           {mode: modeStall, code: codeExhausted, attempts: 3},
		"a stall, and the server's end":  {mode: modeStall, deliveries: 2, code: codeExhausted, attempts: 2},
		"content that cannot be decoded": {mode: modeDo, payload: `{"version":1,"campaign_id":`, code: "undecodable", attempts: 1},
		"a version that nobody knows":    {mode: modeDo, payload: strings.Replace(good, `"version":1`, `"version":77`, 1), code: "unknown_version", attempts: 1},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := embedtest.Start(t)
			deliveries := orDefault(row.deliveries, 100)
			bus := connectTo(t, broker.URL(), deliveries)
			log := filepath.Join(t.TempDir(), "done")
			m := rawLink("1", events.RunCampaign{}.Kind(), orDefault(row.payload, good))
			m.Subject = "commands.campaign.cmp_1"
			handle(t, bus.publish(t.Context(), m))
			breakUntilFailed(t, bus, func() (func(), <-chan struct{}) { return workerProcess(t, broker.URL(), row.mode, log, deliveries) })

			entries := failedJobs(t, bus)
			if len(entries) != 1 || entries[0].LastError.Code != row.code || entries[0].MessageID != "link:lnk_1" {
				t.Fatalf("FAILED has %+v", entries)
			}
			// A frozen process still has requests for jobs at the server, which gives the job to it again, so that there it may be more.
			if attempts := entries[0].Attempts; attempts < row.attempts || attempts > row.attempts && row.code != codeExhausted {
				t.Errorf("%d attempts, want %d", attempts, row.attempts)
			}
			queue := bus.NewFailedQueue()
			if row.payload != "" {
				_, err := queue.Edit(t.Context(), entries[0].Entry, []byte(good), "test")
				handle(t, err)
			}
			end, _ := workerProcess(t, broker.URL(), modeDo, log, deliveries)
			defer end()
			safe, _ := entries[0].ReplayAdvice()
			_, err := queue.Replay(t.Context(), entries[0].Entry, !safe)
			handle(t, err)
			eventually(t, "the replayed job has ended", func() bool { return pendingJobs(t, bus) == 0 })
			if done, err := os.ReadFile(log); string(done) != "cmp_1 1\n" || err != nil { // #nosec G304 -- this test's own
				t.Errorf("done are %q, %v", done, err)
			}
			if left := failedJobs(t, bus); len(left) != 0 {
				t.Errorf("FAILED still has %+v", left)
			}
		})
	}
}

// connectTo connects to a broker in a process of its own, and makes the topology.
func connectTo(t *testing.T, url string, deliveries int) *Bus {
	t.Helper()
	bus, err := Connect(t.Context(), Options{URL: url, Name: "operator", AckWait: testAckWait, MaxDeliver: deliveries, Log: slog.New(slog.DiscardHandler)})
	handle(t, err)
	t.Cleanup(func() { handle(t, bus.Close()) })
	handle(t, bus.EnsureTopology(t.Context()))
	return bus
}

// breakUntilFailed starts worker after worker, as a supervisor would, until one job is in FAILED and its original is gone.
func breakUntilFailed(t *testing.T, bus *Bus, begin func() (end func(), started <-chan struct{})) {
	t.Helper()
	end, started := begin()
	stalled := time.NewTicker(4 * testAckWait)
	defer stalled.Stop()
	failed := time.NewTicker(20 * time.Millisecond)
	defer failed.Stop()
	for timeout := time.After(testTimeout); ; {
		select {
		case _, alive := <-started:
			if !alive {
				end()
				end, started = begin()
			}
			stalled.Reset(4 * testAckWait)
		case <-stalled.C: // It gives no sign of life.
			end()
			end, started = begin()
		case <-failed.C:
			if len(failedJobs(t, bus)) > 0 && pendingJobs(t, bus) == 0 {
				end()
				return
			}
		case <-timeout:
			t.Fatal("the job did not come into FAILED in time")
		}
	}
}

// TestAKilledBrokerLosesNeitherJobsNorReplays kills nats-server with SIGKILL again and again while jobs run and failed ones are replayed.
func TestAKilledBrokerLosesNeitherJobsNorReplays(t *testing.T) {
	t.Parallel()
	const jobs, failures, kills = 60, 60, 3
	broker := embedtest.Start(t)
	bus := connectTo(t, broker.URL(), 100)
	var mu sync.Mutex
	done := map[string]int{}
	w := newWorker(t, bus, WorkerOptions{Policies: map[string]Policy{events.RunCampaign{}.Kind(): {Attempts: 50, MinDelay: time.Millisecond, MaxDelay: time.Millisecond}}})
	handle(t, w.HandleRunCampaign(func(_ context.Context, job events.RunCampaign) error {
		mu.Lock()
		defer mu.Unlock()
		done[string(job.CampaignID)]++
		return nil
	}))
	for i := range failures {
		giveUp(t, bus, i+1, func(entry *FailedJob) {
			m, err := encode(t.Context(), campaignJob(fmt.Sprintf("failed_%d", i)))
			handle(t, err)
			entry.Subject, entry.Payload, entry.MessageID = m.Subject, m.Data, fmt.Sprintf("failed:%d", i)
		})
	}
	start(t, w)
	var work sync.WaitGroup
	work.Go(func() {
		for i := range jobs {
			untilDone(t, func() error { return bus.SendCommand(t.Context(), campaignJob(fmt.Sprintf("new_%d", i))) })
		}
	})
	work.Go(func() {
		queue := bus.NewFailedQueue()
		for entry := range uint64(failures) {
			untilDone(t, func() error {
				_, err := queue.Replay(t.Context(), entry+1, false)
				if fault.Of(err) == fault.NotFound { // The try before this one was not answered, and had its effect.
					return nil
				}
				return err
			})
		}
	})
	for n := range kills {
		eventually(t, "some work is done", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(done) >= (n+1)*(jobs+failures)/(2*kills)
		})
		broker.Kill()
		broker.Restart()
	}
	work.Wait()
	eventually(t, "every job was done", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(done) == jobs+failures
	})
	eventually(t, "nothing is left", func() bool {
		stream, err := bus.js.Stream(t.Context(), events.StreamCommands)
		return err == nil && stream.CachedInfo().State.Msgs == 0
	})
	if left := failedJobs(t, bus); len(left) != 0 {
		t.Errorf("FAILED has %+v", left)
	}
}

// untilDone repeats what fails because the broker is away.
func untilDone(t *testing.T, try func() error) {
	t.Helper()
	eventually(t, "the broker takes it", func() bool {
		err := try()
		if err != nil && !fault.Of(err).Redelivered() {
			t.Error(err)
		}
		return err == nil
	})
}
