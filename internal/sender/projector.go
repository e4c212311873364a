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
	projected  *prometheus.CounterVec
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
	projected := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "receipts_projected_total",
		Help: "Receipts written into deliveries, by kind.",
	}, []string{"kind"})
	if err := register(registerer, projected); err != nil {
		return nil, err
	}
	return &Projector{deliveries: deliveries, projected: projected, work: make(chan projection, campaign.MaxBatch)}, nil
}

// receiptStates says what a receipt makes of a delivery.
var receiptStates = map[session.ReceiptKind]campaign.DeliveryState{
	session.ReceiptDelivered: campaign.Delivered,
	session.ReceiptRead:      campaign.Read,
	session.ReceiptPlayed:    campaign.Read,
}

// Handle writes one receipt down.
func (p *Projector) Handle(ctx context.Context, fact events.MessageReceipt) error {
	state, known := receiptStates[fact.Receipt]
	if !known {
		return fault.New(fault.Poison, "unknown_receipt", "The receipt is of a kind that this worker does not know; upgrade the workers")
	}
	if len(fact.MessageIDs) > campaign.MaxBatch {
		return fault.New(fault.Poison, "receipt_too_long", "The receipt names more messages than a batch may have")
	}
	mine := projection{done: make(chan error, 1)}
	for _, id := range fact.MessageIDs {
		mine.outcomes = append(mine.outcomes, campaign.Outcome{DeliveryID: id, State: state, At: fact.At})
	}
	select {
	case p.work <- mine:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-mine.done:
		if err == nil {
			p.projected.WithLabelValues(string(fact.Receipt)).Add(float64(len(fact.MessageIDs)))
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run writes batches until the context ends. It must outlive the workers that call Handle.
func (p *Projector) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case first := <-p.work:
			p.write(ctx, p.gather(first))
		}
	}
}

// gather adds what is waiting to the first projection, up to a batch.
func (p *Projector) gather(first projection) []projection {
	batch := []projection{first}
	size := len(first.outcomes)
	for size < campaign.MaxBatch/2 {
		select {
		case next := <-p.work:
			batch = append(batch, next)
			size += len(next.outcomes)
		default:
			return batch
		}
	}
	return batch
}

// projectTimeout bounds one write.
const projectTimeout = 30 * time.Second

func (p *Projector) write(ctx context.Context, batch []projection) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), projectTimeout)
	defer cancel()
	var outcomes []campaign.Outcome
	var err error
	flush := func() {
		if len(outcomes) > 0 && err == nil {
			_, err = p.deliveries.Record(ctx, outcomes)
		}
		outcomes = nil
	}
	for _, one := range batch {
		if len(outcomes)+len(one.outcomes) > campaign.MaxBatch {
			flush()
		}
		outcomes = append(outcomes, one.outcomes...)
	}
	flush()
	if err != nil {
		err = fmt.Errorf("record receipts: %w", err)
	}
	for _, one := range batch {
		one.done <- err
	}
}
