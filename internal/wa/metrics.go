package wa

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
)

type metrics struct {
	sends      *prometheus.HistogramVec
	receipts   *prometheus.CounterVec
	reconnects *prometheus.CounterVec
	outdated   *prometheus.CounterVec
}

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
	}
	if registerer == nil {
		return m, nil
	}
	if err := errors.Join(registerer.Register(m.sends), registerer.Register(m.receipts), registerer.Register(m.reconnects), registerer.Register(m.outdated)); err != nil {
		return nil, fmt.Errorf("register WhatsApp metrics: %w", err)
	}
	return m, nil
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
