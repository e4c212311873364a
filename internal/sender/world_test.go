package sender

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/lease"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The embedded nats-server of real_test.go leaves this one behind each start; it reads the machine's load.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/pse.periodic"))
}

// world is a fleet in one process and in virtual time: a store, a queue, leases, a WhatsApp that does as it is told, and workers.
type world struct {
	t        *testing.T
	memory   *memory
	queue    *queue
	leases   *bucket
	whatsapp *whatsApp
	// documents are those of the whole fleet.
	documents *store.MemoryDocuments
	workers   sync.WaitGroup
	stops     []func()
}

// inWorld runs a story in a bubble and ends every worker that it started.
func inWorld(t *testing.T, story func(*world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, memory: newMemory(), queue: newQueue(), leases: newBucket(), whatsapp: newWhatsApp(), documents: &store.MemoryDocuments{}}
		story(w)
		for _, stop := range w.stops {
			stop()
		}
		w.workers.Wait()
		if most := w.whatsapp.mostAtOnce(); most > 1 {
			t.Errorf("a device had %d connections at once", most)
		}
	})
}

func (w *world) sessions() memorySessions     { return memorySessions{w.memory} }
func (w *world) campaigns() memoryCampaigns   { return memoryCampaigns{w.memory} }
func (w *world) deliveries() memoryDeliveries { return memoryDeliveries{memory: w.memory} }

