package app_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mau.fi/whatsmeow/store"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/linker"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// The two tables below have one row for each fault that the simulator knows (section 11 of the protocol note, and what happens around a link), each with
// what people and operators see of it: the states, the reason, the counter that moves, what is remembered, and whether number and egress cool down.
// TestEveryFaultHasARow keeps them whole.

// hostedFault strikes a session that is linked and connected.
type hostedFault struct {
	// on is when it strikes: script.Clock the open connection, script.Login and script.Upgrade the one that comes after a cut.
	on script.Event
	do script.Action
	// prepare tells the simulator more; silence is how long a connection may bring nothing; atOnce closes connections right behind what is said.
	prepare func(*wasim.Server)
	silence time.Duration
	atOnce  bool

	// states are those that the session passes afterwards, all of them (of atOnce rows: the last one).
	states []session.State
	reason session.Reason
	// counter is one that moves; remembered an entry of the history.
	counter    string
	remembered session.EntryKind
	cools      bool
}

var (
	backAgain = []session.State{session.Offline, session.Ready}
	outOnce   = []session.State{session.Offline, session.LoggedOut}
)

func hostedFaults() map[string]hostedFault {
	ours := store.GetWAVersion()[2]
	return map[string]hostedFault{
		"stream error 401 device_removed": {on: script.Clock, do: script.RemoveDevice(), states: []session.State{session.LoggedOut},
			reason: session.ReasonRemoved, counter: "egress_logouts_total", remembered: session.EntryEnded, cools: true},
		"stream error replaced": {on: script.Clock, do: script.EndReplaced(), states: []session.State{session.Replaced},
			reason: session.ReasonReplaced, remembered: session.EntryEnded},
		"stream error 503 and close": {on: script.Clock, do: script.EndStream(503), states: backAgain,
			reason: session.ReasonConnectionLost, counter: "wa_reconnects_total", remembered: session.EntryDisconnected},
		"stream error 503, left open": {on: script.Clock, do: script.EndStream(503).Open(), silence: 4 * time.Second, states: backAgain,
			reason: session.ReasonConnectionLost, counter: "wa_reconnects_total", remembered: session.EntryDisconnected},
		"stream error 500 and close": {on: script.Clock, do: script.EndStream(500), states: backAgain,
			reason: session.ReasonConnectionLost, counter: "wa_reconnects_total", remembered: session.EntryStreamError},
		"stream error 515": {on: script.Clock, do: script.EndStream(515), states: backAgain,
			reason: session.ReasonConnectionLost, counter: "wa_reconnects_total", remembered: session.EntryDisconnected},
		"TCP cut": {on: script.Clock, do: script.CutConnection(), states: backAgain,
			reason: session.ReasonConnectionLost, counter: "wa_reconnects_total", remembered: session.EntryDisconnected},
		"silent socket": {on: script.Clock, do: script.GoSilent(), silence: 4 * time.Second, states: backAgain,
			reason: session.ReasonConnectionLost, counter: "wa_reconnects_total", remembered: session.EntryDisconnected},
		"HTTP 503 at reconnect": {on: script.Upgrade, do: script.Status(503), states: backAgain,
			reason: session.ReasonConnectionLost, counter: "wa_reconnects_total", remembered: session.EntryDisconnected},
		"failure 400": {on: script.Login, do: script.Refuse(400), states: backAgain,
			reason: session.ReasonConnectionLost, remembered: session.EntryEnded},
		"failure 409": {on: script.Login, do: script.Refuse(409), states: backAgain,
			reason: session.ReasonConnectionLost, remembered: session.EntryEnded},
		"failure 501": {on: script.Login, do: script.Refuse(501), states: backAgain,
			reason: session.ReasonConnectionLost, remembered: session.EntryEnded},
		"failure 401": {on: script.Login, do: script.Refuse(401), states: outOnce,
			reason: session.ReasonLoggedOut, counter: "egress_logouts_total", remembered: session.EntryEnded, cools: true},
		"failure 403": {on: script.Login, do: script.Refuse(403), states: outOnce,
			reason: session.ReasonBanned, counter: "egress_logouts_total", remembered: session.EntryEnded, cools: true},
		"failure 406": {on: script.Login, do: script.Refuse(406), states: outOnce,
			reason: session.ReasonLoggedOut, counter: "egress_logouts_total", remembered: session.EntryEnded, cools: true},
		"failure 402: a ban until it expires": {on: script.Login, do: script.TemporaryBan(101, 2*time.Second),
			states: []session.State{session.Offline, session.Paused, session.Ready},
			reason: session.ReasonTemporaryBan, counter: "egress_logouts_total", remembered: session.EntryEnded, cools: true},
		"failure 405: a newer version is there": {on: script.Clock, do: script.CutConnection(),
			prepare: func(s *wasim.Server) { s.RequireVersion(ours + 1) },
			states:  []session.State{session.Offline, session.Outdated, session.Ready},
			reason:  session.ReasonOutdated, counter: "wa_client_outdated_total", remembered: session.EntryEnded},
		"failure 405: there is no newer version": {on: script.Clock, do: script.CutConnection(),
			prepare: func(s *wasim.Server) { s.RequireVersion(ours + 2); s.TellVersion(ours) },
			states:  []session.State{session.Offline, session.Outdated},
			reason:  session.ReasonOutdated, counter: "wa_client_outdated_total", remembered: session.EntryEnded},
		"failure 500 and close": {on: script.Login, do: script.Refuse(500), states: backAgain,
			reason: session.ReasonConnectionLost, counter: "wa_reconnects_total", remembered: session.EntryDisconnected},
		"failure 503 and close": {on: script.Login, do: script.Refuse(503), states: backAgain,
			reason: session.ReasonConnectionLost, counter: "wa_reconnects_total", remembered: session.EntryDisconnected},
		"login never answered": {on: script.Login, do: script.GoSilent(), silence: 4 * time.Second, states: backAgain,
			reason: session.ReasonConnectionLost, counter: "wa_reconnects_total", remembered: session.EntryDisconnected},
		"login answered late": {on: script.Login, do: script.DelayReply(time.Second), states: backAgain,
			reason: session.ReasonConnectionLost, counter: "wa_reconnects_total", remembered: session.EntryDisconnected},
		"QR after ready": {on: script.Clock, do: script.OfferLateQR(), counter: "wa_hosted_qr_ignored_total"},
		"double ready":   {on: script.Clock, do: script.SucceedAgain(), counter: "wa_hosted_ready_duplicates_total"},
		"downgrade":      {on: script.Clock, do: script.Action{Kind: script.Downgrade}},
		"few prekeys":    {on: script.Clock, do: script.Action{Kind: script.PreKeysLow, Code: 2}},
		"reach-out lock": {on: script.Clock, do: script.Lock(time.Hour), states: []session.State{session.Paused},
			reason: session.ReasonReachOutLock, remembered: session.EntryRestricted},
		"reach-out lock that ends": {on: script.Clock, do: script.Lock(2 * time.Second), states: []session.State{session.Paused, session.Ready},
			reason: session.ReasonReachOutLock, remembered: session.EntryRestricted},
		"failure 401 with no delay": {on: script.Login, do: script.Refuse(401), atOnce: true, states: outOnce,
			reason: session.ReasonLoggedOut, counter: "egress_logouts_total", remembered: session.EntryEnded, cools: true},
		"failure 402 with no delay": {on: script.Login, do: script.TemporaryBan(101, time.Hour), atOnce: true, states: []session.State{session.Paused},
			reason: session.ReasonTemporaryBan, counter: "egress_logouts_total", remembered: session.EntryEnded, cools: true},
		"device_removed with no delay": {on: script.Clock, do: script.RemoveDevice(), atOnce: true, states: []session.State{session.LoggedOut},
			counter: "egress_logouts_total", remembered: session.EntryEnded, cools: true},
		"failure 503 with no delay": {on: script.Login, do: script.Refuse(503), atOnce: true, states: backAgain,
			counter: "wa_reconnects_total", remembered: session.EntryDisconnected},
	}
}

