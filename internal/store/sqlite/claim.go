package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
)

// Taking a delivery empties what explained its last state: it is being tried again.
const take = `UPDATE deliveries SET state = 'sending', attempts = attempts + (state <> 'sending'), run = ?2, updated_at = ?3, class = '', code = '', reason = ''
	WHERE `

const (
	// The planner would rather read the whole campaign in the order of its sequence, so the index is named.
	claimLeftover = take + `number IN (SELECT number FROM deliveries INDEXED BY deliveries_open WHERE campaign = (SELECT number FROM campaigns WHERE id = ?1)
			AND state IN ('sending', 'unknown') AND (state = 'sending' OR attempts < ?5) AND run <> ?2 ORDER BY sequence LIMIT ?4)
		RETURNING ` + deliveryColumns
	// What is pending is read first and then taken all at once, by the ends of what was read: that takes half as long as to let the change return it.
	selectPending = `SELECT ` + deliveryColumns + ` FROM deliveries
		WHERE ` + ofCampaign + ` AND state = 'pending' ORDER BY sequence LIMIT ?`
	claimPending = take + `campaign = (SELECT number FROM campaigns WHERE id = ?1) AND state = 'pending' AND sequence BETWEEN ?4 AND ?5`
)

// Claim implements campaign.Deliveries. What it takes is not on the disk yet when it returns: were it lost, the deliveries would be pending, and be taken
// and sent again under the same ids, as those that a run left in hand are.
func (d *Deliveries) Claim(ctx context.Context, claim campaign.Claim) (claimed []campaign.Delivery, err error) {
	if err := campaign.CheckClaim(claim); err != nil {
		return nil, err
	}
	err = d.db.writeUnflushed(ctx, "claim deliveries of "+string(claim.CampaignID), func(tx *transaction) error {
		attempts := claim.MaxAttempts
		if attempts == 0 {
			attempts = math.MaxInt32
		}
		if claimed, err = takeLeftover(ctx, tx, claim, attempts); err != nil || len(claimed) == claim.Limit {
			return err
		}
		pending, err := takePending(ctx, tx, claim, claim.Limit-len(claimed))
		claimed = append(claimed, pending...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// takeLeftover gives the deliveries taken in the order of Sequence: RETURNING has none.
func takeLeftover(ctx context.Context, tx *transaction, claim campaign.Claim, attempts int) ([]campaign.Delivery, error) {
	args := []any{claim.CampaignID, claim.Run, instant(claim.At), claim.Limit, attempts}
	taken, err := queryAll(ctx, tx, claimLeftover, args, deliveryOf(claim.CampaignID))
	slices.SortFunc(taken, func(a, b campaign.Delivery) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return taken, err
}

// takePending takes the first that are pending, and gives them as they are then.
func takePending(ctx context.Context, tx *transaction, claim campaign.Claim, limit int) ([]campaign.Delivery, error) {
	taken, err := queryAll(ctx, tx, selectPending, []any{claim.CampaignID, limit}, deliveryOf(claim.CampaignID))
	if err != nil || len(taken) == 0 {
		return nil, err
	}
	first, last := taken[0].Sequence, taken[len(taken)-1].Sequence
	changed, err := exec(ctx, tx, claimPending, claim.CampaignID, claim.Run, instant(claim.At), first, last)
	if err == nil && changed != len(taken) {
		err = fmt.Errorf("%d deliveries were read as pending and %d taken", len(taken), changed)
	}
	for i := range taken {
		d := &taken[i]
		d.State, d.Attempts, d.UpdatedAt = campaign.Sending, d.Attempts+1, time.UnixMilli(claim.At.UnixMilli()).UTC()
		d.Class, d.Code, d.Reason = "", "", ""
	}
	return taken, err
}
