package api

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// CampaignView is a campaign as the API shows it.
type CampaignView struct {
	ID         campaign.ID    `json:"id"`
	SessionID  session.ID     `json:"session_id" doc:"The session that sends."`
	UserID     string         `json:"user_id"`
	Name       string         `json:"name"`
	Text       string         `json:"text" doc:"The message with its {{column}} placeholders."`
	Settings   SettingsView   `json:"settings" doc:"How it is sent."`
	State      campaign.State `json:"state" enum:"draft,scheduled,queued,running,paused,completed,cancelled,failed"`
	Reason     string         `json:"reason,omitempty" doc:"A stable code for why it is paused or failed."`
	ResumeAt   *time.Time     `json:"resume_at,omitempty" doc:"When it may go on, while a limit of WhatsApp pauses it."`
	Recipients int            `json:"recipients" doc:"The size of the plan: one delivery each."`
	Rejected   int            `json:"rejected" doc:"Rows of the audience that were refused; see rejections."`
	Counts     *CountsView    `json:"counts,omitempty" doc:"Deliveries by state. Absent in lists."`
	Warning    *NoteView      `json:"warning,omitempty" doc:"What somebody should look at. Absent in lists."`
	CreatedAt  time.Time      `json:"created_at"`
	StartedAt  *time.Time     `json:"started_at,omitempty"`
	EndedAt    *time.Time     `json:"ended_at,omitempty"`
}

// CountsView is the progress of a campaign: how many deliveries are in each state. They add up to the size of the plan.
type CountsView struct {
	Pending   int `json:"pending"`
	Sending   int `json:"sending"`
	Unknown   int `json:"unknown" doc:"May have left; settled by a receipt."`
	Failed    int `json:"failed"`
	Skipped   int `json:"skipped"`
	Sent      int `json:"sent" doc:"Acknowledged by the server, not yet on a device."`
	Delivered int `json:"delivered" doc:"On a device, not yet read."`
	Read      int `json:"read" doc:"Opened, not yet answered."`
	Replied   int `json:"replied" doc:"The recipient wrote back."`
}

func viewCampaign(c campaign.Campaign) CampaignView {
	return CampaignView{
		ID: c.ID, SessionID: c.SessionID, UserID: c.UserID, Name: c.Name, Text: c.Text, Settings: viewSettings(c.Settings), State: c.State, Reason: c.Reason,
		ResumeAt: optionalTime(c.ResumeAt), Recipients: c.Planned, Rejected: c.Rejected,
		CreatedAt: c.CreatedAt, StartedAt: optionalTime(c.StartedAt), EndedAt: optionalTime(c.EndedAt),
	}
}

func viewCounts(c campaign.Counts) *CountsView {
	return &CountsView{
		Pending: c[campaign.Pending], Sending: c[campaign.Sending], Unknown: c[campaign.Unknown], Failed: c[campaign.FailedDelivery],
		Skipped: c[campaign.Skipped], Sent: c[campaign.Sent], Delivered: c[campaign.Delivered], Read: c[campaign.Read], Replied: c[campaign.Replied],
	}
}

type campaignOutput struct{ Body CampaignView }

// CampaignInput names a campaign in the path. It is exported because huma reads embedded structs only then.
type CampaignInput struct {
	ID campaign.ID `path:"id" maxLength:"100" pattern:"^[!-~]+$" patternDescription:"visible ASCII" doc:"The campaign's id."`
}

func (a *API) getCampaign(ctx context.Context, input *CampaignInput) (*campaignOutput, error) {
	found, err := a.options.Campaigns.Get(ctx, input.ID)
	if err != nil {
		return nil, a.problem(ctx, "get campaign", err)
	}
	counts, err := a.options.Deliveries.Counts(ctx, found.ID)
	if err != nil {
		return nil, a.problem(ctx, "count deliveries", err)
	}
	view := viewCampaign(found)
	view.Counts = viewCounts(counts)
	if counts.Suspicious() && !found.StartedAt.IsZero() && a.now().Sub(found.StartedAt) > a.options.SuspectAfter {
		view.Warning = viewNote(session.ReasonFewDelivered)
	}
	return &campaignOutput{Body: view}, nil
}

