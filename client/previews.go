package client

import "context"

// Looking says how much a preview does: how many messages are rendered, and of how many numbers WhatsApp is asked.
type Looking struct {
	Samples int
	Check   int
}

// PreviewCampaign says what a campaign would be. Nothing is stored or sent.
func (c *Client) PreviewCampaign(ctx context.Context, campaign NewCampaign, how Looking) (Preview, error) {
	wanted := campaign.request()
	return c.Operations().PreviewCampaign(ctx, PreviewRequest{SessionID: wanted.SessionID, Name: wanted.Name, Text: wanted.Text, Recipients: wanted.Recipients,
		ListID: wanted.ListID, Tags: wanted.Tags, Variants: wanted.Variants, Mapping: wanted.Mapping, Media: wanted.Media, LinkPreview: wanted.LinkPreview,
		Typing: wanted.Typing, Limits: wanted.Limits, Hours: wanted.Hours, ScheduledAt: wanted.ScheduledAt, WarmOnly: wanted.WarmOnly, Draft: wanted.Draft,
		Samples: how.Samples, Check: &how.Check})
}

// PreviewUpload says what a campaign from a file would be. Nothing is stored or sent. how says how the file is read and how much is looked up; what is said in
// it of the campaign itself gives way to campaign.
func (c *Client) PreviewUpload(ctx context.Context, campaign NewCampaign, file Upload, how PreviewCampaignUploadForm) (Preview, error) {
	settings, err := campaign.settings()
	if err != nil {
		return Preview{}, err
	}
	how.SessionID, how.Text, how.Settings = campaign.SessionID, campaign.Text, settings
	return c.Operations().PreviewCampaignUpload(ctx, file, how)
}
