package pace

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

const spacing = 2 * time.Minute

func newLinks(t *testing.T, bucket Bucket) *Links {
	t.Helper()
	links, err := NewLinks(LinksOptions{Bucket: bucket, Rules: DefaultRules()})
	if err != nil {
		t.Fatal(err)
	}
	return links
}

// inBubble runs a story over clocks that two workers share.
func inBubble(t *testing.T, story func(t *testing.T, one, other *Links)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := &Memory{}
		story(t, newLinks(t, bucket), newLinks(t, bucket))
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// early wants a refusal and gives how long it is to wait.
func early(t *testing.T, err error, why session.Reason) time.Duration {
	t.Helper()
	var refusal *TooEarlyError
	if !errors.As(err, &refusal) || refusal.Reason != why {
		t.Fatalf("got %v, want too early because of %s", err, why)
	}
	return time.Until(refusal.Until)
}

func TestOneLinkAtATimeOnAnEgress(t *testing.T) {
	inBubble(t, func(t *testing.T, one, other *Links) {
		ctx := t.Context()
		must(t, one.Begin(ctx, "direct", "a", 0))
		must(t, one.Begin(ctx, "direct", "a", 0)) // a redelivered job
		early(t, other.Begin(ctx, "direct", "b", 0), session.ReasonQueued)
		must(t, other.Begin(ctx, "proxy", "b", spacing))
		for range 20 { // as long as it says so, it has it
			time.Sleep(HoldTime / 2)
			must(t, one.Keep(ctx, "direct", "a"))
			early(t, other.Begin(ctx, "direct", "c", 0), session.ReasonQueued)
		}
		must(t, one.End(ctx, "direct", "a", true))
		must(t, other.Begin(ctx, "direct", "c", 0))
		if err := one.Keep(ctx, "direct", "a"); !errors.Is(err, ErrNotHeld) || fault.Of(err) != fault.RetryLater {
			t.Errorf("a link keeps what it gave back: %v", err)
		}
		must(t, one.End(ctx, "direct", "a", true)) // a worker that comes late takes nothing from the next one
		must(t, other.Keep(ctx, "direct", "c"))
		time.Sleep(HoldTime) // a worker that died
		must(t, one.Begin(ctx, "direct", "d", 0))
	})
}

func TestSpacingCountsFromTheEndOfAPairingAndTheBeginningOfAnyOther(t *testing.T) {
	inBubble(t, func(t *testing.T, one, other *Links) {
		ctx := t.Context()
		must(t, one.Begin(ctx, "direct", "nobody scanned", spacing))
		time.Sleep(30 * time.Second)
		must(t, one.End(ctx, "direct", "nobody scanned", false))
		if wait := early(t, other.Begin(ctx, "direct", "a", spacing), session.ReasonSpacing); wait != 90*time.Second {
			t.Errorf("waits for %s, want the rest of the spacing", wait)
		}
		time.Sleep(90 * time.Second)
		must(t, other.Begin(ctx, "direct", "a", spacing))
		time.Sleep(50 * time.Second)
		must(t, other.End(ctx, "direct", "a", true))
		if wait := early(t, one.Begin(ctx, "direct", "b", spacing), session.ReasonSpacing); wait != spacing {
			t.Errorf("waits for %s, want the whole spacing", wait)
		}
		must(t, one.Begin(ctx, "proxy", "b", spacing))
	})
}

func TestConnectionsOfAllWorkersAreSpreadAndCountForLinksToo(t *testing.T) {
	inBubble(t, func(t *testing.T, one, other *Links) {
		const longest = 3 * time.Second
		var mu sync.Mutex
		var turns []time.Time
		var asking sync.WaitGroup
		for i := range 10 {
			asking.Go(func() {
				at, err := []*Links{one, other}[i%2].Connect(t.Context(), "direct", longest)
				must(t, err)
				mu.Lock()
				defer mu.Unlock()
				turns = append(turns, at)
			})
		}
		asking.Wait()
		began := time.Now()
		taken := map[time.Time]bool{}
		for _, turn := range turns {
			taken[turn] = true
		}
		if len(taken) != 10 {
			t.Fatalf("turns %v", turns)
		}
		previous := began
		for range taken { // in the order of time
			var next time.Time
			for turn := range taken {
				if turn.After(previous) && (next.IsZero() || turn.Before(next)) {
					next = turn
				}
			}
			if gap := next.Sub(previous); gap < time.Second || gap > longest {
				t.Errorf("a gap of %s, want 1 to 3 s", gap)
			}
			previous = next
		}
		if at, err := other.Connect(t.Context(), "proxy", longest); err != nil || at.Sub(began) > longest {
			t.Errorf("another egress waits for this one: %s, %v", at.Sub(began), err)
		}
		time.Sleep(time.Hour)
		if at, err := one.Connect(t.Context(), "direct", 0); err != nil || !at.Equal(time.Now()) {
			t.Errorf("a reconnect that happened is counted at %s, %v", at, err)
		}
	})
}

func logout(id session.ID, phone string, linked time.Duration) session.Logout {
	now := time.Now()
	return session.Logout{Session: id, Egress: "direct", Phone: phone, Reason: session.ReasonLoggedOut, LinkedAt: now.Add(-linked), At: now}
}

func TestLogoutCoolsNumberAndEgressDown(t *testing.T) {
	inBubble(t, func(t *testing.T, one, other *Links) {
		ctx := t.Context()
		first := logout("s1", "+54 911 5000-0011", time.Hour)
		for _, told := range []*Links{one, other, one} { // by two owners, and again
			must(t, told.Record(ctx, first))
			time.Sleep(time.Second)
		}
		const after = 10*time.Minute - 3*time.Second
		if wait := early(t, other.Begin(ctx, "direct", "a", spacing), session.ReasonEgressCooldown); wait != after {
			t.Errorf("the egress rests for %s, want %s", wait, after)
		}
		must(t, other.Begin(ctx, "proxy", "a", spacing))
		if until, err := other.NumberRests(ctx, "5491150000011"); err != nil || time.Until(until) != after {
			t.Errorf("the number rests for %s, %v", time.Until(until), err)
		}
		if until, err := other.NumberRests(ctx, "+5491150000012"); err != nil || !until.IsZero() {
			t.Errorf("another number rests until %s, %v", until, err)
		}
		time.Sleep(after)
		must(t, other.Begin(ctx, "direct", "a", spacing))
		must(t, other.End(ctx, "direct", "a", false))
		must(t, one.Record(ctx, logout("s1", "+5491150000011", time.Hour)))
		if until, _ := one.NumberRests(ctx, "+5491150000011"); time.Until(until) != 20*time.Minute {
			t.Errorf("the second time it rests for %s", time.Until(until))
		}
		must(t, one.Record(ctx, session.Logout{Session: "s9", Egress: "proxy2", Phone: "+1", Reason: session.ReasonUnlinked, At: time.Now()}))
		if known, err := one.Egress(ctx, "proxy2"); err != nil || known.IsKnown() {
			t.Errorf("an operator's own unlinking cools down: %+v, %v", known, err)
		}
	})
}

func TestATemporaryBanRestsAtLeastUntilItsEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, one, _ *Links) {
		banned := logout("s1", "+5491150000011", time.Hour)
		banned.Reason, banned.Until = session.ReasonTemporaryBan, time.Now().Add(5*time.Hour)
		must(t, one.Record(t.Context(), banned))
		if until, err := one.NumberRests(t.Context(), banned.Phone); err != nil || !until.Equal(banned.Until) {
			t.Errorf("rests until %s, %v", until, err)
		}
	})
}

