package sender_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/lease"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/sender"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// operation is one kind of exchange with NATS or the database.
type operation int

// What is counted.
const (
	leaseClaim operation = iota
	leaseRenewal
	leaseRead
	leaseDelete
	paceRead
	paceWrite
	factPublished
	factDelivered
	pageRead
	recordListed
	recordRead
	recordWritten
	historyRead
	historyWritten
	documentRead
	campaignList
	operations
)

var operationNames = [operations]string{"lease claims", "lease renewals", "lease reads", "lease deletes", "pace reads", "pace writes", "facts published",
	"facts delivered", "session pages", "session records listed", "session records read", "session records written", "histories read", "histories written",
	"documents read", "campaign lists"}

// counts has one counter for each operation.
type counts [operations]atomic.Int64

// tally is what the counters said at a moment.
type tally [operations]int64

func (c *counts) now() (t tally) {
	for i := range c {
		t[i] = c[i].Load()
	}
	return t
}

func (t tally) since(before tally) tally {
	for i := range t {
		t[i] -= before[i]
	}
	return t
}

// nats is how many messages the operations are to the server: a request and its answer are two, a publish is confirmed.
func (t tally) nats() int64 {
	requests := t[leaseClaim] + t[leaseRenewal] + t[leaseRead] + t[leaseDelete] + t[paceRead] + t[paceWrite] + t[factPublished]
	return 2*requests + t[factDelivered]
}

// database is how many questions and writes the database gets.
func (t tally) database() int64 {
	return t[pageRead] + t[recordRead] + t[recordWritten] + t[historyRead] + t[historyWritten] + t[documentRead] + t[campaignList]
}

// records is how many records of sessions the database hands out.
func (t tally) records() int64 { return t[recordListed] + t[recordRead] }

// errDead: the process that asks does not exist any more.
var errDead = errors.New("this sender is dead")

// wire is the way of one sender to everything outside: it counts, takes its time, and is cut when the sender dies.
type wire struct {
	fleet *fleet
	dead  atomic.Bool
}

// latency is how long the network and the other side take for one exchange.
const latency = time.Millisecond

// ask is one exchange.
func (w *wire) ask(ctx context.Context, kind operation) error {
	w.fleet.counts[kind].Add(1)
	if w.dead.Load() {
		return errDead
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(latency):
	}
	if w.dead.Load() {
		return errDead
	}
	return nil
}

// books are what all senders share.
type books struct {
	mu        sync.Mutex
	ids       []session.ID
	sessions  map[session.ID]session.Session
	histories map[session.ID]session.History
}

// wiredSessions is a session.Store.
type wiredSessions struct{ *wire }

func (s wiredSessions) Create(context.Context, session.Session) error { return errors.ErrUnsupported }

func (s wiredSessions) Delete(context.Context, session.ID) error { return errors.ErrUnsupported }

func (s wiredSessions) Get(ctx context.Context, id session.ID) (session.Session, error) {
	if err := s.ask(ctx, recordRead); err != nil {
		return session.Session{}, err
	}
	books := &s.fleet.books
	books.mu.Lock()
	defer books.mu.Unlock()
	found, there := books.sessions[id]
	if !there {
		return found, store.ErrNotFound
	}
	return found, nil
}

func (s wiredSessions) List(ctx context.Context, filter session.Filter, page store.Page) (list store.List[session.Session], err error) {
	if err := s.ask(ctx, pageRead); err != nil {
		return list, err
	}
	books := &s.fleet.books
	books.mu.Lock()
	defer books.mu.Unlock()
	after := session.ID(strings.TrimPrefix(page.After, "behind:"))
	at, _ := slices.BinarySearch(books.ids, after)
	for ; at < len(books.ids); at++ {
		found := books.sessions[books.ids[at]]
		if found.ID == after || !slices.Contains(filter.States, found.State) {
			continue
		}
		if len(list.Items) == page.Limit() {
			list.Next = "behind:" + string(list.Items[len(list.Items)-1].ID)
			break
		}
		list.Items = append(list.Items, found)
	}
	s.fleet.counts[recordListed].Add(int64(len(list.Items)))
	return list, nil
}

