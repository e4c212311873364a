package linker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The doubles below stand for this package's own ports, so that hours of waiting cost nothing; the real parts behind them are driven by the
// tests of internal/app.

type sessions struct {
	mu      sync.Mutex
	records map[session.ID]session.Session
}

func (s *sessions) Create(_ context.Context, created session.Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[created.ID] = created
	return nil
}

func (s *sessions) Get(_ context.Context, id session.ID) (session.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.records[id]
	if !ok {
		return session.Session{}, store.ErrNotFound
	}
	return found, nil
}

func (s *sessions) List(_ context.Context, filter session.Filter, _ store.Page) (store.List[session.Session], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list store.List[session.Session]
	for _, record := range s.records {
		for _, state := range filter.States {
			if record.State == state {
				list.Items = append(list.Items, record)
			}
		}
	}
	return list, nil
}

func (s *sessions) Update(_ context.Context, changed session.Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records[changed.ID].Revision != changed.Revision {
		return store.ErrConflict
	}
	changed.Revision++
	s.records[changed.ID] = changed
	return nil
}

func (s *sessions) Delete(_ context.Context, id session.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, id)
	return nil
}

// stage is one session, one linker, and everything around them.
type stage struct {
	t         *testing.T
	sessions  *sessions
	histories histories
	linker    *Linker
	log       bytes.Buffer
	pairing   chan session.PairRequest

	mu      sync.Mutex
	states  []session.LinkState
	prompt  *session.Prompt
	shown   []session.Prompt
	nudge   func(string, []byte)
	closed  bool
	lease   *lease
	claimed int
	pairErr error
	pace    *pace.Links
	jobs    []events.LinkSession
	// given is what a person answered, passed what WhatsApp was told; refuse makes it refuse.
	given  *session.Answer
	passed []string
	refuse error
}

// histories has one session's history.
type histories struct {
	mu      sync.Mutex
	history session.History
}

func (h *histories) Get(context.Context, session.ID) (session.History, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.history.Revision == 0 {
		return session.History{}, store.ErrNotFound
	}
	return h.history, nil
}

func (h *histories) Put(_ context.Context, put session.History) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	put.Revision++
	h.history = put
	return nil
}

// kinds tells the story in short.
func (h *histories) kinds() (kinds []session.EntryKind) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, entry := range h.history.Entries {
		kinds = append(kinds, entry.Kind)
	}
	return kinds
}

type lease struct {
	stage *stage
	done  chan struct{}
}

func (l *lease) Done() <-chan struct{} { return l.done }
func (l *lease) Epoch() uint64         { return 1 }

func (l *lease) Release(context.Context) error {
	l.stage.mu.Lock()
	defer l.stage.mu.Unlock()
	if !l.stage.closed && l.stage.pairErr == nil {
		l.stage.t.Error("the lease was given back before the connection was closed")
	}
	l.stage.lease = nil
	return nil
}

func (s *stage) Claim(context.Context, session.ID) (Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimed++
	s.lease = &lease{stage: s, done: make(chan struct{})}
	return s.lease, nil
}

func (s *stage) Pair(_ context.Context, request session.PairRequest) (Pairing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease == nil {
		s.t.Error("a pairing without a lease")
	}
	if s.pairErr != nil {
		return nil, s.pairErr
	}
	s.closed = false
	s.pairing <- request
	return s, nil
}

func (s *stage) AnswerPasskey(_ context.Context, response []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passed = append(s.passed, string(response))
	return s.refuse
}

func (s *stage) ConfirmPasskey(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passed = append(s.passed, "confirmed")
	return s.refuse
}

func (s *stage) Take(context.Context, session.ID) (session.Answer, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.given == nil {
		return session.Answer{}, false, nil
	}
	given := *s.given
	s.given = nil
	return given, true, nil
}

func (s *stage) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func (s *stage) PublishFact(_ context.Context, fact events.Fact) error {
	s.mu.Lock()
	s.states = append(s.states, fact.(events.LinkChanged).State)
	nudge := s.nudge
	s.mu.Unlock()
	if nudge != nil {
		nudge(fact.Subject(), nil)
	}
	return nil
}