// start runs something until the returned function is called or the story ends.
func (w *world) start(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	w.workers.Go(func() {
		defer close(done)
		if err := run(ctx); err != nil {
			w.t.Errorf("a worker ended with %v", err)
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	w.stops = append(w.stops, stop)
	return stop
}

// testHost is a running host.
type testHost struct {
	*Host
	metrics *prometheus.Registry
	stop    func()
}

func (w *world) host(change func(*HostOptions)) *testHost {
	w.t.Helper()
	registry := prometheus.NewRegistry()
	options := HostOptions{Sessions: w.sessions(), Campaigns: w.campaigns(), Deliveries: w.deliveries(), Histories: memoryHistories{w.memory}, WhatsApp: w.whatsapp,
		Leases: w.leases, Queue: w.queue, Watcher: w.queue, Sends: w.queue, Documents: w.documents, Registerer: registry}
	if change != nil {
		change(&options)
	}
	host, err := NewHost(options)
	if err != nil {
		w.t.Fatal(err)
	}
	return &testHost{Host: host, metrics: registry, stop: w.start(host.Run)}
}

// count gives the value of a counter or gauge, or the number of observations of a histogram, over all labels.
func (h *testHost) count(t *testing.T, name string) int {
	t.Helper()
	return metric(t, h.metrics, name)
}

func metric(t *testing.T, registry *prometheus.Registry, name string) int {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			total += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return int(total)
}

// runner runs jobs with as many hands.
func (w *world) runner(hands int, change func(*RunnerOptions)) (runner *Runner, stop func()) {
	w.t.Helper()
	options := RunnerOptions{Sessions: w.sessions(), Campaigns: w.campaigns(), Deliveries: w.deliveries(),
		Suppressions: memorySuppressions{memory: w.memory}, Queue: w.queue, Sends: w.queue}
	if change != nil {
		change(&options)
	}
	runner, err := NewRunner(options)
	if err != nil {
		w.t.Fatal(err)
	}
	return runner, w.start(func(ctx context.Context) error { return w.queue.work(ctx, runner.Handle, hands) })
}

func (w *world) sweeper() (stop func()) { return w.measuredSweeper(nil) }

// measuredSweeper is a sweeper whose metrics are read.
func (w *world) measuredSweeper(registerer prometheus.Registerer) (stop func()) {
	w.t.Helper()
	sweeper, err := NewSweeper(SweeperOptions{Sessions: w.sessions(), Campaigns: w.campaigns(), Deliveries: w.deliveries(), Queue: w.queue, Watcher: w.queue,
		Registerer: registerer})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.start(sweeper.Run)
}

// linked puts a linked session into the store, and tells.
func (w *world) linked(id session.ID) session.Session {
	w.t.Helper()
	s := session.Session{ID: id, UserID: "user", State: session.Offline, Egress: session.EgressDirect,
		Device: session.Device{JID: string(id) + ":1@s.whatsapp.net", Phone: "+5491150001234"}}
	if err := w.sessions().Create(w.t.Context(), s); err != nil {
		w.t.Fatal(err)
	}
	w.queue.nudge("events.session." + string(id) + ".link")
	return s
}

// online gives a linked session that a host has connected.
func (w *world) online(id session.ID) {
	w.t.Helper()
	w.linked(id)
	w.until(string(id)+" is ready", func() bool { return w.session(id).State == session.Ready })
}

func (w *world) session(id session.ID) session.Session {
	w.t.Helper()
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	found, ok := w.memory.sessions[id]
	if !ok {
		w.t.Fatalf("there is no session %s", id)
	}
	return found
}

// changeSession alters a session's record as another process would, and tells.
func (w *world) changeSession(id session.ID, change func(*session.Session)) {
	w.t.Helper()
	_, err := session.Modify(w.t.Context(), w.sessions(), id, func(s *session.Session) error {
		change(s)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.queue.nudge("events.session." + string(id) + ".state")
}

// planned makes a campaign with as many recipients, queued, with its first job.
func (w *world) planned(id campaign.ID, owner session.ID, recipients int) {
	w.t.Helper()
	c := campaign.Campaign{ID: id, SessionID: owner, UserID: "user", Text: "Hola {{nombre}}", Columns: []string{"nombre"}, State: campaign.Draft, Planned: recipients}
	for i := range recipients {
		phone := fmt.Sprintf("+54911600%05d", i+1)
		delivery := campaign.Delivery{ID: campaign.MessageID(id, phone), CampaignID: id, Sequence: i + 1, Phone: phone,
			Fields: map[string]string{"nombre": fmt.Sprint("Nombre ", i+1)}, State: campaign.Pending}
		w.memory.mu.Lock()
		w.memory.deliveries[delivery.ID] = delivery
		w.memory.order[id] = append(w.memory.order[id], delivery.ID)
		w.memory.mu.Unlock()
	}
	if err := w.campaigns().Create(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
	w.person(id, campaign.Queue)
}

// person does to a campaign what the API does for a person.
func (w *world) person(id campaign.ID, event campaign.Event) {
	w.t.Helper()
	always := func(campaign.Campaign) bool { return true }
	stored, _, err := change(w.t.Context(), w.campaigns(), id, always, ending{event: event})
	if err != nil {
		w.t.Fatal(err)
	}
	if stored.State == campaign.Cancelled {
		_, err := w.deliveries().SettleOpen(w.t.Context(), id, campaign.Outcome{State: campaign.Skipped, At: time.Now(), Code: "campaign_cancelled"})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	if err := tellCampaign(w.t.Context(), w.queue, stored); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) campaign(id campaign.ID) campaign.Campaign {
	w.t.Helper()
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	return w.memory.campaigns[id]
}

func (w *world) counts(id campaign.ID) campaign.Counts {
	counts := campaign.Counts{}
	for _, delivery := range w.all(id) {
		counts[delivery.State]++
	}
	return counts
}

func (w *world) all(id campaign.ID) []campaign.Delivery {
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	return w.deliveries().of(id)
}

// until waits, in virtual time, for something that must come about.
func (w *world) until(what string, reached func() bool) {
	w.t.Helper()
	synctest.Wait()
	step := 10 * time.Millisecond
	for deadline := time.Now().Add(24 * time.Hour); !reached(); synctest.Wait() {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited a day for: %s", what)
		}
		time.Sleep(step)
		step = min(step*101/100, time.Second)
	}
}

func (w *world) untilCampaign(id campaign.ID, state campaign.State) {
	w.t.Helper()
	w.until(string(id)+" is "+string(state), func() bool { return w.campaign(id).State == state })
	synctest.Wait()
}

// queue is a JetStream in memory: jobs that are given out until they are done, facts, watchers, and the request to send.
type queue struct {
	mu       sync.Mutex
	jobs     []events.RunCampaign
	inHand   map[string]int
	seen     map[string]bool
	failed   []error
	facts    []events.Fact
	known    map[string]bool
	watchers map[int]watcher
	servers  map[session.ID]*server
	// refuse, if set, may refuse a fact.
	refuse func(events.Fact) error
	came   chan struct{}
	next   int
}

type watcher struct {
	filter  string
	changed func(subject string, data []byte)
}

func newQueue() *queue {
	return &queue{inHand: map[string]int{}, seen: map[string]bool{}, known: map[string]bool{}, watchers: map[int]watcher{},
		servers: map[session.ID]*server{}, came: make(chan struct{}, 1)}
}

func (q *queue) SendCommand(_ context.Context, command events.Command) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := command.Validate(); err != nil {
		return err
	}
	if !q.seen[command.MessageID()] {
		q.seen[command.MessageID()] = true
		q.push(command.(events.RunCampaign))
	}
	return nil
}

// push puts a job into the queue. The caller holds the lock.
func (q *queue) push(job events.RunCampaign) {
	q.jobs = append(q.jobs, job)
	select {
	case q.came <- struct{}{}:
	default:
	}
}

func (q *queue) PublishFact(ctx context.Context, fact events.Fact) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	refuse := q.refuse
	q.mu.Unlock()
	if refuse != nil {
		if err := refuse(fact); err != nil {
			return err
		}
	}
	q.mu.Lock()
	if q.known[fact.MessageID()] {
		q.mu.Unlock()
		return nil
	}
	q.known[fact.MessageID()] = true
	q.facts = append(q.facts, fact)
	q.mu.Unlock()
	data, err := json.Marshal(fact)
	if err != nil {
		return err
	}
	q.tell(fact.Subject(), data)
	return nil
}

func (q *queue) refuseFacts(refuse func(events.Fact) error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refuse = refuse
}

func (q *queue) nudge(subject string) { q.tell(subject, nil) }

func (q *queue) tell(subject string, data []byte) {
	q.mu.Lock()
	var told []func(string, []byte)
	for _, watcher := range q.watchers {
		prefix, _, _ := strings.Cut(watcher.filter, ".*")
		if strings.HasPrefix(subject, strings.TrimSuffix(prefix, ">")) {
			told = append(told, watcher.changed)
		}
	}
	q.mu.Unlock()
	for _, changed := range told {
		changed(subject, data)
	}
}

func (q *queue) Watch(_ context.Context, filter string, changed func(string, []byte)) (func(), error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next++
	number := q.next
	q.watchers[number] = watcher{filter, changed}
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.watchers, number)
	}, nil
}

func (q *queue) Waiting(_ context.Context, subject string) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	waits := slices.ContainsFunc(q.jobs, func(job events.RunCampaign) bool { return job.Subject() == subject })
	return waits || q.inHand[subject] > 0, nil
}

// states gives the states that facts told of a session, in their order.
func (q *queue) states(id session.ID) []session.State {
	q.mu.Lock()
	defer q.mu.Unlock()
	var states []session.State
	for _, fact := range q.facts {
		if changed, ok := fact.(events.SessionChanged); ok && changed.SessionID == id {
			states = append(states, changed.State)
		}
	}
	return states
}

// campaignStates gives the states that facts told of a campaign, in their order.
func (q *queue) campaignStates(id campaign.ID) []campaign.State {
	q.mu.Lock()
	defer q.mu.Unlock()
	var states []campaign.State
	for _, fact := range q.facts {
		if changed, ok := fact.(events.CampaignChanged); ok && changed.CampaignID == id {
			states = append(states, changed.State)
		}
	}
	return states
}

// all gives every fact.
func (q *queue) all() []events.Fact {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.facts)
}

