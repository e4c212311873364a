package campaign

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// PlanResult is what a plan came to.
type PlanResult struct {
	// Planned is the number of deliveries, Rejected the number of rows refused, those that repeat a number among them.
	Planned  int
	Rejected int
	// Sample names the first rows refused, to show without reading them all.
	Sample []fault.Detail
}

// sampleSize is how many refused rows a PlanResult names.
const sampleSize = 10

// PlanAudience writes the plan of a campaign: one delivery for each recipient, and the rejections of the other rows. It holds one batch
// in memory, whatever the size of the audience. now gives the time that is noted as planned.
//
// Planning the same audience again, after it was interrupted or for no reason, changes nothing that is written already and gives the
// same result: a delivery's id derives from its recipient, its Sequence is its row, and so a delivery that is found in the store is
// either this very row or an earlier row with the same number. Telling them apart costs one read for each delivery found, which is
// nothing in a first plan. The result of a plan that failed counts what was written until then.
func PlanAudience(ctx context.Context, deliveries Deliveries, campaign ID, rows iter.Seq2[Row, error], now func() time.Time) (PlanResult, error) {
	planner := &planner{deliveries: deliveries, campaign: campaign, now: now}
	for row, err := range rows {
		if err != nil {
			return planner.result, err
		}
		if err := planner.add(ctx, row); err != nil {
			return planner.result, err
		}
	}
	err := planner.flush(ctx)
	return planner.result, err
}

// planner collects rows and writes them in batches.
type planner struct {
	deliveries Deliveries
	campaign   ID
	now        func() time.Time
	recipients []Recipient
	rejections []Rejection
	result     PlanResult
}

func (p *planner) add(ctx context.Context, row Row) error {
	if row.Rejection != nil {
		p.rejections = append(p.rejections, *row.Rejection)
	} else {
		p.recipients = append(p.recipients, row.Recipient)
	}
	// Each recipient may turn out to be a duplicate, so this keeps the rejections within one batch too.
	if len(p.recipients)+len(p.rejections) < MaxBatch {
		return nil
	}
	return p.flush(ctx)
}

// flush writes what is collected: first the deliveries, which tell the duplicates, then the rejections.
func (p *planner) flush(ctx context.Context) error {
	if err := p.plan(ctx); err != nil {
		return err
	}
	if len(p.rejections) == 0 {
		return nil
	}
	if err := p.deliveries.Reject(ctx, p.campaign, p.rejections); err != nil {
		return fmt.Errorf("write the rejections of %s: %w", p.campaign, err)
	}
	for _, rejection := range p.rejections {
		p.result.Rejected++
		if len(p.result.Sample) < sampleSize {
			p.result.Sample = append(p.result.Sample, rejection.Detail())
		}
	}
	p.rejections = nil
	return nil
}

func (p *planner) plan(ctx context.Context) error {
	if len(p.recipients) == 0 {
		return nil
	}
	batch := make([]Delivery, len(p.recipients))
	for i, recipient := range p.recipients {
		batch[i] = newDelivery(p.campaign, recipient, p.now().UTC())
	}
	existing, err := p.deliveries.Plan(ctx, batch)
	if err != nil {
		return fmt.Errorf("write the plan of %s: %w", p.campaign, err)
	}
	duplicates := 0
	for _, index := range existing {
		earlier, err := p.deliveries.Get(ctx, batch[index].ID)
		if err != nil {
			return fmt.Errorf("read the plan of %s: %w", p.campaign, err)
		}
		if recipient := p.recipients[index]; earlier.Sequence != recipient.Row {
			p.rejections = append(p.rejections, duplicate(recipient, earlier.Sequence))
			duplicates++
		}
	}
	p.result.Planned += len(batch) - duplicates
	p.recipients = p.recipients[:0]
	return nil
}

func newDelivery(campaign ID, recipient Recipient, at time.Time) Delivery {
	return Delivery{
		ID: MessageID(campaign, recipient.Phone), CampaignID: campaign, Sequence: recipient.Row, Phone: recipient.Phone,
		Fields: recipient.Fields, State: Pending, PlannedAt: at, UpdatedAt: at,
	}
}

// duplicate refuses a recipient whose number stands in an earlier row.
func duplicate(recipient Recipient, earlierRow int) Rejection {
	return Rejection{Row: recipient.Row, Column: recipient.PhoneColumn, Value: shorten(recipient.Fields[recipient.PhoneColumn]), Code: "duplicate",
		Reason: fmt.Sprintf("The number is the same as in row %d, which gets the message; remove one of the rows", earlierRow)}
}
