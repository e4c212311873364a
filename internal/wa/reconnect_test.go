package wa_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/wa"
	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// turns notes when reconnects were asked for.
type turns struct {
	mu       sync.Mutex
	failures []int
}

func (o *turns) again(ctx context.Context, failures int) error {
	o.mu.Lock()
	o.failures = append(o.failures, failures)
	o.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Second):
		return nil
	}
}

func (o *turns) asked() []int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]int(nil), o.failures...)
}

// keep opens a connection in a bubble of virtual time.
func (w *world) keep(phone *wasim.Phone) (*wa.Client, *ear, *turns) {
	w.t.Helper()
	w.rest = synctest.Wait
	device, heard, asked := w.pair(phone, "ana"), newEar(w.t), &turns{}
	client, err := w.gateway.Open(w.t.Context(), session.OpenRequest{Session: "ses_ana", Epoch: 1, Device: device, Identity: session.IdentityFor("ana"),
		Signals: heard.hear, Again: asked.again})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		w.close(client)
		time.Sleep(5 * time.Minute) // virtual: what whatsmeow waits for by the clock ends
	})
	await[session.Connected](heard, nil)
	return client, heard, asked
}

func count[S session.Signal](e *ear) int {
	found := 0
	for _, signal := range e.all() {
		if _, ok := signal.(S); ok {
			found++
		}
	}
	return found
}

// TestADeadConnectionIsOpenedAgain: connections that look open, and are not, by the clock.
func TestADeadConnectionIsOpenedAgain(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		do     script.Action
		within time.Duration
	}{
		"silent socket":                     {script.GoSilent(), wa.DefaultSilence + 30*time.Second},
		"unknown stream error, left open":   {script.EndStream(420).Open(), time.Minute},
		"nothing at all is wrong with this": {script.SucceedAgain(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := start(t)
				phone := w.phone(1)
				client, heard, asked := w.keep(phone)
				time.Sleep(10 * time.Minute)
				if broke := count[session.Disconnected](heard); broke != 0 || len(asked.asked()) != 0 {
					t.Fatalf("an idle connection broke %d times", broke)
				}
				w.script(script.Rule{On: script.Clock, Account: phone.Number(), Times: 1, Do: row.do})
				time.Sleep(max(row.within, 10*time.Minute))
				turns := asked.asked()
				if row.within == 0 {
					if len(turns) != 0 {
						t.Errorf("a good connection was opened again: %v", turns)
					}
					return
				}
				if len(turns) != 1 || turns[0] != 0 || count[session.Disconnected](heard) != 1 || count[session.Connected](heard) != 2 || !client.Connected() {
					t.Errorf("turns %v, signals %v", turns, heard.all())
				}
			})
		})
	}
}

// TestReconnectsWaitLongerAfterEachFailure: a server that lets nobody in is not asked at once again, and a login that holds ends the count.
func TestReconnectsWaitLongerAfterEachFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		phone := w.phone(1)
		client, heard, asked := w.keep(phone)
		time.Sleep(2 * time.Minute)
		w.script(script.Rule{On: script.Upgrade, Times: 3, Do: script.Status(503)})
		w.script(script.Rule{On: script.Clock, Account: phone.Number(), Times: 1, Do: script.CutConnection()})
		time.Sleep(2 * time.Minute)
		if got := asked.asked(); len(got) != 4 || got[0] != 0 || got[3] != 3 || count[session.Connected](heard) != 2 || !client.Connected() {
			t.Errorf("turns %v, signals %v", got, heard.all())
		}
		w.script(script.Rule{On: script.Clock, Account: phone.Number(), Times: 1, Do: script.CutConnection()})
		time.Sleep(2 * time.Minute)
		if got := asked.asked(); len(got) != 5 || got[4] != 0 {
			t.Errorf("after a login that held: turns %v", got)
		}
		client.Close()
		before := len(asked.asked())
		time.Sleep(10 * time.Minute)
		if got := asked.asked(); len(got) != before {
			t.Error("a closed client connects again")
		}
	})
}

// TestALostQuestionAfterLoginOnlyDelays: what WhatsApp does not answer right after a login holds the session up for a while, and breaks nothing.
func TestALostQuestionAfterLoginOnlyDelays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		phone := w.phone(1)
		client, heard, asked := w.keep(phone)
		w.script(script.Rule{On: script.Passive, Account: phone.Number(), Times: 1, Do: script.LoseStanza()})
		w.script(script.Rule{On: script.Clock, Account: phone.Number(), Times: 1, Do: script.CutConnection()})
		time.Sleep(5 * time.Minute)
		if got := asked.asked(); len(got) != 1 || count[session.Connected](heard) != 2 || !client.Connected() {
			t.Errorf("turns %v, signals %v", got, heard.all())
		}
	})
}

// TestHangingUpWhileTheOtherSideDoes: both ends close at one moment. The race detector watches what whatsmeow does then.
func TestHangingUpWhileTheOtherSideDoes(t *testing.T) {
	t.Parallel()
	for _, apart := range []time.Duration{0, time.Nanosecond, time.Millisecond, wasim.DefaultCloseDelay} {
		t.Run(apart.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := start(t)
				for number := range 8 {
					phone := w.phone(number + 1)
					client, _, _ := w.keep(phone)
					w.script(script.Rule{On: script.Clock, Account: phone.Number(), Times: 1, Do: script.CutConnection()})
					time.Sleep(apart)
					client.Close()
				}
			})
		})
	}
}