type listCampaignsInput struct {
	PageInput
	UserID    string           `query:"user_id" doc:"Only the campaigns of this user."`
	SessionID session.ID       `query:"session_id" doc:"Only the campaigns of this session."`
	State     []campaign.State `query:"state" enum:"draft,scheduled,queued,running,paused,completed,cancelled,failed" doc:"Only campaigns in one of these states."`
}

type listCampaignsOutput struct{ Body listBody[CampaignView] }

func (a *API) listCampaigns(ctx context.Context, input *listCampaignsInput) (*listCampaignsOutput, error) {
	filter := campaign.Filter{WithoutMessages: true, UserID: input.UserID, SessionID: input.SessionID, States: input.State}
	list, err := a.options.Campaigns.List(ctx, filter, input.page())
	if err != nil {
		return nil, a.problem(ctx, "list campaigns", err)
	}
	return &listCampaignsOutput{Body: viewList(list, viewCampaign)}, nil
}

func (a *API) pauseCampaign(ctx context.Context, input *CampaignInput) (*campaignOutput, error) {
	return a.changeCampaign(ctx, input.ID, campaign.Pause)
}

func (a *API) cancelCampaign(ctx context.Context, input *CampaignInput) (*campaignOutput, error) {
	return a.changeCampaign(ctx, input.ID, campaign.Cancel)
}

func (a *API) resumeCampaign(ctx context.Context, input *CampaignInput) (*campaignOutput, error) {
	found, err := a.options.Campaigns.Get(ctx, input.ID)
	if err == nil && found.State == campaign.Paused && found.Settings.ScheduledAt.After(a.now()) {
		return a.changeCampaign(ctx, input.ID, campaign.Schedule) // it was paused before its time
	}
	return a.changeCampaign(ctx, input.ID, campaign.Resume)
}

// changeCampaign applies an event of a person to a campaign and tells the workers. An event that changes nothing is answered with the
// campaign as it is; a queued campaign's job is published once more, under the same id.
func (a *API) changeCampaign(ctx context.Context, id campaign.ID, event campaign.Event) (*campaignOutput, error) {
	if err := a.applyToCampaign(ctx, id, event); err != nil {
		return nil, a.problem(ctx, string(event)+" campaign", err)
	}
	return a.getCampaign(ctx, &CampaignInput{ID: id})
}

func (a *API) applyToCampaign(ctx context.Context, id campaign.ID, event campaign.Event) error {
	now := a.now().UTC()
	stored, err := campaign.Modify(ctx, a.options.Campaigns, id, func(c *campaign.Campaign) error {
		changed, err := campaign.Apply(*c, event, now)
		if err != nil {
			return err
		}
		*c = changed
		return nil
	})
	if err != nil {
		return err
	}
	if stored.State == campaign.Cancelled {
		_, err := a.options.Deliveries.SettleOpen(ctx, id, campaign.Outcome{State: campaign.Skipped, At: now,
			Class: fault.SkipRecipient, Code: "campaign_cancelled", Reason: "The campaign was cancelled before this message was sent"})
		if err != nil {
			return fmt.Errorf("settle the deliveries of a cancelled campaign: %w", err)
		}
	}
	if err := a.publishCampaign(ctx, stored); err != nil {
		return fmt.Errorf("publish a campaign's change: %w", err)
	}
	return nil
}

func (a *API) publishCampaign(ctx context.Context, c campaign.Campaign) error {
	err := a.options.Queue.PublishFact(ctx, events.CampaignChanged{Version: events.FactVersion, CampaignID: c.ID, SessionID: c.SessionID,
		UserID: c.UserID, State: c.State, Reason: c.Reason, At: c.UpdatedAt})
	job := events.RunCampaign{Version: events.RunCampaignVersion, CampaignID: c.ID, SessionID: c.SessionID, Slice: c.Slice, RequestedAt: c.UpdatedAt}
	switch {
	case err != nil:
		return err
	case c.State == campaign.Queued:
		return a.options.Queue.SendCommand(ctx, job)
	case c.State == campaign.Scheduled:
		job.Slice++ // the slice that begins then
		job.Version, job.Due = events.RunCampaignDueVersion, c.Settings.ScheduledAt
		return a.options.Queue.ScheduleCommand(ctx, job, c.Settings.ScheduledAt)
	}
	return nil
}

