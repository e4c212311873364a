package sender

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
)

// This file has the metrics that tell of the whole fleet, not of what this process did: they come from what hosts and sweepers read from the store
// anyway. Every sender has them all, so that a dashboard takes the greatest.

// fleetMetrics are what a host saw of all linked sessions in its last sweep.
type fleetMetrics struct {
	sessions *prometheus.GaugeVec
	limited  *prometheus.GaugeVec
	// egresses are those that have series.
	egresses map[string]bool
}

func newFleetMetrics(registerer prometheus.Registerer) (*fleetMetrics, error) {
	m := &fleetMetrics{
		sessions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sessions", Help: "Linked sessions of the whole fleet, by state and egress, as this sender read them last. One that was logged out is not linked.",
		}, []string{"state", "egress"}),
		limited: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sessions_limited", Help: "Sessions of the whole fleet that WhatsApp does not let write at the moment, by reason, as this sender read them last.",
		}, []string{"reason"}),
		egresses: map[string]bool{},
	}
	for _, reason := range limits() {
		m.limited.WithLabelValues(string(reason))
	}
	return m, register(registerer, m.sessions, m.limited)
}

// limits are the reasons for which WhatsApp limits an account for some time.
func limits() []session.Reason {
	return []session.Reason{session.ReasonReachOutLock, session.ReasonTemporaryBan, session.ReasonChatQuota}
}

// show publishes a census. An egress without sessions loses its series. Only one sweep at a time calls it.
func (m *fleetMetrics) show(found map[session.ID]session.Session) {
	type place struct {
		state  session.State
		egress string
	}
	now, counts, reasons, egresses := time.Now(), map[place]int{}, map[session.Reason]int{}, map[string]bool{}
	for _, s := range found {
		counts[place{s.State, s.EgressName()}]++
		egresses[s.EgressName()] = true
		if limited(s, now) {
			reasons[s.Reason]++
		}
	}
	for egress := range egresses {
		for _, state := range wanted() {
			m.sessions.WithLabelValues(string(state), egress).Set(float64(counts[place{state, egress}]))
		}
	}
	for egress := range m.egresses {
		if !egresses[egress] {
			m.sessions.DeletePartialMatch(prometheus.Labels{"egress": egress})
		}
	}
	for _, reason := range limits() {
		m.limited.WithLabelValues(string(reason)).Set(float64(reasons[reason]))
	}
	m.egresses = egresses
}

// logoutMetrics count how sessions of this process were lost.
type logoutMetrics struct {
	logouts *prometheus.CounterVec
	ages    *prometheus.HistogramVec
}

func newLogoutMetrics(registerer prometheus.Registerer) (*logoutMetrics, error) {
	m := &logoutMetrics{
		logouts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "session_logouts_total", Help: "Sessions that were logged out or banned, by egress and reason.",
		}, []string{"egress", "reason"}),
		ages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "session_logout_age_seconds", Help: "Time from a session's link to its logout or ban, by reason.",
			Buckets: []float64{60, 120, 300, 900, 3600, 21600, 86400, 604800, 2592000}, NativeHistogramBucketFactor: 1.1,
		}, []string{"reason"}),
	}
	for _, reason := range losses() {
		m.ages.WithLabelValues(string(reason))
	}
	return m, register(registerer, m.logouts, m.ages)
}

func losses() []session.Reason {
	return slices.DeleteFunc(session.Reasons(), func(reason session.Reason) bool { return !reason.CoolsDown() })
}

// expect makes the series of an egress exist before its first logout: an increase from nothing is none to Prometheus.
func (m *logoutMetrics) expect(egress string) {
	for _, reason := range losses() {
		m.logouts.WithLabelValues(egress, string(reason))
	}
}

func (m *logoutMetrics) lost(egress string, reason session.Reason, linkedAt time.Time) {
	m.logouts.WithLabelValues(egress, string(reason)).Inc()
	if !linkedAt.IsZero() {
		m.ages.WithLabelValues(string(reason)).Observe(time.Since(linkedAt).Seconds())
	}
}

