package api

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// startCampaign starts a draft, or a scheduled campaign before its time.
func (a *API) startCampaign(ctx context.Context, input *CampaignInput) (*campaignOutput, error) {
	return a.alterCampaign(ctx, input.ID, "start campaign", func(c campaign.Campaign) (campaign.Campaign, error) {
		if err := planned(c); err != nil {
			return c, err
		}
		c.Settings.ScheduledAt = time.Time{}
		return campaign.Apply(c, campaign.Queue, a.now().UTC())
	})
}

// planned refuses a draft whose plan is not whole: its creation was interrupted, and only creating it again helps.
func planned(c campaign.Campaign) error {
	if c.State == campaign.Draft && c.Planned == 0 {
		return fault.New(fault.Conflict, "campaign_not_planned", "The campaign was never planned to its end; delete it and create it again")
	}
	return nil
}

type scheduleInput struct {
	CampaignInput
	Body struct {
		At time.Time `json:"at" doc:"When it begins."`
	}
}

func (a *API) scheduleCampaign(ctx context.Context, input *scheduleInput) (*campaignOutput, error) {
	at := input.Body.At.UTC().Truncate(time.Millisecond)
	if now := a.now(); !at.After(now) || at.After(now.Add(longestSchedule)) {
		return nil, a.problem(ctx, "schedule campaign", fault.New(fault.Invalid, "bad_schedule", "The time must be in the future, and within a year").
			WithDetails(fault.Detail{Location: "at", Reason: "not in the future, or too far"}))
	}
	return a.alterCampaign(ctx, input.ID, "schedule campaign", func(c campaign.Campaign) (campaign.Campaign, error) {
		if err := planned(c); err != nil {
			return c, err
		}
		changed, err := campaign.Apply(c, campaign.Schedule, a.now().UTC())
		changed.Settings.ScheduledAt = at
		return changed, err
	})
}

// alterCampaign changes a campaign and tells the workers.
func (a *API) alterCampaign(ctx context.Context, id campaign.ID, doing string, alter func(campaign.Campaign) (campaign.Campaign, error)) (*campaignOutput, error) {
	stored, err := campaign.Modify(ctx, a.options.Campaigns, id, func(c *campaign.Campaign) error {
		changed, err := alter(*c)
		if err != nil {
			return err
		}
		changed.UpdatedAt = a.now().UTC()
		*c = changed
		return nil
	})
	if err == nil {
		err = a.publishCampaign(ctx, stored)
	}
	if err != nil {
		return nil, a.problem(ctx, doing, err)
	}
	return a.getCampaign(ctx, &CampaignInput{ID: id})
}

type editCampaignInput struct {
	CampaignInput
	Body struct {
		Name        *string            `json:"name,omitempty" maxLength:"200"`
		Text        *string            `json:"text,omitempty" maxLength:"65536"`
		Variants    *[]string          `json:"variants,omitempty" maxItems:"20"`
		Mapping     *map[string]string `json:"mapping,omitempty"`
		Media       *MediaUse          `json:"media,omitempty"`
		NoMedia     bool               `json:"no_media,omitempty" doc:"Take the file away."`
		LinkPreview *bool              `json:"link_preview,omitempty"`
		Typing      *bool              `json:"typing,omitempty"`
		Limits      *LimitsSpec        `json:"limits,omitempty"`
		Hours       *HoursSpec         `json:"hours,omitempty"`
		WarmOnly    *bool              `json:"warm_only,omitempty"`
	}
}