func factsOf[F events.Fact](q *queue) []F {
	q.mu.Lock()
	defer q.mu.Unlock()
	var facts []F
	for _, fact := range q.facts {
		if one, ok := fact.(F); ok {
			facts = append(facts, one)
		}
	}
	return facts
}

// work gives jobs to a handler, by the rules of the bus: what fails with a redelivered class comes again, after the time that it asks for.
func (q *queue) work(ctx context.Context, handle func(context.Context, events.RunCampaign) error, hands int) error {
	var working sync.WaitGroup
	for range hands {
		working.Go(func() {
			for job, ok := q.take(ctx); ok; job, ok = q.take(ctx) {
				q.settle(ctx, job, handle(ctx, job))
			}
		})
	}
	working.Wait()
	return nil
}

func (q *queue) take(ctx context.Context) (events.RunCampaign, bool) {
	for {
		q.mu.Lock()
		if len(q.jobs) > 0 && ctx.Err() == nil {
			job := q.jobs[0]
			q.jobs = q.jobs[1:]
			q.inHand[job.Subject()]++
			if len(q.jobs) > 0 {
				select {
				case q.came <- struct{}{}:
				default:
				}
			}
			q.mu.Unlock()
			return job, true
		}
		q.mu.Unlock()
		select {
		case <-ctx.Done():
			return events.RunCampaign{}, false
		case <-q.came:
		}
	}
}

