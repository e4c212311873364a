package console

import (
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/campaign"
)

func campaignRoutes() []route {
	return []route{
		{"GET /campaigns", access.Viewer, listCampaigns},
		{"POST /campaigns", access.Operator, createCampaign},
		{"GET /campaigns/{id}", access.Viewer, showCampaign},
		{"GET /campaigns/{id}/edit", access.Operator, editCampaign},
		{"POST /campaigns/{id}/edit", access.Operator, saveCampaign},
		{"POST /campaigns/{id}/pause", access.Operator, campaignAction("pause", (*client.Client).PauseCampaign)},
		{"POST /campaigns/{id}/resume", access.Operator, campaignAction("resume", (*client.Client).ResumeCampaign)},
		{"POST /campaigns/{id}/cancel", access.Operator, campaignAction("cancel", (*client.Client).CancelCampaign)},
		{"POST /campaigns/{id}/start", access.Operator, campaignAction("start", (*client.Client).StartCampaign)},
		{"POST /campaigns/{id}/schedule", access.Operator, scheduleCampaign},
		{"POST /campaigns/{id}/retry", access.Operator, retryCampaign},
		{"POST /campaigns/{id}/clone", access.Operator, cloneCampaign},
		{"POST /campaigns/{id}/delete", access.Operator, deleteCampaign},
	}
}

// campaignsOnPage is how many campaigns a page shows: each is asked for its counts.
const campaignsOnPage = 20

// campaignRow is a campaign as the pages show it.
type campaignRow struct {
	client.Campaign
	// Sentence says why it is in its state and what to do; empty when there is nothing to say.
	Sentence string
	Session  string
	Bars     []bar
}

// bar is a piece of a bar of progress, in hundredths of its whole.
type bar struct {
	State    string
	From     float64
	Width    float64
	Count    int
	Selected bool
}

// Tone is how a campaign's state is coloured.
func (r campaignRow) Tone() string { return campaignTone(r.State) }

// Attention is what somebody should look at, if the campaign's state says so.
func (r campaignRow) Attention() bool {
	return r.State == string(campaign.Paused) || r.State == string(campaign.Failed)
}

// Begun tells whether anything of it may have been sent.
func (r campaignRow) Begun() bool {
	return r.State != string(campaign.Draft) && r.State != string(campaign.Scheduled)
}

// campaignTone says whether a state is good, wants somebody to look, or is broken; empty: neither.
func campaignTone(state string) string {
	switch campaign.State(state) {
	case campaign.Completed, campaign.Running:
		return "good"
	case campaign.Paused:
		return "warn"
	case campaign.Failed:
		return "bad"
	case campaign.Draft, campaign.Scheduled, campaign.Queued, campaign.Cancelled:
		return ""
	}
	return ""
}

// deliveryTone is campaignTone for what happened to one recipient.
func deliveryTone(state string) string {
	switch campaign.DeliveryState(state) {
	case campaign.Delivered, campaign.Read, campaign.Replied:
		return "good"
	case campaign.Unknown, campaign.Skipped:
		return "warn"
	case campaign.FailedDelivery:
		return "bad"
	case campaign.Pending, campaign.Sending, campaign.Sent:
		return ""
	}
	return ""
}

// campaignRow adds to a campaign what people are told about it.
func (l *language) campaignRow(found client.Campaign) campaignRow {
	row := campaignRow{Campaign: found, Bars: barsOf(found.Counts)}
	if found.Reason != "" && row.Attention() {
		row.Sentence = l.codeSentence("campaigns.reason", found.Reason)
	}
	if row.Sentence == "" && l.has("campaigns.advice."+found.State) {
		row.Sentence = l.text("campaigns.advice." + found.State)
	}
	return row
}

// codeSentence says a stable code to a person: as the session's language has it, or else the list of these pages; a code that neither knows is named.
func (l *language) codeSentence(list, code string) string {
	if said := l.reason(code); said != "" {
		return said
	}
	if l.has(list + "." + code) {
		return l.text(list + "." + code)
	}
	return l.text("campaigns.other_reason", "Code", code)
}

