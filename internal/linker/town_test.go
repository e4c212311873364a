package linker

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
)

// town is many people who link at once: their sessions, the queue that gives out one job at a time, the leases, and phones that do what they like.
// It holds the invariants of linking at every step and says with which seed one broke.
type town struct {
	t        *testing.T
	seed     uint64
	sessions *sessions
	bucket   *pace.Memory
	log      bytes.Buffer
	jobs     chan events.LinkSession
	// behave is what a phone does once its pairing is open.
	behave func(*pairing)

	mu      sync.Mutex
	random  *rand.Rand
	sent    map[string]bool              // message ids: the queue takes each once
	waiting map[string]int               // jobs by subject, in the queue or in hand
	nudges  map[int]func(string, []byte) // who watches facts
	watches int                          // counts them
	leases  map[session.ID]*townLease    // who holds which session
	open    map[string]int               // pairings by egress
	ready   map[string]int               // ready facts by link
	paired  map[string]bool              // links whose phone accepted
	begun   []beginning                  // pairings in the order of their beginning
}

type beginning struct {
	session session.ID
	egress  string
	at      time.Time
}

func newTown(t *testing.T, seed uint64) *town {
	return &town{
		t: t, seed: seed, sessions: &sessions{records: map[session.ID]session.Session{}}, bucket: &pace.Memory{},
		jobs: make(chan events.LinkSession, 1000), random: rand.New(rand.NewPCG(seed, 1)), sent: map[string]bool{}, waiting: map[string]int{},
		nudges: map[int]func(string, []byte){}, leases: map[session.ID]*townLease{}, open: map[string]int{}, ready: map[string]int{}, paired: map[string]bool{},
	}
}

// broken reports an invariant that does not hold.
func (w *town) broken(format string, arguments ...any) {
	w.t.Helper()
	w.t.Errorf("seed %d: %s", w.seed, fmt.Sprintf(format, arguments...))
}

// chance gives true once in n times.
func (w *town) chance(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.random.IntN(n) == 0
}

// some gives a random while of at most longest.
func (w *town) some(longest time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Duration(w.random.Int64N(int64(longest)))
}

// register makes a session that is not linked.
func (w *town) register(name, egress string) session.ID {
	w.t.Helper()
	created := session.Session{ID: session.ID("ses_" + name), UserID: name, State: session.New, Egress: egress}
	if err := w.sessions.Create(w.t.Context(), created); err != nil {
		w.t.Fatal(err)
	}
	return created.ID
}

// ask does what the API does with a link command: the store first, then the job. A session that is linked refuses it.
func (w *town) ask(id session.ID, link string) {
	before, err := w.sessions.Get(w.t.Context(), id)
	if err != nil {
		w.broken("%v", err)
		return
	}
	created := false
	stored, err := session.Modify(w.t.Context(), w.sessions, id, func(s *session.Session) error {
		changed, is, err := session.RequestLink(*s, session.LinkRequest{ID: link, Method: session.MethodQR, At: time.Now()})
		created, *s = is, changed
		if !is && err == nil {
			return session.ErrUnchanged
		}
		return err
	})
	if err != nil {
		if fault.Of(err) != fault.Conflict {
			w.broken("a link command: %v", err)
		}
		return
	}
	if created {
		if before.State.Linked() {
			w.broken("a link command began a link of %s, which is linked", id)
		}
		_ = w.SendCommand(w.t.Context(), events.LinkSession{Version: events.LinkSessionVersion, SessionID: id, LinkID: stored.Link.ID, Method: session.MethodQR, RequestedAt: stored.Link.QueuedAt})
	}
}

func (w *town) cancel(id session.ID) {
	stored, err := session.Modify(w.t.Context(), w.sessions, id, func(s *session.Session) error {
		changed, err := session.CancelLink(*s, time.Now())
		*s = changed
		return err
	})
	if err != nil {
		w.broken("cancel: %v", err)
		return
	}
	w.nudge("events.session." + string(stored.ID) + ".link")
}

// worker runs a linker until ctx ends: its caller, and, one at a time in the whole town, jobs of the queue.
func (w *town) worker(ctx context.Context, turn chan struct{}) {
	links, err := pace.NewLinks(pace.LinksOptions{Bucket: w.bucket, Rules: pace.DefaultRules()})
	if err != nil {
		w.t.Fatal(err)
	}
	l, err := New(Options{Sessions: w.sessions, Histories: &histories{}, Phones: w, Facts: w, Prompts: w, Answers: w, Watcher: w, Leases: w, Commands: w, Turns: links, Limits: links,
		Log: slog.New(slog.NewTextHandler(lockedWriter{w}, nil))})
	if err != nil {
		w.t.Fatal(err)
	}
	var parts sync.WaitGroup
	parts.Go(func() { _ = l.Run(ctx) })
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case turn <- struct{}{}:
		}
		select {
		case <-ctx.Done():
		case job := <-w.jobs:
			if err := l.Handle(ctx, job); err != nil {
				go w.later(job)
			} else {
				w.done(job)
			}
		}
		<-turn
	}
	parts.Wait()
}

