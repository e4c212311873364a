package campaign

import (
	"fmt"
	"strings"
	"time"
)

// Counts is the progress of a campaign: how many deliveries are in each state.
type Counts map[DeliveryState]int

// Total is the number of deliveries.
func (c Counts) Total() int {
	total := 0
	for _, n := range c {
		total += n
	}
	return total
}

// AtLeast is the number of deliveries that got as far as a state on the way from Pending to Replied: AtLeast(Sent) counts sent, delivered,
// read and replied. Deliveries that left the way (failed, skipped) are in no such number, though their rank is above Sending; AtLeast of
// one of these states counts that state alone.
func (c Counts) AtLeast(state DeliveryState) int {
	total := c[state]
	if state.leftTheWay() {
		return total
	}
	for other, n := range c {
		if other.Rank() > state.Rank() && !other.leftTheWay() {
			total += n
		}
	}
	return total
}

// leftTheWay tells whether a delivery in this state never reached its recipient, as far as is known.
func (s DeliveryState) leftTheWay() bool { return s == FailedDelivery || s == Skipped }

// String lists the counts that are not zero, in the order of the states.
func (c Counts) String() string {
	var parts []string
	for _, state := range DeliveryStates() {
		if c[state] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", state, c[state]))
		}
	}
	return strings.Join(parts, ", ")
}

// The share of delivered among sent below which a campaign is suspected: WhatsApp acknowledges messages that it then drops (peers.md §4).
const (
	fewestToJudge   = 20
	suspiciousShare = 0.5
	// SuspectedAfter is how long a recipient's phone may take before its silence counts.
	SuspectedAfter = 30 * time.Minute
)

// Suspicious tells whether so few of the sent messages were delivered that WhatsApp may drop them silently.
func (c Counts) Suspicious() bool {
	sent := c.AtLeast(Sent)
	return sent >= fewestToJudge && float64(c.AtLeast(Delivered)) < suspiciousShare*float64(sent)
}

// Open is the number of deliveries that the sender still has to settle.
func (c Counts) Open() int {
	open := 0
	for state, n := range c {
		if !state.Settled() {
			open += n
		}
	}
	return open
}
