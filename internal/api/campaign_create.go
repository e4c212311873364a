package api

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// RecipientSpec is a person of an audience that is given as a list.
type RecipientSpec struct {
	Phone  string            `json:"phone" maxLength:"100" doc:"A phone number; without a country code it is one of the default region."`
	Fields map[string]string `json:"fields,omitempty" doc:"What the placeholders stand for."`
}

// AudienceSpec is the audience of a campaign: people, or those of a saved list. It is exported because huma reads embedded structs only then.
type AudienceSpec struct {
	Recipients []RecipientSpec `json:"recipients,omitempty" maxItems:"10000" doc:"The people; a larger audience comes as a file."`
	List       string          `json:"list_id,omitempty" maxLength:"100" pattern:"^[!-~]*$" patternDescription:"visible ASCII" doc:"A saved contact list instead."`
	Region     string          `json:"default_region,omitempty" maxLength:"2" doc:"The ISO country of recipients' numbers that are written without a country code; the service's own when it is left out."`
	Tags       []string        `json:"tags,omitempty" maxItems:"50" doc:"Only the contacts of the list with one of these tags."`
}

type createCampaignInput struct {
	Body struct {
		CampaignSpec
		AudienceSpec
	}
}

// audience opens the audience that a body describes.
func (a *API) audience(ctx context.Context, spec AudienceSpec) (campaign.Audience, error) {
	switch {
	case (len(spec.Recipients) > 0) == (spec.List != ""):
		return campaign.Audience{}, fault.New(fault.Invalid, "one_audience", "Give either recipients or a list_id").
			WithDetails(fault.Detail{Location: "recipients", Reason: "either these or list_id"})
	case spec.List != "":
		return a.lists().Audience(ctx, spec.List, spec.Tags)
	}
	listed := make([]campaign.ListedRecipient, len(spec.Recipients))
	for i, recipient := range spec.Recipients {
		listed[i] = campaign.ListedRecipient{Phone: recipient.Phone, Fields: recipient.Fields}
	}
	return campaign.ListAudience(listed, a.audienceOptions(spec.Region, ""))
}

func (a *API) createCampaign(ctx context.Context, input *createCampaignInput) (*campaignOutput, error) {
	audience, err := a.audience(ctx, input.Body.AudienceSpec)
	if err != nil {
		return nil, a.problem(ctx, "read recipients", err)
	}
	return a.planCampaign(ctx, input.Body.CampaignSpec, audience)
}

// UploadForm is the multipart form of an audience file. It is exported because huma reads embedded structs only then.
type UploadForm struct {
	File        huma.FormFile `form:"file" contentType:"application/octet-stream" required:"true" doc:"The audience with a header row: a spreadsheet (XLSX), or CSV in UTF-8 or Windows-1252 with any common delimiter."`
	SessionID   string        `form:"session_id" minLength:"1" maxLength:"100" required:"true" doc:"The session that sends."`
	Name        string        `form:"name" required:"false" maxLength:"200" doc:"What people call it."`
	Text        string        `form:"text" maxLength:"65536" required:"false" doc:"The message; {{column}} stands for a column of the file."`
	PhoneColumn string        `form:"phone_column" required:"false" maxLength:"200" doc:"The column of the phone numbers; guessed from the header when it is left out."`
	Region      string        `form:"default_region" required:"false" maxLength:"2" doc:"The ISO country of numbers written without a country code."`
	Settings    string        `form:"settings" required:"false" maxLength:"300000" doc:"What else is said of the campaign, as the JSON of the body of create-campaign without its recipients."`
}

type uploadInput struct {
	RawBody huma.MultipartFormFiles[UploadForm]
}

// upload describes the upload: its parts go to disk while they are read, and a body over the limit is refused.
func (a *API) upload(path, id, summary string, status int) huma.Operation {
	described := operation(http.MethodPost, path, id, summary, status)
	described.MaxBodyBytes = a.options.MaxUploadBytes
	return described
}