func TestCircuitBreakerStopsAllLinksUntilResetOrTime(t *testing.T) {
	inBubble(t, func(t *testing.T, one, other *Links) {
		ctx := t.Context()
		for i := range 3 {
			if known, _ := other.Egress(ctx, "direct"); known.CircuitOpen(time.Now()) {
				t.Fatalf("open after %d", i)
			}
			must(t, one.Record(ctx, logout(session.ID(fmt.Sprint("s", i)), fmt.Sprintf("+549115000001%d", i), 20*time.Minute)))
			time.Sleep(time.Minute)
		}
		if wait := early(t, other.Begin(ctx, "direct", "a", spacing), session.ReasonCircuitOpen); wait != 6*time.Hour-time.Minute {
			t.Errorf("waits for %s", wait)
		}
		must(t, other.Begin(ctx, "proxy", "a", spacing))
		if counted := testutil.ToFloat64(one.metrics.opened); counted != 1 {
			t.Errorf("counted %v times", counted)
		}
		after, err := other.Reset(ctx, "direct")
		if err != nil || after.CircuitOpen(time.Now()) || len(after.Logouts) != 0 || after.ID != "direct" {
			t.Errorf("after a reset: %+v, %v", after, err)
		}
		must(t, one.Begin(ctx, "direct", "a", spacing))
		if until, _ := one.NumberRests(ctx, "+5491150000011"); until.IsZero() {
			t.Error("the reset of an egress must not free the numbers")
		}
		for i := range 3 {
			must(t, one.Record(ctx, logout(session.ID(fmt.Sprint("again", i)), "", 20*time.Minute)))
		}
		time.Sleep(6 * time.Hour)
		must(t, one.Begin(ctx, "direct", "b", spacing))
	})
}

func TestLateLogoutsDoNotOpenTheCircuit(t *testing.T) {
	inBubble(t, func(t *testing.T, one, _ *Links) {
		for i := range 5 {
			must(t, one.Record(t.Context(), logout(session.ID(fmt.Sprint("s", i)), "", time.Hour)))
		}
		if known, err := one.Egress(t.Context(), "direct"); err != nil || known.CircuitOpen(time.Now()) || len(known.Logouts) != 5 {
			t.Errorf("%+v, %v", known, err)
		}
	})
}

