package script

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Moment is one event as the server sees it. Numbers are phone numbers in E.164; Recipients is only called when a rule asks.
type Moment struct {
	Event      Event
	Account    string
	Recipients func() []string
}

// Play holds the rules in force. The zero Play has none; make it with New to give it randomness.
type Play struct {
	count  atomic.Int32
	mu     sync.Mutex
	random *rand.Rand
	rules  []*Running
}

// New makes a Play; random decides about rules with a probability.
func New(random *rand.Rand) *Play { return &Play{random: random} }

// Running is a rule in force.
type Running struct {
	play  *Play
	rule  Rule
	added time.Time
	seen  int
	hits  atomic.Int64
}

// Add puts a rule in force behind those that are there.
func (p *Play) Add(rule Rule) (*Running, error) {
	if err := rule.Validate(); err != nil {
		return nil, err
	}
	running := &Running{play: p, rule: rule, added: time.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, running)
	p.count.Store(int32(len(p.rules)))
	return running, nil
}

// Rule is the rule as it was added.
func (r *Running) Rule() Rule { return r.rule }

// Hits is how often the rule struck.
func (r *Running) Hits() int { return int(r.hits.Load()) }

// Hit counts a strike that was not decided by Decide: one by the clock.
func (r *Running) Hit() { r.hits.Add(1) }

// Stop takes the rule out of force.
func (r *Running) Stop() {
	r.play.mu.Lock()
	defer r.play.mu.Unlock()
	r.play.rules = slices.DeleteFunc(r.play.rules, func(other *Running) bool { return other == r })
	r.play.count.Store(int32(len(r.play.rules)))
}

// Stopped tells whether the rule was taken out of force.
func (r *Running) Stopped() bool {
	r.play.mu.Lock()
	defer r.play.mu.Unlock()
	return !slices.Contains(r.play.rules, r)
}

// Decide gives the action for a moment: that of the first rule that applies, or the zero Action.
func (p *Play) Decide(moment Moment) Action {
	if p.count.Load() == 0 {
		return Action{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, running := range p.rules {
		if running.applies(moment) && p.strikes(running) {
			running.hits.Add(1)
			return running.rule.Do
		}
	}
	return Action{}
}

// applies tells whether the rule is about the moment.
func (r *Running) applies(moment Moment) bool {
	rule := r.rule
	if rule.On != moment.Event && (rule.On != Stanza || !moment.Event.IsStanza()) || rule.On == Clock {
		return false
	}
	if rule.Account != "" && rule.Account != moment.Account {
		return false
	}
	age := Duration(time.Since(r.added))
	if age < rule.After || rule.Until > 0 && age >= rule.Until {
		return false
	}
	return rule.Recipient == "" || moment.Recipients != nil && slices.Contains(moment.Recipients(), rule.Recipient)
}

// strikes counts the event and tells whether it is one of those that the rule strikes.
func (p *Play) strikes(r *Running) bool {
	if r.rule.Times > 0 && r.Hits() >= r.rule.Times {
		return false
	}
	r.seen++
	if r.seen <= r.rule.Skip {
		return false
	}
	return r.rule.Probability == 0 || p.random.Float64() < r.rule.Probability
}