// read gives the spec and the audience of a form.
func (a *API) readUpload(form *UploadForm) (CampaignSpec, campaign.Audience, error) {
	spec, err := decodeSettings(form.Settings)
	if err != nil {
		return spec, campaign.Audience{}, err
	}
	spec.SessionID = session.ID(form.SessionID)
	if form.Name != "" {
		spec.Name = form.Name
	}
	if form.Text != "" {
		spec.Text = form.Text
	}
	audience, err := campaign.ReadFile(form.File, a.audienceOptions(form.Region, form.PhoneColumn))
	return spec, audience, err
}

func (a *API) audienceOptions(region, phoneColumn string) campaign.AudienceOptions {
	if region == "" {
		region = a.options.DefaultRegion
	}
	return campaign.AudienceOptions{DefaultRegion: region, PhoneColumn: phoneColumn}
}

func (a *API) uploadCampaign(ctx context.Context, input *uploadInput) (*campaignOutput, error) {
	defer func() { _ = input.RawBody.Form.RemoveAll() }() // a temporary file that stays is the system's to clean
	spec, audience, err := a.readUpload(input.RawBody.Data())
	if err != nil {
		return nil, a.problem(ctx, "read audience", err)
	}
	defer func() { _ = audience.Close() }() // the same
	return a.planCampaign(ctx, spec, audience)
}

// planCampaign checks the texts against the audience's columns, stores the campaign, writes one delivery per recipient, and queues it.
// Nothing is sent before all of that is written. When planning ends early the campaign never sends.
func (a *API) planCampaign(ctx context.Context, spec CampaignSpec, audience campaign.Audience) (*campaignOutput, error) {
	created, err := a.campaignOf(ctx, spec)
	if err != nil {
		return nil, a.problem(ctx, "create campaign", err)
	}
	created.Columns = audience.Columns()
	return a.plan(ctx, created, audience.Rows(), spec.Draft)
}

// plan stores a new campaign with its deliveries and starts it, unless it is to stay a draft.
func (a *API) plan(ctx context.Context, created campaign.Campaign, rows iter.Seq2[campaign.Row, error], draft bool) (*campaignOutput, error) {
	templates, err := created.Templates()
	if err == nil {
		err = templates.Check(created.Columns)
	}
	repeated := false
	if err == nil {
		created.ID, repeated, err = a.nameFor(ctx, created.ID)
	}
	if err == nil && !repeated {
		err = a.options.Campaigns.Create(ctx, created)
	}
	if err != nil {
		return nil, a.problem(ctx, "create campaign", err)
	}
	if repeated {
		known, err := a.options.Campaigns.Get(ctx, created.ID)
		if err == nil && (known.State != campaign.Draft || known.Planned > 0) { // all that was missing is the answer, and perhaps the job
			err = a.publishCampaign(ctx, known)
			if err == nil {
				return a.getCampaign(ctx, &CampaignInput{ID: created.ID})
			}
		}
		if err != nil {
			return nil, a.problem(ctx, "finish a request that was interrupted", err)
		}
	}
	rows = templates.Screen(campaign.Canonical(ctx, a.options.Documents, rows))
	planned, err := campaign.PlanAudience(ctx, a.options.Deliveries, created.ID, rows, a.now)
	if err == nil && planned.Planned == 0 {
		err = nobodyToWriteTo(planned)
	}
	if err != nil {
		return nil, a.abandonDraft(ctx, created.ID, err)
	}
	stored, err := campaign.Modify(ctx, a.options.Campaigns, created.ID, func(c *campaign.Campaign) error {
		c.Planned, c.Rejected, c.UpdatedAt = planned.Planned, planned.Rejected, a.now().UTC()
		if draft {
			return nil
		}
		changed, err := a.begin(*c)
		*c = changed
		return err
	})
	if err == nil {
		err = a.publishCampaign(ctx, stored)
	}
	if err != nil {
		return nil, a.problem(ctx, "queue campaign", err)
	}
	return a.getCampaign(ctx, &CampaignInput{ID: stored.ID})
}

// begin queues a campaign, or schedules one whose time has not come.
func (a *API) begin(c campaign.Campaign) (campaign.Campaign, error) {
	now := a.now().UTC()
	if c.Settings.ScheduledAt.After(now) {
		return campaign.Apply(c, campaign.Schedule, now)
	}
	return campaign.Apply(c, campaign.Queue, now)
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
