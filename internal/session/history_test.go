package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHistoryKeepsTheLastEntriesInOrder(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	history := History{Session: "ses_a", Revision: 3}
	for i := range HistoryLength + 10 {
		before := slices.Clone(history.Entries)
		grown := history.With(HistoryEntry{At: noon.Add(time.Duration(i^1) * time.Minute), Kind: EntryConnected, Detail: fmt.Sprint(i)})
		if !slices.Equal(before, history.Entries) {
			t.Fatal("the history that was added to has changed")
		}
		history = grown
	}
	if len(history.Entries) != HistoryLength || history.Revision != 3 ||
		!slices.IsSortedFunc(history.Entries, func(a, b HistoryEntry) int { return a.At.Compare(b.At) }) {
		t.Errorf("%d entries: %v", len(history.Entries), history.Entries)
	}
	for sent := range 5 {
		history = history.With(HistoryEntry{At: noon.Add(2 * time.Hour), Kind: EntrySends, Sent: sent + 1})
	}
	last := history.Entries[len(history.Entries)-1]
	if before := history.Entries[len(history.Entries)-2]; last.Sent != 5 || before.Kind == EntrySends {
		t.Errorf("sends of one hour are %+v and %+v", before, last)
	}
}

// TestDiagnose has a row for each cause, and the ends that explain nothing.
func TestDiagnose(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	end := func(reason Reason, change func(*HistoryEntry)) HistoryEntry {
		entry := HistoryEntry{At: noon, Kind: EntryEnded, Reason: reason}
		if change != nil {
			change(&entry)
		}
		return entry
	}
	connected := HistoryEntry{At: noon.Add(-3 * time.Hour), Kind: EntryConnected}
	healthy := Session{LinkedAt: noon.Add(-40 * 24 * time.Hour), PhoneSeenAt: noon.Add(-time.Hour)}
	for name, row := range map[string]struct {
		session Session
		entries []HistoryEntry
		cause   Cause
		guess   bool
		signs   int
	}{
		"replaced":                     {healthy, []HistoryEntry{connected, end(ReasonReplaced, nil)}, CauseReplaced, false, 1},
		"outdated":                     {healthy, []HistoryEntry{connected, end(ReasonOutdated, nil)}, CauseOutdated, false, 1},
		"banned":                       {healthy, []HistoryEntry{connected, end(ReasonBanned, nil)}, CauseBanned, false, 1},
		"banned for a while":           {healthy, []HistoryEntry{connected, end(ReasonTemporaryBan, nil)}, CauseBanned, false, 1},
		"removed while it was quiet":   {healthy, []HistoryEntry{connected, end(ReasonRemoved, nil)}, CauseUnlinkedByUser, true, 1},
		"refused at login":             {healthy, []HistoryEntry{connected, end(ReasonLoggedOut, nil)}, CauseUnknown, true, 1},
		"phone away for two weeks":     {Session{PhoneSeenAt: noon.Add(-14 * 24 * time.Hour)}, []HistoryEntry{connected, end(ReasonRemoved, nil)}, CausePhoneOffline, true, 1},
		"never seen, linked long ago":  {Session{LinkedAt: noon.Add(-15 * 24 * time.Hour)}, []HistoryEntry{end(ReasonLoggedOut, nil)}, CausePhoneOffline, true, 1},
		"five others beside it":        {healthy, []HistoryEntry{connected, end(ReasonRemoved, func(e *HistoryEntry) { e.Beside = 5 })}, CauseSharedAddress, true, 1},
		"four others beside it":        {healthy, []HistoryEntry{connected, end(ReasonRemoved, func(e *HistoryEntry) { e.Beside = 4 })}, CauseUnlinkedByUser, true, 1},
		"strangers in the last hour":   {healthy, []HistoryEntry{connected, end(ReasonRemoved, func(e *HistoryEntry) { e.Sent, e.SentNew, e.Beside = 30, 25, 8 })}, CauseNewContacts, true, 1},
		"few strangers among many":     {healthy, []HistoryEntry{connected, end(ReasonRemoved, func(e *HistoryEntry) { e.Sent, e.SentNew = 300, 25 })}, CauseUnlinkedByUser, true, 1},
		"strangers earlier that day":   {healthy, []HistoryEntry{{At: noon.Add(-5 * time.Hour), Kind: EntrySends, Sent: 40, SentNew: 40}, end(ReasonLoggedOut, nil)}, CauseNewContacts, true, 1},
		"strangers two days before":    {healthy, []HistoryEntry{{At: noon.Add(-50 * time.Hour), Kind: EntrySends, Sent: 40, SentNew: 40}, end(ReasonLoggedOut, nil)}, CauseUnknown, true, 1},
		"restricted, then logged out":  {healthy, []HistoryEntry{connected, {At: noon.Add(-time.Hour), Kind: EntryRestricted}, end(ReasonLoggedOut, nil)}, CauseNewContacts, true, 1},
		"restricted after many":        {healthy, []HistoryEntry{{At: noon.Add(-2 * time.Hour), Kind: EntrySends, Sent: 40, SentNew: 40}, {At: noon.Add(-time.Hour), Kind: EntryRestricted}, end(ReasonRemoved, nil)}, CauseNewContacts, true, 2},
		"sends after the end tell all": {healthy, []HistoryEntry{connected, end(ReasonRemoved, nil), {At: noon.Add(time.Second), Kind: EntryDisconnected}}, CauseUnlinkedByUser, true, 1},
		"an end without a known cause": {healthy, []HistoryEntry{connected, end(ReasonConnectFailure, nil)}, CauseUnknown, true, 1},
	} {
		got, found := Diagnose(row.session, History{Entries: row.entries})
		if !found || got.Cause != row.cause || got.Guess != row.guess || len(got.Evidence) != row.signs || got.Entry.Kind != EntryEnded {
			t.Errorf("%s: %+v, want %s", name, got, row.cause)
		}
	}
	for name, entries := range map[string][]HistoryEntry{
		"nothing happened":   nil,
		"it is connected":    {connected},
		"it came back since": {end(ReasonReplaced, nil), {At: noon.Add(time.Minute), Kind: EntryConnected}},
		"it was linked anew": {end(ReasonRemoved, nil), {At: noon.Add(time.Minute), Kind: EntryLinked}},
	} {
		if got, found := Diagnose(healthy, History{Entries: entries}); found {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestAdviceIsGivenInBothLanguagesAndPromisesNothing: what lowers a risk is not said to prevent it.
func TestAdviceIsGivenInBothLanguagesAndPromisesNothing(t *testing.T) {
	t.Parallel()
	for _, cause := range Causes() {
		english, next := cause.Explain(English)
		spanish, siguiente := cause.Explain(Spanish)
		if english == "" || next == "" || spanish == "" || siguiente == "" || english == spanish || next == siguiente {
			t.Errorf("%s is said as %q, %q, %q, %q", cause, english, next, spanish, siguiente)
		}
		for _, promise := range []string{"prevent", "guarantee", "never again", "evita", "garantiza"} {
			if strings.Contains(strings.ToLower(english+next+spanish+siguiente), promise) {
				t.Errorf("%s promises with %q", cause, promise)
			}
		}
	}
	if cause, _ := Cause("new").Explain("fr"); cause == "" {
		t.Error("an unknown cause in an unknown language says nothing")
	}
}
