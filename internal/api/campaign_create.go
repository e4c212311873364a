package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// maxListedRecipients bounds the recipients of a JSON body; a larger audience comes as a file, which is read as a stream.
const maxListedRecipients = 10_000

type createCampaignInput struct {
	Body struct {
		SessionID  session.ID `json:"session_id" minLength:"1" maxLength:"100" doc:"The session that sends."`
		Name       string     `json:"name,omitempty" maxLength:"200" doc:"What people call it."`
		Text       string     `json:"text" minLength:"1" maxLength:"65536" doc:"The message; {{column}} stands for a field of the recipient, {{column|text}} with a fallback."`
		Recipients []struct {
			Phone  string            `json:"phone" maxLength:"100" doc:"A phone number; without a country code it is one of the default region."`
			Fields map[string]string `json:"fields,omitempty" doc:"What the placeholders stand for."`
		} `json:"recipients" minItems:"1" maxItems:"10000"`
	}
}

func (a *API) createCampaign(ctx context.Context, input *createCampaignInput) (*campaignOutput, error) {
	listed := make([]campaign.ListedRecipient, 0, min(len(input.Body.Recipients), maxListedRecipients))
	for _, recipient := range input.Body.Recipients {
		listed = append(listed, campaign.ListedRecipient{Phone: recipient.Phone, Fields: recipient.Fields})
	}
	audience, err := campaign.ListAudience(listed, campaign.AudienceOptions{DefaultRegion: a.options.DefaultRegion})
	if err != nil {
		return nil, a.problem(ctx, "read recipients", err)
	}
	return a.planCampaign(ctx, draft{SessionID: input.Body.SessionID, Name: input.Body.Name, Text: input.Body.Text}, audience)
}

// uploadForm is the multipart form of an audience file.
type uploadForm struct {
	File        huma.FormFile `form:"file" contentType:"application/octet-stream" required:"true" doc:"The audience as CSV with a header row; UTF-8 or Windows-1252, any common delimiter."`
	SessionID   string        `form:"session_id" minLength:"1" maxLength:"100" required:"true" doc:"The session that sends."`
	Name        string        `form:"name" required:"false" maxLength:"200" doc:"What people call it."`
	Text        string        `form:"text" minLength:"1" maxLength:"65536" required:"true" doc:"The message; {{column}} stands for a column of the file."`
	PhoneColumn string        `form:"phone_column" required:"false" maxLength:"200" doc:"The column of the phone numbers; guessed from the header when it is left out."`
	Region      string        `form:"default_region" required:"false" maxLength:"2" doc:"The ISO country of numbers written without a country code."`
}

type uploadInput struct {
	RawBody huma.MultipartFormFiles[uploadForm]
}

// upload describes the upload: its parts go to disk while they are read, and a body over the limit is refused.
func (a *API) upload(path, id, summary string) huma.Operation {
	described := operation(http.MethodPost, path, id, summary, http.StatusAccepted)
	described.MaxBodyBytes = a.options.MaxUploadBytes
	return described
}

func (a *API) uploadCampaign(ctx context.Context, input *uploadInput) (*campaignOutput, error) {
	form := input.RawBody.Data()
	defer func() { _ = input.RawBody.Form.RemoveAll() }() // a temporary file that stays is the system's to clean
	region := form.Region
	if region == "" {
		region = a.options.DefaultRegion
	}
	audience, err := campaign.ReadCSV(form.File, campaign.AudienceOptions{DefaultRegion: region, PhoneColumn: form.PhoneColumn})
	if err != nil {
		return nil, a.problem(ctx, "read audience", err)
	}
	return a.planCampaign(ctx, draft{SessionID: session.ID(form.SessionID), Name: form.Name, Text: form.Text}, audience)
}

// draft is what a person says about a campaign, whatever way the audience comes.
type draft struct {
	SessionID session.ID
	Name      string
	Text      string
}

// planCampaign checks the text against the audience's columns, stores the campaign, writes one delivery per recipient, and queues it.
// Nothing is sent before all of that is written. When planning ends early the campaign never sends.
func (a *API) planCampaign(ctx context.Context, draft draft, audience campaign.Audience) (*campaignOutput, error) {
	templates, err := campaign.Campaign{Text: draft.Text}.Templates()
	if err == nil {
		err = templates.Check(audience.Columns())
	}
	if err != nil {
		return nil, a.problem(ctx, "read the text", err)
	}
	created, err := a.storeDraft(ctx, draft, audience.Columns())
	if err != nil {
		return nil, a.problem(ctx, "create campaign", err)
	}
	planned, err := campaign.PlanAudience(ctx, a.options.Deliveries, created.ID, templates.Screen(created.ID, audience.Rows()), a.now)
	if err == nil && planned.Planned == 0 {
		err = nobodyToWriteTo(planned)
	}
	if err != nil {
		return nil, a.abandonDraft(ctx, created.ID, err)
	}
	stored, err := campaign.Modify(ctx, a.options.Campaigns, created.ID, func(c *campaign.Campaign) error {
		changed, err := campaign.Apply(*c, campaign.Queue, a.now().UTC())
		if err != nil {
			return err
		}
		changed.Planned, changed.Rejected = planned.Planned, planned.Rejected
		*c = changed
		return nil
	})
	if err == nil {
		err = a.publishCampaign(ctx, stored)
	}
	if err != nil {
		return nil, a.problem(ctx, "queue campaign", err)
	}
	return a.getCampaign(ctx, &CampaignInput{ID: stored.ID})
}

// storeDraft stores the campaign, if its session can send.
func (a *API) storeDraft(ctx context.Context, draft draft, columns []string) (campaign.Campaign, error) {
	owner, err := a.options.Sessions.Get(ctx, draft.SessionID)
	if err != nil {
		return campaign.Campaign{}, err
	}
	if !owner.State.Linked() {
		return campaign.Campaign{}, fault.New(fault.Conflict, "session_not_linked", "The session is not linked to a phone; link it first")
	}
	created := newCampaign(owner, draft.Name, draft.Text, a.now().UTC())
	created.Columns = columns
	return created, a.options.Campaigns.Create(ctx, created)
}

// nobodyToWriteTo names the first rows that were refused, so that a person can mend the file.
func nobodyToWriteTo(planned campaign.PlanResult) error {
	return fault.New(fault.Invalid, "no_recipients", "No row of the audience can be written to; correct the rows and send it again").
		WithDetails(planned.Sample...)
}

// abandonDraft ends a campaign whose plan could not be written, and gives the answer.
func (a *API) abandonDraft(ctx context.Context, id campaign.ID, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTimeout)
	defer cancel()
	_, err := campaign.Modify(ctx, a.options.Campaigns, id, func(c *campaign.Campaign) error {
		changed, err := campaign.Apply(*c, campaign.Fail, a.now().UTC())
		changed.Reason = fault.As(cause).Code
		*c = changed
		return err
	})
	return a.problem(ctx, "plan campaign", errors.Join(cause, err))
}

// abandonTimeout bounds the write that ends a campaign whose caller may have left.
const abandonTimeout = 5 * time.Second