func (q *queue) settle(ctx context.Context, job events.RunCampaign, err error) {
	failure := fault.As(err)
	if err != nil && ctx.Err() == nil && failure.Class.Redelivered() {
		_ = sleep(ctx, max(failure.After, 100*time.Millisecond))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inHand[job.Subject()]--
	switch {
	case err == nil:
	case ctx.Err() != nil || failure.Class.Redelivered():
		q.push(job)
	default:
		q.failed = append(q.failed, err)
	}
}

// server is the holder of a session, as the others reach it.
type server struct {
	requests chan pending
	stopping chan struct{}
}

type pending struct {
	ctx     context.Context //nolint:containedctx // the request is answered while it lives
	request events.SendRequest
	reply   chan events.SendReply
}

func (q *queue) RequestSend(ctx context.Context, request events.SendRequest) (events.SendReply, error) {
	q.mu.Lock()
	holder := q.servers[request.SessionID]
	q.mu.Unlock()
	notHosted := fault.New(fault.RetryLater, "session_not_hosted", "No worker has this session open").WithAfter(time.Second)
	if holder == nil {
		return events.SendReply{}, notHosted
	}
	asked := pending{ctx: ctx, request: request, reply: make(chan events.SendReply, 1)}
	select {
	case holder.requests <- asked:
	case <-holder.stopping:
		return events.SendReply{}, notHosted
	case <-ctx.Done():
		return events.SendReply{}, fault.Wrap(ctx.Err(), fault.UnknownOutcome, "send_reply_missing", "No answer in time")
	}
	select {
	case reply := <-asked.reply:
		return reply, nil
	case <-ctx.Done():
		return events.SendReply{}, fault.Wrap(ctx.Err(), fault.UnknownOutcome, "send_reply_missing", "No answer in time")
	}
}

func (q *queue) ServeSends(ctx context.Context, id session.ID, answer func(context.Context, events.SendRequest) events.SendReply) (func(), error) {
	holder := &server{requests: make(chan pending), stopping: make(chan struct{})}
	q.mu.Lock()
	q.servers[id] = holder
	q.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-holder.stopping:
				return
			case asked := <-holder.requests:
				bounded, cancel := context.WithCancel(ctx)
				if deadline, has := asked.ctx.Deadline(); has {
					bounded, cancel = context.WithDeadline(ctx, deadline)
				}
				asked.reply <- answer(bounded, asked.request)
				cancel()
			}
		}
	}()
	return sync.OnceFunc(func() {
		q.mu.Lock()
		if q.servers[id] == holder {
			delete(q.servers, id)
		}
		q.mu.Unlock()
		close(holder.stopping)
		<-ended
	}), nil
}

// bucket holds leases.
type bucket struct {
	mu     sync.Mutex
	leases map[session.ID]*testLease
	broken error
	// refused counts the claims of what another worker has.
	refused int
}

func newBucket() *bucket { return &bucket{leases: map[session.ID]*testLease{}} }

type testLease struct {
	bucket   *bucket
	id       session.ID
	done     chan struct{}
	lose     func()
	released time.Time
}

