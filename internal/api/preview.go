package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// Sends asks the worker that holds a session about numbers; see events.SendRequest.
type Sends interface {
	RequestSend(ctx context.Context, request events.SendRequest) (events.SendReply, error)
}

// PreviewSpec is how much a preview does. It is exported because huma reads embedded structs only then.
type PreviewSpec struct {
	Samples int  `json:"samples,omitempty" minimum:"1" maximum:"50" doc:"How many messages are rendered; 5 when it is left out."`
	Check   *int `json:"check,omitempty" minimum:"0" maximum:"200" doc:"Of how many numbers that were not looked up in the last week WhatsApp is asked now, in batches with pauses; 50 when it is left out."`
}

// What a preview does when it is not said. huma knows no defaults in forms, and in bodies takes a nought for nothing said.
const (
	defaultSamples = 5
	defaultCheck   = 50
)

func (s PreviewSpec) withDefaults() PreviewSpec {
	if s.Samples == 0 {
		s.Samples = defaultSamples
	}
	if s.Check == nil {
		check := defaultCheck
		s.Check = &check
	}
	return s
}

// SampleView is a message as a recipient would get it.
type SampleView struct {
	Row   int    `json:"row"`
	Phone string `json:"phone"`
	Text  string `json:"text"`
}

// PreviewView is what a campaign would be. Nothing was stored or sent.
type PreviewView struct {
	Columns       []string        `json:"columns" doc:"What a text may name."`
	PhoneColumn   string          `json:"phone_column" doc:"Where the phone numbers are."`
	Samples       []SampleView    `json:"samples"`
	Rows          int             `json:"rows"`
	Valid         int             `json:"valid" doc:"Rows that would get the message."`
	Duplicate     int             `json:"duplicate"`
	Rejected      int             `json:"rejected" doc:"Rows that cannot be written to; duplicates are counted apart."`
	Suppressed    int             `json:"suppressed" doc:"Valid rows that would be skipped: they asked not to be written to."`
	OnWhatsApp    int             `json:"on_whatsapp"`
	NotOnWhatsApp int             `json:"not_on_whatsapp"`
	Unchecked     int             `json:"unchecked" doc:"Valid rows whose number nobody has looked up in the last week; asking for the preview again checks more."`
	NewContacts   int             `json:"new_contacts" doc:"Valid rows of people who never wrote to the session."`
	LookupProblem string          `json:"lookup_problem,omitempty" doc:"A stable code for why numbers could not be looked up now."`
	Rejections    []RejectionView `json:"rejections,omitempty" doc:"The first 100 refused rows."`
	StartsAt      time.Time       `json:"starts_at"`
	EndsAt        time.Time       `json:"ends_at" doc:"When it would end, by its pace, its limits and its hours. Other campaigns of the session are not in it."`
}

type previewOutput struct{ Body PreviewView }

type previewInput struct {
	Body struct {
		CampaignSpec
		AudienceSpec
		PreviewSpec
	}
}

func (a *API) previewCampaign(ctx context.Context, input *previewInput) (*previewOutput, error) {
	audience, err := a.audience(ctx, input.Body.AudienceSpec)
	if err != nil {
		return nil, a.problem(ctx, "read recipients", err)
	}
	return a.preview(ctx, input.Body.CampaignSpec, input.Body.PreviewSpec, audience)
}

// PreviewForm is UploadForm with what a preview does: huma reads no embedded structs in forms.
type PreviewForm struct {
	File        huma.FormFile `form:"file" contentType:"application/octet-stream" required:"true" doc:"The audience with a header row: a spreadsheet (XLSX) or CSV."`
	SessionID   string        `form:"session_id" minLength:"1" maxLength:"100" required:"true" doc:"The session that would send."`
	Text        string        `form:"text" maxLength:"65536" required:"false" doc:"The message; {{column}} stands for a column of the file."`
	PhoneColumn string        `form:"phone_column" required:"false" maxLength:"200" doc:"The column of the phone numbers; guessed from the header when it is left out."`
	Region      string        `form:"default_region" required:"false" maxLength:"2" doc:"The ISO country of numbers written without a country code."`
	Settings    string        `form:"settings" required:"false" maxLength:"300000" doc:"What else is said of the campaign, as the JSON of the body of create-campaign without its recipients."`
	Samples     int           `form:"samples" required:"false" minimum:"1" maximum:"50" doc:"How many messages are rendered; 5 when it is left out."`
	Check       int           `form:"check" required:"false" minimum:"0" maximum:"200" doc:"Of how many numbers WhatsApp is asked now; 50 when it is left out."`
}

