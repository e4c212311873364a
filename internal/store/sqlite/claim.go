package sqlite

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/dannsalud/broadcaster/internal/campaign"
)

// Taking a delivery empties what explained its last state: it is being tried again.
const take = `UPDATE deliveries SET state = 'sending', attempts = attempts + (state <> 'sending'), run = ?2, updated_at = ?3, class = '', code = '', reason = ''
	WHERE number IN `

const (
	// The planner would rather read the whole campaign in the order of its sequence, so the index is named.
	claimLeftover = take + `(SELECT number FROM deliveries INDEXED BY deliveries_open WHERE campaign = (SELECT number FROM campaigns WHERE id = ?1)
			AND state IN ('sending', 'unknown') AND (state = 'sending' OR attempts < ?5) AND run <> ?2 ORDER BY sequence LIMIT ?4)
		RETURNING ` + deliveryColumns
	claimPending = take + `(SELECT number FROM deliveries WHERE campaign = (SELECT number FROM campaigns WHERE id = ?1)
			AND state = 'pending' ORDER BY sequence LIMIT ?4)
		RETURNING ` + deliveryColumns
)

// Claim implements campaign.Deliveries.
func (d *Deliveries) Claim(ctx context.Context, claim campaign.Claim) (claimed []campaign.Delivery, err error) {
	if err := campaign.CheckClaim(claim); err != nil {
		return nil, err
	}
	err = d.db.write(ctx, "claim deliveries of "+string(claim.CampaignID), func(tx *transaction) error {
		attempts := claim.MaxAttempts
		if attempts == 0 {
			attempts = math.MaxInt32
		}
		leftover, err := takeRows(ctx, tx, claimLeftover, claim, attempts)
		if err != nil {
			return err
		}
		claimed = leftover
		if claim.Limit -= len(leftover); claim.Limit == 0 {
			return nil
		}
		pending, err := takeRows(ctx, tx, claimPending, claim)
		claimed = append(claimed, pending...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// takeRows gives the deliveries taken in the order of Sequence: RETURNING has none.
func takeRows(ctx context.Context, tx *transaction, text string, claim campaign.Claim, more ...any) ([]campaign.Delivery, error) {
	args := append([]any{claim.CampaignID, claim.Run, instant(claim.At), claim.Limit}, more...)
	taken, err := queryAll(ctx, tx, text, args, deliveryOf(claim.CampaignID))
	slices.SortFunc(taken, func(a, b campaign.Delivery) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return taken, err
}