type lockedWriter struct{ town *town }

func (l lockedWriter) Write(line []byte) (int, error) {
	l.town.mu.Lock()
	defer l.town.mu.Unlock()
	return l.town.log.Write(line)
}

// later delivers a job again, as the queue does after a while.
func (w *town) later(job events.LinkSession) {
	select {
	case <-w.t.Context().Done():
	case <-time.After(10 * time.Second):
		w.jobs <- job
	}
}

func (w *town) done(job events.LinkSession) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[job.Subject()]--
}

// SendCommand implements Commands, with the queue's memory for message ids.
func (w *town) SendCommand(_ context.Context, command events.Command) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sent[command.MessageID()] {
		return nil
	}
	w.sent[command.MessageID()] = true
	w.waiting[command.Subject()]++
	w.jobs <- command.(events.LinkSession)
	return nil
}

// Waiting implements Commands.
func (w *town) Waiting(_ context.Context, subject string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting[subject] > 0, nil
}

// PublishFact implements Facts.
func (w *town) PublishFact(_ context.Context, fact events.Fact) error {
	changed := fact.(events.LinkChanged)
	w.mu.Lock()
	switch changed.State { //nolint:exhaustive // the states that an invariant speaks of
	case session.LinkReady:
		w.ready[changed.LinkID]++
		if w.ready[changed.LinkID] > 1 {
			w.broken("link %s was ready twice", changed.LinkID)
		}
	case session.LinkPaired:
		w.paired[changed.LinkID] = true
	}
	w.mu.Unlock()
	w.nudge(fact.Subject())
	return nil
}

func (w *town) nudge(subject string) {
	w.mu.Lock()
	var watchers []func(string, []byte)
	for _, watcher := range w.nudges {
		watchers = append(watchers, watcher)
	}
	w.mu.Unlock()
	for _, watcher := range watchers {
		watcher(subject, nil)
	}
}

// Watch implements Watcher; every watcher hears of everything.
func (w *town) Watch(_ context.Context, _ string, changed func(string, []byte)) (func(), error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watches++
	number := w.watches
	w.nudges[number] = changed
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.nudges, number)
	}, nil
}

// Show implements Prompts.
func (w *town) Show(_ context.Context, id session.ID, prompt session.Prompt) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.paired[prompt.LinkID] {
		w.broken("a code of link %s of %s is shown after its phone accepted", prompt.LinkID, id)
	}
	return nil
}

// Clear implements Prompts.
func (w *town) Clear(context.Context, session.ID) error { return nil }

// Take implements Answers: people answer at once.
func (w *town) Take(_ context.Context, id session.ID) (session.Answer, bool, error) {
	record, err := w.sessions.Get(w.t.Context(), id)
	answer := session.Answer{LinkID: record.Link.ID}
	if record.Link.State == session.LinkPasskeyRequired {
		answer.Passkey = []byte("{}")
	}
	return answer, err == nil && w.chance(2), err
}

type townLease struct {
	town *town
	id   session.ID
	gone chan struct{}
}

func (l *townLease) Done() <-chan struct{} { return l.gone }
func (l *townLease) Epoch() uint64         { return 1 }

func (l *townLease) Release(context.Context) error {
	l.town.mu.Lock()
	defer l.town.mu.Unlock()
	if l.town.leases[l.id] == l {
		delete(l.town.leases, l.id)
	}
	return nil
}

// Claim implements Leases.
func (w *town) Claim(_ context.Context, id session.ID) (Lease, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leases[id] != nil {
		return nil, fault.New(fault.RetryLater, "leased", "another worker has the session")
	}
	w.leases[id] = &townLease{town: w, id: id, gone: make(chan struct{})}
	return w.leases[id], nil
}

// pairing is an open connection of somebody who links.
type pairing struct {
	town    *town
	request session.PairRequest
	egress  string
	closed  chan struct{}
	ended   chan struct{}
}

