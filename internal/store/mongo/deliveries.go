package mongo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Deliveries implements campaign.Deliveries.
type Deliveries struct{ db *DB }

// deliveryDocument is a delivery as the collection holds it. Times that have not come are left out, so that $min and $max set them.
type deliveryDocument struct {
	ID       string      `bson:"_id"`
	Campaign campaign.ID `bson:"campaign"`
	Sequence int         `bson:"sequence"`
	Phone    string      `bson:"phone"`
	// Fields is a list, because a column's name may hold what the name of a field of a document may not.
	Fields []namedField           `bson:"fields,omitempty"`
	State  campaign.DeliveryState `bson:"state"`
	// Rank is that of State: what an update compares.
	Rank     int         `bson:"rank"`
	Class    fault.Class `bson:"class"`
	Code     string      `bson:"code"`
	Reason   string      `bson:"reason"`
	Attempts int         `bson:"attempts"`
	// Run is the run that claimed it last, Claim names that call.
	Run         string    `bson:"run"`
	Claim       string    `bson:"claim,omitempty"`
	PlannedAt   time.Time `bson:"planned_at,omitempty"`
	SentAt      time.Time `bson:"sent_at,omitempty"`
	DeliveredAt time.Time `bson:"delivered_at,omitempty"`
	ReadAt      time.Time `bson:"read_at,omitempty"`
	RepliedAt   time.Time `bson:"replied_at,omitempty"`
	UpdatedAt   time.Time `bson:"updated_at,omitempty"`
}

type namedField struct {
	Name  string `bson:"name"`
	Value string `bson:"value"`
}

func deliveryDocumentOf(d campaign.Delivery) deliveryDocument {
	document := deliveryDocument{ID: d.ID, Campaign: d.CampaignID, Sequence: d.Sequence, Phone: d.Phone, State: d.State, Rank: d.State.Rank(),
		Class: d.Class, Code: d.Code, Reason: d.Reason, Attempts: d.Attempts, PlannedAt: d.PlannedAt, SentAt: d.SentAt,
		DeliveredAt: d.DeliveredAt, ReadAt: d.ReadAt, RepliedAt: d.RepliedAt, UpdatedAt: d.UpdatedAt}
	for _, name := range slices.Sorted(maps.Keys(d.Fields)) {
		document.Fields = append(document.Fields, namedField{name, d.Fields[name]})
	}
	return document
}

func (d deliveryDocument) record() campaign.Delivery {
	record := campaign.Delivery{ID: d.ID, CampaignID: d.Campaign, Sequence: d.Sequence, Phone: d.Phone, State: d.State, Class: d.Class, Code: d.Code,
		Reason: d.Reason, Attempts: d.Attempts, PlannedAt: d.PlannedAt, SentAt: d.SentAt, DeliveredAt: d.DeliveredAt, ReadAt: d.ReadAt,
		RepliedAt: d.RepliedAt, UpdatedAt: d.UpdatedAt}
	if len(d.Fields) > 0 {
		record.Fields = make(map[string]string, len(d.Fields))
	}
	for _, f := range d.Fields {
		record.Fields[f.Name] = f.Value
	}
	return record
}

// Plan implements campaign.Deliveries. The campaigns of the batch must exist (store.ErrNotFound). A delivery whose id is new but whose
// sequence is taken is store.ErrConflict: the plan would have two orders. When it fails half-way, what it planned stays, and calling it again
// goes on.
func (d *Deliveries) Plan(ctx context.Context, batch []campaign.Delivery) ([]int, error) {
	if err := campaign.CheckPlan(batch); err != nil {
		return nil, err
	}
	var left []int
	err := d.db.causally(ctx, func(ctx context.Context) (err error) {
		left, err = d.plan(ctx, batch)
		return err
	})
	return left, d.db.explain(ctx, "plan deliveries", err)
}

