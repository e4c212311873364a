package campaign

import "time"

// Merge gives a delivery after an outcome. It is the rule of Deliveries.Record, which every adapter follows:
//   - the state changes, with class, code and reason, only when its rank rises; of two outcomes of one rank the first recorded stands;
//   - the time of a state (sent, delivered, read, replied) is the earliest that was reported, whether the rank rises or not;
//   - UpdatedAt moves with the state, and never back.
//
// So outcomes may come late, early, twice and in any order, and end in the same state and times: a receipt that overtakes the sender's
// own record, a "delivered" behind a "read", a "delivered" for a message that counted as failed (a receipt is proof).
func Merge(d Delivery, o Outcome) Delivery {
	switch o.State {
	case Sent:
		d.SentAt = earliest(d.SentAt, o.At)
	case Delivered:
		d.DeliveredAt = earliest(d.DeliveredAt, o.At)
	case Read:
		d.ReadAt = earliest(d.ReadAt, o.At)
	case Replied:
		d.RepliedAt = earliest(d.RepliedAt, o.At)
	default: // the other states have no time of their own
	}
	if o.State.Rank() <= d.State.Rank() {
		return d
	}
	d.State, d.Class, d.Code, d.Reason = o.State, o.Class, o.Code, o.Reason
	if o.At.After(d.UpdatedAt) {
		d.UpdatedAt = o.At
	}
	return d
}

func earliest(known, reported time.Time) time.Time {
	if known.IsZero() || (!reported.IsZero() && reported.Before(known)) {
		return reported
	}
	return known
}