// editCampaign changes a campaign that has not begun. What is left out stays. Its recipients stay too: another audience is another campaign.
func (a *API) editCampaign(ctx context.Context, input *editCampaignInput) (*campaignOutput, error) {
	wanted, err := a.settingsOf(ctx, CampaignSpec{Media: input.Body.Media, Limits: input.Body.Limits, Hours: input.Body.Hours})
	if err != nil {
		return nil, a.problem(ctx, "edit campaign", err)
	}
	body := input.Body
	if body.LinkPreview != nil && *body.LinkPreview && body.Text != nil {
		if wanted.Preview, err = a.previewOf(ctx, *body.Text); err != nil {
			return nil, a.problem(ctx, "edit campaign", err)
		}
	}
	return a.alterCampaign(ctx, input.ID, "edit campaign", func(c campaign.Campaign) (campaign.Campaign, error) {
		if c.State != campaign.Draft && c.State != campaign.Scheduled {
			return c, fault.New(fault.Conflict, "campaign_"+string(c.State), fmt.Sprintf("The campaign is %s; only a draft or a scheduled one is edited. Clone it instead", c.State))
		}
		settings := c.Settings
		take(&c.Name, body.Name)
		take(&c.Text, body.Text)
		take(&settings.Variants, body.Variants)
		take(&settings.Mapping, body.Mapping)
		take(&settings.LinkPreview, body.LinkPreview)
		if wanted.Preview.URL != "" {
			settings.Preview = wanted.Preview
		}
		if settings.LinkPreview && !strings.Contains(c.Text, settings.Preview.URL) || settings.LinkPreview && settings.Preview.URL == "" {
			return c, fault.New(fault.Invalid, "no_link", "The preview is of a link that is not in the text; send text and link_preview together, or turn it off")
		}
		take(&settings.Typing, body.Typing)
		take(&settings.WarmOnly, body.WarmOnly)
		if body.Media != nil || body.NoMedia {
			settings.Attachment = wanted.Attachment
		}
		if body.Limits != nil {
			settings.Limits = wanted.Limits
		}
		if body.Hours != nil {
			settings.Hours = wanted.Hours
		}
		c.Settings = settings
		if err := settings.Validate(); err != nil {
			return c, err
		}
		templates, err := c.Templates()
		if err == nil {
			err = templates.Check(c.Columns)
		}
		return c, err
	})
}

func take[T any](into *T, given *T) {
	if given != nil {
		*into = *given
	}
}

type retryInput struct {
	CampaignInput
	Body struct {
		Scope string `json:"scope,omitempty" enum:"failed,unknown" default:"failed" doc:"failed: those that were refused or could not be sent. unknown: those of which nobody knows whether they left; sent again under the same id, so that a phone keeps one copy."`
	}
}

// retryCampaign opens what failed again, and lets the campaign run for it. Whoever has the message is not written to again.
func (a *API) retryCampaign(ctx context.Context, input *retryInput) (*campaignOutput, error) {
	found, err := a.options.Campaigns.Get(ctx, input.ID)
	if err == nil {
		_, err = campaign.Apply(found, campaign.Retry, a.now().UTC())
	}
	if err != nil {
		return nil, a.problem(ctx, "retry campaign", err)
	}
	reopened, err := a.reopen(ctx, input.ID, input.Body.Scope)
	if err == nil && reopened == 0 {
		err = fault.New(fault.Conflict, "nothing_to_retry", fmt.Sprintf("No recipient of this campaign is %s", input.Body.Scope))
	}
	if err != nil {
		return nil, a.problem(ctx, "retry campaign", err)
	}
	a.audit(ctx, campaign.AuditEntry{Action: campaign.AuditCampaignRetried, Subject: string(input.ID), Detail: fmt.Sprintf("%s: %d", input.Body.Scope, reopened)})
	return a.alterCampaign(ctx, input.ID, "retry campaign", func(c campaign.Campaign) (campaign.Campaign, error) {
		return campaign.Apply(c, campaign.Retry, a.now().UTC())
	})
}

