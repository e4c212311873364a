package campaign

import (
	"fmt"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// The functions below refuse what no store of deliveries takes. They stand here so that every adapter refuses the same, in the same words.

// CheckBatch refuses a batch that is too long.
func CheckBatch(length int) error {
	if length <= MaxBatch {
		return nil
	}
	return fault.New(fault.Invalid, "batch_too_large", fmt.Sprintf("A batch has at most %d entries and this one has %d; split it", MaxBatch, length))
}

// CheckPlan refuses deliveries that cannot be planned.
func CheckPlan(batch []Delivery) error {
	for i, d := range batch {
		if d.ID == "" || d.Sequence < 1 || d.State.Rank() < 0 {
			return fault.New(fault.Invalid, "incomplete_delivery", fmt.Sprintf("Entry %d of the plan needs an id, a sequence from 1 and a known state", i))
		}
	}
	return CheckBatch(len(batch))
}

// CheckOutcomes refuses outcomes that say nothing.
func CheckOutcomes(outcomes []Outcome) error {
	for i, o := range outcomes {
		if o.State.Rank() < 0 || o.At.IsZero() {
			return fault.New(fault.Invalid, "incomplete_outcome", fmt.Sprintf("Entry %d of the outcomes needs a known state and a time", i))
		}
	}
	return CheckBatch(len(outcomes))
}

// CheckSettled refuses an outcome that settles nothing.
func CheckSettled(o Outcome) error {
	if !o.State.Settled() || o.At.IsZero() {
		return fault.New(fault.Invalid, "not_settled", "Deliveries are settled with a settled state and a time")
	}
	return nil
}

// CheckClaim refuses a claim that names no run or takes no number that may be taken.
func CheckClaim(c Claim) error {
	if c.Run == "" || c.Limit < 1 || c.Limit > MaxBatch || c.MaxAttempts < 0 || c.At.IsZero() {
		return fault.New(fault.Invalid, "bad_claim",
			fmt.Sprintf("A claim needs a run, a time, a limit of 1 to %d and no negative number of attempts", MaxBatch))
	}
	return nil
}