func (b *bucket) Claim(_ context.Context, id session.ID) (Lease, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return nil, b.broken
	}
	if b.leases[id] != nil {
		b.refused++
		return nil, fault.Wrap(&lease.HeldError{Session: id, Worker: "another"}, fault.RetryLater, "lease_held", "Another worker has this session open")
	}
	claimed := &testLease{bucket: b, id: id, done: make(chan struct{})}
	claimed.lose = sync.OnceFunc(func() { close(claimed.done) })
	b.leases[id] = claimed
	return claimed, nil
}

// held gives the present lease of a session; nil when there is none.
func (b *bucket) held(id session.ID) *testLease {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.leases[id]
}

// expire ends the lease of a holder that is gone.
func (b *bucket) expire(id session.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.leases, id)
}

func (l *testLease) Done() <-chan struct{} { return l.done }

func (l *testLease) Epoch() uint64 { return 1 }

func (l *testLease) Held() bool {
	select {
	case <-l.done:
		return false
	default:
		return true
	}
}

func (l *testLease) Release(context.Context) error {
	l.lose()
	l.bucket.mu.Lock()
	defer l.bucket.mu.Unlock()
	l.released = time.Now()
	if l.bucket.leases[l.id] == l {
		delete(l.bucket.leases, l.id)
	}
	return nil
}

// whatsApp does as it is told.
type whatsApp struct {
	mu          sync.Mutex
	connections []*connection
	dialling    int
	mostDials   int
	dials       []time.Time
	sent        []sent
	loggedOut   []session.ID
	asked       int
	// uploads are the files given, typed who was shown typing.
	uploads   []session.File
	typed     []string
	forgotten []string
	// dialTime is how long a connection takes; silent ones do not report that they are connected.
	dialTime time.Duration
	silent   bool
	// open, if set, may refuse a connection; send, if set, decides about a message.
	open func(session.OpenRequest) error
	send func(ctx context.Context, message session.Outgoing) (time.Time, error)
}

// sent is a message that WhatsApp accepted.
type sent struct {
	session session.ID
	message session.Outgoing
	at      time.Time
}

func newWhatsApp() *whatsApp { return &whatsApp{} }

func (a *whatsApp) Open(ctx context.Context, request session.OpenRequest) (Connection, error) {
	a.mu.Lock()
	a.dialling++
	a.mostDials = max(a.mostDials, a.dialling)
	a.dials = append(a.dials, time.Now())
	dialTime, open, silent := a.dialTime, a.open, a.silent
	a.mu.Unlock()
	err := sleep(ctx, dialTime)
	if err == nil && open != nil {
		err = open(request)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dialling--
	if err != nil {
		return nil, err
	}
	opened := &connection{whatsapp: a, request: request, live: true, openedAt: time.Now(), delivery: make(chan struct{}, 1)}
	a.connections = append(a.connections, opened)
	if !silent {
		go opened.report(session.Connected{})
	}
	return opened, nil
}

func (a *whatsApp) Forget(_ context.Context, request session.ForgetRequest) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forgotten = append(a.forgotten, request.Device.JID)
	return nil
}

// connection gives the living connection of a session; nil when there is none.
func (a *whatsApp) connection(id session.ID) *connection {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, one := range slices.Backward(a.connections) {
		if one.request.Session == id && one.live {
			return one
		}
	}
	return nil
}

// dialled gives when connections were begun, and how many at most at the same time.
func (a *whatsApp) dialled() (at []time.Time, most int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.dials), a.mostDials
}

// opened counts the connections that a session ever had.
func (a *whatsApp) opened(id session.ID) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	count := 0
	for _, one := range a.connections {
		if one.request.Session == id {
			count++
		}
	}
	return count
}

// mostAtOnce is the most connections that any device had at one time.
func (a *whatsApp) mostAtOnce() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	most := 0
	for _, one := range a.connections {
		at := 0
		for _, other := range a.connections {
			overlaps := other.request.Session == one.request.Session && !other.openedAt.After(one.openedAt) && (other.live || other.closedAt.After(one.openedAt))
			if overlaps {
				at++
			}
		}
		most = max(most, at)
	}
	return most
}

func (a *whatsApp) messages() []sent {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.sent)
}

