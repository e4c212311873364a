package mongo

import (
	"context"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/store"
)

// rejectionDocument is a rejected row as the collection holds it.
type rejectionDocument struct {
	Campaign campaign.ID `bson:"campaign"`
	Row      int         `bson:"row"`
	Column   string      `bson:"column"`
	Value    string      `bson:"value"`
	Code     string      `bson:"code"`
	Reason   string      `bson:"reason"`
}

func (d rejectionDocument) record() campaign.Rejection {
	return campaign.Rejection{Row: d.Row, Column: d.Column, Value: d.Value, Code: d.Code, Reason: d.Reason}
}

// Reject implements campaign.Deliveries. A row of a campaign is rejected once: the first rejection stands, so that planning again after
// an interruption changes nothing.
func (d *Deliveries) Reject(ctx context.Context, id campaign.ID, batch []campaign.Rejection) error {
	if err := campaign.CheckBatch(len(batch)); err != nil {
		return err
	}
	documents := make([]rejectionDocument, len(batch))
	for i, r := range batch {
		documents[i] = rejectionDocument{Campaign: id, Row: r.Row, Column: r.Column, Value: r.Value, Code: r.Code, Reason: r.Reason}
	}
	err := d.campaignsExist(ctx, id)
	if err == nil {
		_, err = insertNew(ctx, d.db.rejections, documents)
	}
	return d.db.explain(ctx, doing("store rejections of", string(id)), err)
}

// Rejections implements campaign.Deliveries.
func (d *Deliveries) Rejections(ctx context.Context, id campaign.ID, page store.Page) (store.List[campaign.Rejection], error) {
	after, err := rejectionCursor.number(page)
	if err != nil {
		return store.List[campaign.Rejection]{}, err
	}
	found, err := readAll[rejectionDocument](ctx, d.db.rejections,
		bson.D{field("campaign", string(id)), field("row", bson.D{field("$gt", after)})},
		options.Find().SetSort(bson.D{field("row", 1)}).SetLimit(int64(page.Limit()+1)))
	if err != nil {
		return store.List[campaign.Rejection]{}, d.db.explain(ctx, doing("list rejections of", string(id)), err)
	}
	return listOf(found, page, rejectionCursor, func(r campaign.Rejection) string { return strconv.Itoa(r.Row) }), nil
}
