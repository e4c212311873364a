package console

import (
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/session"
)

func healthRoutes() []route {
	return []route{{"GET /health", access.Viewer, showHealth}}
}

const (
	// libraryAge is how old the WhatsApp library may be, as the doctor says: WhatsApp retires old ones within months.
	libraryAge = 6 * 7 * 24 * time.Hour
	// mostLookedAt is how many running campaigns are asked for their counts.
	mostLookedAt = 50
)

// partRow is a part of the service with what to do about it.
type partRow struct {
	client.Part
	// Sentence says what it means and what to do; empty when all is well.
	Sentence string
}

// Tone is how a part's state is coloured.
func (r partRow) Tone() string {
	switch r.State {
	case "ok":
		return "good"
	case "unavailable":
		return "bad"
	}
	return "warn"
}

// healthPage is how the service does.
type healthPage struct {
	client.Health
	Rows   []partRow
	States []stateCount
	// Failed are the failed jobs that wait for somebody, FailedSince when the first was given up; FailedKnown says that the queue
	// could tell.
	Failed      int
	FailedSince time.Time
	FailedKnown bool
	Suspected   []campaignRow
	// Weeks is the age of the library, Old whether it is too old; both are zero when the build does not say.
	Weeks int
	Old   bool
}

// Well tells whether nothing wants somebody to look.
func (p healthPage) Well() bool {
	for _, row := range p.Rows {
		if row.State != "ok" && row.State != "busy" {
			return false
		}
	}
	for _, count := range p.States {
		if toneOf(session.State(count.State)) == "bad" {
			return false
		}
	}
	return p.FailedKnown && p.Failed == 0 && len(p.Suspected) == 0 && !p.Old
}

func showHealth(v *visit) error {
	found, err := v.api.Operations().GetHealth(v.context())
	if err != nil {
		return err
	}
	page := healthPage{Health: found}
	for _, part := range found.Parts {
		row := partRow{Part: part}
		if key := "health.what." + part.Name + "." + part.State; v.language.has(key) {
			row.Sentence = v.language.text(key)
		}
		page.Rows = append(page.Rows, row)
	}
	if !found.LibraryMade.IsZero() {
		age := v.console.now().Sub(found.LibraryMade)
		page.Weeks, page.Old = int(age/(7*24*time.Hour)), age > libraryAge
	}
	for _, look := range []func(*healthPage) error{v.countSessions, v.countFailed, v.findSuspected} {
		if err := look(&page); err != nil && !isAway(err) {
			return err
		}
	}
	return v.show("health/health", page)
}

// isAway tells whether an error says that a part is down, which this page is there to show.
func isAway(err error) bool {
	problem, ok := asProblem(err)
	return ok && problem.Status >= 500
}

func (v *visit) countSessions(page *healthPage) error {
	names, err := v.sessionNames()
	if err != nil {
		return err
	}
	counts := map[string]int{}
	for _, found := range names.all {
		counts[found.State]++
	}
	for _, state := range session.States() {
		if count := counts[string(state)]; count > 0 {
			page.States = append(page.States, stateCount{State: string(state), Count: count})
		}
	}
	return nil
}

func (v *visit) countFailed(page *healthPage) error {
	groups, err := v.api.FailedStats(v.context(), client.FailedFilter{})
	if err != nil {
		return err
	}
	for _, group := range groups {
		page.Failed += group.Count
		if page.FailedSince.IsZero() || group.Oldest.Before(page.FailedSince) {
			page.FailedSince = group.Oldest
		}
	}
	page.FailedKnown = true
	return nil
}

// findSuspected finds running campaigns of which too few messages arrive.
func (v *visit) findSuspected(page *healthPage) error {
	running, err := v.api.Operations().ListCampaigns(v.context(), client.ListCampaignsQuery{State: []string{string(campaign.Running)}, Size: mostLookedAt})
	if err != nil {
		return err
	}
	for _, item := range running.Items {
		counted, err := v.api.Campaign(v.context(), item.ID)
		if client.IsCode(err, "not_found") {
			continue // it was deleted a moment ago
		}
		if err != nil {
			return err
		}
		if said := v.language.note(counted.Warning); said != "" {
			row := v.language.campaignRow(counted)
			row.Sentence = said
			page.Suspected = append(page.Suspected, row)
		}
	}
	return nil
}
