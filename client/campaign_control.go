package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// CampaignFilter says which campaigns are wanted; the zero value is all of them.
type CampaignFilter struct {
	UserID    string
	SessionID string
	State     string
}

// CampaignsPage gives a page of the campaigns, newest first, without their counts.
func (c *Client) CampaignsPage(ctx context.Context, filter CampaignFilter, after string, size int) (Page[Campaign], error) {
	query := url.Values{"user_id": {filter.UserID}, "session_id": {filter.SessionID}, "state": {filter.State}}
	return pageOf[Campaign](ctx, c, "/v1/campaigns", part{after, size}, query)
}

// CampaignChange is what is to be different about a campaign that has not begun; what is nil stays.
type CampaignChange struct {
	Name        *string            `json:"name,omitempty"`
	Text        *string            `json:"text,omitempty"`
	Variants    *[]string          `json:"variants,omitempty"`
	Mapping     *map[string]string `json:"mapping,omitempty"`
	Media       *Media             `json:"media,omitempty"`
	NoMedia     bool               `json:"no_media,omitempty"`
	LinkPreview *bool              `json:"link_preview,omitempty"`
	Typing      *bool              `json:"typing,omitempty"`
	Limits      *Limits            `json:"limits,omitempty"`
	Hours       *Hours             `json:"hours,omitempty"`
	WarmOnly    *bool              `json:"warm_only,omitempty"`
}

// EditCampaign changes a campaign that has not begun.
func (c *Client) EditCampaign(ctx context.Context, id string, change CampaignChange) (Campaign, error) {
	var changed Campaign
	err := c.call(ctx, http.MethodPatch, campaignPath(id), change, &changed)
	return changed, err
}

// ScheduleCampaign says when a campaign begins.
func (c *Client) ScheduleCampaign(ctx context.Context, id string, at time.Time) (Campaign, error) {
	var changed Campaign
	err := c.call(ctx, http.MethodPost, campaignPath(id)+"/schedule", map[string]time.Time{"at": at}, &changed)
	return changed, err
}

// CloneCampaign makes a draft with the same text, settings and recipients, or with those whose delivery is in one of some states.
func (c *Client) CloneCampaign(ctx context.Context, id, name string, states ...string) (Campaign, error) {
	var clone Campaign
	body := struct {
		Name   string   `json:"name,omitempty"`
		States []string `json:"states,omitempty"`
	}{name, states}
	err := c.call(ctx, http.MethodPost, campaignPath(id)+"/clone", body, &clone)
	return clone, err
}

// DeliveriesPage gives a page of the deliveries of a campaign in the order of sending, all or those in one state.
func (c *Client) DeliveriesPage(ctx context.Context, id, state, after string, size int) (Page[Delivery], error) {
	return pageOf[Delivery](ctx, c, campaignPath(id)+"/deliveries", part{after, size}, url.Values{"state": {state}})
}

// RejectionsPage gives a page of the refused rows of a campaign's audience.
func (c *Client) RejectionsPage(ctx context.Context, id, after string, size int) (Page[Rejection], error) {
	return pageOf[Rejection](ctx, c, campaignPath(id)+"/rejections", part{after, size}, url.Values{})
}

// RepliesPage gives a page of what recipients of a campaign wrote back.
func (c *Client) RepliesPage(ctx context.Context, id, after string, size int) (Page[Reply], error) {
	return pageOf[Reply](ctx, c, campaignPath(id)+"/replies", part{after, size}, url.Values{})
}