// DeliveryView is a delivery as the API shows it.
type DeliveryView struct {
	ID          string                 `json:"id" doc:"The WhatsApp message id."`
	Sequence    int                    `json:"sequence" doc:"The order of sending, from 1."`
	Phone       string                 `json:"phone"`
	State       campaign.DeliveryState `json:"state" enum:"pending,sending,unknown,failed,skipped,sent,delivered,read,replied"`
	Class       fault.Class            `json:"class,omitempty"`
	Code        string                 `json:"code,omitempty"`
	Reason      string                 `json:"reason,omitempty"`
	Attempts    int                    `json:"attempts"`
	SentAt      *time.Time             `json:"sent_at,omitempty"`
	DeliveredAt *time.Time             `json:"delivered_at,omitempty"`
	ReadAt      *time.Time             `json:"read_at,omitempty"`
	RepliedAt   *time.Time             `json:"replied_at,omitempty"`
}

func viewDelivery(d campaign.Delivery) DeliveryView {
	return DeliveryView{ID: d.ID, Sequence: d.Sequence, Phone: d.Phone, State: d.State, Class: d.Class, Code: d.Code, Reason: d.Reason,
		Attempts: d.Attempts, SentAt: optionalTime(d.SentAt), DeliveredAt: optionalTime(d.DeliveredAt), ReadAt: optionalTime(d.ReadAt), RepliedAt: optionalTime(d.RepliedAt)}
}

type listDeliveriesInput struct {
	CampaignInput
	PageInput
	State campaign.DeliveryState `query:"state" enum:"pending,sending,unknown,failed,skipped,sent,delivered,read,replied" doc:"Only deliveries in this state."`
}

type listDeliveriesOutput struct{ Body listBody[DeliveryView] }

func (a *API) listDeliveries(ctx context.Context, input *listDeliveriesInput) (*listDeliveriesOutput, error) {
	if _, err := a.options.Campaigns.State(ctx, input.ID); err != nil {
		return nil, a.problem(ctx, "list deliveries", err)
	}
	list, err := a.options.Deliveries.List(ctx, input.ID, input.State, input.page())
	if err != nil {
		return nil, a.problem(ctx, "list deliveries", err)
	}
	return &listDeliveriesOutput{Body: viewList(list, viewDelivery)}, nil
}

// RejectionView is a refused row of an audience.
type RejectionView struct {
	Row    int    `json:"row" doc:"The row number in the file; the header is row 1."`
	Column string `json:"column,omitempty"`
	Value  string `json:"value,omitempty" doc:"What stood there."`
	Code   string `json:"code"`
	Reason string `json:"reason" doc:"What is wrong, and what to do."`
}

func viewRejection(r campaign.Rejection) RejectionView {
	return RejectionView{Row: r.Row, Column: r.Column, Value: r.Value, Code: r.Code, Reason: r.Reason}
}

type listRejectionsInput struct {
	CampaignInput
	PageInput
}

type listRejectionsOutput struct{ Body listBody[RejectionView] }

func (a *API) listRejections(ctx context.Context, input *listRejectionsInput) (*listRejectionsOutput, error) {
	if _, err := a.options.Campaigns.State(ctx, input.ID); err != nil {
		return nil, a.problem(ctx, "list rejections", err)
	}
	list, err := a.options.Deliveries.Rejections(ctx, input.ID, input.page())
	if err != nil {
		return nil, a.problem(ctx, "list rejections", err)
	}
	return &listRejectionsOutput{Body: viewList(list, viewRejection)}, nil
}

// campaignText is what every way of creating a campaign has in common.
func newCampaign(owner session.Session, name, text string, at time.Time) campaign.Campaign {
	name = strings.TrimSpace(name)
	if name == "" {
		name = "Campaign of " + at.Format("2006-01-02 15:04")
	}
	return campaign.Campaign{ID: campaign.NewID(), SessionID: owner.ID, UserID: owner.UserID, Name: name, Text: text,
		State: campaign.Draft, CreatedAt: at, UpdatedAt: at, Revision: 1}
}
