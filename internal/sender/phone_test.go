package sender

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
)

// TestPhoneThatStaysOffline: it is asked before anybody is told, people are told after ten and twelve days, once each, and a sign ends it.
func TestPhoneThatStaysOffline(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(nil)
		w.online("ses_a")
		const day = 24 * time.Hour
		attention := func() (told []session.Attention) {
			for _, offline := range factsOf[events.PhoneOffline](w.queue) {
				told = append(told, offline.Attention)
			}
			return told
		}
		asked := func() int {
			w.whatsapp.mu.Lock()
			defer w.whatsapp.mu.Unlock()
			return w.whatsapp.asked
		}
		connection := w.whatsapp.connection("ses_a")
		connection.report(session.PhoneSeen{At: time.Now()})
		seen := w.session("ses_a").PhoneSeenAt
		connection.report(session.PhoneSeen{At: time.Now().Add(time.Minute)})
		same(t, "a second sign is not worth a write", w.session("ses_a").PhoneSeenAt, seen)

		time.Sleep(8 * day)
		same(t, "asked too early", asked(), 0)
		time.Sleep(day + 2*time.Hour)
		same(t, "asked", asked(), 1)
		same(t, "told too early", len(attention()), 0)
		time.Sleep(day)
		same(t, "told", attention(), []session.Attention{session.AttentionWarn})
		time.Sleep(2 * day)
		same(t, "told", attention(), []session.Attention{session.AttentionWarn, session.AttentionAlert})
		same(t, "alerted", host.count(t, "sessions_phone_offline"), 1)
		same(t, "asked once a day", asked(), 4)

		connection.report(session.PhoneSeen{At: time.Now()})
		synctest.Wait()
		same(t, "alerted no longer", host.count(t, "sessions_phone_offline"), 0)
		time.Sleep(9 * day)
		same(t, "told again", len(attention()), 2)
	})
}