func (d *Deliveries) plan(ctx context.Context, batch []campaign.Delivery) ([]int, error) {
	documents := make([]deliveryDocument, len(batch))
	campaigns := map[campaign.ID]bool{}
	for i := range batch {
		documents[i] = deliveryDocumentOf(batch[i])
		campaigns[batch[i].CampaignID] = true
	}
	if err := d.campaignsExist(ctx, slices.Collect(maps.Keys(campaigns))...); err != nil {
		return nil, err
	}
	refused, err := insertNew(ctx, d.db.deliveries, documents)
	if err != nil || len(refused) == 0 {
		return nil, err
	}
	ids := make([]string, len(refused))
	for i, index := range refused {
		ids[i] = batch[index].ID
	}
	known, err := existing(ctx, d.db.deliveries, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if !known[id] { // so it was its sequence that exists
			return nil, store.ErrConflict
		}
	}
	return refused, nil
}

// campaignsExist gives store.ErrNotFound unless all do.
func (d *Deliveries) campaignsExist(ctx context.Context, ids ...campaign.ID) error {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	known, err := existing(ctx, d.db.campaigns, texts)
	if err != nil {
		return fmt.Errorf("find the campaigns: %w", err)
	}
	for _, id := range texts {
		if !known[id] {
			return fmt.Errorf("find campaign %s: %w", id, store.ErrNotFound)
		}
	}
	return nil
}

// Get implements campaign.Deliveries.
func (d *Deliveries) Get(ctx context.Context, deliveryID string) (campaign.Delivery, error) {
	found, err := readOne[deliveryDocument](ctx, d.db.deliveries, deliveryID)
	return found, d.db.explain(ctx, doing("get delivery", deliveryID), err)
}

// List implements campaign.Deliveries.
func (d *Deliveries) List(ctx context.Context, id campaign.ID, state campaign.DeliveryState, page store.Page) (store.List[campaign.Delivery], error) {
	after, err := deliveryCursor.number(page)
	if err != nil {
		return store.List[campaign.Delivery]{}, err
	}
	filter := append(equal(bson.D{field("campaign", string(id))}, "state", string(state)), field("sequence", bson.D{field("$gt", after)}))
	index := sequenceIndex
	if state != "" {
		index = statesIndex
	}
	found, err := readAll[deliveryDocument](ctx, d.db.deliveries, filter, inSequence(page.Limit()+1).SetHint(index))
	if err != nil {
		return store.List[campaign.Delivery]{}, d.db.explain(ctx, doing("list deliveries of", string(id)), err)
	}
	return listOf(found, page, deliveryCursor, func(d campaign.Delivery) string { return strconv.Itoa(d.Sequence) }), nil
}

// inSequence asks for the first deliveries in the order of sending.
func inSequence(limit int) *options.FindOptionsBuilder {
	return options.Find().SetSort(bson.D{field("sequence", 1)}).SetLimit(int64(limit))
}

// Counts implements campaign.Deliveries. It counts the entries of an index, as of one moment where the server has snapshots: otherwise a
// delivery that changes its state meanwhile could be counted twice or not at all.
func (d *Deliveries) Counts(ctx context.Context, id campaign.ID) (campaign.Counts, error) {
	var rows []struct {
		State campaign.DeliveryState `bson:"_id"`
		Total int                    `bson:"total"`
	}
	err := d.db.atOneMoment(ctx, func(ctx context.Context) error {
		cursor, err := d.db.deliveries.Aggregate(ctx, bson.A{
			bson.D{field("$match", bson.D{field("campaign", string(id))})},
			bson.D{field("$group", bson.D{field("_id", "$state"), field("total", bson.D{field("$sum", 1)})})},
		}, options.Aggregate().SetHint(statesIndex))
		if err != nil {
			return err
		}
		return cursor.All(ctx, &rows)
	})
	if err != nil {
		return nil, d.db.explain(ctx, doing("count deliveries of", string(id)), err)
	}
	counts := campaign.Counts{}
	for _, row := range rows {
		counts[row.State] = row.Total
	}
	return counts, nil
}

// snapshotUnavailable is the code for a moment that the server does not remember, as just after an index was made.
const snapshotUnavailable = 246

// atOneMoment runs a read that sees the database as it was at one moment, where the server can do so.
func (db *DB) atOneMoment(ctx context.Context, read func(context.Context) error) error {
	if !db.capable.Snapshots {
		return read(ctx)
	}
	err := db.client.UseSessionWithOptions(ctx, options.Session().SetSnapshot(true), read)
	if slices.Contains(mongo.ErrorCodes(err), snapshotUnavailable) {
		return read(ctx)
	}
	return err
}