// countsInOrder gives the counts by state, in the order of a delivery's life.
func countsInOrder(counts client.Counts) []bar {
	return []bar{
		{State: string(campaign.Replied), Count: counts.Replied}, {State: string(campaign.Read), Count: counts.Read},
		{State: string(campaign.Delivered), Count: counts.Delivered}, {State: string(campaign.Sent), Count: counts.Sent},
		{State: string(campaign.Sending), Count: counts.Sending}, {State: string(campaign.Pending), Count: counts.Pending},
		{State: string(campaign.Unknown), Count: counts.Unknown}, {State: string(campaign.Skipped), Count: counts.Skipped},
		{State: string(campaign.FailedDelivery), Count: counts.Failed},
	}
}

func barsOf(counts client.Counts) []bar {
	bars, total, from := countsInOrder(counts), 0, 0.0
	for _, piece := range bars {
		total += piece.Count
	}
	for i := range bars {
		if total > 0 {
			bars[i].From, bars[i].Width = from, 100*float64(bars[i].Count)/float64(total)
			from += bars[i].Width
		}
	}
	return bars
}

// Percent is how much of a campaign is done with, in whole hundredths.
func (r campaignRow) Percent() int {
	if r.Recipients == 0 {
		return 0
	}
	return 100 * r.Counts.Settled() / r.Recipients
}

// campaignsPage is the list of campaigns.
type campaignsPage struct {
	State   string
	Session string
	States  []string
	Rows    []campaignRow
	Next    string
	First   string
	// Names are those of the sessions that may be asked for.
	Sessions []client.Session
}

// Filtered tells whether only some campaigns were asked for.
func (p campaignsPage) Filtered() bool { return p.State != "" || p.Session != "" || p.First != "" }

func listCampaigns(v *visit) error {
	page := campaignsPage{State: v.query("state"), Session: v.query("session")}
	for _, state := range campaign.States() {
		page.States = append(page.States, string(state))
	}
	names, err := v.sessionNames()
	if err != nil {
		return err
	}
	page.Sessions = names.all
	after := v.query("after")
	asked := client.ListCampaignsQuery{After: after, Size: campaignsOnPage, SessionID: page.Session}
	if page.State != "" {
		asked.State = []string{page.State}
	}
	found, err := v.api.Operations().ListCampaigns(v.context(), asked)
	if err != nil {
		return err
	}
	for _, item := range found.Items {
		if item.State != string(campaign.Draft) && item.State != string(campaign.Scheduled) {
			counted, err := v.api.Campaign(v.context(), item.ID)
			switch {
			case client.IsCode(err, "not_found"):
				continue // it was deleted a moment ago
			case err != nil:
				return err
			}
			item = counted
		}
		row := v.language.campaignRow(item)
		row.Session = names.of(item.SessionID)
		page.Rows = append(page.Rows, row)
	}
	if found.Next != "" {
		page.Next = addressOf("/campaigns", "session", page.Session, "state", page.State, "after", found.Next)
	}
	if after != "" {
		page.First = addressOf("/campaigns", "session", page.Session, "state", page.State)
	}
	return v.show("campaigns/list", page)
}

// names are the sessions that the caller may see.
type names struct {
	all  []client.Session
	byID map[string]string
}

func (n names) of(id string) string {
	if name := n.byID[id]; name != "" {
		return name
	}
	return id
}

func (v *visit) sessionNames() (names, error) {
	found := names{byID: map[string]string{}}
	for item, err := range v.api.AllSessions(v.context(), client.SessionFilter{}) {
		if err != nil {
			return found, err
		}
		found.all = append(found.all, item)
		found.byID[item.ID] = item.Name
		if len(found.all) >= mostSessions {
			break
		}
	}
	return found, nil
}

func campaignPath(id string) string { return "/campaigns/" + id }

// localLayout is how a browser writes a time without its zone.
const localLayout = "2006-01-02T15:04"

// local writes a time for a field of a form.
func local(at time.Time, zone *time.Location) string {
	if at.IsZero() {
		return ""
	}
	return at.In(zone).Format(localLayout)
}

// contains tells whether any of the texts has a text, whatever the case.
func contains(search string, texts ...string) bool {
	search = strings.ToLower(search)
	for _, text := range texts {
		if strings.Contains(strings.ToLower(text), search) {
			return true
		}
	}
	return false
}
