package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel/trace"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// job is one delivery on its way through the worker.
type job struct {
	claim  *claim
	kind   string
	policy Policy
	record record
	// attempts counts this delivery and those before it, but for hand-backs.
	attempts int
	started  time.Time
}

// settle is the router's middleware: it runs the handler and decides from the error's class what becomes of the job. It returns no error to the
// router, which would log it again; the decision reaches the Subscriber as the verdict of the claim, followed by a Nack.
func (w *Worker) settle(next message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		held := claimOf(m)
		if held == nil {
			return nil, errors.New("message of another subscriber")
		}
		j := w.open(held)
		ended, err := w.run(j, next)
		ctx, cancel := detached(m.Context(), settleTimeout)
		defer cancel()
		if ended {
			w.finish(ctx, j)
			return nil, nil
		}
		held.verdict = w.judge(ctx, j, err)
		m.Nack()
		return nil, nil
	}
}

func (w *Worker) open(held *claim) *job {
	j := &job{claim: held, kind: w.kinds[held.meta.Consumer], started: time.Now()}
	j.policy = w.policies[j.kind]
	if held.meta.NumDelivered > 1 {
		w.bus.metrics.redelivered.WithLabelValues(j.kind).Inc()
	}
	return j
}

// run runs the handler, unless the job must not be run (again). ended tells that it is done.
func (w *Worker) run(j *job, next message.HandlerFunc) (ended bool, err error) {
	ctx := j.claim.message.Context()
	if j.record, err = w.ledger.get(ctx, j.claim.meta); err != nil {
		return false, fault.Wrap(err, fault.RetryLater, "record_unreadable", "The job's record could not be read; it is tried again")
	}
	j.attempts = max(1, int(j.claim.meta.NumDelivered)-j.record.HandedBack) // #nosec G115 -- a count of deliveries
	only := j.claim.message.Metadata.Get(headerOnly)
	switch kind := j.claim.message.Metadata.Get(headerKind); {
	case only != "" && only != j.claim.meta.Consumer: // A fact that is replayed for another consumer.
		return true, nil
	case j.record.Condemned:
		return false, nil
	case j.attempts > j.policy.Attempts:
		return false, errExhausted(j.attempts - 1)
	case kind != j.kind && j.kind != kindOfAnyFact:
		return false, fault.New(fault.Poison, "unknown_kind",
			fmt.Sprintf("The job says that it is %q, which this worker does not know; upgrade the workers or discard the job", redact(kind)))
	}
	ctx, end := w.bus.spanWithin(ctx, "handle "+j.kind, trace.SpanKindConsumer, aboutSubject(j.claim.raw.Subject()))
	j.claim.message.SetContext(ctx)
	err = recovered(func() error {
		_, err := next(j.claim.message)
		return err
	})
	end(err)
	return err == nil, err
}

// recovered runs a handler and turns a panic into poison.
func recovered(handle func() error) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			cause := fmt.Errorf("panic: %v\n%s", panicked, debug.Stack())
			err = fault.Wrap(cause, fault.Poison, "handler_panicked", "The worker failed on this job because of a defect; the log has the details")
		}
	}()
	return handle()
}

// finish ends a job that is done: the router acknowledges it.
func (w *Worker) finish(ctx context.Context, j *job) {
	took := time.Since(j.started)
	w.bus.metrics.handledJob(j.kind, labelOK, took)
	w.log.DebugContext(ctx, "job done", "job", j.claim.message.UUID, "kind", j.kind, "attempt", j.attempts, "took", took)
	if j.record == (record{}) {
		return
	}
	if err := w.ledger.forget(ctx, jobKey(j.claim.meta)); err != nil {
		w.log.WarnContext(ctx, "record of a finished job not removed; it expires by itself", "job", j.claim.message.UUID, "error", err)
	}
}

// judge decides what becomes of a job that is not done, and writes down what must outlive this process.
func (w *Worker) judge(ctx context.Context, j *job, err error) verdict {
	took := time.Since(j.started)
	if err == nil { // Condemned by an earlier delivery.
		return w.condemn(ctx, j)
	}
	failure := fault.As(err)
	if w.interrupted(j, err, failure.Class) {
		w.bus.metrics.handledJob(j.kind, labelHandedBack, took)
		w.log.InfoContext(ctx, "job handed back", "job", j.claim.message.UUID, "kind", j.kind, "took", took)
		return verdict{action: giveBack}
	}
	if v, is := w.putOff(j, failure); is {
		return v
	}
	w.bus.metrics.handledJob(j.kind, failure.Class.Label(), took)
	if failure.Code != codeExhausted || j.record.Last == nil {
		j.record.note(failureOf(err, time.Now()))
	}
	if !failure.Class.Redelivered() || j.attempts >= j.policy.Attempts {
		return w.condemn(ctx, j)
	}
	delay := j.policy.delay(failure, j.attempts)
	j.record.Attempts, j.record.NextAt = j.attempts, time.Now().Add(delay).UTC().Truncate(time.Millisecond)
	if err := w.ledger.put(ctx, j.claim.meta, j.record); err != nil {
		w.log.WarnContext(ctx, "failed attempt not recorded", "job", j.claim.message.UUID, "error", err)
	}
	w.log.Log(ctx, failure.Class.LogLevel(), "job failed and is tried again", "job", j.claim.message.UUID, "kind", j.kind,
		"class", failure.Class, "code", failure.Code, "attempt", j.attempts, "after", delay, "error", redact(err.Error()))
	return verdict{action: retry, delay: delay}
}

// interrupted tells whether a job ended because this worker stops, and not by its own fault.
func (w *Worker) interrupted(j *job, err error, class fault.Class) bool {
	select {
	case <-j.claim.stopping:
	default:
		return false
	}
	return errors.Is(err, context.Canceled) || j.claim.message.Context().Err() != nil && class.Redelivered()
}

// condemn brings a job to FAILED, and says that the original must end. The record is written first, so that a job that another worker gets
// because this one dies in between is not run again; the entry has an identity, so that it comes into FAILED once; and the original is
// terminated only when FAILED has it.
func (w *Worker) condemn(ctx context.Context, j *job) verdict {
	j.record.Condemned = true
	err := w.ledger.put(ctx, j.claim.meta, j.record)
	if err == nil {
		err = w.bus.publishFailed(ctx, w.bus.failedJob(j))
	}
	if err != nil {
		w.log.ErrorContext(ctx, "job could not be moved to FAILED; it is tried again", "job", j.claim.message.UUID, "kind", j.kind, "error", err)
		return verdict{action: retry, delay: max(time.Second, j.policy.MinDelay)}
	}
	last := j.record.Last
	w.bus.metrics.failedJob(j.kind, last.Class)
	w.log.Log(ctx, last.Class.LogLevel(), "job given up and moved to FAILED", "job", j.claim.message.UUID, "kind", j.kind,
		"class", last.Class, "code", last.Code, "attempt", j.attempts, "error", last.Detail)
	return verdict{action: terminate, reason: strings.TrimSpace(string(last.Class) + " " + last.Code), after: func(ctx context.Context) {
		if err := w.ledger.forget(ctx, jobKey(j.claim.meta)); err != nil {
			w.log.WarnContext(ctx, "record of a failed job not removed; it expires by itself", "job", j.claim.message.UUID, "error", err)
		}
	}}
}

// codeExhausted marks a job whose workers ended without a word.
const codeExhausted = "attempts_exhausted"

func errExhausted(attempts int) error {
	return fault.New(fault.Internal, codeExhausted,
		fmt.Sprintf("The job was given to a worker %d times and none finished it; look for crashes in the log before replaying it", attempts))
}
