package sqlite

import (
	"context"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
)

// merge is campaign.Merge in SQL: parameters 1 to 6 are the outcome's rank, state, time, class, code and reason; 7 to 10 are its time if it is
// the time of sending, delivery, reading or a reply, else NULL. min is NULL when one of its arguments is, so the coalesce takes the only one known.
// On the right stand the values from before the update.
const merge = `UPDATE deliveries SET
	sent_at      = coalesce(min(sent_at, ?7), sent_at, ?7),
	delivered_at = coalesce(min(delivered_at, ?8), delivered_at, ?8),
	read_at      = coalesce(min(read_at, ?9), read_at, ?9),
	replied_at   = coalesce(min(replied_at, ?10), replied_at, ?10),
	state        = CASE WHEN rank < ?1 THEN ?2 ELSE state END,
	class        = CASE WHEN rank < ?1 THEN ?4 ELSE class END,
	code         = CASE WHEN rank < ?1 THEN ?5 ELSE code END,
	reason       = CASE WHEN rank < ?1 THEN ?6 ELSE reason END,
	updated_at   = CASE WHEN rank < ?1 THEN max(coalesce(updated_at, ?3), ?3) ELSE updated_at END
	WHERE `

const (
	reopenDelivery = `UPDATE deliveries SET state = 'pending', run = '', attempts = 0, class = '', code = '', reason = '',
		updated_at = max(coalesce(updated_at, ?2), ?2) WHERE id = ?1 AND state IN ('failed', 'unknown')`
	recordOutcome = merge + `id = ?11`
	settlePending = merge + `number IN (SELECT number FROM deliveries
		WHERE campaign = (SELECT number FROM campaigns WHERE id = ?11) AND state = 'pending' ORDER BY sequence LIMIT ?12)`
)

// settleChunk is how many deliveries SettleOpen changes in one transaction: other writers come between.
const settleChunk = 2000

// mergeValues are the parameters 1 to 10 of merge, and those that come behind.
func mergeValues(o campaign.Outcome, more ...any) []any {
	timeOf := func(state campaign.DeliveryState) any {
		if o.State != state {
			return nil
		}
		return instant(o.At)
	}
	return append(append(make([]any, 0, 10+len(more)), o.State.Rank(), o.State, instant(o.At), o.Class, o.Code, o.Reason,
		timeOf(campaign.Sent), timeOf(campaign.Delivered), timeOf(campaign.Read), timeOf(campaign.Replied)), more...)
}

// Record implements campaign.Deliveries.
func (d *Deliveries) Record(ctx context.Context, outcomes []campaign.Outcome) (missing int, err error) {
	if err := campaign.CheckOutcomes(outcomes); err != nil {
		return 0, err
	}
	err = d.db.write(ctx, "record outcomes", func(tx *transaction) error {
		missing = 0
		for _, outcome := range outcomes {
			changed, err := exec(ctx, tx, recordOutcome, mergeValues(outcome, outcome.DeliveryID)...)
			if err != nil {
				return err
			}
			if changed == 0 {
				missing++
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return missing, nil
}

// Reopen implements campaign.Deliveries.
func (d *Deliveries) Reopen(ctx context.Context, ids []string, at time.Time) (reopened int, err error) {
	if err := campaign.CheckBatch(len(ids)); err != nil {
		return 0, err
	}
	err = d.db.write(ctx, "reopen deliveries", func(tx *transaction) error {
		reopened = 0
		for _, id := range ids {
			changed, err := exec(ctx, tx, reopenDelivery, id, instant(at))
			if err != nil {
				return err
			}
			reopened += changed
		}
		return nil
	})
	return reopened, err
}

// SettleOpen implements campaign.Deliveries. It settles a chunk at a time; when it fails half-way, what it settled stays, and calling it
// again goes on.
func (d *Deliveries) SettleOpen(ctx context.Context, id campaign.ID, outcome campaign.Outcome) (settled int, err error) {
	if err := campaign.CheckSettled(outcome); err != nil {
		return 0, err
	}
	args := mergeValues(outcome, id, settleChunk)
	for {
		var changed int
		err := d.db.write(ctx, "settle deliveries of "+string(id), func(tx *transaction) (err error) {
			changed, err = exec(ctx, tx, settlePending, args...)
			return err
		})
		if err != nil {
			return settled, err
		}
		if settled += changed; changed < settleChunk {
			return settled, nil
		}
	}
}
