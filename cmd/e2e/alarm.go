package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/client"
)

// absences are the selectors that may have no series in this run, and why.
func (s *story) absences() map[string]string {
	may := map[string]string{
		`watermill_handler_execution_time_seconds_count{success="false"}`: "Watermill makes it at a handler's first failure, and none fails here",
		"sqlite_transaction_duration_seconds_bucket":                      "only the one-process product has SQLite",
	}
	if s.fleet.database != nil {
		may["disk_free_bytes"] = "the MongoDB-wire server of the tests does not tell of its disk; MongoDB does"
		may["disk_size_bytes"] = may["disk_free_bytes"]
	}
	if !s.options.alerts {
		may[`ALERTS{alertstate="firing",severity=~"critical|warning"}`] = "no alert was caused"
	}
	if !s.options.alerts || s.fleet.database == nil {
		may[`http_request_duration_seconds_count{status=~"5.."}`] = "nothing was broken, so that no request failed"
	}
	return may
}

// alarms are conditions that are caused at the end, in this order, and the alerts that must fire for each. What was caused stays as it is.
func (s *story) alarms() []alarm {
	all := []alarm{
		// The sender that was killed in the story stays on the list of what is read, as it does until an orchestrator replaces it.
		{"a killed sender does not answer", []string{"TargetDown"}, func(context.Context) error { return nil }},
		{"phones unlink the devices", s.logoutAlerts(), s.unlinkAll},
		{"the only linker ends", []string{"ServiceMissing"}, s.endLinker},
	}
	if s.fleet.database != nil {
		all = append(all, alarm{"the database is killed", []string{"DatabaseDown"}, s.killDatabase},
			alarm{"the API cannot do what it is asked for", []string{"ApiErrors"}, s.askInVain})
	}
	return append(all, alarm{"the broker is killed", []string{"BrokerDown"}, s.killBroker})
}

// alarm is a condition and the alerts about it.
type alarm struct {
	what   string
	alerts []string
	cause  func(context.Context) error
}

// sayWatched says what is watched, and how.
func (s *story) sayWatched() {
	if s.fleet.watcher == nil {
		s.say("*** NO PROMETHEUS IS INSTALLED: whether the rules and the dashboards have their series, and whether alerts fire, is NOT tried.\n" +
			"*** Install it (Debian: apt-get install prometheus), or give its path: make e2e ARGS=\"--prometheus /path/to/prometheus\".")
		return
	}
	s.say("Prometheus reads all services every %s, with deployments/prometheus/rules.yml; each \"for\" is divided by %d, and nothing else is changed.",
		scrapeEvery, hurry)
}

// alarm causes what alerts are about, waits until they fire, and asks what the rules and the dashboards have seen. It comes after the audit, because
// the fleet does not survive it.
func (s *story) alarm(ctx context.Context, result *report) (err error) {
	w := s.fleet.watcher
	if w == nil {
		return nil
	}
	if err := s.limit(ctx); err != nil {
		return fmt.Errorf("give a session a cap: %w", err)
	}
	if s.options.alerts {
		for _, one := range s.alarms() {
			if err := one.cause(ctx); err != nil {
				return fmt.Errorf("cause that %s: %w", one.what, err)
			}
			if err := s.awaitAlerts(ctx, one); err != nil {
				return err
			}
		}
	}
	if result.Prometheus.AlertsFired, err = w.fired(ctx); err != nil {
		return err
	}
	result.Prometheus.SeriesMissing, err = s.checkSeries(ctx)
	return err
}

// checkSeries gives what the rules and the dashboards select and Prometheus never saw, but for what may be absent.
func (s *story) checkSeries(ctx context.Context) (findings, error) {
	absent, err := s.fleet.watcher.missing(ctx)
	if err != nil {
		return nil, err
	}
	missing, may := findings{}, s.absences()
	for _, selector := range absent {
		reason, expected := may[selector]
		if !expected {
			reason = "MISSING"
			missing = append(missing, selector)
		}
		s.say("No series: %s (%s).", selector, reason)
	}
	all := len(s.fleet.watcher.selectors)
	s.say("The rules and the dashboards select series in %d ways; Prometheus saw %d of them.", all, all-len(absent))
	return missing, nil
}

