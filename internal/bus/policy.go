package bus

import (
	"math/rand/v2"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// Policy says how long a kind of job is tried. Whether it is tried again at all is the class's decision (fault.Class.Redelivered).
//
// A job that waits for its next attempt keeps its place in its consumer's limit: a link keeps the queue of links in order, and a campaign keeps
// one of the places for campaigns. The waits are therefore short; what has to wait for long is ended by its handler and published anew. Webhooks have
// places for all that may wait, so that those of a receiver that is down keep none from the others.
type Policy struct {
	// Attempts is how often a job is delivered before it goes to FAILED. A delivery that ended in a crash counts, one handed back does not.
	Attempts int
	// MinDelay is the ceiling of the first wait, MaxDelay that of every wait; the ceiling doubles with each attempt.
	MinDelay time.Duration
	MaxDelay time.Duration
	// PutOff: a job that fails with fault.CoolingDown was not tried. It comes back after the time that the error names, and that is no attempt.
	PutOff bool
}

// policies is the table of retry policies.
func policies() map[string]Policy {
	return map[string]Policy{
		events.LinkSession{}.Kind():     {Attempts: 5, MinDelay: 2 * time.Second, MaxDelay: 30 * time.Second},
		events.RunCampaign{}.Kind():     {Attempts: 10, MinDelay: time.Second, MaxDelay: time.Minute},
		events.MessageReceived{}.Kind(): {Attempts: 12, MinDelay: 500 * time.Millisecond, MaxDelay: time.Minute},
		events.DeliverWebhook{}.Kind():  {Attempts: 10, MinDelay: 5 * time.Second, MaxDelay: 5 * time.Minute, PutOff: true},
		kindOfAnyFact:                   {Attempts: 12, MinDelay: 500 * time.Millisecond, MaxDelay: time.Minute},
		events.MessageReceipt{}.Kind():  {Attempts: 12, MinDelay: 500 * time.Millisecond, MaxDelay: time.Minute},
	}
}

// delay gives the wait after the n-th failed attempt: what the error asks for, else a random part of the ceiling (full jitter), so that jobs that
// failed together do not come back together. RetryNow comes back at once the first time only: it would be a hot loop otherwise.
func (p Policy) delay(failure *fault.Error, n int) time.Duration {
	if failure.After > 0 {
		return failure.After
	}
	if failure.Class == fault.RetryNow && n <= 1 {
		return 0
	}
	ceiling := p.MaxDelay
	if doublings := max(n-1, 0); doublings < 32 && p.MinDelay<<doublings < p.MaxDelay {
		ceiling = p.MinDelay << doublings
	}
	return max(time.Millisecond, rand.N(ceiling)) // #nosec G404 -- jitter, not a secret
}
