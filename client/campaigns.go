package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
)

// Ended tells whether nothing more will be sent.
func (c Campaign) Ended() bool {
	return c.State == "completed" || c.State == "cancelled" || c.State == "failed"
}

// Settled is the number of deliveries that the sender is done with.
func (c Counts) Settled() int {
	return c.Failed + c.Skipped + c.Sent + c.Delivered + c.Read + c.Replied
}

// NewCampaign is what a campaign says and to whom.
type NewCampaign struct {
	SessionID  string      `json:"session_id"`
	Name       string      `json:"name,omitempty"`
	Text       string      `json:"text"`
	Recipients []Recipient `json:"recipients,omitempty"`
	// List is a saved contact list in the place of Recipients; Tags take only its contacts with one of them.
	List string   `json:"list_id,omitempty"`
	Tags []string `json:"tags,omitempty"`
	Settings
	// Key makes the campaign be created once, however often it is asked for; empty: each call makes one.
	Key string `json:"-"`
}

// CreateCampaign makes a campaign from listed recipients and queues it.
func (c *Client) CreateCampaign(ctx context.Context, campaign NewCampaign) (Campaign, error) {
	wanted := campaign.Settings.request()
	wanted.SessionID, wanted.Name, wanted.Text = campaign.SessionID, campaign.Name, campaign.Text
	wanted.Recipients, wanted.ListID, wanted.Tags = campaign.Recipients, campaign.List, campaign.Tags
	return c.Operations().CreateCampaign(ctx, wanted, Once(campaign.Key))
}

// UploadCampaign makes a campaign from a spreadsheet (XLSX) or a CSV file, which is sent as it is read, and queues it.
func (c *Client) UploadCampaign(ctx context.Context, campaign NewCampaign, file io.Reader) (Campaign, error) {
	wanted := campaign.Settings.request()
	wanted.SessionID = campaign.SessionID
	settings, err := json.Marshal(wanted)
	if err != nil {
		return Campaign{}, fmt.Errorf("encode settings: %w", err)
	}
	form := UploadCampaignForm{SessionID: campaign.SessionID, Name: campaign.Name, Text: campaign.Text, Settings: string(settings)}
	return c.Operations().UploadCampaign(ctx, Upload{Name: "audience.csv", Content: file}, form, Once(campaign.Key))
}

// Campaign gives a campaign with its progress.
func (c *Client) Campaign(ctx context.Context, id string) (Campaign, error) {
	return c.Operations().GetCampaign(ctx, id)
}

// PauseCampaign holds a campaign before its next message.
func (c *Client) PauseCampaign(ctx context.Context, id string) (Campaign, error) {
	return c.Operations().PauseCampaign(ctx, id)
}

// ResumeCampaign goes on with a paused campaign.
func (c *Client) ResumeCampaign(ctx context.Context, id string) (Campaign, error) {
	return c.Operations().ResumeCampaign(ctx, id)
}

// CancelCampaign stops a campaign for good before its next message.
func (c *Client) CancelCampaign(ctx context.Context, id string) (Campaign, error) {
	return c.Operations().CancelCampaign(ctx, id)
}

// StartCampaign starts a draft, or a scheduled campaign before its time.
func (c *Client) StartCampaign(ctx context.Context, id string) (Campaign, error) {
	return c.Operations().StartCampaign(ctx, id)
}

// RetryCampaign tries again what failed ("failed"), or what may have left ("unknown").
func (c *Client) RetryCampaign(ctx context.Context, id, scope string) (Campaign, error) {
	return c.Operations().RetryCampaign(ctx, id, RetryRequest{Scope: scope})
}

// DeleteCampaign deletes a campaign that has ended, or is a draft, with its recipients.
func (c *Client) DeleteCampaign(ctx context.Context, id string) error {
	return c.Operations().DeleteCampaign(ctx, id)
}

// Deliveries walks the deliveries of a campaign in the order of sending, all or those in one state. An error ends the walk and is its last
// pair.
func (c *Client) Deliveries(ctx context.Context, id, state string) iter.Seq2[Delivery, error] {
	return walk(ctx, func(ctx context.Context, after string) (Page[Delivery], error) {
		return c.Operations().ListDeliveries(ctx, id, ListDeliveriesQuery{After: after, Size: pageSize, State: state})
	})
}

// Rejections walks the refused rows of a campaign's audience, as Deliveries does.
func (c *Client) Rejections(ctx context.Context, id string) iter.Seq2[Rejection, error] {
	return walk(ctx, func(ctx context.Context, after string) (Page[Rejection], error) {
		return c.Operations().ListRejections(ctx, id, ListRejectionsQuery{After: after, Size: pageSize})
	})
}
