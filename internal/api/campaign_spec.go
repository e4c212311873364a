package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// CampaignSpec is what a person says about a campaign, but for its audience. It is exported because huma reads embedded structs only then.
type CampaignSpec struct {
	SessionID   session.ID        `json:"session_id" minLength:"1" maxLength:"100" pattern:"^[!-~]+$" patternDescription:"visible ASCII" doc:"The session that sends."`
	Name        string            `json:"name,omitempty" maxLength:"200" doc:"What people call it."`
	Text        string            `json:"text,omitempty" maxLength:"65536" doc:"The message; {{column}} stands for a field of the recipient, {{column|text}} with a fallback. The caption, when there is a file."`
	Variants    []string          `json:"variants,omitempty" maxItems:"20" doc:"Further texts. Each recipient gets one of all of them, always the same one."`
	Mapping     map[string]string `json:"mapping,omitempty" doc:"Which column a placeholder stands for, where the two are called differently."`
	Media       *MediaUse         `json:"media,omitempty" doc:"A file that goes with the text."`
	LinkPreview bool              `json:"link_preview,omitempty" doc:"Show a preview of the first link in the text."`
	Typing      bool              `json:"typing,omitempty" doc:"Show that somebody types before each message."`
	Limits      *LimitsSpec       `json:"limits,omitempty" doc:"How fast it sends; what is left out is as the session's."`
	Hours       *HoursSpec        `json:"hours,omitempty" doc:"When it may send; the service's hours when it is left out."`
	ScheduledAt *time.Time        `json:"scheduled_at,omitempty" doc:"When it begins; at once when it is left out."`
	WarmOnly    bool              `json:"warm_only,omitempty" doc:"Skip people who never wrote to the session. Such a campaign goes on while WhatsApp locks the account for strangers."`
	Draft       bool              `json:"draft,omitempty" doc:"Only plan it: it can be edited, and is started or scheduled later."`
}

// MediaUse is a file in a message.
type MediaUse struct {
	ID string `json:"id" minLength:"1" maxLength:"100" pattern:"^[!-~]+$" patternDescription:"visible ASCII" doc:"The file, as POST /v1/media named it."`
}

// LimitsSpec is how fast messages are sent. In counts -1 means no limit, and what is left out comes from the session or the service.
type LimitsSpec struct {
	MinGap    float64 `json:"min_gap_seconds,omitempty" minimum:"0" maximum:"3600" doc:"The shortest random time between two messages."`
	MaxGap    float64 `json:"max_gap_seconds,omitempty" minimum:"0" maximum:"3600" doc:"The longest one."`
	Hourly    int     `json:"hourly,omitempty" minimum:"-1" doc:"The most messages in any hour."`
	Daily     int     `json:"daily,omitempty" minimum:"-1" doc:"The most messages in any 24 hours."`
	DailyNew  int     `json:"daily_new,omitempty" minimum:"-1" doc:"The most messages in any 24 hours to people who never wrote to the session."`
	RestEvery int     `json:"rest_every,omitempty" minimum:"-1" doc:"A rest is taken after so many messages."`
	Rest      float64 `json:"rest_seconds,omitempty" minimum:"0" maximum:"86400" doc:"How long the rest is; up to a half is added at random."`
}

// HoursSpec is when messages may be sent.
type HoursSpec struct {
	Always   bool     `json:"always,omitempty" doc:"At any time; nothing else is said then."`
	TimeZone string   `json:"time_zone,omitempty" maxLength:"100" doc:"A name of the IANA database; the service's own when it is left out." example:"America/Argentina/Buenos_Aires"`
	From     string   `json:"from,omitempty" maxLength:"5" doc:"A time of the day." example:"09:00"`
	To       string   `json:"to,omitempty" maxLength:"5" doc:"The time of the day from which nothing is sent any more." example:"20:00"`
	Weekdays []string `json:"weekdays,omitempty" maxItems:"7" doc:"The days on which it may send: mon to sun; all when it is left out."`
}

func seconds(value float64) time.Duration { return time.Duration(value * float64(time.Second)) }

// shortestGap is the shortest gap that a person may ask for: what is faster is sent by no human.
const shortestGap = time.Second

func (l *LimitsSpec) limits() (campaign.Limits, error) {
	if l == nil {
		return campaign.Limits{}, nil
	}
	limits := campaign.Limits{MinGap: seconds(l.MinGap), MaxGap: seconds(l.MaxGap), Hourly: l.Hourly, Daily: l.Daily, DailyNew: l.DailyNew,
		RestEvery: l.RestEvery, RestFor: seconds(l.Rest)}
	if limits.MaxGap > 0 && limits.MinGap < shortestGap {
		return limits, fault.New(fault.Invalid, "bad_gap", "The gap between two messages must be at least a second")
	}
	return limits, limits.Validate()
}

func viewLimits(l campaign.Limits) *LimitsSpec {
	if l == (campaign.Limits{}) {
		return nil
	}
	return &LimitsSpec{MinGap: l.MinGap.Seconds(), MaxGap: l.MaxGap.Seconds(), Hourly: l.Hourly, Daily: l.Daily, DailyNew: l.DailyNew,
		RestEvery: l.RestEvery, Rest: l.RestFor.Seconds()}
}

