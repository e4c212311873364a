package sender

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
)

func (w *world) history(id session.ID) (kinds []session.EntryKind, entries []session.HistoryEntry) {
	w.t.Helper()
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	entries = w.memory.histories[id].Entries
	for _, entry := range entries {
		kinds = append(kinds, entry.Kind)
	}
	return kinds, entries
}

// sendTo sends through a hosted session.
func (w *world) sendTo(id session.ID, phone string) {
	w.t.Helper()
	reply, err := w.queue.RequestSend(w.t.Context(), events.SendRequest{SessionID: id, MessageID: "m" + phone, Phone: phone, Text: "Hola"})
	if err != nil || reply.Err() != nil {
		w.t.Fatalf("send: %v, %v", err, reply.Err())
	}
}

// TestHistoryTellsTheStoryOfASession: each thing once, with the sends around it, and nobody's number in it.
func TestHistoryTellsTheStoryOfASession(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		for _, id := range []session.ID{"ses_b", "ses_c"} {
			w.online(id)
		}
		connection := w.whatsapp.connection("ses_a")
		connection.report(session.Connected{}) // once more
		time.Sleep(time.Minute)
		connection.report(session.MessageArrived{MessageID: "x", Phone: "+5491140000000", Text: "hola"})
		for i := range 5 {
			w.sendTo("ses_a", fmt.Sprintf("+549114000000%d", i))
			w.sendTo("ses_a", fmt.Sprintf("+549114000000%d", i))
		}
		time.Sleep(time.Minute)
		connection.report(session.Disconnected{})
		connection.report(session.Disconnected{})
		connection.report(session.Connected{})
		connection.report(session.StreamFailed{Code: "420"})
		connection.report(session.Restricted{Active: true})
		connection.report(session.Restricted{})
		connection.report(session.Ended{Reason: session.ReasonRemoved, Detail: "401"})
		synctest.Wait()
		kinds, entries := w.history("ses_a")
		same(t, "told", kinds, []session.EntryKind{session.EntryConnected, session.EntrySends, session.EntryDisconnected, session.EntryConnected,
			session.EntryStreamError, session.EntryRestricted, session.EntryUnrestricted, session.EntryEnded})
		end := entries[len(entries)-1]
		end.At = time.Time{}
		same(t, "end", end, session.HistoryEntry{Kind: session.EntryEnded, Reason: session.ReasonRemoved, Detail: "401", Sent: 10, SentNew: 4, Beside: 2, Egress: session.EgressDirect})
		same(t, "sends", [2]int{entries[1].Sent, entries[1].SentNew}, [2]int{10, 4})
	})
}

// TestSendsAreOneEntryAnHour, written down while they go on, and when the host stops.
func TestSendsAreOneEntryAnHour(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(nil)
		w.online("ses_a")
		for i := range 50 { // from 00:00, every three minutes
			w.sendTo("ses_a", fmt.Sprintf("+54911400000%02d", i))
			time.Sleep(3 * time.Minute)
		}
		host.stop()
		_, entries := w.history("ses_a")
		total, hours := 0, 0
		for _, entry := range entries {
			if entry.Kind != session.EntrySends {
				continue
			}
			if !entry.At.Equal(entry.At.Truncate(time.Hour)) || entry.Sent > 21 {
				t.Errorf("entry %+v", entry)
			}
			total, hours = total+entry.Sent, hours+1
		}
		same(t, "sends", total, 50)
		same(t, "hours", hours, 3)
	})
}

// TestAHistoryThatCannotBeWrittenHoldsNothingUp.
func TestAHistoryThatCannotBeWrittenHoldsNothingUp(t *testing.T) {
	inWorld(t, func(w *world) {
		w.memory.failWith(func(operation string) error {
			if operation == "put history" {
				return fmt.Errorf("the disk is full")
			}
			return nil
		})
		w.host(nil)
		w.online("ses_a")
		w.sendTo("ses_a", "+5491140000001")
		same(t, "state", w.session("ses_a").State, session.Ready)
	})
}