func TestNoNumberStandsInTheBucket(t *testing.T) {
	inBubble(t, func(t *testing.T, one, _ *Links) {
		const phone = "5491150000011"
		must(t, one.Record(t.Context(), logout("s1", "+"+phone, time.Minute)))
		bucket := one.options.Bucket.(*Memory)
		for key, entry := range bucket.entries {
			if text := key + string(entry.value); strings.Contains(text, phone) || strings.Contains(text, phone[3:]) {
				t.Errorf("the number is in %s", text)
			}
		}
		time.Sleep(8 * 24 * time.Hour)
		must(t, one.Prune(t.Context()))
		if len(bucket.entries) != 1 {
			t.Errorf("%d keys are left, want the egress alone", len(bucket.entries))
		}
	})
}

func TestNumbersThatStillCountAreNotPruned(t *testing.T) {
	inBubble(t, func(t *testing.T, one, _ *Links) {
		must(t, one.Record(t.Context(), logout("s1", "+5491150000011", time.Minute)))
		time.Sleep(6 * 24 * time.Hour)
		must(t, one.Prune(t.Context()))
		must(t, one.Record(t.Context(), logout("s2", "+5491150000011", time.Minute)))
		if until, _ := one.NumberRests(t.Context(), "+5491150000011"); time.Until(until) != 20*time.Minute {
			t.Errorf("it rests for %s: the first logout was forgotten", time.Until(until))
		}
	})
}

func TestWorkersThatWriteAtOnceLoseNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, one, other *Links) {
		var writing sync.WaitGroup
		for i := range 20 {
			writing.Go(func() {
				must(t, []*Links{one, other}[i%2].Record(t.Context(), logout(session.ID(fmt.Sprint("s", i)), "", time.Hour)))
			})
		}
		writing.Wait()
		if known, err := one.Egress(t.Context(), "direct"); err != nil || len(known.Logouts) != 20 {
			t.Errorf("%d of 20 logouts are known, %v", len(known.Logouts), err)
		}
	})
}

func TestPolicyIsWhatWasSaidLast(t *testing.T) {
	inBubble(t, func(t *testing.T, one, other *Links) {
		ctx := t.Context()
		if policy, err := one.Policy(ctx); err != nil || policy.Spaces() != DefaultSpacing || policy.Capacity.Limit() != int(session.DefaultCapacity) {
			t.Errorf("nothing was said: %+v, %v", policy, err)
		}
		must(t, one.SetCapacity(ctx, 8))
		must(t, other.SetSpacing(ctx, time.Minute))
		if policy, err := one.Policy(ctx); err != nil || policy.Spaces() != time.Minute || policy.Capacity.Limit() != 8 {
			t.Errorf("%+v, %v", policy, err)
		}
		must(t, other.SetSpacing(ctx, 0))
		if policy, _ := one.Policy(ctx); policy.Spaces() != 0 {
			t.Errorf("no spacing is %s", policy.Spaces())
		}
	})
}

// brokenBucket does not answer.
type brokenBucket struct{ Memory }

func (*brokenBucket) Get(context.Context, string) ([]byte, uint64, error) {
	return nil, 0, errors.New("no servers available")
}

func TestASilentQueueIsAPassingFailure(t *testing.T) {
	t.Parallel()
	links := newLinks(t, &brokenBucket{})
	if err := links.Begin(t.Context(), "direct", "a", spacing); fault.Of(err) != fault.RetryLater {
		t.Errorf("got %v", err)
	}
	if _, err := NewLinks(LinksOptions{}); err == nil {
		t.Error("Links without a bucket")
	}
}

func TestPlaceAndWaitInLine(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)
	var line session.Line
	for i, link := range []string{"a", "b", "c"} {
		line = append(line, session.Session{State: session.Linking, Link: session.Link{ID: link, State: session.LinkQueued, QueuedAt: now.Add(time.Duration(i))}})
	}
	const each = spacing + usualLink
	rows := map[string]struct {
		egress Egress
		link   string
		want   Turn
	}{
		"first on a fresh egress": {Egress{}, "a", Turn{Position: 1, At: now}},
		"third on a fresh egress": {Egress{}, "c", Turn{Position: 3, At: now.Add(2 * each), Why: session.ReasonQueued}},
		"first, spaced":           {Egress{Linked: now.Add(-time.Minute), LinkedBy: "z"}, "a", Turn{Position: 1, At: now.Add(time.Minute), Why: session.ReasonSpacing}},
		"second, the first in work": {Egress{Holder: "a", HeldUntil: now.Add(HoldTime), Linked: now, LinkedBy: "a"}, "b",
			Turn{Position: 1, At: now.Add(spacing), Why: session.ReasonSpacing}},
		"third, the first in work": {Egress{Holder: "a", HeldUntil: now.Add(HoldTime), Linked: now.Add(-spacing), LinkedBy: "a"}, "c",
			Turn{Position: 2, At: now.Add(usualLink + spacing + each), Why: session.ReasonQueued}},
		"first while it cools down": {Egress{CoolsUntil: now.Add(time.Hour)}, "a", Turn{Position: 1, At: now.Add(time.Hour), Why: session.ReasonEgressCooldown}},
	}
	for name, row := range rows {
		if got := TurnOf(line, row.egress, row.link, spacing, now); got != row.want {
			t.Errorf("%s: %+v, want %+v", name, got, row.want)
		}
	}
}