// limit gives a session a cap and sends messages until one is measured: the story itself runs without, and a sender believes for some seconds what it
// knew of a session's pace.
func (s *story) limit(ctx context.Context) error {
	id := s.sessions[0].ID
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+s.fleet.metrics["api"]+"/v1/sessions/"+id+"/limits", strings.NewReader(`{"hourly":1000}`))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+s.fleet.adminKey)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the API answered with %s: %w", answer.Status, err)
	}
	return s.await(ctx, "the cap is measured", func(ctx context.Context) (bool, error) {
		if _, err := s.fleet.api.SendMessage(ctx, id, "", client.NewMessage{Phone: "+5491149999999", Text: "Hola"}); err != nil {
			return false, err
		}
		found, err := s.fleet.watcher.query(ctx, "session_cap_used_ratio")
		return len(found) > 0, err
	})
}

func (s *story) awaitAlerts(ctx context.Context, one alarm) error {
	err := s.await(ctx, "an alert fires because "+one.what, func(ctx context.Context) (bool, error) {
		firing, err := s.fleet.watcher.query(ctx, `ALERTS{alertstate="firing"}`)
		for _, alert := range one.alerts {
			if !slices.ContainsFunc(firing, func(labels map[string]string) bool { return labels["alertname"] == alert }) {
				return false, err
			}
		}
		return true, err
	})
	if err == nil {
		s.say("It fires: %s, because %s.", strings.Join(one.alerts, " and "), one.what)
	}
	return err
}

// burst is how many logouts on one way out are several.
const burst = 3

func (s *story) logoutAlerts() []string {
	if len(s.sessions) < burst {
		return []string{"SessionLoggedOut"}
	}
	return []string{"SessionLoggedOut", "LogoutBurst"}
}

// unlinkAll removes the linked devices on their phones, as a person does who does not want them any more.
func (s *story) unlinkAll(ctx context.Context) error {
	for number := 1; number <= len(s.sessions); number++ {
		phone, err := s.fleet.simulator.Phone(ctx, phoneNumber(number))
		if err != nil {
			return err
		}
		for _, device := range phone.Devices {
			if err := s.fleet.simulator.Unlink(ctx, phone.Number, device.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *story) endLinker(ctx context.Context) error {
	linker, err := s.fleet.process("linker")
	if err != nil {
		return err
	}
	if _, err := linker.terminate(ctx, longestDrain); err != nil {
		return err
	}
	return s.fleet.watcher.drop(s.fleet.metrics[linker.name])
}

func (s *story) killDatabase(context.Context) error {
	s.fleet.database.kill()
	return nil
}

func (s *story) killBroker(context.Context) error {
	broker, err := s.fleet.process("nats-server")
	if err != nil {
		return err
	}
	broker.kill()
	return nil
}

// vainly is how often the API is asked: more than a twentieth of what it was asked in the last minutes must fail.
const vainly = 100

// askInVain asks the API for links, which it cannot do without its database. A route's first failure makes its series, and is no increase to
// Prometheus: what comes after the next scrape is one.
func (s *story) askInVain(ctx context.Context) error {
	if err := s.askOften(ctx); err != nil {
		return err
	}
	err := s.await(ctx, "Prometheus has seen a failed request", func(ctx context.Context) (bool, error) {
		found, err := s.fleet.watcher.query(ctx, `http_request_duration_seconds_count{status=~"5.."}`)
		return len(found) > 0, err
	})
	if err != nil {
		return err
	}
	return s.askOften(ctx)
}

func (s *story) askOften(ctx context.Context) error {
	var asks errgroup.Group
	for range vainly {
		asks.Go(func() error {
			_, err := s.fleet.api.StartLink(ctx, s.sessions[0].ID, "qr", "")
			var problem *client.Problem
			if errors.As(err, &problem) && problem.Status >= http.StatusInternalServerError {
				return nil
			}
			return fmt.Errorf("the API should have failed by its own fault: %w", err)
		})
	}
	return asks.Wait()
}
