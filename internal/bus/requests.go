package bus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

const (
	// headerTimeout says how long the requester waits, from the moment it asked; a duration, since clocks differ.
	headerTimeout = "Broadcaster-Timeout"
	// sendTimeout bounds a request whose context has no deadline.
	sendTimeout = 2 * time.Minute
	// hostQueue makes one host answer where, for a moment, two of them serve a session.
	hostQueue = "host"
)

// RequestSend asks the worker that hosts the request's session to send a message, and waits for its answer as long as the context lives. The
// error says that there is no answer: fault.RetryLater when nobody hosts the session, so nothing was sent; fault.UnknownOutcome when the
// answer did not come, so it may have been; fault.Poison for a request that is not valid. A failed send is in the reply.
func (b *Bus) RequestSend(ctx context.Context, request events.SendRequest) (reply events.SendReply, err error) {
	if err := request.Validate(); err != nil {
		return events.SendReply{}, err
	}
	ctx, end := b.span(ctx, "request send", trace.SpanKindClient, aboutRequest(request))
	defer func() { end(cmp.Or(err, reply.Err())) }()
	ctx, cancel := withDeadline(ctx, sendTimeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return events.SendReply{}, fault.Wrap(err, fault.RetryNow, "interrupted", "The message was not sent: the request ended before it began")
	}
	if reply, here, err := b.requestHere(ctx, request); here {
		return reply, err
	}
	return b.requestAway(ctx, request)
}

// requestHere asks the host of the session in this process, without the way over the queue; here is false when there is none.
func (b *Bus) requestHere(ctx context.Context, request events.SendRequest) (reply events.SendReply, here bool, err error) {
	serving, here := b.serving.Load(request.SessionID)
	if !here {
		return events.SendReply{}, false, nil
	}
	answered := make(chan events.SendReply, 1)
	next := &arrival{request: request, at: time.Now(), trace: trace.SpanContextFromContext(ctx), answered: answered}
	if deadline, has := ctx.Deadline(); has {
		next.patience = deadline.Sub(next.at)
	}
	serving.(*sendServer).take(next)
	select {
	case reply := <-answered:
		return reply, true, nil
	case <-ctx.Done():
		return events.SendReply{}, true, unanswered(ctx.Err())
	}
}

// requestAway asks the host of the session over the queue.
func (b *Bus) requestAway(ctx context.Context, request events.SendRequest) (reply events.SendReply, err error) {
	payload, err := json.Marshal(request)
	if err != nil {
		return events.SendReply{}, fmt.Errorf("encode send request: %w", err)
	}
	m := nats.NewMsg(request.SubjectOf())
	m.Data = payload
	if deadline, has := ctx.Deadline(); has {
		m.Header.Set(headerTimeout, time.Until(deadline).String())
	}
	if parent := Traceparent(ctx); parent != "" {
		m.Header.Set(headerTrace, parent)
	}
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	go b.watchHost(ctx, request, giveUp)
	answer, err := b.nc.RequestMsgWithContext(ctx, m)
	if errors.Is(context.Cause(ctx), errHostGone) && err != nil {
		err = errHostGone
	}
	if err != nil {
		return events.SendReply{}, unanswered(err)
	}
	if err := json.Unmarshal(answer.Data, &reply); err != nil {
		return events.SendReply{}, fault.Wrap(err, fault.UnknownOutcome, "reply_undecodable",
			"The session's host answered in a way that this version does not understand")
	}
	return reply, nil
}

func unanswered(err error) error {
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return fault.Wrap(err, fault.RetryLater, "session_not_hosted", "No worker has this session open at the moment; try again").
			WithAfter(time.Second)
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return fault.Wrap(err, fault.RetryLater, "queue_unavailable", "The message was not sent: this process is stopping").WithAfter(time.Second)
	}
	return fault.Wrap(err, fault.UnknownOutcome, "send_reply_missing",
		"The session's host did not answer in time; the message may have been sent, and sending it again under the same id is safe")
}

// errHostGone: the worker that took a request died, or gave the session up, without an answer.
var errHostGone = errors.New("the session's host no longer has the request")

const (
	// headerInHand asks a host whether it has the message of that id in hand, instead of sending one.
	headerInHand = "Broadcaster-In-Hand"
	// inHand is the answer that it has.
	inHand = "yes"
	// hostSilences is how many of these questions may stay without an answer: a host may be reconnecting, and one that is being stopped finishes
	// the message under way, for up to ten seconds, when it hears nothing any more.
	hostSilences = 4
	// answerGrace is for an answer that is on its way: the host forgets a request behind its answer.
	answerGrace = 500 * time.Millisecond
)

// watchHost gives a request up when nobody works at it any more: a message that waits for its session's pace may take minutes, so that the time
// alone does not tell. It returns when the request is over.
func (b *Bus) watchHost(ctx context.Context, request events.SendRequest, giveUp context.CancelCauseFunc) {
	again := time.NewTicker(b.options.HostWatch)
	defer again.Stop()
	for silences := 0; silences < hostSilences; {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		switch has, err := b.hasInHand(ctx, request); {
		case err != nil:
			silences++
		case has:
			silences = 0
		default:
			silences = hostSilences
		}
	}
	grace := time.NewTimer(answerGrace)
	defer grace.Stop()
	select {
	case <-ctx.Done():
	case <-grace.C:
		giveUp(errHostGone)
	}
}