func (s *stage) Show(_ context.Context, _ session.ID, prompt session.Prompt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prompt = &prompt
	s.shown = append(s.shown, prompt)
	return nil
}

func (s *stage) Clear(context.Context, session.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prompt = nil
	return nil
}

func (s *stage) Watch(_ context.Context, _ string, changed func(string, []byte)) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nudge = changed
	return func() {}, nil
}

func (s *stage) SendCommand(_ context.Context, command events.Command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs = append(s.jobs, command.(events.LinkSession))
	return nil
}

func (s *stage) Waiting(context.Context, string) (bool, error) { return false, nil }

const id session.ID = "ses_1"

var job = events.LinkSession{Version: events.LinkSessionVersion, SessionID: id, LinkID: "link-1", Method: session.MethodQR}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, sessions: &sessions{records: map[session.ID]session.Session{}}, pairing: make(chan session.PairRequest, 4)}
	now := time.Now()
	linking, _, err := session.RequestLink(session.Session{ID: id, UserID: "ana", State: session.New, Egress: session.EgressDirect},
		session.LinkRequest{ID: job.LinkID, Method: session.MethodQR, At: now})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.sessions.Create(t.Context(), linking); err != nil {
		t.Fatal(err)
	}
	if s.pace, err = pace.NewLinks(pace.LinksOptions{Bucket: &pace.Memory{}, Rules: pace.DefaultRules()}); err != nil {
		t.Fatal(err)
	}
	s.linker, err = New(Options{Sessions: s.sessions, Histories: &s.histories, Phones: s, Facts: s, Prompts: s, Answers: s, Watcher: s, Leases: s, Commands: s, Turns: s.pace, Limits: s.pace,
		Log: slog.New(slog.NewTextHandler(&s.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// handle runs the job beside the test.
func (s *stage) handle(ctx context.Context) chan error { return s.handleJob(ctx, job) }

func (s *stage) handleJob(ctx context.Context, job events.LinkSession) chan error {
	ended := make(chan error, 1)
	go func() { ended <- s.linker.Handle(ctx, job) }()
	return ended
}

// step gives the connection's signal and waits until everything has come to rest.
func (s *stage) step(request session.PairRequest, signals ...session.Signal) {
	for _, signal := range signals {
		request.Signals(signal)
	}
	synctest.Wait()
}

func (s *stage) record() session.Session {
	s.t.Helper()
	found, err := s.sessions.Get(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

func (s *stage) published(states ...session.LinkState) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if difference := cmp.Diff(states, s.states); difference != "" {
		s.t.Errorf("published states (-want +got):\n%s", difference)
	}
}

// end waits for the job and checks that nothing is left behind.
func (s *stage) end(ended chan error) error {
	s.t.Helper()
	err := <-ended
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.prompt != nil {
		s.t.Error("a code is still shown")
	}
	if s.lease != nil {
		s.t.Error("the lease was not given back")
	}
	return err
}

var (
	device  = session.Device{JID: "5491150000011:1@s.whatsapp.net", LID: "1:1@lid", Phone: "+5491150000011"}
	offered = session.QROffered{Codes: []string{"qr-1", "qr-2", "qr-3"}}
)

func TestLinkByQRTellsItsStoryOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		ended := s.handle(t.Context())
		request := <-s.pairing
		s.step(request, offered)
		if prompt := s.prompt; prompt == nil || prompt.QR != "qr-1" || prompt.LinkID != job.LinkID || prompt.Index != 1 {
			t.Fatalf("shown %+v", prompt)
		}
		s.step(request, session.Paired{Device: device})
		if s.prompt != nil {
			t.Error("a code is shown after the phone accepted")
		}
		s.step(request, offered, session.Restarting{}, session.Connected{}, session.Connected{})
		if err := s.end(ended); err != nil {
			t.Fatal(err)
		}
		s.published(session.LinkConnecting, session.LinkQR, session.LinkPaired, session.LinkRestarting, session.LinkReady)
		record := s.record()
		if record.State != session.Offline || record.Device != device || record.LinkedAt.IsZero() || record.Link.State != session.LinkReady {
			t.Errorf("the session is %+v", record)
		}
		var story []string
		for line := range strings.Lines(s.log.String()) {
			_, rest, _ := strings.Cut(line, `msg="`)
			message, _, _ := strings.Cut(rest, `"`)
			story = append(story, message)
		}
		want := []string{"link connecting", "link started", "link qr shown", "link paired", "link qr ignored", "link restarting",
			"link deadline cancelled", "link ready"}
		if difference := cmp.Diff(want, story); difference != "" {
			t.Errorf("the log (-want +got):\n%s", difference)
		}
		for _, secret := range []string{"qr-1", "qr-2", device.Phone[1:]} {
			if strings.Contains(s.log.String(), secret) {
				t.Errorf("the log holds %q", secret)
			}
		}
		if got := testutil.ToFloat64(s.linker.metrics.qrIgnored); got != 1 {
			t.Errorf("%v codes ignored, want 1", got)
		}
		if got := testutil.ToFloat64(s.linker.metrics.readyDuplicates); got != 1 {
			t.Errorf("%v ready duplicates, want 1", got)
		}
		if got := testutil.CollectAndCount(s.linker.metrics.steps); got != 5 {
			t.Errorf("the times of %d states were taken, want those of queued, connecting, qr, paired and restarting", got)
		}
	})
}

func TestCodesAreShownInTurnAndExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		ended := s.handle(t.Context())
		request := <-s.pairing
		began := time.Now()
		s.step(request, offered)
		time.Sleep(10 * time.Second)
		if held := testutil.ToFloat64(s.linker.metrics.held); held < 10 || held > 15 {
			t.Errorf("the job has been in hand for %v seconds", held)
		}
		if err := s.end(ended); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 100*time.Second {
			t.Errorf("three codes were shown for %s, want 60 + 20 + 20 s", took)
		}
		if held := testutil.ToFloat64(s.linker.metrics.held); held != 0 {
			t.Errorf("no job is in hand, and has been for %v seconds", held)
		}
		s.published(session.LinkConnecting, session.LinkQR, session.LinkQR, session.LinkQR, session.LinkExpired)
		times := map[string]int{}
		for _, prompt := range s.shown {
			times[prompt.QR]++
		}
		// Each is shown again every 15 s, in case the queue lost its memory.
		if want := map[string]int{"qr-1": 5, "qr-2": 2, "qr-3": 2}; !maps.Equal(times, want) || s.shown[8].QR != "qr-3" || s.shown[8].Index != 3 {
			t.Errorf("shown %v, want %v: %+v", times, want, s.shown)
		}
		if record := s.record(); record.State != session.New || record.Reason != session.ReasonQRExpired {
			t.Errorf("the session is %s (%s)", record.State, record.Reason)
		}
	})
}

