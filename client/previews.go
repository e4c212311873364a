package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Preview is what a campaign would be.
type Preview struct {
	Columns       []string    `json:"columns"`
	PhoneColumn   string      `json:"phone_column"`
	Samples       []Sample    `json:"samples"`
	Rows          int         `json:"rows"`
	Valid         int         `json:"valid"`
	Duplicate     int         `json:"duplicate"`
	Rejected      int         `json:"rejected"`
	Suppressed    int         `json:"suppressed"`
	OnWhatsApp    int         `json:"on_whatsapp"`
	NotOnWhatsApp int         `json:"not_on_whatsapp"`
	Unchecked     int         `json:"unchecked"`
	NewContacts   int         `json:"new_contacts"`
	LookupProblem string      `json:"lookup_problem"`
	Rejections    []Rejection `json:"rejections"`
	StartsAt      time.Time   `json:"starts_at"`
	EndsAt        time.Time   `json:"ends_at"`
}

// Sample is a message as one recipient would get it.
type Sample struct {
	Row   int    `json:"row"`
	Phone string `json:"phone"`
	Text  string `json:"text"`
}

// Looking says how much a preview does: how many messages are rendered, and of how many numbers WhatsApp is asked.
type Looking struct {
	Samples int
	Check   int
}

// PreviewCampaign says what a campaign would be. Nothing is stored or sent.
func (c *Client) PreviewCampaign(ctx context.Context, campaign NewCampaign, how Looking) (Preview, error) {
	var seen Preview
	body := struct {
		NewCampaign
		Samples int `json:"samples,omitempty"`
		Check   int `json:"check"`
	}{campaign, how.Samples, how.Check}
	err := c.call(ctx, http.MethodPost, "/v1/campaigns/preview", body, &seen)
	return seen, err
}

// PreviewUpload says what a campaign from a file would be. Nothing is stored or sent.
func (c *Client) PreviewUpload(ctx context.Context, campaign NewCampaign, file File, how Looking, reading Reading) (Preview, error) {
	var seen Preview
	settings, err := json.Marshal(struct {
		SessionID string `json:"session_id"`
		Settings
	}{campaign.SessionID, campaign.Settings})
	if err != nil {
		return seen, fmt.Errorf("encode settings: %w", err)
	}
	fields := append(reading.fields(), [2]string{"session_id", campaign.SessionID}, [2]string{"text", campaign.Text}, [2]string{"settings", string(settings)},
		[2]string{"check", strconv.Itoa(how.Check)})
	if how.Samples > 0 {
		fields = append(fields, [2]string{"samples", strconv.Itoa(how.Samples)})
	}
	err = c.upload(ctx, "/v1/campaigns/preview/upload", fields, file, &seen)
	return seen, err
}