func TestFaultsOfAHostedSession(t *testing.T) {
	t.Parallel()
	for name, row := range hostedFaults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row.play(t)
		})
	}
}

func (row hostedFault) play(t *testing.T) {
	t.Helper()
	delay := time.Duration(0)
	if row.atOnce {
		delay = wasim.CloseAtOnce
	}
	rules := pace.DefaultRules()
	w := startOn(t, wasim.Options{AutoContacts: true, CloseDelay: delay}, func(o *app.Options, _ *wasim.Server) {
		o.Silence, o.Logouts = row.silence, &rules
	})
	linked, phone := w.link(1)
	w.await("everybody was told that it is ready", func(context.Context) (bool, error) {
		told := w.hostedStates(linked.ID)
		return len(told) > 0 && told[len(told)-1].State == session.Ready, nil
	})
	before := len(w.hostedStates(linked.ID))
	if row.prepare != nil {
		row.prepare(w.simulator)
	}
	fault, err := w.simulator.Script(row.rule(phone.Number()))
	if err != nil {
		t.Fatal(err)
	}
	if row.on != script.Clock {
		w.strike(phone, script.CutConnection())
	}
	w.await("the fault has struck", func(context.Context) (bool, error) { return fault.Hits() > 0, nil })
	if row.counter != "" {
		w.awaitCounter(row.counter, 1)
	}
	if len(row.states) == 0 {
		w.unharmed(linked.ID, len(w.states(w.linkOf(linked.ID))))
		return
	}
	last := row.states[len(row.states)-1]
	w.await("the session is "+string(last), func(ctx context.Context) (bool, error) {
		found, err := w.api.Session(ctx, linked.ID)
		told := w.hostedStates(linked.ID) // after the store: the fact of it may still be on its way
		enough := len(told) > before && (row.atOnce || len(told) >= before+len(row.states))
		return found.State == string(last) && enough && told[len(told)-1].State == last, err
	})
	w.checkStory(row, linked.ID, before)
	if row.remembered != "" {
		entries, err := w.api.History(t.Context(), linked.ID)
		if err != nil || !slices.ContainsFunc(entries, func(e client.Entry) bool { return e.Kind == string(row.remembered) }) {
			t.Errorf("remembered: %+v, %v", entries, err)
		}
	}
	w.checkCooldown(phone.Number(), row.cools)
}

