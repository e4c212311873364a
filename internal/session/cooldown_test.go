package session

import (
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
)

var noon = time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)

func at(offsets ...time.Duration) []time.Time {
	times := make([]time.Time, len(offsets))
	for i, offset := range offsets {
		times[i] = noon.Add(offset)
	}
	return times
}

func TestEachLogoutOfAWeekDoublesTheRest(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	rows := map[string]struct {
		logouts []time.Time
		rest    time.Duration
	}{
		"the first":                     {at(0), 10 * time.Minute},
		"the second":                    {at(0, time.Hour), 20 * time.Minute},
		"the third":                     {at(0, time.Hour, 2*time.Hour), 40 * time.Minute},
		"one of a week ago":             {at(0, 7*day), 10 * time.Minute},
		"one of almost a week ago":      {at(0, 7*day-time.Second), 20 * time.Minute},
		"the eighth reaches 21 h 20 m":  {at(0, 1, 2, 3, 4, 5, 6, 7), 1280 * time.Minute},
		"the ninth is capped":           {at(0, 1, 2, 3, 4, 5, 6, 7, 8), day},
		"a hundred do not overflow":     {at(make([]time.Duration, 100)...), day},
		"the week moves with the last":  {at(0, 6*day, 12*day), 20 * time.Minute},
		"all of them older but for one": {at(0, day, 20*day), 10 * time.Minute},
	}
	for name, row := range rows {
		last := row.logouts[len(row.logouts)-1]
		if got := DefaultCooldown().Until(row.logouts).Sub(last); got != row.rest {
			t.Errorf("%s: rests for %s, want %s", name, got, row.rest)
		}
	}
	if !DefaultCooldown().Until(nil).IsZero() || !(CooldownRules{}).Until(at(0)).IsZero() {
		t.Error("nothing to rest from, or no rule, is no rest")
	}
}

func TestThreeEarlyLogoutsOpenTheCircuit(t *testing.T) {
	t.Parallel()
	rules := DefaultBreaker()
	rows := map[string]struct {
		early []time.Time
		open  bool
	}{
		"none":                      {nil, false},
		"two":                       {at(0, time.Minute), false},
		"three":                     {at(0, time.Minute, 2*time.Minute), true},
		"three in a day":            {at(0, time.Hour, 24*time.Hour), true},
		"three in more than a day":  {at(0, time.Hour, 24*time.Hour+1), false},
		"the last three of a month": {at(-700*time.Hour, 0, time.Hour, 2*time.Hour), true},
	}
	for name, row := range rows {
		until := rules.Until(row.early)
		if row.open && !until.Equal(row.early[len(row.early)-1].Add(rules.Rest)) || !row.open && !until.IsZero() {
			t.Errorf("%s: open until %s", name, until)
		}
	}
	if !(BreakerRules{}).Until(at(0, 1, 2, 3)).IsZero() {
		t.Error("without a rule the circuit stays closed")
	}
	for after, want := range map[time.Duration]bool{time.Minute: true, 30 * time.Minute: true, 31 * time.Minute: false} {
		if got := rules.IsEarly(Logout{LinkedAt: noon, At: noon.Add(after)}); got != want {
			t.Errorf("a logout %s after the pairing is early: %v", after, got)
		}
	}
	if rules.IsEarly(Logout{At: noon}) {
		t.Error("a logout whose pairing is not known is not early")
	}
}

func TestWhichEndsCoolDown(t *testing.T) {
	t.Parallel()
	cool := map[Reason]bool{ReasonLoggedOut: true, ReasonRemoved: true, ReasonBanned: true, ReasonTemporaryBan: true}
	for _, reason := range append(Reasons(), ReasonNone) {
		if reason.CoolsDown() != cool[reason] {
			t.Errorf("%q cools down: %v", reason, reason.CoolsDown())
		}
	}
}

func TestHowManySessionsAnEgressMayHave(t *testing.T) {
	t.Parallel()
	rows := []struct {
		capacity Capacity
		present  int
		warning  Reason
		full     bool
	}{
		{0, 0, ReasonNone, false},
		{0, 4, ReasonNone, false},
		{0, 5, ReasonEgressCrowded, false}, // the sixth, by default
		{0, 6, ReasonNone, true},
		{1, 0, ReasonNone, false},
		{1, 1, ReasonNone, true},
		{5, 4, ReasonNone, false},
		{5, 5, ReasonNone, true},
		{8, 5, ReasonEgressCrowded, false},
		{8, 7, ReasonEgressCrowded, false},
		{8, 8, ReasonNone, true},
		{9, 8, ReasonNone, true}, // a higher limit is not taken
		{1000, 8, ReasonNone, true},
		{8, 30, ReasonNone, true},
		{Unbounded, 1000, ReasonNone, false},
	}
	for _, row := range rows {
		warning, err := row.capacity.Admit(row.present)
		if warning != row.warning || (err != nil) != row.full {
			t.Errorf("capacity %d, %d present: warning %q, %v", row.capacity, row.present, warning, err)
		}
		if err != nil && (fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "another egress")) {
			t.Errorf("the refusal must say what to do: %v", err)
		}
	}
}

func TestWhoStandsInLine(t *testing.T) {
	t.Parallel()
	linking := func(id ID, egress string, state LinkState, queued time.Duration) Session {
		return Session{ID: id, Egress: egress, State: Linking, Link: Link{ID: "link-" + string(id), State: state, QueuedAt: noon.Add(queued)}}
	}
	sessions := []Session{
		linking("c", "", LinkQueued, 3), linking("a", EgressDirect, LinkQR, 1), linking("b", EgressDirect, LinkCoolingDown, 2),
		linking("b2", EgressDirect, LinkQueued, 2), linking("gone", EgressDirect, LinkCancelled, 0), linking("p", "proxy", LinkQueued, 1),
		{ID: "ready", State: Ready, Egress: EgressDirect}, {ID: "out", State: LoggedOut, Egress: EgressDirect},
	}
	counted := OccupancyOf(sessions)
	var order []ID
	for _, s := range counted.Lines[EgressDirect] {
		order = append(order, s.ID)
	}
	if len(order) != 4 || order[0] != "a" || order[1] != "b" || order[2] != "b2" || order[3] != "c" {
		t.Errorf("the line is %v", order)
	}
	if line := counted.Lines[EgressDirect]; line.Ahead("link-c") != 3 || line.Ahead("link-a") != 0 || line.Ahead("nobody") != 4 {
		t.Error("who is ahead is wrong")
	}
	if counted.Present[EgressDirect] != 5 || counted.Present["proxy"] != 1 {
		t.Errorf("present %v", counted.Present)
	}
}

// TestEveryReasonHasItsSentencesAndPromisesNothing: nothing that is said here rules a logout out.
func TestEveryReasonHasItsSentencesAndPromisesNothing(t *testing.T) {
	t.Parallel()
	for _, reason := range Reasons() {
		english, spanish := reason.Sentence(English), reason.Sentence(Spanish)
		if english == "" || spanish == "" || english == spanish {
			t.Errorf("%s: %q, %q", reason, english, spanish)
		}
		for _, promise := range []string{"prevent", "avoid", "guarantee", "will not be logged out", "protects", "evita", "garantiza", "impide", "previene"} {
			if strings.Contains(strings.ToLower(english+spanish), promise) {
				t.Errorf("%s promises (%q): %q, %q", reason, promise, english, spanish)
			}
		}
	}
}
