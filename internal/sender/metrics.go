package sender

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

type hostMetrics struct {
	hosted        prometheus.Gauge
	stable        prometheus.Gauge
	phonesOffline *prometheus.GaugeVec
	sends         *prometheus.HistogramVec
	// answered is the series of sends for success.
	answered        prometheus.Observer
	paceWait        prometheus.Histogram
	receipts        *prometheus.CounterVec
	retries         prometheus.Counter
	qrIgnored       prometheus.Counter
	readyDuplicates prometheus.Counter
	caps            *prometheus.GaugeVec
	fleet           *fleetMetrics
	losses          *logoutMetrics
}

func newHostMetrics(registerer prometheus.Registerer) (*hostMetrics, error) {
	m := &hostMetrics{
		hosted: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sessions_hosted", Help: "Sessions that this process holds the lease of, connected or connecting.",
		}),
		stable: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sessions_stable", Help: "Sessions of this process that have been connected for five minutes without a break.",
		}),
		phonesOffline: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sessions_phone_offline", Help: "Hosted sessions whose phone has given no sign for days, by attention: warn (10 days), alert (12 days; WhatsApp unlinks its devices after about 14).",
		}, []string{"attention"}),
		sends: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "send_request_duration_seconds",
			Help:    "Time from a request to send a message to its answer, the wait for the session's pace included, by class of the result (\"ok\" for success).",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .5, 1, 2.5, 5, 10, 30, 60, 120}, NativeHistogramBucketFactor: 1.1,
		}, []string{"class"}),
		paceWait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pace_wait_seconds", Help: "Time that a message waited for its session's turn.",
			Buckets: []float64{.001, .01, .1, 1, 2.5, 5, 10, 30, 60}, NativeHistogramBucketFactor: 1.1,
		}),
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
	}
	m.answered = m.sends.WithLabelValues("ok")
	for _, attention := range []session.Attention{session.AttentionWarn, session.AttentionAlert} {
		m.phonesOffline.WithLabelValues(string(attention))
	}
	var err error
	if m.fleet, err = newFleetMetrics(registerer); err != nil {
		return nil, err
	}
	if m.losses, err = newLogoutMetrics(registerer); err != nil {
		return nil, err
	}
	if m.caps, err = newCapMetric(registerer); err != nil {
		return nil, err
	}
	return m, register(registerer, m.hosted, m.stable, m.phonesOffline, m.sends, m.paceWait, m.receipts, m.retries, m.qrIgnored, m.readyDuplicates)
}

// endedElsewhere is the label of a slice whose campaign went on without it.
const endedElsewhere = "elsewhere"

// sent counts a request to send by what came of it.
func (m *hostMetrics) sent(err error, took time.Duration) {
	if err == nil {
		m.answered.Observe(took.Seconds())
		return
	}
	m.sends.WithLabelValues(fault.Of(err).Label()).Observe(took.Seconds())
}

type runnerMetrics struct {
	running   prometheus.Gauge
	failures  *prometheus.CounterVec
	suspected prometheus.Counter
	slices    *prometheus.CounterVec
	recorded  *prometheus.CounterVec
}

func newRunnerMetrics(registerer prometheus.Registerer) (*runnerMetrics, error) {
	m := &runnerMetrics{
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "campaigns_running", Help: "Campaign slices that this process runs now.",
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "delivery_failures_total", Help: "Failed tries to send a delivery, by class.",
		}, []string{"class"}),
		suspected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "campaigns_suspected_total", Help: "Slices at whose end few of the campaign's sent messages had been delivered: WhatsApp may be dropping them.",
		}),
		slices: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "campaign_slices_total", Help: "Slices of campaigns that ended here, by how: queue (another slice follows), complete, pause, fail, elsewhere (a person or another worker went on with the campaign).",
		}, []string{"end"}),
		recorded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "deliveries_recorded_total", Help: "Deliveries that got a state from a try to send them, by that state: sent, skipped, failed, unknown (it is tried again under the same id).",
		}, []string{"state"}),
	}
	for _, class := range fault.Classes() {
		m.failures.WithLabelValues(class.Label())
	}
	for _, end := range []string{string(campaign.Queue), string(campaign.Complete), string(campaign.Pause), string(campaign.Fail), endedElsewhere} {
		m.slices.WithLabelValues(end)
	}
	for _, state := range []campaign.DeliveryState{campaign.Sent, campaign.Skipped, campaign.FailedDelivery, campaign.Unknown} {
		m.recorded.WithLabelValues(string(state))
	}
	return m, register(registerer, m.running, m.failures, m.suspected, m.slices, m.recorded)
}

type projectorMetrics struct {
	projected *prometheus.CounterVec
	missing   prometheus.Counter
	delay     *prometheus.HistogramVec
	batch     prometheus.Histogram
}

func newProjectorMetrics(registerer prometheus.Registerer) (*projectorMetrics, error) {
	m := &projectorMetrics{
		projected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "receipts_projected_total", Help: "Receipts written into deliveries, by kind.",
		}, []string{"kind"}),
		missing: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "receipts_without_delivery_total", Help: "Receipts for deliveries that are not in the store.",
		}),
		delay: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "receipt_delay_seconds", Help: "Time from a contact's confirmation to its record in the delivery, by kind.",
			Buckets: []float64{.01, .05, .1, .5, 1, 5, 10, 60, 300, 3600, 86400}, NativeHistogramBucketFactor: 1.1,
		}, []string{"kind"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "receipts_batch_size", Help: "Outcomes that one write of receipts held.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 500}, NativeHistogramBucketFactor: 1.1,
		}),
	}
	return m, register(registerer, m.projected, m.missing, m.delay, m.batch)
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