// hours gives when a campaign may send: the service's own hours unless it says something else.
func (a *API) hours(spec *HoursSpec) campaign.Hours {
	switch {
	case spec == nil:
		return a.options.Hours
	case spec.Always:
		return campaign.Hours{}
	}
	hours := campaign.Hours{TimeZone: spec.TimeZone, From: spec.From, To: spec.To, Weekdays: spec.Weekdays}
	if hours.TimeZone == "" {
		hours.TimeZone = a.options.TimeZone
	}
	return hours
}

func viewHours(h campaign.Hours) *HoursSpec {
	if h.IsZero() {
		return &HoursSpec{Always: true}
	}
	return &HoursSpec{TimeZone: h.TimeZone, From: h.From, To: h.To, Weekdays: h.Weekdays}
}

// campaignOf makes the campaign that a spec describes, for a session that can send. Nothing is stored yet.
func (a *API) campaignOf(ctx context.Context, spec CampaignSpec) (campaign.Campaign, error) {
	owner, err := a.options.Sessions.Get(ctx, spec.SessionID)
	if errors.Is(err, store.ErrNotFound) {
		err = fault.New(fault.NotFound, "no_session", "There is no such session; it may have been deleted")
	}
	if err != nil {
		return campaign.Campaign{}, err
	}
	if !owner.State.Linked() {
		return campaign.Campaign{}, fault.New(fault.Conflict, "session_not_linked", "The session is not linked to a phone; link it first")
	}
	created := newCampaign(owner, spec.Name, spec.Text, a.now().UTC())
	created.Settings, err = a.settingsOf(ctx, spec)
	if err == nil && spec.LinkPreview {
		created.Settings.Preview, err = a.previewOf(ctx, spec.Text)
	}
	return created, err
}

func (a *API) settingsOf(ctx context.Context, spec CampaignSpec) (settings campaign.Settings, err error) {
	settings = campaign.Settings{Variants: spec.Variants, Mapping: spec.Mapping, LinkPreview: spec.LinkPreview, Typing: spec.Typing, WarmOnly: spec.WarmOnly,
		Hours: a.hours(spec.Hours)}
	if settings.Limits, err = spec.Limits.limits(); err != nil {
		return settings, err
	}
	if spec.ScheduledAt != nil {
		settings.ScheduledAt = spec.ScheduledAt.UTC().Truncate(time.Millisecond)
		if settings.ScheduledAt.After(a.now().Add(longestSchedule)) {
			return settings, fault.New(fault.Invalid, "scheduled_too_late", "A campaign begins within a year; choose an earlier time")
		}
	}
	if spec.Media != nil {
		media, err := a.library().Get(ctx, spec.Media.ID)
		if errors.Is(err, store.ErrNotFound) {
			err = fault.New(fault.Invalid, "no_media", "There is no such file; upload it first").WithDetails(fault.Detail{Location: "media.id", Reason: "not found"})
		}
		if err != nil {
			return settings, err
		}
		settings.Attachment = campaign.Attachment{ID: media.ID, Kind: media.Kind}
	}
	return settings, settings.Validate()
}

const longestSchedule = 366 * 24 * time.Hour

func (a *API) library() ownMedia {
	return ownMedia{campaign.MediaLibrary{Documents: a.options.Documents}}
}

// decodeSettings reads the settings of a form, which come as the JSON of a CampaignSpec.
func decodeSettings(text string) (spec CampaignSpec, err error) {
	if strings.TrimSpace(text) == "" {
		return spec, nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&spec); err != nil {
		return spec, fault.New(fault.Invalid, "settings_unreadable", "The settings are not the JSON of a campaign; see its schema").
			WithDetails(fault.Detail{Location: "settings", Reason: reasonOfJSON(err)})
	}
	return spec, nil
}

// reasonOfJSON says what is wrong without repeating what was sent.
func reasonOfJSON(err error) string {
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind):
		return fmt.Sprintf("the field %s is no %s", kind.Field, kind.Type)
	case strings.HasPrefix(err.Error(), "json: unknown field"):
		return strings.TrimPrefix(err.Error(), "json: ")
	}
	return "no JSON"
}

// SettingsView is how a campaign is sent.
type SettingsView struct {
	Variants    []string          `json:"variants,omitempty"`
	Mapping     map[string]string `json:"mapping,omitempty"`
	Media       *AttachmentView   `json:"media,omitempty"`
	LinkPreview bool              `json:"link_preview,omitempty"`
	Typing      bool              `json:"typing,omitempty"`
	Limits      *LimitsSpec       `json:"limits,omitempty" doc:"Absent: as the session."`
	Hours       *HoursSpec        `json:"hours"`
	ScheduledAt *time.Time        `json:"scheduled_at,omitempty"`
	WarmOnly    bool              `json:"warm_only,omitempty"`
	ClonedFrom  campaign.ID       `json:"cloned_from,omitempty"`
}

// AttachmentView is a file in a campaign.
type AttachmentView struct {
	ID   string             `json:"id"`
	Kind campaign.MediaKind `json:"kind" enum:"image,video,audio,document"`
}

func viewSettings(s campaign.Settings) SettingsView {
	view := SettingsView{Variants: s.Variants, Mapping: s.Mapping, LinkPreview: s.LinkPreview, Typing: s.Typing, Limits: viewLimits(s.Limits),
		Hours: viewHours(s.Hours), ScheduledAt: optionalTime(s.ScheduledAt), WarmOnly: s.WarmOnly, ClonedFrom: s.ClonedFrom}
	if s.Attachment.ID != "" {
		view.Media = &AttachmentView{ID: s.Attachment.ID, Kind: s.Attachment.Kind}
	}
	return view
}
