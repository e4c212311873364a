package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/components/cqrs"
	watermillmetrics "github.com/ThreeDotsLabs/watermill/components/metrics"
	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// DefaultDrainTime is how long jobs in hand may go on after a worker was told to stop.
const DefaultDrainTime = 20 * time.Second

// WorkerOptions configure a Worker.
type WorkerOptions struct {
	// DrainTime is how long jobs in hand may go on after the end of Run's context, before their own contexts are cancelled; zero:
	// DefaultDrainTime, negative: not at all.
	DrainTime time.Duration
	// Grace is how long after that a handler may take to return; zero: DefaultGrace.
	Grace time.Duration
	// Policies replaces the retry policies of single kinds; nil: policy.go stands.
	Policies map[string]Policy
}

// Worker takes jobs and gives each to its handler. What a handler returns decides what becomes of the job: nil ends it; an error whose class is
// redelivered brings it back later, until the policy of its kind is exhausted; any other error, a panic, and a job that no handler could
// understand go to FAILED, and only then is the job ended.
//
// Run stops in two steps. When its context ends no job is taken any more, and the jobs in hand may finish within DrainTime. Then their contexts
// end, and a handler that returns because of that has its job handed back: at once, to any worker, and without counting as an attempt.
type Worker struct {
	bus        *Bus
	log        *slog.Logger
	policies   map[string]Policy
	router     *message.Router
	commands   *cqrs.CommandProcessor
	facts      *cqrs.EventProcessor
	subscriber *Subscriber
	// kinds are the consumers that have a handler here, with the kind that it understands.
	kinds  map[string]string
	ledger *ledger
}

// NewWorker makes a worker. Give it handlers, then Run it once.
func (b *Bus) NewWorker(options WorkerOptions) (*Worker, error) {
	w := &Worker{bus: b, log: b.log, policies: policies(), kinds: map[string]string{}, ledger: &ledger{}}
	for kind, policy := range options.Policies {
		if policy.Attempts < 1 || policy.MinDelay <= 0 || policy.MaxDelay < policy.MinDelay {
			return nil, fmt.Errorf("worker: the retry policy of %s needs an attempt and a growing delay", kind)
		}
		w.policies[kind] = policy
	}
	drain := max(0, orDefault(options.DrainTime, DefaultDrainTime))
	grace := orDefault(options.Grace, DefaultGrace)
	var err error
	w.subscriber, err = b.NewSubscriber(SubscriberOptions{DrainTime: drain, Grace: grace, handBack: w.ledger.handBack,
		inHand: w.bus.heartbeat, released: w.bus.flatline})
	if err != nil {
		return nil, err
	}
	return w, w.build(drain + grace + 2*settleTimeout)
}

// build makes the Watermill parts: one router, on it one handler a consumer, around each the settlement.
func (w *Worker) build(closeTimeout time.Duration) error {
	logger := maskedLog{watermill.NewSlogLoggerWithLevelMapping(w.log, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug})}
	var err error
	if w.router, err = message.NewRouter(message.RouterConfig{CloseTimeout: closeTimeout}, logger); err != nil {
		return fmt.Errorf("make the router: %w", err)
	}
	w.router.AddMiddleware(w.settle)
	if registerer := w.bus.options.Registerer; registerer != nil { // inside the settlement: what a handler itself said
		w.router.AddMiddleware(watermillmetrics.NewPrometheusMetricsBuilder(registerer, "watermill", "").NewRouterMiddleware().Middleware)
	}
	w.commands, err = cqrs.NewCommandProcessorWithConfig(w.router, cqrs.CommandProcessorConfig{
		GenerateSubscribeTopic: func(params cqrs.CommandProcessorGenerateSubscribeTopicParams) (string, error) {
			return params.CommandHandler.HandlerName(), nil
		},
		SubscriberConstructor: func(cqrs.CommandProcessorSubscriberConstructorParams) (message.Subscriber, error) {
			return w.subscriber, nil
		},
		Marshaler: marshaler{},
		Logger:    logger,
	})
	if err != nil {
		return fmt.Errorf("make the command processor: %w", err)
	}
	w.facts, err = cqrs.NewEventProcessorWithConfig(w.router, cqrs.EventProcessorConfig{
		GenerateSubscribeTopic: func(params cqrs.EventProcessorGenerateSubscribeTopicParams) (string, error) {
			return params.EventHandler.HandlerName(), nil
		},
		SubscriberConstructor: func(cqrs.EventProcessorSubscriberConstructorParams) (message.Subscriber, error) {
			return w.subscriber, nil
		},
		Marshaler: marshaler{},
		Logger:    logger,
	})
	if err != nil {
		return fmt.Errorf("make the event processor: %w", err)
	}
	return nil
}

