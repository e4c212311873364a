package webhook

import (
	"net/http"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// through passes one request of a subscription, and gives what entering came to.
func through(l *lanes, subscription string, at time.Time, outcome result) error {
	leave, err := l.enter(subscription, at)
	if err == nil {
		leave(outcome, at.Add(time.Second))
	}
	return err
}

func TestAReceiverThatFailsRestsAndOneRequestFindsOutThatItIsBack(t *testing.T) {
	t.Parallel()
	l := &lanes{room: 2, rest: 5 * time.Second}
	at := noon
	for range failuresToRest {
		if err := through(l, "a", at, failing); err != nil {
			t.Fatal(err)
		}
	}
	rest := 5 * time.Second
	for range 6 { // each rest is longer, up to a minute
		at = at.Add(time.Second)
		if err := through(l, "a", at.Add(rest-time.Millisecond), answered); fault.Of(err) != fault.RetryLater {
			t.Fatalf("it is asked %s into its rest: %v", rest, err)
		}
		at = at.Add(rest)
		probe, err := l.enter("a", at)
		if err != nil {
			t.Fatalf("after %s nobody looks whether it is back: %v", rest, err)
		}
		if err := through(l, "a", at, answered); fault.Of(err) != fault.RetryLater {
			t.Errorf("two look at once: %v", err)
		}
		probe(failing, at.Add(time.Second))
		rest = min(2*rest, maxRest)
	}
	if err := through(l, "b", at, answered); err != nil {
		t.Errorf("another receiver rests, too: %v", err)
	}
	at = at.Add(2 * maxRest)
	interrupted, err := l.enter("a", at)
	if err != nil {
		t.Fatal(err)
	}
	interrupted(unknown, at)
	for range 3 { // the first finds that it is back
		if err := through(l, "a", at, answered); err != nil {
			t.Errorf("it answers and still rests: %v", err)
		}
	}
}

func TestWhatFindsALaneFullIsPutOffToItsTurn(t *testing.T) {
	t.Parallel()
	l := &lanes{room: 2, rest: time.Second}
	if err := through(l, "a", noon, answered); err != nil { // a second each, two at once: a pace of half a second
		t.Fatal(err)
	}
	var leaves []func(result, time.Time)
	for range 2 {
		leave, err := l.enter("a", noon)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	for i := range 2000 {
		err := through(l, "a", noon, answered)
		want := min(shortestTurn+time.Duration(i+1)*500*time.Millisecond, longestTurn)
		if failure := fault.As(err); failure == nil || failure.Class != fault.CoolingDown || failure.After != want {
			t.Fatalf("the %d. is put off by %+v, want %s", i+1, failure, want)
		}
	}
	if err := through(l, "b", noon, answered); err != nil {
		t.Errorf("another lane is full, too: %v", err)
	}
	leaves[0](answered, noon.Add(time.Second))
	if err := through(l, "a", noon, answered); err != nil {
		t.Errorf("there is room, and it is put off: %v", err)
	}
}

func TestIdleLanesAreForgottenWhenThereAreTooMany(t *testing.T) {
	t.Parallel()
	l := &lanes{room: 1, rest: time.Second}
	if _, err := l.enter("busy", noon); err != nil {
		t.Fatal(err)
	}
	for i := range maxIdleLanes + 10 {
		if err := through(l, string(rune('a'+i)), noon, answered); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(l.of); n > maxIdleLanes {
		t.Errorf("%d lanes are kept", n)
	}
	if err := through(l, "busy", noon, answered); fault.Of(err) != fault.CoolingDown {
		t.Errorf("the busy one was forgotten: %v", err)
	}
}

func TestRetryAfterIsHeardWithinReason(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "99999999999999999999": 0, "86400": time.Hour,
		noon.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second, noon.Add(-time.Hour).Format(http.TimeFormat): 0,
		noon.Add(48 * time.Hour).Format(http.TimeFormat): time.Hour,
	} {
		response := &http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {value}}}
		failure := fault.As(judge(response, noon))
		if failure.Class != fault.RetryLater || failure.After != want {
			t.Errorf("%q: %s %s, want %s", value, failure.Class, failure.After, want)
		}
	}
}