// hasInHand asks the session's host whether it has a message in hand.
func (b *Bus) hasInHand(ctx context.Context, request events.SendRequest) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, b.options.HostWatch)
	defer cancel()
	m := nats.NewMsg(request.SubjectOf())
	m.Header.Set(headerInHand, request.MessageID)
	answer, err := b.nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		return false, err
	}
	return string(answer.Data) == inHand, nil
}

// maxWaitingSends is how many requests of a session may wait behind the one that is answered.
const maxWaitingSends = 1024

// sendServer answers the send requests of one session.
type sendServer struct {
	bus      *Bus
	session  session.ID
	answer   func(context.Context, events.SendRequest) events.SendReply
	stopping atomic.Bool
	ended    chan struct{}
	// open counts the subscriptions that may bring requests.
	open atomic.Int32

	mu sync.Mutex
	// waiting are the requests that came and were not taken, in their order; over says that no more come. come is told of a change of either. A channel of
	// the longest line would be set aside for each session, idle ones too.
	waiting []*arrival
	over    bool
	come    *sync.Cond
	// has counts the requests in hand by their message's id, those that wait included.
	has map[string]int
}

// arrival is a request and when it came, which is when its requester's patience is counted from; no patience: it has no end.
type arrival struct {
	at       time.Time
	patience time.Duration
	trace    trace.SpanContext
	request  events.SendRequest
	// message came over the queue, or answered waits in this process: where the answer goes.
	message  *nats.Msg
	answered chan<- events.SendReply
	// undecodable is why the request is none; nil when it is.
	undecodable error
}

// ServeSends answers the send requests of a session, one at a time in the order of their arrival, until stop is called. Each answer's context has
// the values of ctx, ends with it, and has the deadline of its requester; a request whose requester gave up while it waited is not run.
//
// stop returns when the answer under way is sent and every request that waited behind it was told that nobody hosts the session. It may be
// called more than once, but not by answer.
func (b *Bus) ServeSends(ctx context.Context, id session.ID, answer func(context.Context, events.SendRequest) events.SendReply) (stop func(), err error) {
	s := &sendServer{bus: b, session: id, answer: answer, ended: make(chan struct{}),
		has: map[string]int{}}
	s.come = sync.NewCond(&s.mu)
	sends, err := b.nc.QueueSubscribe(events.SendSubject(id), hostQueue, s.arrive)
	if err != nil {
		return nil, notHosting(id, err)
	}
	lookups, err := b.nc.QueueSubscribe(events.LookupSubject(id), hostQueue, s.arriveLookup)
	if err != nil {
		_ = sends.Unsubscribe() // it fails only when the connection is gone
		return nil, notHosting(id, err)
	}
	s.open.Store(2)
	for _, sub := range []*nats.Subscription{sends, lookups} {
		sub.SetClosedHandler(func(string) {
			if s.open.Add(-1) == 0 {
				s.noMore() // After the last call of arrive.
			}
		})
	}
	go s.run(ctx)
	stop = sync.OnceFunc(func() { s.stop(sends, lookups) })
	if err := b.flush(ctx); err != nil { // From here on a request finds us.
		stop()
		return nil, notHosting(id, err)
	}
	b.serving.Store(id, s)
	return stop, nil
}

func notHosting(id session.ID, err error) error {
	return fault.Wrap(fmt.Errorf("serve send requests of %s: %w", id, err), fault.RetryLater, "queue_unavailable",
		"The session cannot be hosted: the queue cannot be reached; try again")
}

func (s *sendServer) arrive(m *nats.Msg) {
	if id := m.Header.Get(headerInHand); id != "" {
		s.tellInHand(m, id)
		return
	}
	next := &arrival{message: m, at: time.Now(), trace: trace.SpanContextFromContext(WithTraceparent(context.Background(), m.Header.Get(headerTrace)))}
	next.patience, _ = time.ParseDuration(m.Header.Get(headerTimeout)) // Who says none waits for ever.
	next.undecodable = json.Unmarshal(m.Data, &next.request)
	s.take(next)
}

// take puts a request in the line, or sends it away.
func (s *sendServer) take(next *arrival) {
	s.note(next.request.MessageID, 1)
	if refusal := s.line(next); refusal != nil {
		s.respond(next, events.FailedReply(refusal))
	}
}

// arriveLookup takes a request that may only ask about numbers, whatever else it says.
func (s *sendServer) arriveLookup(m *nats.Msg) {
	var request events.SendRequest
	if m.Header.Get(headerInHand) == "" && (json.Unmarshal(m.Data, &request) != nil || len(request.Lookup) == 0) {
		s.respond(&arrival{message: m}, events.FailedReply(fault.New(fault.Poison, "no_lookup", "Only questions about numbers are answered here")))
		return
	}
	s.arrive(m)
}

