package webhook

import (
	"sync"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// lanes keep a receiver that is slow or down from taking all hands of a worker. A lane has room for a share of them; what finds it full is put off, to the
// time at which its turn should have come. A receiver that failed several times in a row rests: what comes meanwhile fails at once, without a
// request, until one request tries whether it is back.
//
// They are in this process's memory only: a worker that starts knows nothing of them and learns it again by a few requests.
type lanes struct {
	// room is how many requests of one subscription may be under way; rest is the first rest of a receiver.
	room int
	rest time.Duration

	mu sync.Mutex
	of map[string]*lane
}

type lane struct {
	busy int
	// failures counts the last requests that failed in a row, rests how often the receiver had to rest since it last answered.
	failures, rests int
	restUntil       time.Time
	// probing: one request is under way to see whether a receiver that rested is back.
	probing bool
	// pace is about how often the lane takes one, turn the time that was given last to one that was put off.
	pace time.Duration
	turn time.Time
	// logged counts the lines in the log, for its sweeps.
	logged int
}

const (
	// failuresToRest is how many requests in a row fail before a receiver rests.
	failuresToRest = 5
	// DefaultRest is the first rest; each that follows is twice as long, up to maxRest.
	DefaultRest = 5 * time.Second
	maxRest     = time.Minute
	// shortestTurn and longestTurn bound how long one is put off.
	shortestTurn = time.Second
	longestTurn  = 30 * time.Second
	// maxIdleLanes bounds the memory of receivers that nothing is going on with.
	maxIdleLanes = 10_000
)

// result is what a request says about its receiver.
type result int

const (
	// answered: it is there.
	answered result = iota
	// failing: it is not there, or overloaded.
	failing
	// unknown: the request was interrupted.
	unknown
)

// enter takes a place in a subscription's lane, which leave gives back. It is fault.CoolingDown when the lane is full, and fault.RetryLater when the receiver
// rests.
func (l *lanes) enter(subscription string, at time.Time) (leave func(result, time.Time), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.lane(subscription)
	probe := mine.failures >= failuresToRest
	switch {
	case probe && (mine.probing || at.Before(mine.restUntil)):
		return nil, fault.New(fault.RetryLater, "webhook_receiver_down", "The receiver failed several times in a row and rests; it is tried again later")
	case mine.busy >= l.room:
		return nil, fault.New(fault.CoolingDown, "webhook_lane_full", "The receiver is busy with others of its deliveries").WithAfter(mine.putOff(at))
	}
	mine.busy++
	mine.probing = mine.probing || probe
	return func(result result, left time.Time) {
		l.mu.Lock()
		defer l.mu.Unlock()
		mine.busy--
		mine.probing = mine.probing && !probe
		mine.learn(result, left, l.rest)
		if result == answered {
			mine.keepPace(left.Sub(at) / time.Duration(l.room))
		}
	}, nil
}

// lane gives the lane of a subscription. When there are too many, those that nothing is going on with are forgotten.
func (l *lanes) lane(subscription string) *lane {
	if l.of == nil {
		l.of = map[string]*lane{}
	}
	if mine, is := l.of[subscription]; is {
		return mine
	}
	if len(l.of) >= maxIdleLanes {
		for id, other := range l.of {
			if other.busy == 0 {
				delete(l.of, id)
			}
		}
	}
	mine := &lane{}
	l.of[subscription] = mine
	return mine
}

// putOff gives how long one that finds the lane full has to wait: until those before it should be through.
func (l *lane) putOff(at time.Time) time.Duration {
	if earliest := at.Add(shortestTurn); l.turn.Before(earliest) {
		l.turn = earliest
	}
	l.turn = l.turn.Add(l.pace)
	if latest := at.Add(longestTurn); l.turn.After(latest) {
		l.turn = latest
	}
	return l.turn.Sub(at)
}

func (l *lane) learn(result result, at time.Time, rest time.Duration) {
	switch result {
	case answered:
		l.failures, l.rests = 0, 0
	case failing:
		l.failures++
		if l.failures >= failuresToRest && !at.Before(l.restUntil) {
			l.restUntil = at.Add(min(rest<<min(l.rests, 16), maxRest))
			l.rests++
		}
	case unknown:
	}
}

// keepPace moves the pace a little towards that of the last request, so that a receiver that wakes up is soon taken for a quick one.
func (l *lane) keepPace(last time.Duration) {
	if l.pace == 0 {
		l.pace = last
		return
	}
	l.pace += (last - l.pace) / 4
}

// dueForSweep counts a line of a subscription's log, and tells whether its log is to be swept.
func (l *lanes) dueForSweep(subscription string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.lane(subscription)
	mine.logged++
	return mine.logged%sweepEvery == 0
}
