package sender

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/session"
)

// series gives the values of a metric by the values of its labels, in the order of their names; a histogram's value is the number of its observations.
// What is zero is left out.
func series(t *testing.T, registry *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, label := range m.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			if value := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount()); value != 0 {
				found[strings.Join(labels, " ")] = value
			}
		}
	}
	return found
}

func TestTheFleetsSessionsAreCountedByStateAndEgress(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(nil)
		w.online("ses_a")
		w.online("ses_b")
		w.linked("ses_elsewhere")
		w.changeSession("ses_elsewhere", func(s *session.Session) {
			s.Egress, s.State, s.Reason, s.Until = "clinic", session.Paused, session.ReasonReachOutLock, time.Now().Add(time.Hour)
		})
		time.Sleep(DefaultSweepEvery)
		synctest.Wait()
		same(t, "sessions", series(t, host.metrics, "sessions"), map[string]float64{"direct ready": 2, "clinic paused": 1})
		same(t, "limited", series(t, host.metrics, "sessions_limited"), map[string]float64{"reach_out_lock": 1})

		w.changeSession("ses_elsewhere", func(s *session.Session) { s.State, s.Device = session.LoggedOut, session.Device{} })
		time.Sleep(DefaultSweepEvery)
		synctest.Wait()
		same(t, "sessions", series(t, host.metrics, "sessions"), map[string]float64{"direct ready": 2})
		same(t, "limited", series(t, host.metrics, "sessions_limited"), map[string]float64{})
	})
}

func TestALogoutIsCountedWithItsEgressAndItsAge(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(nil)
		w.linked("ses_a")
		w.changeSession("ses_a", func(s *session.Session) { s.LinkedAt = time.Now() })
		w.until("ses_a is ready", func() bool { return w.session("ses_a").State == session.Ready })
		time.Sleep(90 * time.Second)
		w.whatsapp.connection("ses_a").report(session.Ended{Reason: session.ReasonLoggedOut})
		synctest.Wait()
		same(t, "logouts", series(t, host.metrics, "session_logouts_total"), map[string]float64{"direct logged_out": 1})
		same(t, "ages", series(t, host.metrics, "session_logout_age_seconds"), map[string]float64{"logged_out": 1})
		families, err := host.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "session_logouts_total" && len(family.GetMetric()) != 4 {
				t.Errorf("%d series of logouts, want one for each reason before it happens", len(family.GetMetric()))
			}
		}
	})
}

func TestTheSilenceOfAConnectionIsToldWhileItIsLoggedIn(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(nil)
		w.online("ses_a")
		time.Sleep(2 * time.Minute)
		if age := series(t, host.metrics, "session_last_frame_age_seconds")["ses_a"]; age < 120 || age > 125 {
			t.Errorf("the last frame is %v seconds old, want 120", age)
		}
		w.whatsapp.connection("ses_a").report(session.Disconnected{})
		synctest.Wait()
		same(t, "without a connection", series(t, host.metrics, "session_last_frame_age_seconds"), map[string]float64{})
	})
}

func TestUsedCapsAreToldWhileTheSessionIsHosted(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(func(o *HostOptions) {
			o.Limits = campaign.Limits{MinGap: 20 * time.Second, MaxGap: 20 * time.Second, Hourly: 10, Daily: 20}
		})
		w.online("ses_a")
		w.runner(1, quick)
		w.planned("cmp_a", "ses_a", 5)
		w.untilCampaign("cmp_a", campaign.Completed)
		time.Sleep(journalEvery)
		synctest.Wait()
		same(t, "caps", series(t, host.metrics, "session_cap_used_ratio"), map[string]float64{"hourly_cap ses_a": 0.5, "daily_cap ses_a": 0.25})
		time.Sleep(2 * time.Hour)
		same(t, "the hour is over", series(t, host.metrics, "session_cap_used_ratio"), map[string]float64{"daily_cap ses_a": 0.25})
		host.stop()
		same(t, "not hosted", series(t, host.metrics, "session_cap_used_ratio"), map[string]float64{})
	})
}

func TestCampaignsAndTheirDeliveriesAreCounted(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(10 * time.Second)
		registry, slices := prometheus.NewRegistry(), prometheus.NewRegistry()
		w.measuredSweeper(registry)
		w.runner(1, func(o *RunnerOptions) { o.Registerer = slices })
		w.planned("cmp_a", "ses_a", 20)
		w.planned("cmp_paused", "ses_a", 3)
		w.person("cmp_paused", campaign.Pause)
		time.Sleep(125 * time.Second)
		synctest.Wait()
		same(t, "campaigns", series(t, registry, "campaigns"), map[string]float64{"running": 1, "paused": 1})
		same(t, "awaiting", series(t, registry, "campaigns_awaiting_person"), map[string]float64{"": 1})
		if unchanged := series(t, registry, "campaign_unchanged_seconds")["running"]; unchanged <= 0 || unchanged > 61 {
			t.Errorf("the running campaign has not changed for %v seconds", unchanged)
		}
		deliveries := series(t, registry, "campaign_deliveries")
		if deliveries["sent"] < 5 || deliveries["sent"]+deliveries["sending"]+deliveries["pending"] != 23 {
			t.Errorf("deliveries by state: %v", deliveries)
		}
		w.untilCampaign("cmp_a", campaign.Completed)
		synctest.Wait()
		same(t, "recorded", series(t, slices, "deliveries_recorded_total"), map[string]float64{"sent": 20})
		same(t, "slices", series(t, slices, "campaign_slices_total"), map[string]float64{"queue": 2, "complete": 1})
	})
}
