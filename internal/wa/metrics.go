package wa

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"github.com/dannsalud/broadcaster/internal/fault"
)

type metrics struct {
	sends *prometheus.HistogramVec
	// sent is the series of sends for the class sendOK.
	sent       prometheus.Observer
	receipts   *prometheus.CounterVec
	reconnects *prometheus.CounterVec
	outdated   *prometheus.CounterVec
	answered   *prometheus.CounterVec
	library    prometheus.Gauge
}

// sendOK is the class of a message that WhatsApp took.
const sendOK = "ok"

// The values of the label "result" of wa_retry_receipts_total.
const (
	retryAnswered = "answered"
	retryMissed   = "missed"
)

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		sends: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                        "wa_send_duration_seconds",
			Help:                        "Time from handing a message to WhatsApp's client until the server acknowledged or refused it, by class of the result (\"ok\" for success).",
			Buckets:                     []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 75},
			NativeHistogramBucketFactor: 1.1,
		}, []string{"class"}),
		receipts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wa_receipts_total",
			Help: "Receipts from contacts' devices, by kind; \"retry\" asks for a message again.",
		}, []string{"kind"}),
		reconnects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wa_reconnects_total",
			Help: "Connections that had to be opened again, by cause: lost, restart (WhatsApp asked for it), silent (open, but nothing came), no_login, forsaken.",
		}, []string{"cause"}),
		outdated: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wa_client_outdated_total",
			Help: "Connections that WhatsApp refused because the client is outdated (405), by what was done: renewed (a newer version was at hand or fetched), current (there is no newer one), resting (it was looked for a short while ago), failed (it could not be fetched).",
		}, []string{"result"}),
		answered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wa_retry_receipts_total",
			Help: "Requests of contacts' devices to send a message again, by what came of them: answered (it was sent again), missed (it was not: a phone shows \"waiting for this message\").",
		}, []string{"result"}),
		library: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "wa_library_timestamp_seconds", Help: "When the whatsmeow of this build was committed; WhatsApp changes, and old versions of it stop working.",
		}),
	}
	m.begin()
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{m.sends, m.receipts, m.reconnects, m.outdated, m.answered, m.library} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register WhatsApp metrics: %w", err)
		}
	}
	return m, nil
}

// begin makes the series of what is rare exist before it happens: an increase from nothing is none to Prometheus.
func (m *metrics) begin() {
	m.sent = m.sends.WithLabelValues(sendOK)
	for _, class := range []fault.Class{fault.RetryNow, fault.RetryLater, fault.PauseSession, fault.Relink, fault.Upgrade, fault.SkipRecipient,
		fault.UnknownOutcome, fault.Internal} {
		m.sends.WithLabelValues(class.Label())
	}
	for _, cause := range []breach{breachLost, breachRestart, breachSilent, breachNoLogin, breachForsaken} {
		m.reconnects.WithLabelValues(string(cause))
	}
	for _, result := range []string{versionRenewed, versionCurrent, versionResting, versionFailed} {
		m.outdated.WithLabelValues(result)
	}
	m.answered.WithLabelValues(retryAnswered)
	m.answered.WithLabelValues(retryMissed)
	if made := BuiltWith().Made; !made.IsZero() {
		m.library.Set(float64(made.Unix()))
	}
}

func (c *Client) countReceipt(event *events.Receipt) {
	kind := "other"
	switch event.Type {
	case types.ReceiptTypeRetry:
		kind = "retry"
	default:
		if known, ok := receiptKinds[event.Type]; ok {
			kind = string(known)
		}
	}
	c.metrics.receipts.WithLabelValues(kind).Inc()
}