// newCapMetric makes the gauge of what sessions have used of their caps.
func newCapMetric(registerer prometheus.Registerer) (*prometheus.GaugeVec, error) {
	used := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "session_cap_used_ratio", Help: "How much of a cap a hosted session has used, from 0 to 1, by cap: hourly_cap, daily_cap, daily_new_contacts_cap. An egress has few sessions, which bounds the series.",
	}, []string{"session", "cap"})
	return used, register(registerer, used)
}

// showCaps tells how much of its caps the session has used.
func (s *hosting) showCaps(ctx context.Context, limits campaign.Limits) {
	if limits.Hourly <= 0 && limits.Daily <= 0 && limits.DailyNew <= 0 {
		return
	}
	usage, err := s.host.options.Budgets.Used(ctx, string(s.id))
	if err != nil {
		s.host.options.Log.WarnContext(ctx, "used caps could not be read for the metrics", "session", string(s.id), "class", fault.Of(err).Label(), "error", err)
		return
	}
	for name, of := range map[string]struct{ used, most int }{pace.HourlyCap: {usage.Hour, limits.Hourly}, pace.DailyCap: {usage.Day, limits.Daily},
		pace.DailyNewCap: {usage.NewInDay, limits.DailyNew}} {
		if of.most > 0 {
			s.host.metrics.caps.WithLabelValues(string(s.id), name).Set(float64(of.used) / float64(of.most))
		}
	}
}

// showCapsAgain shows the caps of a session that may not have sent for a while.
func (s *hosting) showCapsAgain(ctx context.Context) {
	if _, err := s.limitsOf(ctx, campaign.Limits{}); err != nil {
		s.host.options.Log.WarnContext(ctx, "limits could not be read for the metrics", "session", string(s.id), "class", fault.Of(err).Label(), "error", err)
	}
}

// forgetCaps ends the session's series.
func (s *hosting) forgetCaps() {
	s.host.metrics.caps.DeletePartialMatch(prometheus.Labels{"session": string(s.id)})
}

// silences tells at each scrape how long the connections of a host have brought nothing.
type silences struct {
	host *Host
	desc *prometheus.Desc
}

// mostSilences bounds the series of one process: those that have been silent longest are told.
const mostSilences = 256

func newSilences(h *Host) *silences {
	return &silences{host: h, desc: prometheus.NewDesc("session_last_frame_age_seconds",
		"How long the connection of a hosted session that is logged in has brought nothing, whatever it was. An egress has few sessions, and the 256 most silent ones of a process are told, which bounds the series.",
		[]string{"session"}, nil)}
}

// Describe implements prometheus.Collector.
func (c *silences) Describe(into chan<- *prometheus.Desc) { into <- c.desc }

// Collect implements prometheus.Collector.
func (c *silences) Collect(into chan<- prometheus.Metric) {
	type silence struct {
		id  session.ID
		age time.Duration
	}
	var all []silence
	c.host.mu.Lock()
	for id, hosting := range c.host.hosted {
		if age, felt := hosting.silence(); felt {
			all = append(all, silence{id, age})
		}
	}
	c.host.mu.Unlock()
	slices.SortFunc(all, func(a, b silence) int { return cmp.Compare(b.age, a.age) })
	for _, one := range all[:min(len(all), mostSilences)] {
		into <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, one.age.Seconds(), string(one.id))
	}
}

// heard is how the silence of a connection is asked for, from any goroutine.
type heard = atomic.Pointer[func() (time.Duration, bool)]

// silence gives how long the connection has brought nothing; false while it is not logged in.
func (s *hosting) silence() (silent time.Duration, felt bool) {
	ask := s.heard.Load()
	if ask == nil || !s.gate.isOnline() {
		return 0, false
	}
	return (*ask)()
}