type previewUploadInput struct {
	RawBody huma.MultipartFormFiles[PreviewForm]
}

func (a *API) previewUpload(ctx context.Context, input *previewUploadInput) (*previewOutput, error) {
	defer func() { _ = input.RawBody.Form.RemoveAll() }() // a temporary file that stays is the system's to clean
	form := input.RawBody.Data()
	spec, audience, err := a.readUpload(&UploadForm{File: form.File, SessionID: form.SessionID, Text: form.Text, PhoneColumn: form.PhoneColumn,
		Region: form.Region, Settings: form.Settings})
	if err != nil {
		return nil, a.problem(ctx, "read audience", err)
	}
	defer func() { _ = audience.Close() }() // the same
	how := PreviewSpec{Samples: form.Samples}
	if _, said := input.RawBody.Form.Value["check"]; said {
		how.Check = &form.Check
	}
	return a.preview(ctx, spec, how, audience)
}

func (a *API) preview(ctx context.Context, spec CampaignSpec, how PreviewSpec, audience campaign.Audience) (*previewOutput, error) {
	would, err := a.campaignOf(ctx, spec)
	var templates campaign.Templates
	if err == nil {
		templates, err = would.Templates()
	}
	if err == nil {
		err = templates.Check(audience.Columns())
	}
	if err != nil {
		return nil, a.problem(ctx, "preview campaign", err)
	}
	p := &previewer{api: a, campaign: would, templates: templates, how: how.withDefaults(), seen: map[string]struct{}{}}
	p.check = *p.how.Check
	p.view.Columns, p.view.PhoneColumn = audience.Columns(), audience.PhoneColumn()
	if err := p.read(ctx, audience); err != nil {
		return nil, a.problem(ctx, "preview campaign", err)
	}
	if err := p.estimate(ctx); err != nil {
		return nil, a.problem(ctx, "preview campaign", err)
	}
	return &previewOutput{Body: p.view}, nil
}

// previewer walks an audience once. It remembers each number, to tell duplicates, and one batch.
type previewer struct {
	api       *API
	campaign  campaign.Campaign
	templates campaign.Templates
	how       PreviewSpec
	// check is how many numbers may still be asked about.
	check int
	view  PreviewView
	seen  map[string]struct{}
	batch []string
}

// mostShownRejections is how many refused rows a preview names.
const mostShownRejections = 100

func (p *previewer) read(ctx context.Context, audience campaign.Audience) error {
	for row, err := range p.templates.Screen(campaign.Canonical(ctx, p.api.options.Documents, audience.Rows())) {
		if err != nil {
			return err
		}
		p.view.Rows++
		if row.Rejection != nil {
			if p.view.Rejected++; len(p.view.Rejections) < mostShownRejections {
				p.view.Rejections = append(p.view.Rejections, viewRejection(*row.Rejection))
			}
			continue
		}
		phone := row.Recipient.Phone
		if _, twice := p.seen[phone]; twice {
			p.view.Duplicate++
			continue
		}
		p.seen[phone] = struct{}{}
		p.view.Valid++
		if len(p.view.Samples) < p.how.Samples {
			text := p.templates.For(phone).Render(row.Recipient.Fields)
			p.view.Samples = append(p.view.Samples, SampleView{Row: row.Recipient.Row, Phone: phone, Text: text})
		}
		if p.batch = append(p.batch, phone); len(p.batch) == campaign.MaxBatch {
			if err := p.classify(ctx); err != nil {
				return err
			}
		}
	}
	return p.classify(ctx)
}

