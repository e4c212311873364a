package script

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRulesAreJSON(t *testing.T) {
	t.Parallel()
	rule := Rule{
		Name: "slow acks", On: Message, Account: "+4915112345678", Recipient: "+525512345678", Skip: 2, Times: 3,
		After: Duration(time.Minute), Until: Duration(time.Hour), Probability: 0.5, Do: DelayReply(1500 * time.Millisecond),
	}
	raw, err := json.Marshal(rule)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"name":"slow acks","on":"message","account":"+4915112345678","recipient":"+525512345678","skip":2,"times":3,` +
		`"after":"1m0s","until":"1h0m0s","probability":0.5,"do":{"kind":"delay","for":"1.5s"}}`
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Error(diff)
	}
	var back Rule
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rule, back); diff != "" {
		t.Error(diff)
	}
	for _, wrong := range []string{`{"after":5}`, `{"after":"soon"}`} {
		if err := json.Unmarshal([]byte(wrong), &back); err == nil {
			t.Errorf("read %s", wrong)
		}
	}
}

func TestFirstRuleThatAppliesDecides(t *testing.T) {
	t.Parallel()
	play := New(rand.New(rand.NewPCG(1, 1)))
	add := func(rule Rule) *Running {
		running, err := play.Add(rule)
		if err != nil {
			t.Fatal(err)
		}
		return running
	}
	protect := add(Rule{On: Message, Recipient: "+1", Do: Action{}})
	once := add(Rule{On: Message, Times: 1, Do: RefuseMessage(463)})
	rest := add(Rule{On: Stanza, Do: LoseStanza()})
	to := func(number string) Moment {
		return Moment{Event: Message, Account: "+9", Recipients: func() []string { return []string{number} }}
	}
	for i, step := range []struct {
		moment Moment
		want   Action
	}{
		{to("+1"), Action{}},
		{to("+2"), RefuseMessage(463)},
		{to("+2"), LoseStanza()},
		{Moment{Event: KeepAlive}, LoseStanza()},
		{Moment{Event: Login}, Action{}},
		{to("+1"), Action{}},
	} {
		if diff := cmp.Diff(step.want, play.Decide(step.moment)); diff != "" {
			t.Errorf("step %d: %s", i, diff)
		}
	}
	if protect.Hits() != 2 || once.Hits() != 1 || rest.Hits() != 2 {
		t.Errorf("hits %d %d %d", protect.Hits(), once.Hits(), rest.Hits())
	}
	protect.Stop()
	if got := play.Decide(to("+1")); got != LoseStanza() || !protect.Stopped() || rest.Stopped() {
		t.Errorf("after the protecting rule stopped: %+v", got)
	}
}

func TestEveryFaultIsKnownToValidate(t *testing.T) {
	t.Parallel()
	for _, action := range []Action{
		{}, Status(503), Refuse(401), TemporaryBan(101, time.Hour), EndStream(500), EndReplaced(), RemoveDevice(), CutConnection(),
		GoSilent(), RefuseMessage(463), RefuseQuery(429), LoseStanza(), LoseReply(), DelayReply(time.Second), Lock(time.Hour), Unlock(),
		CutConnection().Then(), EndStream(503).Open(), {Kind: PreKeysLow}, {Kind: Downgrade}, OfferLateQR(), SucceedAgain(),
	} {
		if err := action.validate(); err != nil {
			t.Errorf("%+v: %v", action, err)
		}
	}
}

func FuzzRule(f *testing.F) {
	f.Add(`{"on":"message","do":{"kind":"ack_error","code":463}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var rule Rule
		if json.NewDecoder(strings.NewReader(text)).Decode(&rule) != nil || rule.Validate() != nil {
			return
		}
		raw, err := json.Marshal(rule)
		if err != nil {
			t.Fatal(err)
		}
		var back Rule
		if err := json.Unmarshal(raw, &back); err != nil || !cmp.Equal(rule, back) {
			t.Errorf("%v: %s", err, cmp.Diff(rule, back))
		}
	})
}
