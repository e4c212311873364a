package client

import "time"

// Settings say how a campaign is sent; the zero value leaves everything as the service and the session have it.
type Settings struct {
	Variants    []string          `json:"variants,omitempty"`
	Mapping     map[string]string `json:"mapping,omitempty"`
	Media       *Media            `json:"media,omitempty"`
	LinkPreview bool              `json:"link_preview,omitempty"`
	Typing      bool              `json:"typing,omitempty"`
	Limits      *Limits           `json:"limits,omitempty"`
	Hours       *Hours            `json:"hours,omitempty"`
	ScheduledAt *time.Time        `json:"scheduled_at,omitempty"`
	WarmOnly    bool              `json:"warm_only,omitempty"`
	// Draft only plans the campaign; StartCampaign starts it.
	Draft bool `json:"draft,omitempty"`
}

// request is a campaign with these settings.
func (s Settings) request() CreateCampaignRequest {
	wanted := CreateCampaignRequest{Variants: s.Variants, Mapping: s.Mapping, Media: s.Media, LinkPreview: s.LinkPreview, Typing: s.Typing, Limits: s.Limits,
		Hours: s.Hours, WarmOnly: s.WarmOnly, Draft: s.Draft}
	if s.ScheduledAt != nil {
		wanted.ScheduledAt = *s.ScheduledAt
	}
	return wanted
}
