package sender

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// Projector writes receipts into deliveries. Many facts are handled at once; those that come while a write is under way are written
// together by the next one, and each Handle returns when its own outcomes are in the store.
type Projector struct {
	deliveries campaign.Deliveries
	metrics    *projectorMetrics
	work       chan projection
}

// projection is one fact's outcomes, and where their writer says what came of them.
type projection struct {
	outcomes []campaign.Outcome
	done     chan error
}

// NewProjector makes a projector. Handle works while Run runs. A nil registerer leaves the metrics unexposed.
func NewProjector(deliveries campaign.Deliveries, registerer prometheus.Registerer) (*Projector, error) {
	if deliveries == nil {
		return nil, errors.New("projector: the deliveries are required")
	}
	metrics, err := newProjectorMetrics(registerer)
	if err != nil {
		return nil, err
	}
	return &Projector{deliveries: deliveries, metrics: metrics, work: make(chan projection, campaign.MaxBatch)}, nil
}

// receiptStates says what a receipt makes of a delivery.
var receiptStates = map[session.ReceiptKind]campaign.DeliveryState{
	session.ReceiptDelivered: campaign.Delivered,
	session.ReceiptRead:      campaign.Read,
	session.ReceiptPlayed:    campaign.Read,
}

// Handle writes one receipt down.
func (p *Projector) Handle(ctx context.Context, fact events.MessageReceipt) error {
	mine, err := projectionOf(fact)
	if err != nil {
		return err
	}
	select {
	case p.work <- mine:
	case <-ctx.Done():
		return fmt.Errorf("project a receipt: %w", ctx.Err())
	}
	select {
	case err := <-mine.done:
		if err != nil {
			return fmt.Errorf("project a receipt: %w", err)
		}
	case <-ctx.Done():
		return fmt.Errorf("project a receipt: %w", ctx.Err())
	}
	p.metrics.projected.WithLabelValues(string(fact.Receipt)).Add(float64(len(fact.MessageIDs)))
	p.metrics.delay.WithLabelValues(string(fact.Receipt)).Observe(max(0, time.Since(fact.At).Seconds()))
	return nil
}

func projectionOf(fact events.MessageReceipt) (projection, error) {
	state, known := receiptStates[fact.Receipt]
	if !known {
		return projection{}, fault.New(fault.Poison, "unknown_receipt", "The receipt is of a kind that this worker does not know; upgrade the workers")
	}
	if len(fact.MessageIDs) > campaign.MaxBatch || fact.At.IsZero() {
		return projection{}, fault.New(fault.Poison, "receipt_malformed", "The receipt names more messages than a batch may have, or no time")
	}
	made := projection{done: make(chan error, 1), outcomes: make([]campaign.Outcome, len(fact.MessageIDs))}
	for i, id := range fact.MessageIDs {
		made.outcomes[i] = campaign.Outcome{DeliveryID: id, State: state, At: fact.At}
	}
	return made, nil
}

// Run writes batches until the context ends. It must outlive the workers that call Handle.
func (p *Projector) Run(ctx context.Context) error {
	var overhang *projection
	for {
		var first projection
		switch {
		case overhang != nil:
			first = *overhang
		default:
			select {
			case <-ctx.Done():
				return nil
			case first = <-p.work:
			}
		}
		var batch []projection
		batch, overhang = p.gather(first)
		p.write(ctx, batch)
	}
}

// gather adds what is waiting to the first projection, up to a batch. What does not fit any more is the beginning of the next.
func (p *Projector) gather(first projection) (batch []projection, overhang *projection) {
	batch, size := []projection{first}, len(first.outcomes)
	for {
		select {
		case next := <-p.work:
			if size += len(next.outcomes); size > campaign.MaxBatch {
				return batch, &next
			}
			batch = append(batch, next)
		default:
			return batch, nil
		}
	}
}

// projectTimeout bounds one write.
const projectTimeout = 30 * time.Second

// write writes a batch down, all of it or nothing, and tells everybody in it.
func (p *Projector) write(ctx context.Context, batch []projection) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), projectTimeout)
	defer cancel()
	var outcomes []campaign.Outcome
	for _, one := range batch {
		outcomes = append(outcomes, one.outcomes...)
	}
	missing, err := 0, error(nil)
	if len(outcomes) > 0 {
		missing, err = p.deliveries.Record(ctx, outcomes)
	}
	p.metrics.batch.Observe(float64(len(outcomes)))
	p.metrics.missing.Add(float64(missing))
	for _, one := range batch {
		one.done <- err
	}
}