// HandleLinkSession gives the worker its handler of link jobs. It is called for one job at a time in the whole fleet.
func (w *Worker) HandleLinkSession(handle func(context.Context, events.LinkSession) error) error {
	return handleCommand(w, ConsumerLinker, handle)
}

// HandleRunCampaign gives the worker its handler of campaign jobs. It is called for several jobs at once.
func (w *Worker) HandleRunCampaign(handle func(context.Context, events.RunCampaign) error) error {
	return handleCommand(w, ConsumerSender, handle)
}

// HandleMessageReceipt gives the worker its handler of receipts. It is called for several at once, in no order, and for one receipt more than
// once after a crash.
func (w *Worker) HandleMessageReceipt(handle func(context.Context, events.MessageReceipt) error) error {
	return handleFact(w, ConsumerProjector, handle)
}

// HandleMessageReceived gives the worker its handler of what people write. It is called for several at once, in no order, and for one message more than
// once after a crash.
func (w *Worker) HandleMessageReceived(handle func(context.Context, events.MessageReceived) error) error {
	return handleFact(w, ConsumerInbound, handle)
}

// HandleDeliverWebhook gives the worker its handler of deliveries of webhooks. It is called for several at once, in no order, and for one delivery more than
// once after a crash.
func (w *Worker) HandleDeliverWebhook(handle func(context.Context, events.DeliverWebhook) error) error {
	return handleCommand(w, ConsumerWebhook, handle)
}

// handleCommand registers the handler of a kind of command under the consumer that hands it out.
func handleCommand[C events.Command](w *Worker, consumer string, handle func(context.Context, C) error) error {
	if err := w.claimConsumer(consumer); err != nil {
		return err
	}
	return w.commands.AddHandlers(cqrs.NewCommandHandler(consumer, func(ctx context.Context, command *C) error {
		if err := (*command).Validate(); err != nil {
			return asPoison(err)
		}
		return handle(ctx, *command)
	}))
}

// handleFact registers the handler of a kind of fact under the consumer that hands it out.
func handleFact[F events.Fact](w *Worker, consumer string, handle func(context.Context, F) error) error {
	if err := w.claimConsumer(consumer); err != nil {
		return err
	}
	return w.facts.AddHandlers(cqrs.NewEventHandler(consumer, func(ctx context.Context, fact *F) error {
		if err := (*fact).Validate(); err != nil {
			return asPoison(err)
		}
		return handle(ctx, *fact)
	}))
}

// claimConsumer notes that a consumer has a handler here, which understands the kind that the topology says.
func (w *Worker) claimConsumer(name string) error {
	if _, taken := w.kinds[name]; taken {
		return fmt.Errorf("worker: the consumer %s has a handler already", name)
	}
	c, err := w.bus.consumer(name)
	if err != nil {
		return err
	}
	w.kinds[name] = c.kind
	w.bus.metrics.expect(c.kind)
	return nil
}

// asPoison makes any refusal of a job's content poison: it would be refused again for ever.
func asPoison(err error) error {
	if fault.Of(err) == fault.Poison {
		return err
	}
	return fault.Wrap(err, fault.Poison, "invalid_job", "The job's content does not hold; edit the job")
}

// Ready is closed when the worker takes jobs.
func (w *Worker) Ready() <-chan struct{} { return w.router.Running() }

// Run takes jobs until the context ends, and returns when every job in hand is settled. The topology must exist. To be told to stop is no
// failure, however far the start had come.
func (w *Worker) Run(ctx context.Context) error {
	if len(w.kinds) == 0 {
		return errors.New("worker: it has no handlers")
	}
	err := w.bind(ctx)
	if err == nil {
		group, working := errgroup.WithContext(ctx)
		group.Go(func() error { return w.buryExhausted(working) })
		group.Go(func() error { return w.router.Run(working) })
		err = group.Wait()
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	return errors.Join(err, w.subscriber.Close())
}

// bind finds what the worker needs on the server.
func (w *Worker) bind(ctx context.Context) error {
	bucket, err := w.bus.Bucket(ctx, BucketAttempts)
	if err != nil {
		return fmt.Errorf("start worker: %w", err)
	}
	w.ledger.bucket = bucket
	for consumer := range w.kinds {
		if _, _, err := w.bus.bind(ctx, consumer); err != nil {
			return fmt.Errorf("start worker: %w", err)
		}
	}
	return nil
}
