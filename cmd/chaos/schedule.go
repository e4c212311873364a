package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// kind is a way to do harm.
type kind string

// The kinds of faults.
const (
	killSender     kind = "kill a sender"
	freezeSender   kind = "freeze a sender for longer than its leases last"
	isolateSender  kind = "cut a sender off from the broker for longer than its leases last"
	muteSender     kind = "lose every byte between a sender and the broker for longer than its leases last"
	slowBroker     kind = "slow down the broker for a sender"
	cutDatabase    kind = "cut a sender off from the database"
	muteDatabase   kind = "lose every byte between a sender and the database"
	cutWhatsApp    kind = "cut a sender off from WhatsApp"
	muteWhatsApp   kind = "lose every byte between a sender and WhatsApp"
	slowWhatsApp   kind = "slow down WhatsApp for a sender"
	killAPI        kind = "kill the API"
	killLinker     kind = "kill the linker"
	killBroker     kind = "kill the broker"
	killDatabase   kind = "kill the database"
	fillBroker     kind = "let the broker's files grow no more"
	fillDatabase   kind = "let the database's files grow no more"
	streamErrors   kind = "WhatsApp ends every stream with 503"
	restartStreams kind = "WhatsApp asks for new connections with 515"
	refuseLogins   kind = "WhatsApp answers new connections with HTTP 503"
	cutAfterSend   kind = "WhatsApp takes a message and cuts the connection"
	loseAnswers    kind = "WhatsApp takes messages and loses the answers"
	loseMessages   kind = "WhatsApp cuts the connection in place of taking a message"
	silence        kind = "WhatsApp falls silent on open connections"
)

// everyKind lists them; the order is part of what a seed means.
var everyKind = [...]kind{killSender, freezeSender, isolateSender, muteSender, slowBroker, cutDatabase, muteDatabase, cutWhatsApp, muteWhatsApp,
	slowWhatsApp, killAPI, killLinker, killBroker, killDatabase, fillBroker, fillDatabase, streamErrors, restartStreams, refuseLogins, cutAfterSend,
	loseAnswers, loseMessages, silence}

// outlastsLease tells whether a fault must last so long that the leases of its victim end.
func (k kind) outlastsLease() bool { return k == freezeSender || k == isolateSender || k == muteSender }

// needsSender tells whether a fault has a sender as its victim.
func (k kind) needsSender() bool {
	return slices.Contains([]kind{killSender, freezeSender, isolateSender, muteSender, slowBroker, cutDatabase, muteDatabase, cutWhatsApp, muteWhatsApp,
		slowWhatsApp}, k)
}

// failsOver tells whether the victim's sessions must come back elsewhere.
func (k kind) failsOver() bool { return k == killSender || k.outlastsLease() }

// fault is one entry of a schedule.
type fault struct {
	Kind kind
	// Sender is the victim, counted from 1; 0: none.
	Sender int
	// Calm is the time before it, Lasts its length.
	Calm, Lasts time.Duration
	// Delay is by how much each piece is held back on a slow way.
	Delay time.Duration
}

func (f fault) String() string {
	text := string(f.Kind)
	if f.Sender > 0 {
		text = fmt.Sprintf("%s (sender-%d)", text, f.Sender)
	}
	return fmt.Sprintf("%s, for %.1f s", text, f.Lasts.Seconds())
}

// plan is what a schedule is made from.
type plan struct {
	seed    uint64
	faults  int
	senders int
	ttl     time.Duration
	kinds   []kind
}

// schedule gives the faults in their order: every kind once, in an order that the seed decides, then every kind once more, and so on. The same
// plan has the same schedule.
func (p plan) schedule() []fault {
	random := rand.New(rand.NewPCG(p.seed, 0)) //nolint:gosec // it must be repeatable
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(random.Int64N(int64(most-least)+1))
	}
	var faults []fault
	for len(faults) < p.faults {
		for _, at := range random.Perm(len(p.kinds)) {
			next := fault{Kind: p.kinds[at], Calm: between(200*time.Millisecond, 1500*time.Millisecond),
				Lasts: between(500*time.Millisecond, p.ttl*4/3), Delay: between(20*time.Millisecond, 120*time.Millisecond)}
			victim, long := 1+random.IntN(p.senders), between(p.ttl*3/2, p.ttl*5/2)
			if next.Kind.needsSender() {
				next.Sender = victim
			}
			if next.Kind.outlastsLease() {
				next.Lasts = long
			}
			faults = append(faults, next)
		}
	}
	return faults[:p.faults]
}
