package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// MessageView is a single message. It is a campaign of one recipient: the same pace, the same classes of failure, the same opt-outs.
type MessageView struct {
	ID          campaign.ID            `json:"id" doc:"Names the message here."`
	MessageID   string                 `json:"message_id" doc:"The WhatsApp message id."`
	SessionID   string                 `json:"session_id"`
	Phone       string                 `json:"phone"`
	State       campaign.DeliveryState `json:"state" enum:"pending,sending,unknown,failed,skipped,sent,delivered,read,replied"`
	WaitsFor    string                 `json:"waits_for,omitempty" doc:"A stable code for why it is held back; see retry_at."`
	RetryAt     *time.Time             `json:"retry_at,omitempty"`
	Class       fault.Class            `json:"class,omitempty"`
	Code        string                 `json:"code,omitempty"`
	Reason      string                 `json:"reason,omitempty"`
	CreatedAt   time.Time              `json:"created_at"`
	SentAt      *time.Time             `json:"sent_at,omitempty"`
	DeliveredAt *time.Time             `json:"delivered_at,omitempty"`
	ReadAt      *time.Time             `json:"read_at,omitempty"`
	RepliedAt   *time.Time             `json:"replied_at,omitempty"`
}

type messageOutput struct{ Body MessageView }

type sendMessageInput struct {
	SessionInput
	Body struct {
		Phone       string     `json:"phone" minLength:"1" maxLength:"100" doc:"The recipient; without a country code it is a number of the default region."`
		Text        string     `json:"text,omitempty" maxLength:"65536" doc:"The message, as it is. The caption, when there is a file."`
		Media       *MediaUse  `json:"media,omitempty" doc:"A file that goes with the text."`
		LinkPreview bool       `json:"link_preview,omitempty"`
		Typing      bool       `json:"typing,omitempty"`
		Hours       *HoursSpec `json:"hours,omitempty" doc:"When it may be sent. A single message usually answers somebody, so it is sent at any time unless this says otherwise."`
	}
}

func (a *API) sendMessage(ctx context.Context, input *sendMessageInput) (*messageOutput, error) {
	hours := input.Body.Hours
	if hours == nil {
		hours = &HoursSpec{Always: true}
	}
	spec := CampaignSpec{SessionID: input.ID, Name: "Message", Text: strings.ReplaceAll(input.Body.Text, "{{", `\{{`), Media: input.Body.Media,
		LinkPreview: input.Body.LinkPreview, Typing: input.Body.Typing, Hours: hours}
	created, err := a.campaignOf(ctx, spec)
	var audience campaign.Audience
	if err == nil {
		created.ID = campaign.NewMessageID()
		audience, err = campaign.ListAudience([]campaign.ListedRecipient{{Phone: input.Body.Phone}}, a.audienceOptions("", ""))
	}
	if err != nil {
		return nil, a.problem(ctx, "send a message", err)
	}
	created.Columns = audience.Columns()
	planned, err := a.plan(ctx, created, audience.Rows(), false)
	if err != nil {
		return nil, err // a problem already
	}
	return a.getMessage(ctx, &CampaignInput{ID: planned.Body.ID})
}

func (a *API) getMessage(ctx context.Context, input *CampaignInput) (*messageOutput, error) {
	view, err := a.message(ctx, input.ID)
	if err != nil {
		return nil, a.problem(ctx, "get message", err)
	}
	return &messageOutput{Body: view}, nil
}

func (a *API) message(ctx context.Context, id campaign.ID) (MessageView, error) {
	if !id.IsMessage() {
		return MessageView{}, store.ErrNotFound
	}
	found, err := a.options.Campaigns.Get(ctx, id)
	if err != nil {
		return MessageView{}, err
	}
	list, err := a.options.Deliveries.List(ctx, id, "", store.Page{Size: 1})
	if err == nil && len(list.Items) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return MessageView{}, err
	}
	d := list.Items[0]
	view := MessageView{ID: id, MessageID: d.ID, SessionID: string(found.SessionID), Phone: d.Phone, State: d.State, Class: d.Class, Code: d.Code, Reason: d.Reason,
		CreatedAt: found.CreatedAt, SentAt: optionalTime(d.SentAt), DeliveredAt: optionalTime(d.DeliveredAt), ReadAt: optionalTime(d.ReadAt),
		RepliedAt: optionalTime(d.RepliedAt)}
	if found.State == campaign.Paused {
		view.WaitsFor, view.RetryAt = found.Reason, optionalTime(found.ResumeAt)
	}
	return view, nil
}

// registerMessages lists the routes of single messages.
func (a *API) registerMessages(doors huma.API) {
	huma.Register(doors, operation(http.MethodPost, "/v1/sessions/{id}/messages", "send-message", "Send a single message", http.StatusAccepted), a.sendMessage)
	huma.Register(doors, operation(http.MethodGet, "/v1/messages/{id}", "get-message", "Get what happened to a single message", http.StatusOK), a.getMessage)
}
