package bus

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
)

// follower notes the sequences of the facts that it is given.
type follower struct {
	sequences chan uint64
	stop      func()
}

func follow(t *testing.T, bus *Bus, after uint64) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{sequences: make(chan uint64, 1000)}
	ended := make(chan error, 1)
	go func() {
		ended <- bus.FollowFacts(ctx, after, func(fact events.Recorded) { f.sequences <- fact.Sequence })
	}()
	f.stop = func() {
		cancel()
		handle(t, <-ended)
	}
	t.Cleanup(cancel)
	return f
}

// want reads the facts from one sequence to another, each once.
func (f *follower) want(t *testing.T, from, to uint64) {
	t.Helper()
	for n := from; n <= to; n++ {
		if got := receive(t, "a fact", f.sequences); got != n {
			t.Fatalf("got fact %d, want %d", got, n)
		}
	}
}

// TestFactsAreFollowedOnceEachWhateverHappens: two processes follow them over a restart of the server, and while their consumers are taken away.
func TestFactsAreFollowedOnceEachWhateverHappens(t *testing.T) {
	t.Parallel()
	const count = 40
	server := newBroker(t)
	one, two := server.connect(Options{Name: "api-1"}), server.connect(Options{Name: "api-2"})
	facts := receipts(4 * count)
	handle(t, one.PublishFacts(t.Context(), facts[:count]))
	followers := []*follower{follow(t, one, 0), follow(t, two, 0), follow(t, two, count/2)}
	for i, from := range []uint64{1, 1, count/2 + 1} {
		followers[i].want(t, from, count)
	}
	server.stop()
	server.start()
	handle(t, one.AwaitTopology(t.Context()))
	handle(t, one.PublishFacts(t.Context(), facts[count:2*count]))
	for _, f := range followers {
		f.want(t, count+1, 2*count)
	}
	handle(t, one.PublishFacts(t.Context(), facts[2*count:3*count]))
	stream, err := one.js.Stream(t.Context(), events.StreamEvents)
	handle(t, err)
	for name := range stream.ConsumerNames(t.Context()).Name() {
		if strings.Contains(name, "_") { // those of followers
			handle(t, stream.DeleteConsumer(t.Context(), name))
		}
	}
	handle(t, one.PublishFacts(t.Context(), facts[3*count:]))
	for _, f := range followers {
		f.want(t, 2*count+1, 4*count)
		f.stop()
	}
}

func TestFactsAreReadFromAnyPlace(t *testing.T) {
	t.Parallel()
	bus := newBroker(t).connect(Options{})
	const count = 10
	handle(t, bus.PublishFacts(t.Context(), receipts(count)))
	read := func(after uint64, limit int) (sequences []uint64, span events.Span) {
		facts, span, err := bus.ReadFacts(t.Context(), after, limit)
		handle(t, err)
		for _, fact := range facts {
			if fact.Kind != "message_receipt" || fact.Validate() != nil {
				t.Errorf("fact %d is %+v", fact.Sequence, fact)
			}
			sequences = append(sequences, fact.Sequence)
		}
		return sequences, span
	}
	stream, err := bus.js.Stream(t.Context(), events.StreamEvents)
	handle(t, err)
	handle(t, stream.DeleteMsg(t.Context(), 1))
	handle(t, stream.DeleteMsg(t.Context(), 5))
	for _, row := range []struct {
		after uint64
		limit int
		want  []uint64
	}{{0, 3, []uint64{2, 3, 4}}, {3, 3, []uint64{4, 6, 7}}, {8, 100, []uint64{9, 10}}, {10, 3, nil}, {99, 3, nil}} {
		if got, span := read(row.after, row.limit); !slices.Equal(got, row.want) || span != (events.Span{First: 2, Last: count}) {
			t.Errorf("behind %d: %v of %+v, want %v", row.after, got, span, row.want)
		}
	}
	handle(t, stream.Purge(t.Context()))
	if got, span := read(3, 3); got != nil || span != (events.Span{First: count + 1, Last: count}) {
		t.Errorf("of an empty stream: %v of %+v", got, span)
	}
	names := 0
	for range stream.ConsumerNames(t.Context()).Name() {
		names++
	}
	if names != 3 {
		t.Errorf("%d consumers are left, want those of the topology", names)
	}
}

// TestNotTooMuchIsReadAtOnce: a reader holds what it was given while it sends it.
func TestNotTooMuchIsReadAtOnce(t *testing.T) {
	t.Parallel()
	bus := newBroker(t).connect(Options{})
	for n := range 20 {
		handle(t, bus.PublishFact(t.Context(), events.MessageReceived{Version: events.FactVersion, SessionID: "ses_1", MessageIn: strconv.Itoa(n), Text: strings.Repeat("x", 200<<10), At: time.Unix(1, 0)}))
	}
	facts, _, err := bus.ReadFacts(t.Context(), 0, 20)
	if err != nil || len(facts) != 6 || facts[5].Sequence != 6 {
		t.Errorf("%d facts, %v; want the first 6, which are more than %d bytes", len(facts), err, factBytesAtOnce)
	}
}
