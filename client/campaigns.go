package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"net/url"
	"time"
)

// Campaign is one text to an audience.
type Campaign struct {
	ID         string    `json:"id"`
	SessionID  string    `json:"session_id"`
	UserID     string    `json:"user_id"`
	Name       string    `json:"name"`
	Text       string    `json:"text"`
	Settings   Settings  `json:"settings"`
	State      string    `json:"state"`
	Reason     string    `json:"reason"`
	ResumeAt   time.Time `json:"resume_at"`
	Recipients int       `json:"recipients"`
	Rejected   int       `json:"rejected"`
	Counts     Counts    `json:"counts"`
	Warning    *Note     `json:"warning"`
	CreatedAt  time.Time `json:"created_at"`
	StartedAt  time.Time `json:"started_at"`
	EndedAt    time.Time `json:"ended_at"`
}

// Ended tells whether nothing more will be sent.
func (c Campaign) Ended() bool {
	return c.State == "completed" || c.State == "cancelled" || c.State == "failed"
}

// Counts is how many deliveries are in each state; they add up to the campaign's recipients.
type Counts struct {
	Pending   int `json:"pending"`
	Sending   int `json:"sending"`
	Unknown   int `json:"unknown"`
	Failed    int `json:"failed"`
	Skipped   int `json:"skipped"`
	Sent      int `json:"sent"`
	Delivered int `json:"delivered"`
	Read      int `json:"read"`
	Replied   int `json:"replied"`
}

// Settled is the number of deliveries that the sender is done with.
func (c Counts) Settled() int {
	return c.Failed + c.Skipped + c.Sent + c.Delivered + c.Read + c.Replied
}

// Delivery is what happened to one recipient.
type Delivery struct {
	ID       string `json:"id"`
	Sequence int    `json:"sequence"`
	Phone    string `json:"phone"`
	State    string `json:"state"`
	Class    string `json:"class"`
	Code     string `json:"code"`
	Reason   string `json:"reason"`
	Attempts int    `json:"attempts"`

	SentAt      time.Time `json:"sent_at"`
	DeliveredAt time.Time `json:"delivered_at"`
	ReadAt      time.Time `json:"read_at"`
	RepliedAt   time.Time `json:"replied_at"`
}

// Rejection is a refused row of an audience.
type Rejection struct {
	Row    int    `json:"row"`
	Column string `json:"column"`
	Value  string `json:"value"`
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// Recipient is one person of a listed audience.
type Recipient struct {
	Phone  string            `json:"phone"`
	Fields map[string]string `json:"fields,omitempty"`
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
	var created Campaign
	err := c.callOnce(ctx, "/v1/campaigns", campaign.Key, campaign, &created)
	return created, err
}

// UploadCampaign makes a campaign from a spreadsheet (XLSX) or a CSV file, which is sent as it is read, and queues it.
func (c *Client) UploadCampaign(ctx context.Context, campaign NewCampaign, file io.Reader) (Campaign, error) {
	reader, writer := io.Pipe()
	form := multipart.NewWriter(writer)
	written := make(chan struct{})
	go func() {
		defer close(written)
		_ = writer.CloseWithError(writeForm(form, campaign, file)) // it never fails
	}()
	defer func() {
		_ = reader.Close() // ends the writer when the request ended early
		<-written
	}()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/v1/campaigns/upload", reader)
	if err != nil {
		return Campaign{}, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", form.FormDataContentType())
	setKey(request, campaign.Key)
	var created Campaign
	err = c.do(request, &created)
	return created, err
}

func writeForm(form *multipart.Writer, campaign NewCampaign, file io.Reader) error {
	settings, err := json.Marshal(struct {
		SessionID string `json:"session_id"`
		Settings
	}{campaign.SessionID, campaign.Settings})
	if err != nil {
		return fmt.Errorf("encode settings: %w", err)
	}
	fields := [][2]string{{"session_id", campaign.SessionID}, {"name", campaign.Name}, {"text", campaign.Text}, {"settings", string(settings)}}
	for _, field := range fields {
		if err := form.WriteField(field[0], field[1]); err != nil {
			return fmt.Errorf("write field %s: %w", field[0], err)
		}
	}
	part, err := form.CreateFormFile("file", "audience.csv")
	if err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	if _, err := io.Copy(part, file); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return form.Close()
}

// Campaign gives a campaign with its progress.
func (c *Client) Campaign(ctx context.Context, id string) (Campaign, error) {
	var found Campaign
	err := c.call(ctx, http.MethodGet, campaignPath(id), nil, &found)
	return found, err
}

// PauseCampaign holds a campaign before its next message.
func (c *Client) PauseCampaign(ctx context.Context, id string) (Campaign, error) {
	return c.act(ctx, id, "pause")
}

// ResumeCampaign goes on with a paused campaign.
func (c *Client) ResumeCampaign(ctx context.Context, id string) (Campaign, error) {
	return c.act(ctx, id, "resume")
}

// CancelCampaign stops a campaign for good before its next message.
func (c *Client) CancelCampaign(ctx context.Context, id string) (Campaign, error) {
	return c.act(ctx, id, "cancel")
}

// StartCampaign starts a draft, or a scheduled campaign before its time.
func (c *Client) StartCampaign(ctx context.Context, id string) (Campaign, error) {
	return c.act(ctx, id, "start")
}

// RetryCampaign tries again what failed ("failed"), or what may have left ("unknown").
func (c *Client) RetryCampaign(ctx context.Context, id, scope string) (Campaign, error) {
	var changed Campaign
	err := c.call(ctx, http.MethodPost, campaignPath(id)+"/retry", map[string]string{"scope": scope}, &changed)
	return changed, err
}

// DeleteCampaign deletes a campaign that has ended, or is a draft, with its recipients.
func (c *Client) DeleteCampaign(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, campaignPath(id), nil, nil)
}

func (c *Client) act(ctx context.Context, id, what string) (Campaign, error) {
	var changed Campaign
	err := c.call(ctx, http.MethodPost, campaignPath(id)+"/"+what, nil, &changed)
	return changed, err
}

// Deliveries walks the deliveries of a campaign in the order of sending, all or those in one state. An error ends the walk and is its last
// pair.
func (c *Client) Deliveries(ctx context.Context, id, state string) iter.Seq2[Delivery, error] {
	return walk[Delivery](ctx, c, campaignPath(id)+"/deliveries", url.Values{"state": {state}})
}

// Rejections walks the refused rows of a campaign's audience, as Deliveries does.
func (c *Client) Rejections(ctx context.Context, id string) iter.Seq2[Rejection, error] {
	return walk[Rejection](ctx, c, campaignPath(id)+"/rejections", url.Values{})
}

type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

func walk[T any](ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		query.Set("size", "500")
		if query.Get("state") == "" {
			query.Del("state")
		}
		for {
			var list page[T]
			if err := c.call(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &list); err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range list.Items {
				if !yield(item, nil) {
					return
				}
			}
			if list.Next == "" {
				return
			}
			query.Set("after", list.Next)
		}
	}
}

func campaignPath(id string) string { return "/v1/campaigns/" + url.PathEscape(id) }
