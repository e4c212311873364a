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

// Media names an uploaded file.
type Media struct {
	ID string `json:"id"`
	// Kind is what it is sent as. It is told, and not asked for: the file has its kind since its upload.
	Kind string `json:"kind,omitempty"`
}

// Limits are how fast messages are sent. In counts -1 means no limit, and 0 what the session has.
type Limits struct {
	MinGapSeconds float64 `json:"min_gap_seconds,omitempty"`
	MaxGapSeconds float64 `json:"max_gap_seconds,omitempty"`
	Hourly        int     `json:"hourly,omitempty"`
	Daily         int     `json:"daily,omitempty"`
	DailyNew      int     `json:"daily_new,omitempty"`
	RestEvery     int     `json:"rest_every,omitempty"`
	RestSeconds   float64 `json:"rest_seconds,omitempty"`
}

// Hours are when messages may be sent.
type Hours struct {
	Always   bool     `json:"always,omitempty"`
	TimeZone string   `json:"time_zone,omitempty"`
	From     string   `json:"from,omitempty"`
	To       string   `json:"to,omitempty"`
	Weekdays []string `json:"weekdays,omitempty"`
}