func (s wiredSessions) Update(ctx context.Context, changed session.Session) error {
	if err := s.ask(ctx, recordWritten); err != nil {
		return err
	}
	books := &s.fleet.books
	books.mu.Lock()
	defer books.mu.Unlock()
	if books.sessions[changed.ID].Revision != changed.Revision {
		return store.ErrConflict
	}
	changed.Revision++
	books.sessions[changed.ID] = changed
	return nil
}

// wiredHistories is a session.Histories.
type wiredHistories struct{ *wire }

func (h wiredHistories) Get(ctx context.Context, id session.ID) (session.History, error) {
	if err := h.ask(ctx, historyRead); err != nil {
		return session.History{}, err
	}
	books := &h.fleet.books
	books.mu.Lock()
	defer books.mu.Unlock()
	found, there := books.histories[id]
	if !there {
		return found, store.ErrNotFound
	}
	return found, nil
}

func (h wiredHistories) Put(ctx context.Context, history session.History) error {
	if err := h.ask(ctx, historyWritten); err != nil {
		return err
	}
	books := &h.fleet.books
	books.mu.Lock()
	defer books.mu.Unlock()
	if books.histories[history.Session].Revision != history.Revision {
		return store.ErrConflict
	}
	history.Revision++
	books.histories[history.Session] = history
	return nil
}

// wiredDocuments says that there is no document.
type wiredDocuments struct {
	store.Documents
	*wire
}

func (d wiredDocuments) Among(ctx context.Context, _ string, _ []string) ([]store.Document, error) {
	return nil, d.ask(ctx, documentRead)
}

// wiredCampaigns says that there is no campaign.
type wiredCampaigns struct {
	campaign.Store
	*wire
}

func (c wiredCampaigns) List(ctx context.Context, _ campaign.Filter, _ store.Page) (store.List[campaign.Campaign], error) {
	return store.List[campaign.Campaign]{}, c.ask(ctx, campaignList)
}

// leaseKeys are the keys of the leases as the server keeps them: each expires a TTL after its last write.
type leaseKeys struct {
	mu       sync.Mutex
	revision uint64
	keys     map[string]leaseKey
}

type leaseKey struct {
	value    []byte
	revision uint64
	stored   time.Time
}

// wiredLeases is a lease.Bucket.
type wiredLeases struct{ *wire }

// write writes a key if its revision is the given one; zero: if there is none. A nil value deletes it.
func (l wiredLeases) write(ctx context.Context, kind operation, key string, value []byte, revision uint64) (uint64, bool, error) {
	if err := l.ask(ctx, kind); err != nil {
		return 0, false, err
	}
	keys := &l.fleet.leases
	keys.mu.Lock()
	defer keys.mu.Unlock()
	last := keys.keys[key]
	if time.Since(last.stored) >= leaseTTL {
		last = leaseKey{}
	}
	if last.revision != revision {
		return 0, false, nil
	}
	keys.revision++
	if value == nil {
		delete(keys.keys, key)
	} else {
		keys.keys[key] = leaseKey{value, keys.revision, time.Now()}
	}
	return keys.revision, true, nil
}

func (l wiredLeases) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	revision, written, err := l.write(ctx, leaseClaim, key, value, 0)
	if err == nil && !written {
		err = lease.ErrKeyExists
	}
	return revision, err
}

func (l wiredLeases) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	revision, written, err := l.write(ctx, leaseRenewal, key, value, revision)
	if err == nil && !written {
		err = lease.ErrRevision
	}
	return revision, err
}

func (l wiredLeases) Delete(ctx context.Context, key string, revision uint64) error {
	_, written, err := l.write(ctx, leaseDelete, key, nil, revision)
	if err == nil && !written {
		err = lease.ErrRevision
	}
	return err
}

