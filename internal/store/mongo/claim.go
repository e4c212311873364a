package mongo

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/dannsalud/broadcaster/internal/campaign"
)

// Claim implements campaign.Deliveries. It chooses deliveries, then changes those that are still as they were chosen, marking them with a name of
// this call, and gives what bears that name: of two calls that choose the same delivery one gets it. When it fails half-way, what it took stays in
// Sending, and the next run takes it.
func (d *Deliveries) Claim(ctx context.Context, claim campaign.Claim) ([]campaign.Delivery, error) {
	if err := campaign.CheckClaim(claim); err != nil {
		return nil, err
	}
	var claimed []campaign.Delivery
	err := d.db.causally(ctx, func(ctx context.Context) error {
		for _, choice := range []choice{leftover(claim), pending(claim.CampaignID)} {
			taken, err := d.take(ctx, choice, claim, claim.Limit-len(claimed))
			if err != nil {
				return err
			}
			claimed = append(claimed, taken...)
		}
		return nil
	})
	if err != nil {
		return nil, d.db.explain(ctx, doing("claim deliveries of", string(claim.CampaignID)), err)
	}
	return claimed, nil
}

// choice is a kind of deliveries that a claim takes, and the index that the planner must use: what it remembers of the time when all were pending
// would have it read the whole campaign in the order of its sequence.
type choice struct {
	filter bson.D
	index  string
	// interrupted says that some of them may be in Sending, which is no new attempt.
	interrupted bool
}

// leftover are those that another run left in hand.
func leftover(claim campaign.Claim) choice {
	chosen := choice{index: openIndex, interrupted: true, filter: bson.D{field("campaign", string(claim.CampaignID)), field("rank", openRanks),
		field("run", bson.D{field("$ne", claim.Run)})}}
	if claim.MaxAttempts > 0 {
		chosen.filter = append(chosen.filter, field("$or", bson.A{
			bson.D{field("rank", campaign.Sending.Rank())},
			bson.D{field("attempts", bson.D{field("$lt", claim.MaxAttempts)})}}))
	}
	return chosen
}

// pending are those that nobody tried yet.
func pending(id campaign.ID) choice {
	return choice{index: statesIndex, filter: bson.D{field("campaign", string(id)), field("state", campaign.Pending)}}
}

// take takes up to limit deliveries of a kind, in the order of their sequence. It goes on while other calls take what it chose.
func (d *Deliveries) take(ctx context.Context, from choice, claim campaign.Claim, limit int) ([]campaign.Delivery, error) {
	call, mine := uuid.NewString(), []string(nil)
	for want := limit; want > 0; {
		chosen, err := idsOf(ctx, d.db.deliveries, from.filter, inSequence(want).SetHint(from.index))
		if err != nil {
			return nil, fmt.Errorf("choose: %w", err)
		}
		if len(chosen) == 0 {
			break
		}
		taken, err := d.change(ctx, from, chosen, claim, call)
		if err != nil {
			return nil, fmt.Errorf("take: %w", err)
		}
		want -= taken
		mine = append(mine, chosen...)
	}
	return d.takenBy(ctx, call, mine)
}

// change takes those of the deliveries that are still as they were chosen, and gives how many.
func (d *Deliveries) change(ctx context.Context, from choice, chosen []string, claim campaign.Claim, call string) (count int, err error) {
	filter := append(among(chosen), from.filter...)
	if from.interrupted {
		sending := append(slices.Clone(filter), field("state", campaign.Sending))
		taken, err := d.db.deliveries.UpdateMany(ctx, sending, taking(claim, call, 0))
		if err != nil {
			return 0, err
		}
		count = int(taken.ModifiedCount)
	}
	taken, err := d.db.deliveries.UpdateMany(ctx, filter, taking(claim, call, 1))
	if err != nil {
		return 0, err
	}
	return count + int(taken.ModifiedCount), nil
}

// taking makes a delivery one of a claim. What explained its last state goes: it is being tried again.
func taking(claim campaign.Claim, call string, attempts int) bson.D {
	return bson.D{
		field("$set", bson.D{field("state", campaign.Sending), field("rank", campaign.Sending.Rank()), field("run", claim.Run), field("claim", call),
			field("updated_at", claim.At), field("class", ""), field("code", ""), field("reason", "")}),
		field("$inc", bson.D{field("attempts", attempts)}),
	}
}

// takenBy gives those of the deliveries that bear the name of a call, in the order of their sequence.
func (d *Deliveries) takenBy(ctx context.Context, call string, ids []string) ([]campaign.Delivery, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	taken, err := readAll[deliveryDocument](ctx, d.db.deliveries, append(among(ids), field("claim", call)), options.Find())
	slices.SortFunc(taken, func(a, b campaign.Delivery) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return taken, err
}