// TestHowLinksEnd: each row is what the connection reports after the first code, and what comes of it.
func TestHowLinksEnd(t *testing.T) {
	t.Parallel()
	paired := session.Paired{Device: device}
	rows := map[string]struct {
		signals []session.Signal
		wait    time.Duration
		state   session.LinkState
		reason  session.Reason
	}{
		"refused by the phone":        {[]session.Signal{session.PairRefused{Reason: session.ReasonInvalidIdentity}}, 0, session.LinkRefused, session.ReasonInvalidIdentity},
		"the number is taken":         {[]session.Signal{session.PairRefused{Reason: session.ReasonDuplicate}}, 0, session.LinkDuplicate, session.ReasonDuplicate},
		"the offer is closed":         {[]session.Signal{session.Disconnected{}}, 0, session.LinkExpired, session.ReasonQRExpired},
		"logged out after pairing":    {[]session.Signal{paired, session.Ended{Reason: session.ReasonLoggedOut}}, 0, session.LinkFailed, session.ReasonLoggedOut},
		"never logged in":             {[]session.Signal{paired, session.Restarting{}}, time.Minute, session.LinkFailed, session.ReasonLoginTimeout},
		"passkey never confirmed":     {[]session.Signal{session.PasskeyAsked{}}, 5 * time.Minute, session.LinkExpired, session.ReasonPasskeyExpired},
		"passkey accepted, no answer": {[]session.Signal{session.PasskeyAsked{}, session.PasskeyConfirm{Code: "x"}}, 5 * time.Minute, session.LinkExpired, session.ReasonPasskeyExpired},
		"client outdated":             {[]session.Signal{session.Ended{Reason: session.ReasonOutdated}}, 0, session.LinkFailed, session.ReasonOutdated},
		"ready after a passkey":       {[]session.Signal{session.PasskeyAsked{}, session.PasskeyConfirm{}, paired, session.Connected{}}, 0, session.LinkReady, ""},
		"broken while it settles":     {[]session.Signal{paired, session.Connected{}, session.Disconnected{}, session.Connected{}}, 0, session.LinkReady, ""},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				ended := s.handle(t.Context())
				request := <-s.pairing
				s.step(request, offered)
				s.step(request, row.signals...)
				began := time.Now()
				if err := s.end(ended); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); row.wait > 0 && took != row.wait {
					t.Errorf("ended after %s, want %s", took, row.wait)
				}
				record := s.record()
				if record.Link.State != row.state || record.Link.Reason != row.reason {
					t.Errorf("the link is %s (%s), want %s (%s)", record.Link.State, record.Link.Reason, row.state, row.reason)
				}
				if row.state != session.LinkReady && (!record.Device.IsZero() || record.State.Linked()) {
					t.Errorf("a device is left behind: %+v", record)
				}
				var remembered []session.EntryKind
				switch {
				case row.state == session.LinkReady:
					remembered = []session.EntryKind{session.EntryLinked}
				case row.reason == session.ReasonLoggedOut:
					remembered = []session.EntryKind{session.EntryEnded}
				}
				if difference := cmp.Diff(remembered, s.histories.kinds()); difference != "" {
					t.Errorf("remembered (-want +got):\n%s", difference)
				}
			})
		})
	}
}

