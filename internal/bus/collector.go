package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/events"
)

// collectTimeout bounds what one scrape asks the server, well within Prometheus's own scrape timeout.
const collectTimeout = 5 * time.Second

// queueCollector tells how full the queue is, as the server itself counts it: it asks at each scrape, and holds no numbers of its own. What cannot be asked is
// left out, so that its series ends instead of standing still, and queue_up says so.
type queueCollector struct {
	bus *Bus
	log func(message string, arguments ...any)

	// mu lets one scrape at a time fill the gauges.
	mu        sync.Mutex
	up        prometheus.Gauge
	messages  *prometheus.GaugeVec
	bytes     *prometheus.GaugeVec
	pending   *prometheus.GaugeVec
	inFlight  *prometheus.GaugeVec
	redeliver *prometheus.GaugeVec
	oldest    *prometheus.GaugeVec
	lastAck   *prometheus.GaugeVec
	failed    prometheus.Gauge
	failedAge prometheus.Gauge
}

// RegisterQueueMetrics exposes the depths and ages of the queue. They are the same in every process, so one role is enough: the API, which lives when
// workers do not.
func (b *Bus) RegisterQueueMetrics(registerer prometheus.Registerer) error {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	c := &queueCollector{
		bus: b, log: b.log.Warn,
		up:        prometheus.NewGauge(prometheus.GaugeOpts{Name: "queue_up", Help: "1 when the queue answered everything that this scrape asked, else 0."}),
		messages:  gauge("queue_stream_messages", "Messages in a stream.", "stream"),
		bytes:     gauge("queue_stream_bytes", "Size of a stream on the broker's disk.", "stream"),
		pending:   gauge("queue_pending", "Jobs or facts that wait to be given to a worker, by consumer.", "consumer"),
		inFlight:  gauge("queue_in_flight", "Jobs or facts that workers have in hand, over the whole fleet, by consumer. One that waits for its next attempt counts.", "consumer"),
		redeliver: gauge("queue_redelivered", "Jobs or facts in hand that were given out more than once, by consumer.", "consumer"),
		oldest:    gauge("queue_oldest_age_seconds", "Age of the oldest job that is not done, waiting or in hand, by consumer; 0 when there is none.", "consumer"),
		lastAck:   gauge("queue_last_ack_timestamp_seconds", "When a consumer's workers last settled something; missing until they have.", "consumer"),
		failed:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "failed_jobs_waiting", Help: "Jobs in FAILED, which wait for an operator."}),
		failedAge: prometheus.NewGauge(prometheus.GaugeOpts{Name: "failed_jobs_oldest_age_seconds", Help: "Age of the oldest job in FAILED; 0 when there is none."}),
	}
	if err := registerer.Register(c); err != nil {
		return fmt.Errorf("register the metrics of the queue's depth: %w", err)
	}
	return nil
}

func (c *queueCollector) vectors() []*prometheus.GaugeVec {
	return []*prometheus.GaugeVec{c.messages, c.bytes, c.pending, c.inFlight, c.redeliver, c.oldest, c.lastAck}
}

// Describe implements prometheus.Collector.
func (c *queueCollector) Describe(into chan<- *prometheus.Desc) {
	for _, vector := range c.vectors() {
		vector.Describe(into)
	}
	for _, gauge := range []prometheus.Gauge{c.up, c.failed, c.failedAge} {
		gauge.Describe(into)
	}
}

// Collect implements prometheus.Collector.
func (c *queueCollector) Collect(into chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout) // a scrape hands no context down
	defer cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, vector := range c.vectors() {
		vector.Reset()
	}
	seen := []prometheus.Collector{c.up}
	failedSeen, err := c.readStreams(ctx)
	err = errors.Join(err, c.readConsumers(ctx))
	c.up.Set(1)
	if err != nil {
		c.up.Set(0)
		c.log("the queue's depths could not be read for the metrics", "error", err)
	}
	if failedSeen {
		seen = append(seen, c.failed, c.failedAge)
	}
	for _, vector := range c.vectors() {
		seen = append(seen, vector)
	}
	for _, collector := range seen {
		collector.Collect(into)
	}
}

// readStreams reads the sizes of the streams; it tells whether FAILED was among what could be read.
func (c *queueCollector) readStreams(ctx context.Context) (failedSeen bool, err error) {
	for _, config := range c.bus.streams() {
		stream, problem := c.bus.js.Stream(ctx, config.Name)
		if problem != nil {
			err = errors.Join(err, fmt.Errorf("look at stream %s: %w", config.Name, problem))
			continue
		}
		state := stream.CachedInfo().State
		c.messages.WithLabelValues(config.Name).Set(float64(state.Msgs))
		c.bytes.WithLabelValues(config.Name).Set(float64(state.Bytes))
		if config.Name == events.StreamFailed {
			failedSeen = true
			c.failed.Set(float64(state.Msgs))
			c.failedAge.Set(age(state.Msgs > 0, state.FirstTime))
		}
	}
	return failedSeen, err
}

// readConsumers reads how much each consumer has before it. The oldest age is only looked up in COMMANDS, where a message leaves when it is done.
func (c *queueCollector) readConsumers(ctx context.Context) error {
	var failures error
	for _, one := range c.bus.consumers() {
		found, err := c.bus.js.Consumer(ctx, one.stream, one.name)
		if err != nil {
			failures = errors.Join(failures, fmt.Errorf("look at consumer %s: %w", one.name, err))
			continue
		}
		info := found.CachedInfo()
		c.pending.WithLabelValues(one.name).Set(float64(info.NumPending))
		c.inFlight.WithLabelValues(one.name).Set(float64(info.NumAckPending))
		c.redeliver.WithLabelValues(one.name).Set(float64(info.NumRedelivered))
		if last := info.AckFloor.Last; last != nil && !last.IsZero() {
			c.lastAck.WithLabelValues(one.name).Set(float64(last.UnixMilli()) / 1000)
		}
		if one.stream != events.StreamCommands {
			continue
		}
		oldest, err := c.oldestJob(ctx, one)
		if err != nil {
			failures = errors.Join(failures, err)
			continue
		}
		c.oldest.WithLabelValues(one.name).Set(oldest)
	}
	return failures
}

// oldestJob gives the age of the first job in the stream that a consumer is for.
func (c *queueCollector) oldestJob(ctx context.Context, of consumer) (float64, error) {
	stream, err := c.bus.js.Stream(ctx, of.stream)
	if err != nil {
		return 0, fmt.Errorf("look at stream %s: %w", of.stream, err)
	}
	first, err := stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(of.filter))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read the oldest job of %s: %w", of.name, err)
	}
	return age(true, first.Time), nil
}

func age(exists bool, since time.Time) float64 {
	if !exists {
		return 0
	}
	return max(0, time.Since(since).Seconds())
}
