package campaign

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
