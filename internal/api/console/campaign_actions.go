package console

import (
	"context"
	"net/http"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/campaign"
)

// campaignAction makes the handler of a button that does one thing to a campaign and comes back to it.
func campaignAction(name string, act func(*client.Client, context.Context, string) (client.Campaign, error)) func(*visit) error {
	return func(v *visit) error {
		id := v.request.PathValue("id")
		if _, err := act(v.api, v.context(), id); err != nil {
			return v.back(err, campaignPath(id))
		}
		return v.done(campaignPath(id), "campaigns.done."+name)
	}
}

func retryCampaign(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	id := v.request.PathValue("id")
	if _, err := v.api.RetryCampaign(v.context(), id, filled.Value("scope")); err != nil {
		return v.back(err, campaignPath(id))
	}
	return v.done(campaignPath(id), "campaigns.done.retry")
}

func cloneCampaign(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	id := v.request.PathValue("id")
	clone, err := v.api.CloneCampaign(v.context(), id, filled.Value("name"), filled.Values["state"]...)
	if err != nil {
		return v.back(err, campaignPath(id))
	}
	return v.done(campaignPath(clone.ID), "campaigns.done.clone")
}

func deleteCampaign(v *visit) error {
	id := v.request.PathValue("id")
	if err := v.api.DeleteCampaign(v.context(), id); err != nil {
		return v.back(err, campaignPath(id))
	}
	return v.done("/campaigns", "campaigns.done.delete")
}

func scheduleCampaign(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	id := v.request.PathValue("id")
	at, wrong := readTime(filled.Value("at"), filled.Value("zone"))
	if wrong != "" {
		v.flashNotice(notice{Kind: kindProblem, Text: v.language.text(wrong)})
		return v.done(campaignPath(id), "")
	}
	if _, err := v.api.ScheduleCampaign(v.context(), id, at); err != nil {
		return v.back(err, campaignPath(id))
	}
	return v.done(campaignPath(id), "campaigns.done.schedule", "At", v.language.clock(at))
}

// readTime reads the time of a field in a zone; wrong is the key of what is wrong with it.
func readTime(text, zone string) (at time.Time, wrong string) {
	location, err := time.LoadLocation(zone)
	if err != nil {
		return at, "campaigns.wrong.zone"
	}
	at, err = time.ParseInLocation(localLayout, text, location)
	if err != nil {
		return at, "campaigns.wrong.time"
	}
	return at, ""
}

// editPage changes a campaign that has not begun. Its recipients stay.
type editPage struct {
	form
	Campaign campaignRow
	zones
	Columns []string
	Unknown []unmapped
}

func editCampaign(v *visit) error {
	found, err := v.api.Campaign(v.context(), v.request.PathValue("id"))
	if err != nil {
		return err
	}
	if found.State != string(campaign.Draft) && found.State != string(campaign.Scheduled) {
		return v.back(&client.Problem{Status: http.StatusConflict, Class: "conflict", Code: "campaign_" + found.State}, campaignPath(found.ID))
	}
	page := v.editPage(found, formOf(found, v.console.options.Zone))
	return v.show("campaigns/edit", page)
}

func (v *visit) editPage(found client.Campaign, filled form) *editPage {
	return &editPage{form: filled, Campaign: v.language.campaignRow(found), zones: v.zones(), Unknown: mappedIn(&filled)}
}

func saveCampaign(v *visit) error {
	id := v.request.PathValue("id")
	filled, err := v.readUpload(v.takeMedia)
	if err != nil {
		return err
	}
	found, err := v.api.Campaign(v.context(), id)
	if err != nil {
		return err
	}
	if filled.Is("more", "variant") {
		filled.Values.Add("variant", "")
		return v.show("campaigns/edit", v.editPage(found, filled))
	}
	wanted := v.campaignOf(&filled)
	if len(filled.Wrong) == 0 {
		_, err = v.api.Operations().EditCampaign(v.context(), id, changeOf(wanted))
	} else {
		err = notFilledIn()
	}
	if err != nil {
		return v.wrongForm(err, "campaigns/edit", v.editPage(found, filled))
	}
	return v.done(campaignPath(id), "campaigns.done.edit")
}

// changeOf is all that the form says: what is empty in it is taken away.
func changeOf(wanted client.NewCampaign) client.EditCampaignRequest {
	change := client.EditCampaignRequest{Name: &wanted.Name, Text: &wanted.Text, Variants: wanted.Variants, Mapping: wanted.Mapping, LinkPreview: &wanted.LinkPreview,
		Typing: &wanted.Typing, WarmOnly: &wanted.WarmOnly, Limits: wanted.Limits, Hours: wanted.Hours, Media: wanted.Media, NoMedia: new(wanted.Media == nil)}
	if change.Limits == nil {
		change.Limits = &client.Limits{}
	}
	if change.Mapping == nil {
		change.Mapping = map[string]string{}
	}
	if change.Variants == nil {
		change.Variants = []string{}
	}
	return change
}
