package bus

import (
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
)

// Topology is what EnsureTopology makes and what this package writes on messages, for those who describe it: docs/queues.md and docs/asyncapi.json
// are made from it.
type Topology struct {
	Streams   []jetstream.StreamConfig
	Consumers []Consumer
	Buckets   []jetstream.KeyValueConfig
	// Policies are the retry policies, by the kind of message.
	Policies map[string]Policy
	Headers  []Header
}

// Consumer is one durable consumer of a stream.
type Consumer struct {
	Stream string
	// Slots is how many of its messages one worker takes at once.
	Slots  int
	Config jetstream.ConsumerConfig
}

// Carrier is a group of messages that have the same headers.
type Carrier string

// The carriers.
const (
	Commands  Carrier = "commands"
	Scheduled Carrier = "scheduled commands"
	Facts     Carrier = "facts"
	Failed    Carrier = "failed jobs"
	Requests  Carrier = "send requests"
	Questions Carrier = "questions to a host"
)

// Header is a header that this package writes, or that the server puts on a message that it publishes at a time (ADR-51).
type Header struct {
	Name string
	// On are the messages that always have it, Sometimes those that may.
	On, Sometimes []Carrier
	Meaning       string
}

// Describe gives the topology as it is with some options.
func Describe(options Options) (Topology, error) {
	options, err := options.complete()
	if err != nil {
		return Topology{}, err
	}
	b := &Bus{options: options}
	t := Topology{Streams: b.streams(), Buckets: b.buckets(), Policies: policies(), Headers: headers()}
	for _, c := range b.consumers() {
		t.Consumers = append(t.Consumers, Consumer{Stream: c.stream, Slots: c.slots, Config: b.consumerConfig(c)})
	}
	return t, nil
}

// headers is the table of headers.
func headers() []Header {
	return []Header{{
		Name: jetstream.MsgIDHeader, On: []Carrier{Scheduled, Facts, Failed}, Sometimes: []Carrier{Commands},
		Meaning: "The message's identity: a second message with the same one, within the stream's window of de-duplication, is not taken. " +
			"That of a failed job is `<stream>:<sequence>` of the original, for a fact with `:<consumer>` behind it. A command has none " +
			"when it waited for its time and the server published it.",
	}, {
		Name: headerKind, On: []Carrier{Commands, Scheduled, Facts},
		Meaning: "The type of the message, stable for ever.",
	}, {
		Name: headerVersion, On: []Carrier{Commands, Scheduled, Facts},
		Meaning: "The version of its shape, as in its `version`.",
	}, {
		Name: headerTrace, On: []Carrier{Commands, Scheduled}, Sometimes: []Carrier{Facts, Failed, Requests},
		Meaning: "The trace that it belongs to, in the format of W3C Trace Context; a failed job has that of the original.",
	}, {
		Name: headerSchedule, On: []Carrier{Scheduled},
		Meaning: "When the server publishes the command: `@at` and the time in RFC 3339.",
	}, {
		Name: headerScheduleTarget, On: []Carrier{Scheduled},
		Meaning: "The subject that the command is published on then.",
	}, {
		Name: "Nats-Rollup", On: []Carrier{Scheduled},
		Meaning: "Written by the server: the command replaces the one that waited for the same thing.",
	}, {
		Name: "Nats-Scheduler", Sometimes: []Carrier{Commands},
		Meaning: "Written by the server: the subject where the command waited for its time.",
	}, {
		Name: "Nats-Schedule-Next", Sometimes: []Carrier{Commands},
		Meaning: "Written by the server: `purge`, since the command is published once.",
	}, {
		Name: jetstream.ExpectedLastSubjSeqHeader, Sometimes: []Carrier{Commands},
		Meaning: "On a replay: the server takes it only when no other job with its subject is in the queue.",
	}, {
		Name: headerOnly, Sometimes: []Carrier{Facts},
		Meaning: "On a replay: the one consumer that handles the fact again.",
	}, {
		Name: headerTimeout, On: []Carrier{Requests},
		Meaning: "How long the requester waits from the moment it asked, as a Go duration (`1m30s`); without it there is no deadline.",
	}, {
		Name: headerInHand, On: []Carrier{Questions},
		Meaning: "Asks whether the host has the message of this id in hand. Such a message has no payload, and the answer is the text `" + inHand + "` or `no`.",
	}}
}

// Stream names the stream that keeps the messages of a carrier; empty when none does.
func (c Carrier) Stream() string {
	switch c {
	case Commands, Scheduled:
		return events.StreamCommands
	case Facts:
		return events.StreamEvents
	case Failed:
		return events.StreamFailed
	case Requests, Questions:
	}
	return ""
}