func (l wiredLeases) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := l.ask(ctx, leaseRead); err != nil {
		return nil, 0, err
	}
	keys := &l.fleet.leases
	keys.mu.Lock()
	defer keys.mu.Unlock()
	last, there := keys.keys[key]
	if !there || time.Since(last.stored) >= leaseTTL {
		return nil, 0, lease.ErrKeyNotFound
	}
	return last.value, last.revision, nil
}

func (l wiredLeases) Watch(ctx context.Context, _ func(string)) error {
	<-ctx.Done()
	return nil
}

// wiredPace is a pace.Bucket.
type wiredPace struct {
	*wire
	bucket *pace.Memory
}

func (p wiredPace) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if err := p.ask(ctx, paceWrite); err != nil {
		return 0, err
	}
	return p.bucket.Create(ctx, key, value)
}

func (p wiredPace) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if err := p.ask(ctx, paceWrite); err != nil {
		return 0, err
	}
	return p.bucket.Update(ctx, key, value, revision)
}

func (p wiredPace) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := p.ask(ctx, paceRead); err != nil {
		return nil, 0, err
	}
	return p.bucket.Get(ctx, key)
}

func (p wiredPace) Delete(ctx context.Context, key string, revision uint64) error {
	if err := p.ask(ctx, paceWrite); err != nil {
		return err
	}
	return p.bucket.Delete(ctx, key, revision)
}

func (p wiredPace) Keys(ctx context.Context) ([]string, error) { return p.bucket.Keys(ctx) }

// listeners are who watches facts.
type listeners struct {
	mu   sync.Mutex
	next int
	all  map[int]listener
}

type listener struct {
	wire    *wire
	filter  string
	changed func(subject string, data []byte)
}

// hears tells whether a filter takes a subject: ">" stands for the rest, "*" for one part.
func (l listener) hears(subject string) bool {
	wanted, got := strings.Split(l.filter, "."), strings.Split(subject, ".")
	for i, part := range wanted {
		if part == ">" {
			return true
		}
		if i >= len(got) || part != "*" && part != got[i] {
			return false
		}
	}
	return len(wanted) == len(got)
}

// wiredQueue is a sender.Queue, a sender.Watcher and a sender.SendServer.
type wiredQueue struct{ *wire }

func (q wiredQueue) SendCommand(context.Context, events.Command) error { return errors.ErrUnsupported }

func (q wiredQueue) Waiting(context.Context, string) (bool, error) {
	return false, errors.ErrUnsupported
}

func (q wiredQueue) PublishFact(ctx context.Context, fact events.Fact) error {
	if err := q.ask(ctx, factPublished); err != nil {
		return err
	}
	data, err := json.Marshal(fact)
	if err != nil {
		return err
	}
	listeners := &q.fleet.listeners
	listeners.mu.Lock()
	defer listeners.mu.Unlock()
	for _, one := range listeners.all {
		if !one.wire.dead.Load() && one.hears(fact.Subject()) {
			q.fleet.counts[factDelivered].Add(1)
			one.changed(fact.Subject(), data)
		}
	}
	return nil
}

func (q wiredQueue) Watch(_ context.Context, filter string, changed func(string, []byte)) (func(), error) {
	listeners := &q.fleet.listeners
	listeners.mu.Lock()
	defer listeners.mu.Unlock()
	listeners.next++
	number := listeners.next
	listeners.all[number] = listener{q.wire, filter, changed}
	return func() {
		listeners.mu.Lock()
		defer listeners.mu.Unlock()
		delete(listeners.all, number)
	}, nil
}

func (q wiredQueue) ServeSends(context.Context, session.ID, func(context.Context, events.SendRequest) events.SendReply) (func(), error) {
	return func() {}, nil
}

// keeperLeases makes a keeper what the host wants, as internal/app does.
type keeperLeases struct{ keeper *lease.Keeper }

func (l keeperLeases) Claim(ctx context.Context, id session.ID) (sender.Lease, error) {
	claimed, err := l.keeper.Claim(ctx, id)
	if err != nil {
		return nil, err
	}
	return claimed, nil
}