// rule strikes once, but for a refusal that stands: a login that comes again is refused again.
func (row hostedFault) rule(account string) script.Rule {
	rule := script.Rule{On: row.on, Account: account, Times: 1, Do: row.do}
	if row.on == script.Upgrade {
		rule.Account = "" // nobody knows it yet
	}
	if row.on == script.Login && row.states[len(row.states)-1] != session.Ready {
		rule.Times = 0
	}
	return rule
}

// checkStory compares the states that were published with those of the row.
func (w *world) checkStory(row hostedFault, id string, before int) {
	w.t.Helper()
	w.mu.Lock()
	facts := slices.Clone(w.hosted[id][before:])
	w.mu.Unlock()
	var states []session.State
	told := row.reason == ""
	for _, fact := range facts {
		states = append(states, fact.State)
		told = told || fact.Reason == row.reason
	}
	if len(states) > 0 && states[0] == session.Offline && row.states[0] != session.Offline {
		states = states[1:] // a busy machine may see that the connection is closed before it has read why
	}
	if !row.atOnce && !slices.Equal(states, row.states) {
		w.t.Errorf("the session passed %v, want %v", states, row.states)
	}
	if !told {
		w.t.Errorf("nobody was told of %q: %+v", row.reason, facts)
	}
}

func (w *world) hostedStates(id string) []events.SessionChanged {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.hosted[id])
}

// checkCooldown asks whether another link on the egress, and one of the number, would be refused.
func (w *world) checkCooldown(phone string, cools bool) {
	w.t.Helper()
	other, err := w.api.CreateSession(w.t.Context(), "somebody else", "")
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.api.StartLink(w.t.Context(), other.ID, "code", phone)
	if refused := client.IsCode(err, string(session.ReasonEgressCooldown)); refused != cools {
		w.t.Errorf("the egress cools down: %t, want %t (%v)", refused, cools, err)
	}
	if err == nil { // a link in hand would hold up the end of the test
		if _, err := w.api.CancelLink(w.t.Context(), other.ID); err != nil {
			w.t.Error(err)
		}
	}
}

// linkFault strikes while a phone is being linked.
type linkFault struct {
	rules  []script.Rule
	method string
	// patience shortens how long the steps may take.
	patience func(*linker.Timing)
	// person is what whoever links does; nil: scans.
	person func(*world, string, *wasim.Phone)

	states []session.LinkState
	reason session.Reason
	// session is its state afterwards.
	session session.State
	counter string
	cools   bool
}

// nobody does not even look at the screen.
func nobody(*world, string, *wasim.Phone) {}

// scan scans, and does not wait: the phone learns late, or never, what became of it.
func scan(w *world, id string, phone *wasim.Phone) {
	code := w.awaitLink(id, "qr").Prompt.QR
	ctx, cancel := context.WithCancel(w.t.Context())
	w.t.Cleanup(cancel)
	go func() { _ = phone.ScanQR(ctx, code) }()
}

