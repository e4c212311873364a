package sender_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/lease"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/sender"
	"github.com/dannsalud/broadcaster/internal/session"
)

const (
	leaseTTL = lease.DefaultTTL
	// perEgress is how many sessions have one way out.
	perEgress = 5
	// jitter is the longest wait between two connections on one egress.
	jitter = 3 * time.Second
	// dialTime is how long a connection takes: TCP, Noise and the login are about a second over the internet.
	dialTime = time.Second
)

// fleet is senders in one process and in virtual time: the real hosts, sweepers, keepers of leases and clocks of egresses, over ports that count.
type fleet struct {
	t         *testing.T
	counts    counts
	books     books
	leases    leaseKeys
	pacing    pace.Memory
	listeners listeners
	phones    phones
	started   int
	senders   []*simulated
	running   sync.WaitGroup
}

// simulated is one sender.
type simulated struct {
	*wire
	host   *sender.Host
	cancel context.CancelFunc
	ended  chan struct{}
}

// inFleet runs a story of a fleet in a bubble, with as many sessions that were linked before.
func inFleet(t *testing.T, sessions int, story func(*fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{t: t}
		f.books.sessions, f.books.histories = map[session.ID]session.Session{}, map[session.ID]session.History{}
		f.leases.keys, f.listeners.all, f.phones.live = map[string]leaseKey{}, map[int]listener{}, map[session.ID]*line{}
		for i := range sessions {
			id := session.ID(fmt.Sprintf("ses_%06d", i))
			f.books.ids = append(f.books.ids, id)
			f.books.sessions[id] = session.Session{ID: id, UserID: fmt.Sprint("user", i), State: session.Offline, Egress: fmt.Sprint("proxy", i/perEgress),
				Device: session.Device{JID: fmt.Sprintf("54911%08d:1@s.whatsapp.net", i), Phone: fmt.Sprintf("+54911%08d", i)}, Revision: 1}
		}
		story(f)
		for _, one := range f.senders {
			one.cancel()
		}
		f.running.Wait()
		if f.phones.doubled > 0 {
			t.Errorf("%d times a session had two connections at once", f.phones.doubled)
		}
	})
}

// start starts another sender.
func (f *fleet) start() *simulated {
	f.t.Helper()
	w := &wire{fleet: f}
	f.started++
	keeper, err := lease.New(lease.Options{Bucket: wiredLeases{w}, Worker: fmt.Sprint("sender", f.started), TTL: leaseTTL})
	f.must(err)
	links, err := pace.NewLinks(pace.LinksOptions{Bucket: wiredPace{w, &f.pacing}})
	f.must(err)
	queue, sessions, campaigns := wiredQueue{w}, wiredSessions{w}, wiredCampaigns{wire: w}
	host, err := sender.NewHost(sender.HostOptions{Sessions: sessions, Campaigns: campaigns, Deliveries: struct{ campaign.Deliveries }{},
		Histories: wiredHistories{w}, WhatsApp: wiredPhones{w}, Leases: keeperLeases{keeper}, Queue: queue, Watcher: queue, Sends: queue,
		Egresses: links, Documents: wiredDocuments{wire: w}, ConnectJitter: jitter})
	f.must(err)
	sweeper, err := sender.NewSweeper(sender.SweeperOptions{Sessions: sessions, Campaigns: campaigns, Deliveries: struct{ campaign.Deliveries }{},
		Queue: queue, Watcher: queue})
	f.must(err)
	// As internal/app does: the keeper outlives the host, which gives its leases back.
	keeping, endKeeping := context.WithCancel(context.WithoutCancel(f.t.Context()))
	hosting, cancel := context.WithCancel(f.t.Context())
	one := &simulated{wire: w, host: host, cancel: cancel, ended: make(chan struct{})}
	var work sync.WaitGroup
	for _, run := range []func(context.Context) error{host.Run, sweeper.Run} {
		work.Go(func() { f.must(run(hosting)) })
	}
	f.running.Go(func() { f.must(keeper.Run(keeping)) })
	f.running.Go(func() {
		defer close(one.ended)
		work.Wait()
		endKeeping()
	})
	f.senders = append(f.senders, one)
	return one
}

func (f *fleet) must(err error) {
	if err != nil {
		f.t.Error(err)
	}
}

// stop ends a sender as a deployment does, and waits for it.
func (f *fleet) stop(one *simulated) {
	one.cancel()
	<-one.ended
	f.forget(one)
}

// kill ends a sender as a power cut does: it says nothing to anybody any more, and its connections are gone.
func (f *fleet) kill(one *simulated) {
	one.dead.Store(true)
	f.phones.cut(one.wire)
	one.cancel()
	f.forget(one)
}

func (f *fleet) forget(gone *simulated) {
	for i, one := range f.senders {
		if one == gone {
			f.senders = append(f.senders[:i:i], f.senders[i+1:]...)
			return
		}
	}
}

// pass lets time go by.
func (f *fleet) pass(while time.Duration) {
	time.Sleep(while)
	synctest.Wait()
}

// untilConnected waits until every session has its connection, and gives how long that took.
func (f *fleet) untilConnected() time.Duration {
	f.t.Helper()
	begun := time.Now()
	for synctest.Wait(); f.phones.connected() < len(f.books.ids); f.pass(100 * time.Millisecond) {
		if time.Since(begun) > 30*time.Minute {
			f.t.Fatalf("%d of %d sessions are connected after half an hour", f.phones.connected(), len(f.books.ids))
		}
	}
	return time.Since(begun)
}

// spread gives how many sessions the senders host, at least and at most.
func (f *fleet) spread() (least, most int) {
	least = len(f.books.ids)
	for _, one := range f.senders {
		hosted := len(one.host.Hosted())
		least, most = min(least, hosted), max(most, hosted)
	}
	return least, most
}

// memory gives the bytes that are in use.
func memory() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc + stats.StackInuse
}

// phones is WhatsApp, which only watches who is connected.
type phones struct {
	mu   sync.Mutex
	live map[session.ID]*line
	// doubled counts the connections that were opened while another sender had one.
	doubled int
}

// line is one connection.
type line struct {
	sender.Connection
	phones *phones
	id     session.ID
	owner  *wire
	// handling is held while a signal is handled.
	handling sync.WaitGroup
}

func (p *phones) connected() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.live)
}

// cut ends all connections of a sender.
func (p *phones) cut(owner *wire) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, one := range p.live {
		if one.owner == owner {
			delete(p.live, id)
		}
	}
}

// wiredPhones is a sender.WhatsApp.
type wiredPhones struct{ *wire }

func (w wiredPhones) Forget(context.Context, session.ForgetRequest) error { return nil }

func (w wiredPhones) Open(ctx context.Context, request session.OpenRequest) (sender.Connection, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(dialTime):
	}
	phones := &w.fleet.phones
	phones.mu.Lock()
	defer phones.mu.Unlock()
	if w.dead.Load() {
		return nil, errDead
	}
	if phones.live[request.Session] != nil {
		phones.doubled++
	}
	opened := &line{phones: phones, id: request.Session, owner: w.wire}
	phones.live[request.Session] = opened
	opened.handling.Go(func() { request.Signals(session.Connected{}) })
	return opened, nil
}

func (l *line) Silence() (time.Duration, bool) { return 0, false }

func (l *line) Close() {
	l.handling.Wait()
	l.phones.mu.Lock()
	defer l.phones.mu.Unlock()
	if l.phones.live[l.id] == l {
		delete(l.phones.live, l.id)
	}
}
