package session_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// flipper seals by turning every bit over and writing the place in front: enough to see that a secret is not stored as it is, or opened elsewhere.
// The real sealer is in internal/wa/keys.
type flipper struct{ key string }

func (f flipper) place(id session.ID, name string) []byte {
	return fmt.Appendf(nil, "%s|%s|%s|", f.key, id, name)
}

func (f flipper) Seal(id session.ID, name string, secret []byte) ([]byte, error) {
	sealed := f.place(id, name)
	for _, each := range secret {
		sealed = append(sealed, ^each)
	}
	return sealed, nil
}

func (f flipper) Open(id session.ID, name string, sealed []byte) ([]byte, error) {
	rest, found := bytes.CutPrefix(sealed, f.place(id, name))
	if !found {
		return nil, errors.New("sealed elsewhere")
	}
	opened := slices.Clone(rest)
	for i := range opened {
		opened[i] = ^opened[i]
	}
	return opened, nil
}

// ways are the ways of sessions over a real store.
type ways struct {
	*session.Ways
	t        *testing.T
	sessions session.Store
	egresses session.Egresses
}

func newWays(t *testing.T) *ways {
	t.Helper()
	w := &ways{t: t, sessions: &memorySessions{byID: map[session.ID]session.Session{}}, egresses: &memoryEgresses{byKey: map[string]session.Egress{}}}
	w.Ways = w.with(flipper{"k1"})
	return w
}