func TestWhatsAppThatDoesNotAnswerEndsTheLink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		ended := s.handle(t.Context())
		<-s.pairing
		began := time.Now()
		if err := s.end(ended); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 30*time.Second || s.record().Link.Reason != session.ReasonConnectTimeout {
			t.Errorf("after %s: %+v", took, s.record().Link)
		}
	})
}

// TestCancelWorksInEveryState: before the connection, while a code is shown, and after the phone accepted.
func TestCancelWorksInEveryState(t *testing.T) {
	t.Parallel()
	rows := map[string][]session.Signal{
		"connecting": nil,
		"qr":         {offered},
		"passkey":    {offered, session.PasskeyAsked{}},
		"confirm":    {offered, session.PasskeyAsked{}, session.PasskeyConfirm{Code: "AB12"}},
		"paired":     {offered, session.Paired{Device: device}},
		"settling":   {offered, session.Paired{Device: device}, session.Connected{}},
		"restarting": {offered, session.Paired{Device: device}, session.Restarting{}},
	}
	for name, signals := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				ended := s.handle(t.Context())
				s.step(<-s.pairing, signals...)
				s.cancel()
				if err := s.end(ended); err != nil {
					t.Fatal(err)
				}
				if state := s.record().Link.State; state != session.LinkCancelled {
					t.Errorf("the link is %s", state)
				}
			})
		})
	}
}

// cancel does what the API does: the store first, then the fact, which nudges.
func (s *stage) cancel() {
	_, err := session.Modify(s.t.Context(), s.sessions, id, func(record *session.Session) error {
		cancelled, err := session.CancelLink(*record, time.Now())
		*record = cancelled
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	nudge := s.nudge
	s.mu.Unlock()
	nudge("", nil)
	synctest.Wait()
}

func TestStoppingWorkerHandsTheLinkBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		ctx, stop := context.WithCancel(t.Context())
		ended := s.handle(ctx)
		s.step(<-s.pairing, offered)
		stop()
		if err := s.end(ended); !errors.Is(err, context.Canceled) {
			t.Fatalf("the job must come again: %v", err)
		}
		if link := s.record().Link; link.State != session.LinkQueued || link.QRIndex != 0 {
			t.Fatalf("the link is %+v", link)
		}
		again := s.handle(t.Context())
		s.step(<-s.pairing, offered, session.Paired{Device: device}, session.Connected{})
		if err := s.end(again); err != nil || s.record().Link.State != session.LinkReady {
			t.Errorf("%v, %+v", err, s.record().Link)
		}
	})
}

