package bench

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/wasim"
)

// amplified is how many times as many observations the second product makes: what a single set of them costs is less than the noise of a machine.
const amplified = 20

// BenchmarkInstrumentation measures what the metrics cost a campaign. They cannot be taken out of the product, so more are put in: two products send the
// same audience in turn, and one of them makes, on the way of each frame to WhatsApp, some twenty times as many observations as the product makes for a
// whole message, each of the dearest kind (a histogram, classic and native, looked up by its label). What that slows it down, divided by how much more
// it observed, is the metrics' share of the time of a message. It must be under 3 %.
func BenchmarkInstrumentation(b *testing.B) {
	simulator, err := wasim.New(wasim.Options{AutoContacts: true, DropPlaintext: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = simulator.Close() }()
	registry, extra := prometheus.NewRegistry(), &more{}
	once := newCampaigner(b, simulator, 1, func(options *app.Options) {
		options.SeeCollector = func(collector prometheus.Collector) { registry.MustRegister(collector) }
	})
	busier := newCampaigner(b, simulator, 2, func(options *app.Options) { options.WhatsApp.HTTPClient = extra.client(options.WhatsApp.HTTPClient) })
	busier(0)
	before := observations(b, registry)
	once(0)
	each := (observations(b, registry) - before) / knownContacts
	extra.make(b, int64(amplified*each))
	var ratios []float64
	for round := 1; b.Loop(); round++ {
		var plain, slowed float64
		if round%2 == 0 { // each goes first as often as the other
			plain, slowed = once(round), busier(round)
		} else {
			slowed, plain = busier(round), once(round)
		}
		ratios = append(ratios, slowed/plain)
	}
	added := float64(extra.made.Load()) / float64(len(ratios)*knownContacts)
	if added < (amplified-1)*each {
		b.Fatalf("only %.1f observations a message were added to %.1f", added, each)
	}
	slower := 1/median(ratios) - 1
	cost := slower * each / added
	b.ReportMetric(each, "observations/msg")
	b.ReportMetric(added, "added/msg")
	b.ReportMetric(100*slower, "slower-%")
	b.ReportMetric(100*cost, "cost-%")
	if cost >= 0.03 {
		b.Errorf("the metrics cost %.1f %% of the rate of sending; less than 3 %% is promised", 100*cost)
	}
}

// knownContacts is the audience of a round; everybody in it has been written to before.
const knownContacts = 1000

// newCampaigner starts a product with a linked phone, and gives what sends an audience with it and says at which rate.
func newCampaigner(b *testing.B, simulator *wasim.Server, phone int, change func(*app.Options)) func(round int) float64 {
	b.Helper()
	p, err := startProduct(b.Context(), productOptions{directory: b.TempDir(), simulator: simulator, change: change})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.stop(); err != nil {
			b.Error(err)
		}
	})
	id, err := p.linkHosted(b.Context(), ownNumber(phone))
	if err != nil {
		b.Fatal(err)
	}
	yard := &sendYard{product: p, sessions: []string{id}}
	run := yard.productSide(audience{1, func(int) (first, size int) { return 0, knownContacts }})
	return func(round int) float64 {
		rate, err := run(b.Context(), round)
		if err != nil {
			b.Fatal(err)
		}
		return rate[0]
	}
}

// observations gives how many counts and observations a product has made.
func observations(b *testing.B, registry *prometheus.Registry) float64 {
	b.Helper()
	families, err := registry.Gather()
	if err != nil {
		b.Fatal(err)
	}
	total := 0.0
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			total += metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return total
}

// more makes observations on the way of each frame.
type more struct {
	each   atomic.Int64
	made   atomic.Int64
	metric atomic.Pointer[prometheus.HistogramVec]
}

func (t *more) make(b *testing.B, each int64) {
	b.Helper()
	t.metric.Store(prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "extra_seconds", Help: "Made for the comparison.",
		Buckets: prometheus.DefBuckets, NativeHistogramBucketFactor: 1.1}, []string{"class"}))
	t.each.Store(each)
}

func (t *more) client(plain *http.Client) *http.Client {
	client := *plain
	transport := plain.Transport.(*http.Transport).Clone() //nolint:forcetypeassert // the simulator's is one
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &moreConn{conn, t}, nil
	}
	transport.DialTLSContext = transport.DialContext // the simulator takes it as encrypted already
	client.Transport = transport
	return &client
}

type moreConn struct {
	net.Conn

	more *more
}

// Write implements net.Conn.
func (c *moreConn) Write(frame []byte) (int, error) {
	for i := range c.more.each.Load() {
		c.more.metric.Load().WithLabelValues("ok").Observe(float64(i) / 1000)
		c.more.made.Add(1)
	}
	return c.Conn.Write(frame)
}