func (w *ways) with(sealer session.Sealer) *session.Ways {
	w.t.Helper()
	made, err := session.NewWays(w.sessions, w.egresses, sealer)
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

func (w *ways) create(s session.Session) {
	w.t.Helper()
	if s.Egress == "" {
		s.Egress = session.EgressDirect
	}
	if err := w.sessions.Create(w.t.Context(), s); err != nil {
		w.t.Fatal(err)
	}
}

func (w *ways) choose(id session.ID, proxy session.Proxy, move bool) error {
	_, _, err := w.Choose(w.t.Context(), session.Choice{Session: id, Proxy: proxy, Move: move, At: time.Now()})
	return err
}

// wantWay checks what a session has, by its proxy as a whole.
func (w *ways) wantWay(id session.ID, want string) {
	w.t.Helper()
	got, err := w.Proxy(w.t.Context(), id)
	if err != nil || got.Reveal() != want {
		w.t.Fatalf("the way of %s is %v (%v), want another", id, got, err)
	}
}

func (w *ways) records() []session.Egress {
	w.t.Helper()
	list, err := w.egresses.List(w.t.Context(), store.Page{})
	if err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

const (
	aliceWay = "socks5://alice:hunter2@proxy.example:1080"
	bobWay   = "http://bob:hunter3@other.example:3128"
)

func TestAChosenProxyIsKeptSealedAndForgottenWithTheNextOne(t *testing.T) {
	t.Parallel()
	w := newWays(t)
	w.create(session.Session{ID: "ses_a", State: session.New})
	w.wantWay("ses_a", "")
	for _, step := range []struct {
		way     string
		records int
	}{{aliceWay, 1}, {bobWay, 1}, {aliceWay, 1}, {"", 0}} {
		var proxy session.Proxy
		if step.way != "" {
			proxy = parse(t, step.way)
		}
		if err := w.choose("ses_a", proxy, false); err != nil {
			t.Fatal(err)
		}
		w.wantWay("ses_a", step.way)
		records := w.records()
		if len(records) != step.records {
			t.Fatalf("%d records are kept", len(records))
		}
		for _, record := range records {
			if shown := fmt.Sprintf("%+v %s", record, record.Sealed); strings.Contains(shown, "hunter") || strings.Contains(shown, "alice") {
				t.Errorf("the record shows it: %s", shown)
			}
		}
	}
}

func TestTheWayOfALinkedSessionIsSticky(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		state session.State
		link  session.LinkState
		code  string
		moved string
	}{
		{state: session.New}, {state: session.LoggedOut},
		{state: session.Ready, code: "egress_is_sticky"}, {state: session.Offline, code: "egress_is_sticky"},
		{state: session.Paused, code: "egress_is_sticky"}, {state: session.Replaced, code: "egress_is_sticky"},
		{state: session.Outdated, code: "egress_is_sticky"},
		{state: session.Linking, link: session.LinkQR, code: "link_in_progress", moved: "link_in_progress"},
		{state: session.Removing, code: "session_removing", moved: "session_removing"},
	} {
		t.Run(string(row.state), func(t *testing.T) {
			t.Parallel()
			w := newWays(t)
			w.create(session.Session{ID: "ses_a", State: row.state, Link: session.Link{State: row.link}})
			for _, move := range []bool{false, true} {
				want := row.code
				if move {
					want = row.moved
				}
				err := w.choose("ses_a", parse(t, aliceWay), move)
				if want == "" && err != nil || want != "" && (fault.Of(err) != fault.Conflict || fault.As(err).Code != want) {
					t.Errorf("with move=%v: %v, want %q", move, err, want)
				}
				if want != "" && len(w.records()) != 0 {
					t.Error("a refused proxy was kept")
				}
			}
		})
	}
}

func TestANewPasswordOfTheSameProxyIsNoMove(t *testing.T) {
	t.Parallel()
	w := newWays(t)
	w.create(session.Session{ID: "ses_a", State: session.New})
	w.create(session.Session{ID: "ses_b", State: session.New})
	for _, id := range []session.ID{"ses_a", "ses_b"} {
		if err := w.choose(id, parse(t, aliceWay), false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := session.Modify(t.Context(), w.sessions, "ses_a", func(s *session.Session) error {
		s.State = session.Ready
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	renewed := "socks5://alice:renewed@proxy.example:1080"
	if err := w.choose("ses_a", parse(t, renewed), false); err != nil {
		t.Fatal(err)
	}
	w.wantWay("ses_a", renewed)
	w.wantWay("ses_b", aliceWay) // nobody's password is changed by what somebody else says
}

func TestASessionWhoseProxyCannotBeHadNeverGoesDirect(t *testing.T) {
	t.Parallel()
	w := newWays(t)
	proxy := parse(t, aliceWay)
	w.create(session.Session{ID: "ses_a", State: session.Ready, Egress: proxy.Egress()})
	wantCode := func(from *session.Ways, id session.ID, code string) {
		t.Helper()
		got, err := from.Proxy(t.Context(), id)
		if err == nil || fault.As(err).Code != code || !got.IsZero() {
			t.Errorf("got %v, %v, want %s", got, err, code)
		}
		if strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("the error shows it: %v", err)
		}
	}
	wantCode(w.Ways, "ses_a", "egress_missing")
	if err := w.Keep(t.Context(), "ses_a", proxy, time.Now()); err != nil {
		t.Fatal(err)
	}
	w.wantWay("ses_a", aliceWay)
	wantCode(w.with(flipper{"another key"}), "ses_a", "egress_sealed")

	w.create(session.Session{ID: "ses_b", State: session.Ready, Egress: proxy.Egress()})
	stolen := w.records()[0]
	stolen.Session, stolen.Revision = "ses_b", 0
	if err := w.egresses.Put(t.Context(), stolen); err != nil {
		t.Fatal(err)
	}
	wantCode(w.Ways, "ses_b", "egress_sealed")
	if _, err := w.Proxy(t.Context(), "ses_none"); fault.Of(err) != fault.NotFound {
		t.Errorf("a session that does not exist: %v", err)
	}
}

func TestRecordsAreSealedAnewUnderANewKey(t *testing.T) {
	t.Parallel()
	w := newWays(t)
	for _, id := range []session.ID{"ses_a", "ses_b"} {
		w.create(session.Session{ID: id, State: session.New})
		if err := w.choose(id, parse(t, aliceWay), false); err != nil {
			t.Fatal(err)
		}
	}
	foreign := w.records()[0]
	foreign.Name, foreign.Revision = "px_left_over", 0
	if err := w.egresses.Put(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	resealed, err := w.with(rotating{flipper{"k2"}, flipper{"k1"}}).Reseal(t.Context(), time.Now())
	if resealed != 2 || fault.Of(err) != fault.Internal {
		t.Errorf("sealed %d anew, %v; want 2, and an error for the third", resealed, err)
	}
	w.Ways = w.with(flipper{"k2"})
	w.wantWay("ses_a", aliceWay)
	w.wantWay("ses_b", aliceWay)
}

// rotating seals with one key and opens with both, as a ring does.
type rotating struct{ first, former flipper }

func (r rotating) Seal(id session.ID, name string, secret []byte) ([]byte, error) {
	return r.first.Seal(id, name, secret)
}

func (r rotating) Open(id session.ID, name string, sealed []byte) ([]byte, error) {
	if opened, err := r.first.Open(id, name, sealed); err == nil {
		return opened, nil
	}
	return r.former.Open(id, name, sealed)
}

func TestEveryProblemIsExplainedInBothLanguages(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, problem := range []session.EgressProblem{session.EgressUnreachable, session.EgressUnauthorized, session.EgressRefused, session.EgressMisspoken,
		session.EgressUntrusted, session.EgressTimeout, session.EgressBlocked, "unknown"} {
		english, spanish := problem.Explain()
		if english == "" || spanish == "" || english == spanish || seen[english] || seen[spanish] {
			t.Errorf("%s: %q, %q", problem, english, spanish)
		}
		seen[english], seen[spanish] = true, true
	}
}