// decide sets what becomes of messages; nil accepts them at once.
func (a *whatsApp) decide(send func(context.Context, session.Outgoing) (time.Time, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.send = send
}

// taking makes each message take a while.
func (a *whatsApp) taking(while time.Duration) {
	a.decide(func(ctx context.Context, _ session.Outgoing) (time.Time, error) {
		if sleep(ctx, while) != nil {
			return time.Time{}, fault.New(fault.UnknownOutcome, "no_acknowledgement", "WhatsApp did not confirm the message")
		}
		return time.Now(), nil
	})
}

type connection struct {
	whatsapp *whatsApp
	request  session.OpenRequest
	openedAt time.Time
	closedAt time.Time
	live     bool
	closed   bool

	// delivery holds one token while a signal is handled: a channel, as a bubble's time stands still while a mutex is waited for.
	delivery chan struct{}
}

// report hands a signal to the host, and tells whether WhatsApp may be told that it was handled.
func (c *connection) report(signal session.Signal) (handled bool) {
	c.delivery <- struct{}{}
	defer func() { <-c.delivery }()
	if c.isClosed() {
		return false
	}
	c.request.Signals(signal)
	return !c.isClosed()
}

func (c *connection) isClosed() bool {
	c.whatsapp.mu.Lock()
	defer c.whatsapp.mu.Unlock()
	return c.closed
}

func (c *connection) Send(ctx context.Context, message session.Outgoing) (time.Time, error) {
	c.whatsapp.mu.Lock()
	send := c.whatsapp.send
	c.whatsapp.mu.Unlock()
	at, err := time.Now(), error(nil)
	if send != nil {
		at, err = send(ctx, message)
	}
	if err != nil {
		return time.Time{}, err
	}
	c.whatsapp.mu.Lock()
	defer c.whatsapp.mu.Unlock()
	if !c.live {
		return time.Time{}, fault.New(fault.UnknownOutcome, "no_acknowledgement", "The connection is closed")
	}
	c.whatsapp.sent = append(c.whatsapp.sent, sent{session: c.request.Session, message: message, at: time.Now()})
	return at, nil
}

func (c *connection) Upload(_ context.Context, file session.File) (session.Upload, error) {
	c.whatsapp.mu.Lock()
	defer c.whatsapp.mu.Unlock()
	c.whatsapp.uploads = append(c.whatsapp.uploads, file)
	return session.Upload{Kind: file.Kind, MIME: file.MIME, At: time.Now()}, nil
}

func (c *connection) Typing(_ context.Context, phone string, typing bool) error {
	c.whatsapp.mu.Lock()
	defer c.whatsapp.mu.Unlock()
	c.whatsapp.typed = append(c.whatsapp.typed, fmt.Sprintf("%s %t", phone, typing))
	return nil
}

func (c *connection) LookUp(_ context.Context, phones []string) ([]session.OnWhatsApp, error) {
	var answers []session.OnWhatsApp
	for _, phone := range phones {
		answers = append(answers, session.OnWhatsApp{Phone: phone, Canonical: phone, Exists: true})
	}
	return answers, nil
}

func (c *connection) AskPhone(context.Context) error {
	c.whatsapp.mu.Lock()
	defer c.whatsapp.mu.Unlock()
	c.whatsapp.asked++
	return nil
}

func (c *connection) Silence() (time.Duration, bool) {
	c.whatsapp.mu.Lock()
	defer c.whatsapp.mu.Unlock()
	return time.Since(c.openedAt), !c.closed
}

func (c *connection) Logout(context.Context) error {
	c.whatsapp.mu.Lock()
	defer c.whatsapp.mu.Unlock()
	c.whatsapp.loggedOut = append(c.whatsapp.loggedOut, c.request.Session)
	return nil
}

func (c *connection) Close() {
	c.whatsapp.mu.Lock()
	if c.closed {
		c.whatsapp.mu.Unlock()
		return
	}
	c.closed = true
	c.whatsapp.mu.Unlock()
	c.delivery <- struct{}{}
	defer func() { <-c.delivery }()
	c.whatsapp.mu.Lock()
	defer c.whatsapp.mu.Unlock()
	c.live, c.closedAt = false, time.Now()
}
