package sender

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type hostMetrics struct {
	sends           *prometheus.CounterVec
	receipts        *prometheus.CounterVec
	retries         prometheus.Counter
	qrIgnored       prometheus.Counter
	readyDuplicates prometheus.Counter
	paceWait        prometheus.Histogram
}

func newHostMetrics(registerer prometheus.Registerer) (*hostMetrics, error) {
	m := &hostMetrics{
		sends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sends_total", Help: "Requests to send a message, by class of the result (\"ok\" for success).",
		}, []string{"class"}),
		receipts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "receipts_published_total", Help: "Receipts for messages of campaigns, by kind.",
		}, []string{"kind"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "retry_receipts_total", Help: "Messages that a contact's device asked for again.",
		}),
		qrIgnored: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wa_hosted_qr_ignored_total", Help: "QR codes that came for a session that is linked already.",
		}),
		readyDuplicates: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wa_hosted_ready_duplicates_total", Help: "Reports of a connected session that was ready already.",
		}),
		paceWait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pace_wait_seconds", Help: "Time that a message waited for its session's turn.",
			Buckets: []float64{.001, .01, .1, 1, 2.5, 5, 10, 30, 60}, NativeHistogramBucketFactor: 1.1,
		}),
	}
	return m, register(registerer, m.sends, m.receipts, m.retries, m.qrIgnored, m.readyDuplicates, m.paceWait)
}

type runnerMetrics struct {
	running  prometheus.Gauge
	failures *prometheus.CounterVec
}

func newRunnerMetrics(registerer prometheus.Registerer) (*runnerMetrics, error) {
	m := &runnerMetrics{
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "campaigns_running", Help: "Campaign slices that this process runs now.",
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "delivery_failures_total", Help: "Failed tries to send a delivery, by class.",
		}, []string{"class"}),
	}
	return m, register(registerer, m.running, m.failures)
}

func register(registerer prometheus.Registerer, collectors ...prometheus.Collector) error {
	if registerer == nil {
		return nil
	}
	for _, collector := range collectors {
		if err := registerer.Register(collector); err != nil {
			return fmt.Errorf("register the sender's metrics: %w", err)
		}
	}
	return nil
}