// scanTampered scans a code that somebody altered on its way to the phone.
func scanTampered(w *world, id string, phone *wasim.Phone) {
	parts := strings.Split(w.awaitLink(id, "qr").Prompt.QR, ",")
	secret := []byte(parts[3])
	secret[0] = 'A' + (secret[0]-'A'+1)%26
	parts[3] = string(secret)
	if err := phone.ScanQR(w.t.Context(), strings.Join(parts, ",")); err == nil {
		w.t.Error("the device accepted another secret")
	}
}

// scanAndForget scans, is asked for a passkey, and does nothing.
func scanAndForget(w *world, id string, phone *wasim.Phone) {
	if _, err := phone.AskPasskey(); err != nil {
		w.t.Fatal(err)
	}
	scan(w, id, phone)
}

// typeCode types whatever code is shown.
func typeCode(w *world, id string, phone *wasim.Phone) {
	if err := phone.EnterCode(w.t.Context(), w.awaitLink(id, "code").Prompt.Code); err != nil {
		w.t.Errorf("the code was not taken: %v", err)
	}
}

func linkFaults() map[string]linkFault {
	short := func(change func(*linker.Timing)) func(*linker.Timing) { return change }
	paired := []session.LinkState{session.LinkConnecting, session.LinkQR, session.LinkPaired, session.LinkRestarting}
	ready := append(slices.Clone(paired), session.LinkReady)
	failed := append(slices.Clone(paired), session.LinkFailed)
	return map[string]linkFault{
		"nothing": {states: ready, session: session.Ready},
		"nobody scans: expired QR": {person: nobody, patience: short(func(t *linker.Timing) { t.FirstQR, t.NextQR = time.Second, 100*time.Millisecond }),
			states: []session.LinkState{session.LinkConnecting, session.LinkQR, session.LinkQR, session.LinkQR, session.LinkQR, session.LinkQR, session.LinkQR, session.LinkExpired},
			reason: session.ReasonQRExpired, session: session.New},
		"no codes": {rules: []script.Rule{{On: script.Pairing, Do: script.LoseReply()}}, person: nobody,
			patience: short(func(t *linker.Timing) { t.Connect = time.Second }),
			states:   []session.LinkState{session.LinkConnecting, session.LinkFailed}, reason: session.ReasonConnectTimeout, session: session.New},
		"refused before codes": {rules: []script.Rule{{On: script.Pairing, Do: script.Refuse(400)}}, person: nobody,
			states: []session.LinkState{session.LinkConnecting, session.LinkFailed}, reason: session.ReasonConnectFailure, session: session.New},
		"cut while codes are shown": {rules: []script.Rule{{On: script.Pairing, Do: script.CutConnection()}}, person: nobody,
			states: []session.LinkState{session.LinkConnecting, session.LinkQR, session.LinkExpired}, reason: session.ReasonQRExpired, session: session.New},
		"phone without multi-device": {rules: []script.Rule{{On: script.Pairing, Do: script.Action{Kind: script.Downgrade}}}, person: nobody,
			states: []session.LinkState{session.LinkConnecting, session.LinkQR, session.LinkRefused}, reason: session.ReasonNotMultidevice, session: session.New},
		"pairing error: another secret": {person: scanTampered,
			states: []session.LinkState{session.LinkConnecting, session.LinkQR, session.LinkRefused}, reason: session.ReasonInvalidIdentity, session: session.New},
		"passkey time-out": {person: scanAndForget, patience: short(func(t *linker.Timing) { t.Passkey = 2 * time.Second }),
			states: []session.LinkState{session.LinkConnecting, session.LinkQR, session.LinkPasskeyRequired, session.LinkExpired},
			reason: session.ReasonPasskeyExpired, session: session.New},
		"logged out right after pairing": {rules: []script.Rule{{On: script.Login, Do: script.Refuse(401)}},
			states: failed, reason: session.ReasonLoggedOut, session: session.New, counter: "egress_logouts_total", cools: true},
		"never let in after pairing": {rules: []script.Rule{{On: script.Login, Do: script.GoSilent()}},
			patience: short(func(t *linker.Timing) { t.Login = 2 * time.Second }),
			states:   failed, reason: session.ReasonLoginTimeout, session: session.New},
		"cut after pairing, once": {rules: []script.Rule{{On: script.Login, Times: 1, Do: script.CutConnection()}}, states: ready, session: session.Ready},
		"double ready":            {rules: []script.Rule{{On: script.Login, Times: 1, Do: script.SucceedAgain().Then()}}, states: ready, session: session.Ready},
		"QR after pairing": {rules: []script.Rule{{On: script.Login, Times: 1, Do: script.OfferLateQR().Then()}}, states: ready, session: session.Ready,
			counter: "wa_qr_ignored_total"},
		"first code refused": {method: "code", person: typeCode, rules: []script.Rule{{On: script.PairCode, Times: 1, Do: script.RefuseQuery(429)}},
			states:  []session.LinkState{session.LinkConnecting, session.LinkConnecting, session.LinkCode, session.LinkPaired, session.LinkRestarting, session.LinkReady},
			session: session.Ready, counter: "link_second_attempts_total"},
		"both codes refused": {method: "code", person: nobody, rules: []script.Rule{{On: script.PairCode, Do: script.RefuseQuery(429)}},
			states: []session.LinkState{session.LinkConnecting, session.LinkConnecting, session.LinkRefused}, reason: session.ReasonConnectFailure,
			session: session.New, counter: "link_second_attempts_total"},
		"HTTP 503 at the first connection": {rules: []script.Rule{{On: script.Upgrade, Times: 1, Do: script.Status(503)}},
			states: append([]session.LinkState{session.LinkConnecting, session.LinkQueued}, ready...), session: session.Ready},
	}
}

