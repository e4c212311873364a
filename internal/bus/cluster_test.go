package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/dannsalud/broadcaster/internal/bus/embed/embedtest"
	"github.com/dannsalud/broadcaster/internal/events"
)

// clusterWait bounds what takes an election: a follower waits up to nine seconds for its leader before it asks for votes.
const clusterWait = 20 * time.Second

// TestTheLeaderOfAClusterIsLostAndNothingElse kills, with SIGKILL, the one server that leads the commands, the facts and the leases, while
// commands are sent and done, and while a lease is renewed and coveted.
func TestTheLeaderOfAClusterIsLostAndNothingElse(t *testing.T) {
	t.Parallel()
	const count = 60
	nodes := embedtest.StartCluster(t)
	bus, err := Connect(t.Context(), Options{URL: nodes.URL(), Name: "worker", Replicas: 3, AckWait: 2 * time.Second, LeaseTTL: time.Minute,
		Log: slog.New(slog.DiscardHandler)})
	handle(t, err)
	t.Cleanup(func() { handle(t, bus.Close()) })
	persist(t, "the topology is there", func() error { return bus.EnsureTopology(t.Context()) })
	var done doneJobs
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleRunCampaign(done.handle))
	start(t, w)

	leader := leadEverything(t, bus)
	endRivals := startRivals(t, openBucket(t, bus, BucketLeases))
	facts := receipts(count)
	for i := range count {
		if i == count/2 {
			nodes[leader].Kill()
		}
		persist(t, "a command is taken", func() error { return bus.SendCommand(t.Context(), campaignJob(fmt.Sprint(i))) })
		persist(t, "a fact is taken", func() error { return bus.PublishFact(t.Context(), facts[i]) })
	}
	persist(t, "every job is done", func() error { return done.all(count) })
	for i := range count { // a publisher that had no answer tries again; here all of them do
		persist(t, "a command is known", func() error { return bus.SendCommand(t.Context(), campaignJob(fmt.Sprint(i))) })
		persist(t, "a fact is known", func() error { return bus.PublishFact(t.Context(), facts[i]) })
	}
	for _, name := range []string{events.StreamCommands, events.StreamEvents} {
		checkStored(t, bus, name, leader, count)
	}
	endRivals()
	if again := done.again(); again > DefaultMaxConcurrentJobs {
		t.Errorf("%d jobs were done again; only those in hand when the leader died may be", again)
	}
}

// persist tries until it succeeds: while a cluster has no leader every answer is an error.
func persist(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(clusterWait)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s: %v", what, err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// doneJobs counts how often each job was done.
type doneJobs struct {
	mu    sync.Mutex
	times map[string]int
}

func (d *doneJobs) handle(_ context.Context, command events.RunCampaign) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.times == nil {
		d.times = map[string]int{}
	}
	d.times[string(command.CampaignID)]++
	return nil
}

func (d *doneJobs) all(count int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.times) < count {
		return fmt.Errorf("%d of %d jobs are done", len(d.times), count)
	}
	return nil
}

// again counts what was done more than once.
func (d *doneJobs) again() (times int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.times {
		times += n - 1
	}
	return times
}

// leadEverything makes one server the leader of all that the test watches, and gives its name.
func leadEverything(t *testing.T, bus *Bus) (leader string) {
	t.Helper()
	leaderOf := func(name string) (string, error) {
		stream, err := bus.js.Stream(t.Context(), name)
		if err != nil {
			return "", err
		}
		if stream.CachedInfo().Cluster == nil || stream.CachedInfo().Cluster.Leader == "" {
			return "", errors.New(name + " has no leader")
		}
		return stream.CachedInfo().Cluster.Leader, nil
	}
	persist(t, "the commands have a leader", func() (err error) {
		leader, err = leaderOf(events.StreamCommands)
		return err
	})
	request, err := json.Marshal(server.JSApiLeaderStepdownRequest{Placement: &server.Placement{Preferred: leader}})
	handle(t, err)
	for _, name := range []string{events.StreamEvents, "KV_" + BucketLeases} {
		persist(t, name+" is led by the same server", func() error {
			found, err := leaderOf(name)
			if err != nil || found == leader {
				return err
			}
			_, err = bus.js.Conn().Request(fmt.Sprintf(server.JSApiStreamLeaderStepDownT, name), request, time.Second)
			return errors.Join(err, fmt.Errorf("%s is led by %s", name, found))
		})
	}
	return leader
}

// startRivals lets one holder renew a lease, and another claim it, until the returned function is called, which says what they saw. Nobody may get
// it twice, no renewal may be lost, and a late one is refused.
func startRivals(t *testing.T, leases *Bucket) (end func()) {
	t.Helper()
	claimed, err := leases.Create(t.Context(), "ses_1", []byte("holder"))
	handle(t, err)
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- rival(t.Context(), leases, claimed, stop) }()
	return func() {
		close(stop)
		handle(t, receive(t, "end of the rivals", ended))
		if _, err := leases.Update(t.Context(), "ses_1", []byte("late"), claimed); !errors.Is(err, ErrRevision) {
			t.Errorf("a late renewal answered %v, want %v", err, ErrRevision)
		}
	}
}

// rival ends when, after stop, the lease was renewed and refused once more.
func rival(ctx context.Context, leases *Bucket, revision uint64, stop <-chan struct{}) error {
	for {
		renewed, err := leases.Update(ctx, "ses_1", []byte("holder"), revision)
		switch {
		case err == nil && renewed <= revision:
			return fmt.Errorf("revision %d came after %d", renewed, revision)
		case err == nil:
			revision = renewed
		case errors.Is(err, ErrRevision): // a write without an answer may have been one all the same; the holder's value says so
			value, found, err := leases.Get(ctx, "ses_1")
			if err == nil && string(value) != "holder" {
				return fmt.Errorf("the lease is %q's", value)
			}
			revision = max(revision, found)
		}
		_, refused := leases.Create(ctx, "ses_1", []byte("thief"))
		if refused == nil {
			return errors.New("the lease was given twice")
		}
		select {
		case <-stop:
			if err == nil && errors.Is(refused, ErrExists) {
				return nil
			}
		default:
		}
		<-time.After(20 * time.Millisecond)
	}
}

// checkStored checks that a stream has another leader, and took each message once.
func checkStored(t *testing.T, bus *Bus, name, lost string, want uint64) {
	t.Helper()
	persist(t, "the end of "+name+" can be read", func() error {
		stream, err := bus.js.Stream(t.Context(), name)
		if err != nil {
			return err
		}
		info := stream.CachedInfo()
		if info.Cluster.Leader == lost {
			return errors.New("the leader is the one that was killed")
		}
		if info.State.LastSeq != want {
			t.Fatalf("%s stored %d messages, want %d", name, info.State.LastSeq, want)
		}
		return nil
	})
}