// classify counts what is known of a batch of numbers, and asks WhatsApp about some of the others.
func (p *previewer) classify(ctx context.Context) error {
	suppressed, err := p.api.options.Suppressions.Among(ctx, campaign.PersonKeys(p.batch))
	if err != nil {
		return err
	}
	known, err := campaign.Lookups{Documents: p.api.options.Documents}.Among(ctx, p.batch)
	if err != nil {
		return err
	}
	writers, err := campaign.Writers{Documents: p.api.options.Documents}.Among(ctx, string(p.campaign.SessionID), p.batch)
	if err != nil {
		return err
	}
	p.view.Suppressed += len(suppressed)
	p.view.NewContacts += len(p.batch) - len(writers)
	p.ask(ctx, known)
	for _, phone := range p.batch {
		switch lookup, is := known[phone]; {
		case !is:
			p.view.Unchecked++
		case lookup.Exists:
			p.view.OnWhatsApp++
		default:
			p.view.NotOnWhatsApp++
		}
	}
	p.batch = p.batch[:0]
	return nil
}

// lookupBatch is how many numbers WhatsApp is asked about at once; lookupTimeout bounds one question with the pause before it.
const (
	lookupBatch   = 50
	lookupTimeout = 20 * time.Second
)

// ask looks numbers up that are not known, as many as the preview may. A failure is told, and ends the asking: a preview without lookups is worth having.
func (p *previewer) ask(ctx context.Context, known map[string]campaign.Lookup) {
	for p.check > 0 && p.view.LookupProblem == "" {
		var unknown []string
		for _, phone := range p.batch {
			if _, is := known[phone]; !is && len(unknown) < min(lookupBatch, p.check) {
				unknown = append(unknown, phone)
			}
		}
		if len(unknown) == 0 {
			return
		}
		p.check -= len(unknown)
		answers, err := p.api.lookUp(ctx, p.campaign.SessionID, unknown)
		if err != nil {
			p.view.LookupProblem = fault.As(err).Code
			return
		}
		for _, answer := range answers {
			known[answer.Phone] = answer
		}
	}
}

// lookUp asks the worker that holds a session.
func (a *API) lookUp(ctx context.Context, id session.ID, phones []string) ([]campaign.Lookup, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	reply, err := a.options.Sends.RequestSend(ctx, events.SendRequest{Version: events.FactVersion, SessionID: id,
		MessageID: "lookup-" + digestOf(phones[0] + a.now().String())[:16], Lookup: phones})
	if err == nil {
		err = reply.Err()
	}
	return reply.Lookups, err
}

// estimate says when the campaign would end.
func (p *previewer) estimate(ctx context.Context) error {
	owner, err := p.api.options.Sessions.Get(ctx, p.campaign.SessionID)
	if err != nil {
		return err
	}
	own, err := p.api.sessionLimits().Get(ctx, string(owner.ID))
	if err != nil {
		return err
	}
	start := p.api.now().UTC()
	if p.campaign.Settings.ScheduledAt.After(start) {
		start = p.campaign.Settings.ScheduledAt
	}
	outlook := campaign.Outlook{Messages: p.view.Valid - p.view.Suppressed, New: p.view.NewContacts, Start: start, LinkedAt: owner.LinkedAt,
		Limits: p.campaign.Settings.Limits.Over(own.Over(p.api.options.Limits)), Hours: p.campaign.Settings.Hours}
	p.view.StartsAt, p.view.EndsAt = outlook.Estimate()
	return nil
}

// registerPreview lists the routes of previews.
func (a *API) registerPreview(doors huma.API) {
	huma.Register(doors, operation(http.MethodPost, "/v1/campaigns/preview", "preview-campaign", "See what a campaign would be; nothing is sent", http.StatusOK), a.previewCampaign)
	huma.Register(doors, a.upload("/v1/campaigns/preview/upload", "preview-campaign-upload", "See what a campaign from a file would be; nothing is sent", http.StatusOK), a.previewUpload)
}