// Pair implements Phones.
func (w *town) Pair(ctx context.Context, request session.PairRequest) (Pairing, error) {
	record, err := w.sessions.Get(ctx, request.Session)
	if err != nil {
		return nil, err
	}
	if record.State.Linked() {
		w.broken("%s is paired although it is linked", request.Session)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leases[request.Session] == nil {
		w.broken("%s is paired without a lease", request.Session)
	}
	egress := record.EgressName()
	w.open[egress]++
	if w.open[egress] > 1 {
		w.broken("%d pairings at once on %s", w.open[egress], egress)
	}
	w.begun = append(w.begun, beginning{request.Session, egress, time.Now()})
	p := &pairing{town: w, request: request, egress: egress, closed: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		w.behave(p)
	}()
	return p, nil
}

// AnswerPasskey implements Pairing.
func (p *pairing) AnswerPasskey(context.Context, []byte) error { return nil }

// ConfirmPasskey implements Pairing.
func (p *pairing) ConfirmPasskey(context.Context) error { return nil }

// Close implements Pairing: no signal is handled after it.
func (p *pairing) Close() {
	close(p.closed)
	<-p.ended
	p.town.mu.Lock()
	defer p.town.mu.Unlock()
	p.town.open[p.egress]--
}

// after waits, and gives false when the connection was closed meanwhile.
func (p *pairing) after(wait time.Duration) bool {
	select {
	case <-p.closed:
		return false
	case <-time.After(wait):
		return true
	}
}

// scan is a person who fetches a phone and scans.
func (p *pairing) scan() {
	if !p.after(time.Second + p.town.some(3*time.Second)) {
		return
	}
	p.request.Signals(offered)
	if !p.after(5*time.Second + p.town.some(30*time.Second)) {
		return
	}
	device := session.Device{JID: string(p.request.Session), Phone: "+549" + string(p.request.Session)}
	if err := p.request.Accept(device); err != nil {
		p.request.Signals(session.PairRefused{Reason: session.ReasonInternal})
		return
	}
	p.request.Signals(session.Paired{Device: device})
	p.request.Signals(session.Restarting{})
	p.request.Signals(session.Connected{})
}

// await waits, for hours of virtual time if need be, until nothing is left to do.
func (w *town) await(longest time.Duration, over func() bool) {
	w.t.Helper()
	for began := time.Now(); !over(); time.Sleep(time.Second) {
		if time.Since(began) > longest {
			w.broken("not at rest after %s", longest)
			return
		}
	}
}

// atRest: every link has ended, and every job with it.
func (w *town) atRest() bool {
	w.sessions.mu.Lock()
	defer w.sessions.mu.Unlock()
	for _, record := range w.sessions.records {
		if record.Link.State.InProgress() {
			return false
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, jobs := range w.waiting {
		if jobs > 0 {
			return false
		}
	}
	return true
}

// TestTenUsersOnOneEgressAreLinkedOneAfterAnother has the default timing and two linkers. The capacity of an egress, which ten users are too many
// for, has tests of its own (internal/session); it is lifted here, as it is for a simulator.
func TestTenUsersOnOneEgressAreLinkedOneAfterAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 1)
		w.behave = (*pairing).scan
		links, err := pace.NewLinks(pace.LinksOptions{Bucket: w.bucket})
		if err != nil {
			t.Fatal(err)
		}
		if err := links.SetCapacity(t.Context(), session.Unbounded); err != nil {
			t.Fatal(err)
		}
		var asked []session.ID
		for number := range 10 {
			asked = append(asked, w.register(fmt.Sprintf("user%02d", number), session.EgressDirect))
		}
		other := w.register("elsewhere", "another egress")
		for _, id := range append(asked, other) {
			w.ask(id, "link-"+string(id))
			time.Sleep(time.Millisecond)
		}
		w.work(1, func() { w.await(2*time.Hour, w.atRest) })
		var order []session.ID
		var last time.Time
		began := w.begun[0].at
		for _, b := range w.begun {
			if b.egress != session.EgressDirect {
				if wait := b.at.Sub(began); wait > 2*time.Minute {
					t.Errorf("the other egress waited for %s", wait)
				}
				continue
			}
			if gap := b.at.Sub(last); !last.IsZero() && gap < 2*time.Minute {
				t.Errorf("%s began %s after the one before", b.session, gap)
			}
			order, last = append(order, b.session), b.at
		}
		same := len(order) == len(asked)
		for i := range order {
			same = same && order[i] == asked[i]
		}
		if !same {
			t.Errorf("linked in the order %v, asked in %v", order, asked)
		}
		for _, id := range append(asked, other) {
			if record, _ := w.sessions.Get(t.Context(), id); record.Link.State != session.LinkReady {
				t.Errorf("%s is %s", id, record.Link.State)
			}
		}
	})
}

// work runs two linkers for as long as a story takes. The queue gives out one job at a time (design.md §3), and more of them when it takes a slow
// worker for a dead one.
func (w *town) work(atOnce int, story func()) {
	ctx, stop := context.WithCancel(w.t.Context())
	turn := make(chan struct{}, atOnce)
	var working sync.WaitGroup
	for range 2 {
		working.Go(func() { w.worker(ctx, turn) })
	}
	story()
	stop()
	working.Wait()
	synctest.Wait()
}

