package mongo

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/dannsalud/broadcaster/internal/campaign"
)

// settleChunk is how many deliveries SettleOpen changes with one command.
const settleChunk = 2000

// merging gives the updates that apply campaign.Merge to a delivery, in their order. The first one takes a delivery of a lower rank only, so
// that a receipt out of order never lowers one; the second one records the time of the state whatever the rank is. It comes second, because
// between the two the rank can only rise.
func merging(o campaign.Outcome) []mongo.WriteModel {
	id := byID(o.DeliveryID)
	rise := update(append(id, field("rank", bson.D{field("$lt", o.State.Rank())})), rising(o))
	timed := timeField(o.State)
	if timed == "" {
		return []mongo.WriteModel{rise}
	}
	return []mongo.WriteModel{rise, update(id, bson.D{field("$min", bson.D{field(timed, o.At)})})}
}

// rising is what changes when an outcome raises the rank. A time that has not come is no field, and $min and $max set it then.
func rising(o campaign.Outcome) bson.D {
	change := bson.D{
		field("$set", bson.D{field("state", o.State), field("rank", o.State.Rank()), field("class", o.Class), field("code", o.Code), field("reason", o.Reason)}),
		field("$max", bson.D{field("updated_at", o.At)}),
	}
	if timed := timeField(o.State); timed != "" {
		change = append(change, field("$min", bson.D{field(timed, o.At)}))
	}
	return change
}

// timeField names the time of a state; empty for states that have none.
func timeField(state campaign.DeliveryState) string {
	switch state {
	case campaign.Sent:
		return "sent_at"
	case campaign.Delivered:
		return "delivered_at"
	case campaign.Read:
		return "read_at"
	case campaign.Replied:
		return "replied_at"
	default:
		return ""
	}
}

// Record implements campaign.Deliveries. When it fails half-way, what it recorded stays, and recording the batch again changes nothing of that.
func (d *Deliveries) Record(ctx context.Context, outcomes []campaign.Outcome) (missing int, err error) {
	if err := campaign.CheckOutcomes(outcomes); err != nil {
		return 0, err
	}
	missing, err = d.record(ctx, outcomes)
	return missing, d.db.explain(ctx, "record outcomes", err)
}

func (d *Deliveries) record(ctx context.Context, outcomes []campaign.Outcome) (missing int, err error) {
	ids := make([]string, len(outcomes))
	for i := range outcomes {
		ids[i] = outcomes[i].DeliveryID
	}
	known, err := existing(ctx, d.db.deliveries, ids)
	if err != nil {
		return 0, fmt.Errorf("find the deliveries: %w", err)
	}
	var writes []mongo.WriteModel
	for _, outcome := range outcomes {
		if !known[outcome.DeliveryID] {
			missing++
			continue
		}
		writes = append(writes, merging(outcome)...)
	}
	if _, err := d.db.bulk(ctx, d.db.deliveries, writes); err != nil {
		return 0, err
	}
	return missing, nil
}

// Reopen implements campaign.Deliveries.
func (d *Deliveries) Reopen(ctx context.Context, ids []string, at time.Time) (int, error) {
	if err := campaign.CheckBatch(len(ids)); err != nil || len(ids) == 0 {
		return 0, err
	}
	gaveUp := append(among(ids), field("state", bson.D{field("$in", bson.A{campaign.FailedDelivery, campaign.Unknown})}))
	changed, err := d.db.deliveries.UpdateMany(ctx, gaveUp, bson.D{
		field("$set", bson.D{field("state", campaign.Pending), field("rank", campaign.Pending.Rank()), field("run", ""), field("attempts", 0),
			field("class", ""), field("code", ""), field("reason", "")}),
		field("$max", bson.D{field("updated_at", at)}),
	})
	if err != nil {
		return 0, d.db.explain(ctx, "reopen deliveries", err)
	}
	return int(changed.ModifiedCount), nil
}

// SettleOpen implements campaign.Deliveries. It settles a chunk at a time; when it fails half-way, what it settled stays, and calling it
// again goes on.
func (d *Deliveries) SettleOpen(ctx context.Context, id campaign.ID, outcome campaign.Outcome) (settled int, err error) {
	if err := campaign.CheckSettled(outcome); err != nil {
		return 0, err
	}
	open := pending(id)
	for {
		chosen, err := idsOf(ctx, d.db.deliveries, open.filter, options.Find().SetLimit(settleChunk).SetHint(open.index))
		if err == nil && len(chosen) == 0 {
			return settled, nil
		}
		if err == nil {
			var changed *mongo.UpdateResult
			if changed, err = d.db.deliveries.UpdateMany(ctx, append(among(chosen), open.filter...), rising(outcome)); err == nil {
				settled += int(changed.ModifiedCount)
			}
		}
		if err != nil {
			return settled, d.db.explain(ctx, doing("settle deliveries of", string(id)), err)
		}
	}
}