func TestFaultsOfALink(t *testing.T) {
	t.Parallel()
	for name, row := range linkFaults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row.play(t)
		})
	}
}

func (row linkFault) play(t *testing.T) {
	t.Helper()
	rules := pace.DefaultRules()
	w := startOn(t, wasim.Options{AutoContacts: true}, func(o *app.Options, _ *wasim.Server) {
		o.Logouts = &rules
		if row.patience != nil {
			row.patience(&o.Links)
		}
	})
	for _, rule := range row.rules {
		if _, err := w.simulator.Script(rule); err != nil {
			t.Fatal(err)
		}
	}
	phone, err := w.simulator.NewPhone("+5491150000001")
	if err != nil {
		t.Fatal(err)
	}
	created, err := w.api.CreateSession(t.Context(), "ana", "")
	if err != nil {
		t.Fatal(err)
	}
	method, number := "qr", ""
	if row.method == "code" {
		method, number = "code", phone.Number()
	}
	if _, err := w.api.StartLink(t.Context(), created.ID, method, number); err != nil {
		t.Fatal(err)
	}
	link := w.linkOf(created.ID)
	if row.person == nil {
		row.person = scan
	}
	row.person(w, created.ID, phone)
	last := row.states[len(row.states)-1]
	ended := w.awaitLink(created.ID, string(last))
	if ended.Reason != string(row.reason) {
		t.Errorf("the link ended for %q, want %q", ended.Reason, row.reason)
	}
	w.awaitState(created.ID, string(row.session))
	w.await("everybody was told how it ended", func(context.Context) (bool, error) {
		states := w.states(link)
		return len(states) > 0 && states[len(states)-1] == last, nil
	})
	want := append([]session.LinkState{session.LinkQueued}, row.states...)
	if states := w.states(link); !slices.Equal(states, want) {
		t.Errorf("the link passed %v, want %v", states, want)
	}
	if row.counter != "" {
		w.awaitCounter(row.counter, 1)
	}
	if row.session == session.Ready {
		w.awaitCampaign(w.send(created.ID, 2).ID, "completed")
	}
	w.checkCooldown(phone.Number(), row.cools)
}

// elsewhere are the faults of single messages and answers, with the tests that have a row for each code.
var elsewhere = map[script.Kind]string{
	script.AckError:   "internal/wa TestRefusedMessagesAreClassed",
	script.DropStanza: "internal/wa TestALostQuestionAfterLoginOnlyDelays",
}

// TestEveryFaultHasARow: a fault that the simulator learns has to get a row.
func TestEveryFaultHasARow(t *testing.T) {
	t.Parallel()
	seen := map[script.Kind]bool{}
	for _, row := range hostedFaults() {
		seen[row.do.Kind] = true
	}
	for _, row := range linkFaults() {
		for _, rule := range row.rules {
			seen[rule.Do.Kind] = true
		}
	}
	for _, kind := range script.Kinds() {
		if _, other := elsewhere[kind]; seen[kind] == other {
			t.Errorf("the fault %q has a row: %t, is said to be tested elsewhere: %t", kind, seen[kind], other)
		}
	}
}
