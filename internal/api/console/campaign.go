package console

import (
	"slices"
	"strings"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/session"
)

const (
	// deliveriesOnPage is how many deliveries a page shows; one with a search may show some more.
	deliveriesOnPage = 50
	// rejectionsOnPage is how many refused rows a page names; the file has all.
	rejectionsOnPage = 50
)

// campaignPage is one campaign with all that came of it.
type campaignPage struct {
	campaignRow
	// Attention is what the API says somebody should look at.
	Look string
	// Phone is the session's state, for what waits for it.
	SessionState string
	Deliveries   deliveriesView
	Chart        chart
	Rejections   []rejectionView
	Replies      []client.Reply
	Variants     []string
	At           string
	Zone         string
}

// deliveriesView is a page of the table of recipients.
type deliveriesView struct {
	State, Search string
	States        []string
	Rows          []deliveryView
	Next, First   string
	// More says that a search ended before the list did.
	More bool
}

// deliveryView is a delivery with what a person is told about it.
type deliveryView struct {
	client.Delivery
	Sentence string
}

// Tone is how the state is coloured.
func (d deliveryView) Tone() string { return deliveryTone(d.State) }

// rejectionView is a refused row with its reason in one language.
type rejectionView struct {
	client.Rejection
	Sentence string
}

// Retryable tells how many deliveries failed, and Doubtful of how many nobody knows.
func (p campaignPage) Retryable() int { return p.can("retry", p.Counts.Failed) }

// Doubtful is how many deliveries nobody knows the outcome of.
func (p campaignPage) Doubtful() int { return p.can("retry", p.Counts.Unknown) }

func (p campaignPage) can(action string, count int) int {
	if p.Can(action) {
		return count
	}
	return 0
}

// Can tells whether the state lets a person do something. The API decides; this hides what it would refuse.
func (p campaignPage) Can(action string) bool {
	state := campaign.State(p.State)
	switch action {
	case "pause":
		return state == campaign.Scheduled || state == campaign.Queued || state == campaign.Running
	case "resume":
		return state == campaign.Paused
	case "cancel":
		return !state.Ended() && state != campaign.Draft
	case "start", "edit", "schedule":
		return (state == campaign.Draft || state == campaign.Scheduled) && p.Recipients > 0
	case "retry":
		return state == campaign.Completed || state == campaign.Running || state == campaign.Paused || state == campaign.Queued
	case "delete":
		return state.Ended() || state == campaign.Draft
	}
	return true
}

// Waits tells whether the campaign runs and its session cannot send now.
func (p campaignPage) Waits() bool {
	return (p.State == string(campaign.Running) || p.State == string(campaign.Queued)) && p.SessionState != "" && p.SessionState != string(session.Ready)
}

func showCampaign(v *visit) error {
	found, err := v.api.Campaign(v.context(), v.request.PathValue("id"))
	if err != nil {
		return err
	}
	zone := v.console.options.Zone
	page := campaignPage{campaignRow: v.language.campaignRow(found), Look: v.language.note(found.Warning), Zone: zone.String(),
		At: local(found.Settings.ScheduledAt, zone)}
	page.Variants = append([]string{found.Text}, found.Settings.Variants...)
	page.Session = found.SessionID
	if owner, err := v.api.Session(v.context(), found.SessionID); err == nil {
		page.Session, page.SessionState = owner.Name, owner.State
	} // a session that is gone is shown by its id
	// A fragment asks for its own part only.
	fragment := v.query("fragment")
	if fragment == "" || fragment == "deliveries" {
		if page.Deliveries, err = v.deliveries(found.ID); err != nil {
			return err
		}
	}
	if (fragment == "" || fragment == "chart") && page.Begun() {
		if page.Chart, err = v.chart(found); err != nil {
			return err
		}
	}
	if fragment == "" {
		if err := v.addReports(&page); err != nil {
			return err
		}
	}
	return v.show("campaigns/campaign", page)
}

// addReports adds the first refused rows and answers.
func (v *visit) addReports(page *campaignPage) error {
	if page.Rejected > 0 {
		refused, err := v.api.Operations().ListRejections(v.context(), page.ID, client.ListRejectionsQuery{Size: rejectionsOnPage})
		if err != nil {
			return err
		}
		page.Rejections = v.language.rejections(refused.Items)
	}
	replies, err := v.api.Operations().ListReplies(v.context(), page.ID, client.ListRepliesQuery{Size: deliveriesOnPage})
	page.Replies = replies.Items
	return err
}

func (l *language) rejections(found []client.Rejection) []rejectionView {
	views := make([]rejectionView, 0, len(found))
	for _, rejection := range found {
		views = append(views, rejectionView{rejection, l.rejection(rejection)})
	}
	return views
}

// rejection says why a row was refused.
func (l *language) rejection(r client.Rejection) string {
	if l.code != english && l.has("campaigns.rejected."+r.Code) {
		return l.text("campaigns.rejected." + r.Code)
	}
	return r.Reason // the API speaks English, and knows more of the row
}

// deliveries reads the page of the table that the address asks for.
func (v *visit) deliveries(id string) (deliveriesView, error) {
	view := deliveriesView{State: v.query("state"), Search: v.query("q")}
	for _, state := range campaign.DeliveryStates() {
		view.States = append(view.States, string(state))
	}
	if !slices.Contains(view.States, view.State) {
		view.State = ""
	}
	after := v.query("after")
	if after != "" {
		view.First = addressOf(campaignPath(id), "state", view.State, "q", view.Search) + "#deliveries"
	}
	read := func(after string, size int) (client.Page[client.Delivery], error) {
		return v.api.Operations().ListDeliveries(v.context(), id, client.ListDeliveriesQuery{After: after, Size: size, State: view.State})
	}
	after, err := search(searching{after: after, onPage: deliveriesOnPage, narrow: view.Search != ""}, read, func(delivery client.Delivery) bool {
		row := deliveryView{Delivery: delivery, Sentence: v.language.deliveryReason(delivery)}
		fits := view.Search == "" || contains(view.Search, row.Phone, row.Sentence, row.Code, row.ID)
		if fits {
			view.Rows = append(view.Rows, row)
		}
		return fits
	})
	if err != nil {
		return view, err
	}
	view.More = view.Search != "" && after != "" && len(view.Rows) < deliveriesOnPage
	if after != "" {
		view.Next = addressOf(campaignPath(id), "state", view.State, "q", view.Search, "after", after) + "#deliveries"
	}
	return view, nil
}

// deliveryReason says why a message was not sent, or not for sure.
func (l *language) deliveryReason(d client.Delivery) string {
	switch {
	case d.Code == "":
		return ""
	case l.has("campaigns.code." + d.Code):
		return l.text("campaigns.code." + d.Code)
	}
	if said := l.reason(d.Code); said != "" {
		return said
	}
	return strings.TrimSpace(d.Reason)
}
