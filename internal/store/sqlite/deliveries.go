package sqlite

import (
	"context"
	"fmt"
	"strconv"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Deliveries implements campaign.Deliveries.
type Deliveries struct{ db *DB }

const deliveryColumns = `id, sequence, state, attempts, planned_at, sent_at, delivered_at, read_at, replied_at, updated_at, class, code, reason,
	phone, fields`

const ofCampaign = `campaign = (SELECT number FROM campaigns WHERE id = ?)`

const (
	campaignNumber = `SELECT number FROM campaigns WHERE id = ?`
	insertDelivery = `INSERT INTO deliveries (campaign, run, ` + deliveryColumns + `)
		VALUES (?, '', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`
	selectDelivery = `SELECT (SELECT id FROM campaigns WHERE number = campaign), ` + deliveryColumns + ` FROM deliveries WHERE id = ?`
	listDeliveries = `SELECT ` + deliveryColumns + ` FROM deliveries
		WHERE ` + ofCampaign + ` AND sequence > ? ORDER BY sequence LIMIT ?`
	listDeliveriesIn = `SELECT ` + deliveryColumns + ` FROM deliveries
		WHERE ` + ofCampaign + ` AND sequence > ? AND state = ? ORDER BY sequence LIMIT ?`
	countDeliveries = `SELECT state, total FROM delivery_counts WHERE ` + ofCampaign + ` AND total > 0`
)

// deliveryValues are the values of deliveryColumns.
func deliveryValues(d *campaign.Delivery) []any {
	return []any{d.ID, d.Sequence, d.State, d.Attempts, instant(d.PlannedAt), instant(d.SentAt), instant(d.DeliveredAt), instant(d.ReadAt),
		instant(d.RepliedAt), instant(d.UpdatedAt), d.Class, d.Code, d.Reason, d.Phone, inJSON(&d.Fields)}
}

// deliveryOf gives the function that reads deliveryColumns of a campaign's deliveries.
func deliveryOf(id campaign.ID) func(row) (campaign.Delivery, error) {
	return func(from row) (campaign.Delivery, error) {
		d := campaign.Delivery{CampaignID: id}
		err := from.Scan(deliveryTargets(&d)...)
		return d, err
	}
}

func deliveryTargets(d *campaign.Delivery) []any {
	return []any{&d.ID, &d.Sequence, &d.State, &d.Attempts, (*instant)(&d.PlannedAt), (*instant)(&d.SentAt), (*instant)(&d.DeliveredAt),
		(*instant)(&d.ReadAt), (*instant)(&d.RepliedAt), (*instant)(&d.UpdatedAt), &d.Class, &d.Code, &d.Reason, &d.Phone, inJSON(&d.Fields)}
}

// Plan implements campaign.Deliveries. The campaigns of the batch must exist (store.ErrNotFound). A delivery whose id is new but whose
// sequence is taken is store.ErrConflict: the plan would have two orders.
func (d *Deliveries) Plan(ctx context.Context, batch []campaign.Delivery) (existing []int, err error) {
	if err := campaign.CheckPlan(batch); err != nil {
		return nil, err
	}
	err = d.db.write(ctx, "plan deliveries", func(tx *transaction) error {
		existing = nil
		numbers := map[campaign.ID]int64{}
		for i := range batch {
			number, err := numberOf(ctx, tx, numbers, batch[i].CampaignID)
			if err != nil {
				return err
			}
			inserted, err := exec(ctx, tx, insertDelivery, append([]any{number}, deliveryValues(&batch[i])...)...)
			if err != nil {
				return err
			}
			if inserted == 0 {
				existing = append(existing, i)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return existing, nil
}

// numberOf gives the number of a campaign, remembering it in known.
func numberOf(ctx context.Context, p prepared, known map[campaign.ID]int64, id campaign.ID) (int64, error) {
	if number, ok := known[id]; ok {
		return number, nil
	}
	var number int64
	if err := queryOne(ctx, p, campaignNumber, []any{id}, &number); err != nil {
		return 0, fmt.Errorf("find campaign %s: %w", id, err)
	}
	known[id] = number
	return number, nil
}

// Get implements campaign.Deliveries.
func (d *Deliveries) Get(ctx context.Context, deliveryID string) (campaign.Delivery, error) {
	found, err := single(queryAll(ctx, d.db.reader, selectDelivery, []any{deliveryID}, func(from row) (found campaign.Delivery, err error) {
		err = from.Scan(append([]any{&found.CampaignID}, deliveryTargets(&found)...)...)
		return found, err
	}))
	return found, d.db.explain(ctx, "get delivery "+deliveryID, err)
}

// List implements campaign.Deliveries.
func (d *Deliveries) List(ctx context.Context, id campaign.ID, state campaign.DeliveryState, page store.Page) (store.List[campaign.Delivery], error) {
	after, err := deliveryCursor.number(page)
	if err != nil {
		return store.List[campaign.Delivery]{}, err
	}
	text, args := listDeliveries, []any{id, after, page.Limit() + 1}
	if state != "" {
		text, args = listDeliveriesIn, []any{id, after, state, page.Limit() + 1}
	}
	found, err := queryAll(ctx, d.db.reader, text, args, deliveryOf(id))
	if err != nil {
		return store.List[campaign.Delivery]{}, d.db.explain(ctx, "list deliveries of "+string(id), err)
	}
	return listOf(found, page, deliveryCursor, func(d campaign.Delivery) string { return strconv.Itoa(d.Sequence) }), nil
}

// Counts implements campaign.Deliveries. It reads the totals that triggers keep.
func (d *Deliveries) Counts(ctx context.Context, id campaign.ID) (campaign.Counts, error) {
	counts := campaign.Counts{}
	_, err := queryAll(ctx, d.db.reader, countDeliveries, []any{id}, func(from row) (struct{}, error) {
		var state campaign.DeliveryState
		var total int
		err := from.Scan(&state, &total)
		counts[state] = total
		return struct{}{}, err
	})
	if err != nil {
		return nil, d.db.explain(ctx, "count deliveries of "+string(id), err)
	}
	return counts, nil
}