// TestRedeliveredJobGoesOnFromTheStore: what a worker that was killed in each state leaves behind.
func TestRedeliveredJobGoesOnFromTheStore(t *testing.T) {
	t.Parallel()
	for _, state := range session.LinkStates() {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				record := s.record()
				record.Link.State = state
				accepted := state == session.LinkPaired || state == session.LinkRestarting
				if accepted {
					record.Device = device
				}
				s.sessions.records[id] = record
				ended := s.handle(t.Context())
				if !accepted && state.InProgress() {
					s.step(<-s.pairing, offered, session.Paired{Device: device}, session.Connected{})
				}
				if err := s.end(ended); err != nil {
					t.Fatal(err)
				}
				want := state
				if state.InProgress() {
					want = session.LinkReady
				}
				if got := s.record().Link.State; got != want {
					t.Errorf("the link is %s, want %s", got, want)
				}
				if accepted && s.claimed != 0 {
					t.Error("a device that exists was paired again")
				}
			})
		})
	}
}

func TestJobsThatAreNobodysBusinessEndQuietly(t *testing.T) {
	t.Parallel()
	rows := map[string]func(*session.Session){
		"linked":        func(record *session.Session) { record.State = session.Ready },
		"another link":  func(record *session.Session) { record.Link.ID = "link-2" },
		"ended already": func(record *session.Session) { record.Link.State = session.LinkCancelled },
	}
	for name, change := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			record := s.record()
			change(&record)
			s.sessions.records[id] = record
			if err := s.linker.Handle(t.Context(), job); err != nil {
				t.Fatal(err)
			}
			if s.record() != record || s.claimed != 0 || len(s.states) != 0 {
				t.Errorf("something was touched: %+v", s.record())
			}
		})
	}
	s := newStage(t)
	delete(s.sessions.records, id)
	if err := s.linker.Handle(t.Context(), job); err != nil {
		t.Errorf("a session that is gone: %v", err)
	}
}

func TestUnreachableWhatsAppBringsTheJobAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.pairErr = fault.New(fault.RetryLater, "connect_failed", "WhatsApp could not be reached; try again")
		ended := s.handle(t.Context())
		if err := s.end(ended); fault.Of(err) != fault.RetryLater {
			t.Fatalf("%v", err)
		}
		if state := s.record().Link.State; state != session.LinkQueued {
			t.Errorf("the link is %s", state)
		}
	})
}

func TestLostLeaseBeginsAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		ended := s.handle(t.Context())
		s.step(<-s.pairing, offered)
		s.mu.Lock()
		close(s.lease.done)
		s.mu.Unlock()
		if err := s.end(ended); fault.Of(err) != fault.RetryLater {
			t.Fatalf("%v", err)
		}
		if state := s.record().Link.State; state != session.LinkQueued {
			t.Errorf("the link is %s", state)
		}
	})
}

func TestAcceptRefusesANumberThatAnotherSessionHas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.sessions.records["ses_2"] = session.Session{ID: "ses_2", State: session.Ready, Device: device}
		ended := s.handle(t.Context())
		request := <-s.pairing
		if err := request.Accept(device); fault.Of(err) != fault.Conflict {
			t.Errorf("accepted: %v", err)
		}
		if err := request.Accept(session.Device{Phone: "+5491150000012"}); err != nil {
			t.Errorf("refused: %v", err)
		}
		s.step(request, session.Ended{Reason: session.ReasonConnectFailure})
		if err := s.end(ended); err != nil {
			t.Error(err)
		}
	})
}
