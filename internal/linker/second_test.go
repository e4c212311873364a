package linker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/session"
)

// TestASecondCodeComesByItself: the first code of a link by code may fail once, for any reason that the phone did not give itself (peers.md W4).
func TestASecondCodeComesByItself(t *testing.T) {
	t.Parallel()
	first, second := session.PairingCode{Code: "AAAA-1111"}, session.PairingCode{Code: "BBBB-2222"}
	rows := map[string]struct {
		first  []session.Signal
		second []session.Signal
		tries  int
		state  session.LinkState
		reason session.Reason
	}{
		"refused, then accepted": {
			[]session.Signal{offered, first, session.PairRefused{Reason: session.ReasonInternal}},
			[]session.Signal{offered, second, session.Paired{Device: device}, session.Connected{}}, 2, session.LinkReady, session.ReasonNone,
		},
		"no code at first": {
			[]session.Signal{offered, session.PairRefused{Reason: session.ReasonConnectFailure}},
			[]session.Signal{offered, second, session.Paired{Device: device}, session.Connected{}}, 2, session.LinkReady, session.ReasonNone,
		},
		"the connection broke": {
			[]session.Signal{offered, first, session.Disconnected{}},
			[]session.Signal{offered, second, session.Paired{Device: device}, session.Connected{}}, 2, session.LinkReady, session.ReasonNone,
		},
		"refused twice": {
			[]session.Signal{offered, first, session.PairRefused{Reason: session.ReasonInternal}},
			[]session.Signal{offered, second, session.PairRefused{Reason: session.ReasonInternal}}, 2, session.LinkRefused, session.ReasonInternal,
		},
		"the phone said why": {
			[]session.Signal{offered, first, session.PairRefused{Reason: session.ReasonNotMultidevice}},
			nil, 1, session.LinkRefused, session.ReasonNotMultidevice,
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				byCode := job
				byCode.Method, byCode.Phone = session.MethodCode, "+5491150000001"
				ended := s.handleJob(t.Context(), byCode)
				s.step(<-s.pairing, row.first...)
				began := time.Now()
				tries := 1
				if row.second != nil {
					request := <-s.pairing
					tries++
					if wait := time.Since(began); wait < time.Second {
						t.Errorf("the second connection came %s after the first", wait)
					}
					if link := s.record().Link; link.Reason != session.ReasonSecondTry {
						t.Errorf("the person is told %q", link.Reason)
					}
					s.step(request, row.second...)
				}
				if err := s.end(ended); err != nil {
					t.Fatal(err)
				}
				if link := s.record().Link; link.State != row.state || link.Reason != row.reason || tries != row.tries || len(s.pairing) != 0 {
					t.Errorf("the link is %s (%s) after %d connections", link.State, link.Reason, tries)
				}
			})
		})
	}
}

// TestARenewedClientLinksAtOnce: a link that met an outdated client goes on by itself when the version is renewed, once.
func TestARenewedClientLinksAtOnce(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]bool{"served": false, "refused again": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				ended := s.handle(t.Context())
				refused := session.Ended{Reason: session.ReasonOutdated, Renewed: true}
				s.step(<-s.pairing, refused)
				second := []session.Signal{offered, session.Paired{Device: device}, session.Connected{}}
				want := session.LinkReady
				if again {
					second, want = []session.Signal{refused}, session.LinkFailed
				}
				s.step(<-s.pairing, second...)
				if err := s.end(ended); err != nil {
					t.Fatal(err)
				}
				if link := s.record().Link; link.State != want {
					t.Errorf("the link is %s (%s)", link.State, link.Reason)
				}
			})
		})
	}
}