// mischief is a phone, or a person, of any kind: one that scans, one that nobody fetches, one that is refused, a connection that dies, a WhatsApp that
// says nothing, and codes and connections that are reported when they should not be.
func (p *pairing) mischief() {
	w := p.town
	switch {
	case w.chance(8):
		return // it never says anything
	case w.chance(8):
		p.request.Signals(session.Disconnected{})
		return
	}
	p.request.Signals(offered)
	if w.chance(4) || !p.after(w.some(90*time.Second)) {
		return // nobody scans
	}
	if w.chance(6) {
		p.request.Signals(session.PasskeyAsked{Options: []byte("{}")})
		if !p.after(w.some(6*time.Minute)) || w.chance(4) {
			return
		}
		p.request.Signals(session.PasskeyConfirm{Code: []string{"", "ABCD-EFGH"}[w.some(2)]})
	}
	device := session.Device{JID: string(p.request.Session), Phone: "+549" + string(p.request.Session)}
	if w.chance(6) {
		device.Phone = "+5490000" // several people hold the same phone
	}
	if err := p.request.Accept(device); err != nil || w.chance(8) {
		p.request.Signals(session.PairRefused{Reason: session.ReasonInternal})
		return
	}
	p.request.Signals(session.Paired{Device: device})
	if w.chance(3) {
		p.request.Signals(offered)
	}
	p.request.Signals(session.Restarting{})
	if w.chance(8) || !p.after(w.some(20*time.Second)) {
		return // it never logs in
	}
	p.request.Signals(session.Connected{})
	if w.chance(3) {
		p.request.Signals(session.Connected{})
		p.request.Signals(offered)
	}
	if w.chance(4) {
		p.request.Signals(session.Disconnected{})
		p.request.Signals(session.Connected{})
	}
}

// tale is one short story of a few sessions on two egresses and two linkers, with commands that come twice, cancelled links, leases that are
// lost and linkers that stop.
func (w *town) tale() {
	w.behave = (*pairing).mischief
	var users []session.ID
	for number := range 2 + int(w.some(4)) {
		users = append(users, w.register(fmt.Sprintf("user%d", number), []string{session.EgressDirect, "proxy"}[w.some(2)]))
	}
	asked := 0
	acts := func() {
		for range 8 {
			id := users[w.some(time.Duration(len(users)))]
			switch w.some(6) {
			case 0:
				w.cancel(id)
			case 1:
				w.loseLease(id)
			default:
				asked++
				w.ask(id, fmt.Sprintf("link-%d", asked))
			}
			time.Sleep(w.some(90 * time.Second))
		}
	}
	w.work(1+int(w.some(2)), func() {
		acts()
		time.Sleep(w.some(time.Minute))
	})
	w.work(1+int(w.some(2)), func() { // the linkers of the first part were stopped in the middle of whatever they did
		acts()
		w.await(12*time.Hour, w.atRest)
	})
	for _, id := range users {
		record, err := w.sessions.Get(w.t.Context(), id)
		if err != nil || record.State.Linked() == record.Device.IsZero() {
			w.broken("%s is %s with the device %q: %v", id, record.State, record.Device.JID, err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.leases) != 0 {
		w.broken("%d leases were not given back", len(w.leases))
	}
	for egress, open := range w.open {
		if open != 0 {
			w.broken("%d pairings were left open on %s", open, egress)
		}
	}
}

// loseLease takes a session's lease from its linker, as a queue does that did not hear of it in time.
func (w *town) loseLease(id session.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if held := w.leases[id]; held != nil {
		delete(w.leases, id)
		close(held.gone)
	}
}

var seedFlag = flag.Uint64("seed", 0, "run only the history of TestHistoriesKeepTheInvariants with this seed")

// TestHistoriesKeepTheInvariants tells thousands of short histories: at most one ready per link, no code after the phone accepted, no pairing without
// a lease, never two pairings on one egress, no link command that touches a linked session, and an end for every job.
func TestHistoriesKeepTheInvariants(t *testing.T) {
	t.Parallel()
	const histories = 2000
	ready := 0
	for seed := uint64(1); seed <= histories && !t.Failed(); seed++ {
		if *seedFlag != 0 && seed != *seedFlag {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			w := newTown(t, seed)
			w.tale()
			ready += len(w.ready)
		})
	}
	if *seedFlag == 0 && ready < histories/2 {
		t.Errorf("only %d links were ready in %d histories: they prove little", ready, histories)
	}
}
