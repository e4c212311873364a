package sqlite

import (
	"context"
	"strconv"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/store"
)

const (
	insertRejection = `INSERT INTO rejections (campaign, row, column_name, column_value, code, reason) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (campaign, row) DO NOTHING`
	listRejections = `SELECT row, column_name, column_value, code, reason FROM rejections
		WHERE ` + ofCampaign + ` AND row > ? ORDER BY row LIMIT ?`
)

// Reject implements campaign.Deliveries. A row of a campaign is rejected once: the first rejection stands, so that planning again after
// an interruption changes nothing.
func (d *Deliveries) Reject(ctx context.Context, id campaign.ID, batch []campaign.Rejection) error {
	if err := campaign.CheckBatch(len(batch)); err != nil {
		return err
	}
	return d.db.write(ctx, "store rejections of "+string(id), func(tx *transaction) error {
		number, err := numberOf(ctx, tx, map[campaign.ID]int64{}, id)
		if err != nil {
			return err
		}
		for _, r := range batch {
			if _, err := exec(ctx, tx, insertRejection, number, r.Row, r.Column, r.Value, r.Code, r.Reason); err != nil {
				return err
			}
		}
		return nil
	})
}

// Rejections implements campaign.Deliveries.
func (d *Deliveries) Rejections(ctx context.Context, id campaign.ID, page store.Page) (store.List[campaign.Rejection], error) {
	after, err := rejectionCursor.number(page)
	if err != nil {
		return store.List[campaign.Rejection]{}, err
	}
	found, err := queryAll(ctx, d.db.reader, listRejections, []any{id, after, page.Limit() + 1}, func(from row) (r campaign.Rejection, err error) {
		err = from.Scan(&r.Row, &r.Column, &r.Value, &r.Code, &r.Reason)
		return r, err
	})
	if err != nil {
		return store.List[campaign.Rejection]{}, d.db.explain(ctx, "list rejections of "+string(id), err)
	}
	return listOf(found, page, rejectionCursor, func(r campaign.Rejection) string { return strconv.Itoa(r.Row) }), nil
}
