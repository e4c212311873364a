package sender

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/store"
)

const (
	// countEvery is how often the deliveries of active campaigns are counted for the metrics; an index serves each count.
	countEvery = time.Minute
	// mostCounted bounds how many campaigns are counted, those that changed last.
	mostCounted = 20
)

// campaignMetrics are what a sweeper saw of all campaigns in its last sweep. Every sender has them, so that a dashboard takes the greatest.
type campaignMetrics struct {
	campaigns  *prometheus.GaugeVec
	unchanged  *prometheus.GaugeVec
	awaiting   prometheus.Gauge
	deliveries *prometheus.GaugeVec
}

func newCampaignMetrics(registerer prometheus.Registerer) (*campaignMetrics, error) {
	m := &campaignMetrics{
		campaigns: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "campaigns", Help: "Campaigns of the whole fleet that have begun or are about to, and have not ended, by state, as this sender read them last.",
		}, []string{"state"}),
		unchanged: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "campaign_unchanged_seconds", Help: "How long the campaign that has waited longest for its next step has not changed, by state. A running one changes every minute.",
		}, []string{"state"}),
		awaiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "campaigns_awaiting_person", Help: "Paused campaigns that do not go on by themselves: somebody paused them, or something has to be put right.",
		}),
		deliveries: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "campaign_deliveries", Help: "Deliveries of the queued, running and paused campaigns, by state, counted every minute; of the 20 campaigns that changed last.",
		}, []string{"state"}),
	}
	return m, register(registerer, m.campaigns, m.unchanged, m.awaiting, m.deliveries)
}

// swept are the states of campaigns that a sweeper looks at.
func swept() []campaign.State {
	return []campaign.State{campaign.Scheduled, campaign.Queued, campaign.Running, campaign.Paused}
}

// census is what one sweep saw.
type census struct {
	states    map[campaign.State]int
	unchanged map[campaign.State]time.Duration
	awaiting  int
	// active are the campaigns that have deliveries to settle, as they were seen.
	active []campaign.Campaign
}

func newCensus() *census {
	return &census{states: map[campaign.State]int{}, unchanged: map[campaign.State]time.Duration{}}
}

func (c *census) see(found campaign.Campaign, now time.Time) {
	c.states[found.State]++
	switch found.State {
	case campaign.Queued, campaign.Running:
		c.unchanged[found.State] = max(c.unchanged[found.State], now.Sub(found.UpdatedAt))
	case campaign.Paused:
		if found.ResumeAt.IsZero() {
			c.awaiting++
		}
	default:
		return
	}
	c.active = append(c.active, found)
}

func (m *campaignMetrics) show(c *census) {
	for _, state := range swept() {
		m.campaigns.WithLabelValues(string(state)).Set(float64(c.states[state]))
	}
	for _, state := range []campaign.State{campaign.Queued, campaign.Running} {
		m.unchanged.WithLabelValues(string(state)).Set(c.unchanged[state].Seconds())
	}
	m.awaiting.Set(float64(c.awaiting))
}

// countDeliveries counts the deliveries of active campaigns, once in a while.
func (s *Sweeper) countDeliveries(ctx context.Context, active []campaign.Campaign) error {
	if time.Since(s.counted) < countEvery {
		return nil
	}
	s.counted = time.Now()
	total := campaign.Counts{}
	for _, one := range lastChanged(active, mostCounted) {
		counts, err := s.options.Deliveries.Counts(ctx, one.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("count the deliveries of %s: %w", one.ID, err)
		}
		for state, n := range counts {
			total[state] += n
		}
	}
	for _, state := range campaign.DeliveryStates() {
		s.metrics.deliveries.WithLabelValues(string(state)).Set(float64(total[state]))
	}
	return nil
}

// lastChanged gives at most n campaigns, those that changed last.
func lastChanged(all []campaign.Campaign, n int) []campaign.Campaign {
	slices.SortFunc(all, func(a, b campaign.Campaign) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
	return all[:min(len(all), n)]
}