// reopen opens the deliveries of a scope again and gives how many.
func (a *API) reopen(ctx context.Context, id campaign.ID, scope string) (reopened int, err error) {
	for _, state := range []campaign.DeliveryState{campaign.FailedDelivery, campaign.Unknown} {
		page := store.Page{Size: campaign.MaxBatch}
		for {
			list, err := a.options.Deliveries.List(ctx, id, state, page)
			if err != nil {
				return reopened, err
			}
			var ids []string
			for _, delivery := range list.Items {
				unknown := state == campaign.Unknown || delivery.Class == fault.UnknownOutcome
				if unknown == (scope == "unknown") {
					ids = append(ids, delivery.ID)
				}
			}
			count, err := a.options.Deliveries.Reopen(ctx, ids, a.now().UTC())
			if err != nil {
				return reopened, err
			}
			reopened += count
			if list.Next == "" {
				break
			}
			page.After = list.Next
		}
	}
	return reopened, nil
}

type cloneInput struct {
	CampaignInput
	Body struct {
		Name   string                   `json:"name,omitempty" maxLength:"200"`
		States []campaign.DeliveryState `json:"states,omitempty" maxItems:"9" doc:"Only the recipients whose delivery is in one of these states; all when it is left out."`
	}
}

// cloneCampaign makes a draft with the same text, settings and recipients.
func (a *API) cloneCampaign(ctx context.Context, input *cloneInput) (*campaignOutput, error) {
	source, err := a.options.Campaigns.Get(ctx, input.ID)
	if err != nil {
		return nil, a.problem(ctx, "clone campaign", err)
	}
	now := a.now().UTC()
	name := input.Body.Name
	if name == "" {
		name = source.Name
	}
	clone := campaign.Campaign{ID: campaign.NewID(), SessionID: source.SessionID, UserID: source.UserID, Name: name, Text: source.Text, Columns: source.Columns,
		Settings: source.Settings, State: campaign.Draft, CreatedAt: now, UpdatedAt: now, Revision: 1}
	clone.Settings.ScheduledAt, clone.Settings.ClonedFrom = time.Time{}, source.ID
	return a.plan(ctx, clone, a.recipientsOf(ctx, source.ID, input.Body.States), true)
}

// recipientsOf walks the people of a campaign again.
func (a *API) recipientsOf(ctx context.Context, id campaign.ID, states []campaign.DeliveryState) iter.Seq2[campaign.Row, error] {
	return func(yield func(campaign.Row, error) bool) {
		page := store.Page{Size: store.MaxPageSize}
		for {
			list, err := a.options.Deliveries.List(ctx, id, "", page)
			if err != nil {
				yield(campaign.Row{}, err)
				return
			}
			for _, d := range list.Items {
				if len(states) > 0 && !slices.Contains(states, d.State) {
					continue
				}
				row := campaign.Row{Recipient: campaign.Recipient{Row: d.Sequence, Phone: d.Phone, PhoneColumn: campaign.PhoneField, Fields: d.Fields}}
				if !yield(row, nil) {
					return
				}
			}
			if list.Next == "" {
				return
			}
			page.After = list.Next
		}
	}
}

// deleteCampaign removes a campaign that does not run, with its recipients. That it existed, and what came of it, stays in the audit.
func (a *API) deleteCampaign(ctx context.Context, input *CampaignInput) (*struct{}, error) {
	found, err := a.options.Campaigns.Get(ctx, input.ID)
	if err != nil {
		return nil, a.problem(ctx, "delete campaign", err)
	}
	if !found.State.Ended() && found.State != campaign.Draft {
		return nil, a.problem(ctx, "delete campaign", fault.New(fault.Conflict, "campaign_"+string(found.State),
			fmt.Sprintf("The campaign is %s; cancel it first", found.State)))
	}
	counts, err := a.options.Deliveries.Counts(ctx, input.ID)
	if err == nil {
		err = a.record(ctx, campaign.AuditEntry{Action: campaign.AuditCampaignDeleted, Subject: string(input.ID), UserID: found.UserID, Detail: counts.String()})
	}
	if err == nil {
		err = a.options.Campaigns.Delete(ctx, input.ID)
	}
	if err == nil {
		err = a.options.Documents.Clear(ctx, campaign.RepliesFolder(input.ID))
	}
	if err != nil {
		return nil, a.problem(ctx, "delete campaign", err)
	}
	return nil, nil //nolint:nilnil // huma's answer without a body
}