// tellInHand answers at once, whatever waits.
func (s *sendServer) tellInHand(m *nats.Msg, id string) {
	s.mu.Lock()
	has := s.has[id] > 0
	s.mu.Unlock()
	answer := "no"
	if has {
		answer = inHand
	}
	if err := m.Respond([]byte(answer)); err != nil {
		s.bus.log.Warn("question about a send request not answered", "session", s.session, "error", err)
	}
}

// note counts a request in hand, or one less.
func (s *sendServer) note(id string, change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has[id] += change; s.has[id] <= 0 {
		delete(s.has, id)
	}
}

// line puts a request behind those that wait, or says why not.
func (s *sendServer) line(next *arrival) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return errNotHosted()
	}
	if len(s.waiting) >= maxWaitingSends {
		return fault.New(fault.RetryLater, "session_busy", "Too many messages wait for this session; try again later").WithAfter(time.Second)
	}
	s.waiting = append(s.waiting, next)
	s.come.Signal()
	return nil
}

// noMore says that nothing comes any more.
func (s *sendServer) noMore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.come.Signal()
}

// next gives the first request that waits, when there is one; nil when no more come.
func (s *sendServer) next() *arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) == 0 {
		if s.over {
			return nil
		}
		s.waiting = nil // what it grew to is given back
		s.come.Wait()
	}
	first := s.waiting[0]
	s.waiting[0] = nil
	s.waiting = s.waiting[1:]
	return first
}

// run answers until the subscription is over and nothing waits any more.
func (s *sendServer) run(ctx context.Context) {
	defer close(s.ended)
	for next := s.next(); next != nil; next = s.next() {
		s.respond(next, s.reply(ctx, next))
	}
}

// respond answers a request, and then only has it no longer in hand.
func (s *sendServer) respond(a *arrival, reply events.SendReply) {
	defer s.note(a.request.MessageID, -1)
	if a.answered != nil {
		a.answered <- reply
		return
	}
	payload, err := json.Marshal(reply)
	if err == nil {
		err = a.message.Respond(payload)
	}
	if err != nil {
		s.bus.log.Warn("answer to a send request not sent", "session", s.session, "error", err)
	}
}

// errNotHosted answers for a session that this process gives up.
func errNotHosted() error {
	return fault.New(fault.RetryLater, "session_not_hosted", "The session is moving to another worker; try again").WithAfter(time.Second)
}

func (s *sendServer) reply(ctx context.Context, a *arrival) events.SendReply {
	if s.stopping.Load() {
		return events.FailedReply(errNotHosted())
	}
	if a.undecodable != nil {
		return events.FailedReply(fault.New(fault.Poison, "undecodable", "The send request is not one that this version understands"))
	}
	if a.trace.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, a.trace)
	}
	about := aboutRequest(a.request)
	ctx = s.bus.options.Annotate(ctx, about...)
	if a.patience != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, a.at.Add(a.patience))
		defer cancel()
	}
	if ctx.Err() != nil {
		return events.FailedReply(fault.New(fault.RetryNow, "request_expired", "The message was not sent: its turn came after its deadline"))
	}
	ctx, end := s.bus.span(ctx, "send", trace.SpanKindServer, about)
	reply := s.answer(ctx, a.request)
	end(reply.Err())
	return reply
}

// stop lets the subscription run out: what waits is answered by reply, which knows that we are stopping.
//
// Without a connection nothing can run out. What is being drained then would be subscribed to again with the next connection, and forgotten here without
// a word to the server, which would go on bringing requests to nobody. With one, its loss ends the draining at once.
func (s *sendServer) stop(subs ...*nats.Subscription) {
	s.stopping.Store(true)
	s.bus.serving.CompareAndDelete(s.session, s)
	for _, sub := range subs {
		_ = sub.Drain() // It fails only when the subscription is over.
		if !s.bus.nc.IsConnected() {
			_ = sub.Unsubscribe() // The same.
		}
	}
	<-s.ended
}

// withDeadline gives a context that has a deadline: its own, or the given one.
func withDeadline(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, timeout)
}

// flush waits until the server has seen everything that was sent.
func (b *Bus) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	return b.nc.FlushWithContext(ctx)
}

// Watch calls changed with each message on the subjects that the filter names ("events.session.*.state"), one at a time, until stop is called or
// the context ends. It is a nudge: nothing is repeated, and what comes while the connection is lost is never seen.
func (b *Bus) Watch(ctx context.Context, filter string, changed func(subject string, data []byte)) (stop func(), err error) {
	sub, err := b.nc.Subscribe(filter, func(m *nats.Msg) { changed(m.Subject, m.Data) })
	if err == nil {
		err = b.flush(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", filter, err)
	}
	stop = sync.OnceFunc(func() { _ = sub.Unsubscribe() }) // It fails only when the subscription is over.
	context.AfterFunc(ctx, stop)
	return stop, nil
}
