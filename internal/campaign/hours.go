package campaign

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the images of the services have no time zones
)

// Hours are when messages may be sent: a part of the day, on some days of the week, in a time zone. The zero value allows every time.
type Hours struct {
	// TimeZone is a name of the IANA database, such as "America/Argentina/Buenos_Aires".
	TimeZone string `json:"time_zone,omitempty"`
	// From and To are times of the day, as "08:00" and "21:00". To is not allowed any more. A From behind To spans midnight.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Weekdays are those allowed, as "mon" to "sun"; none: all. Of hours that span midnight the day is that of From.
	Weekdays []string `json:"weekdays,omitempty"`
}

// DefaultTimeZone is that of DefaultRegion.
const DefaultTimeZone = "America/Argentina/Buenos_Aires"

// DefaultHours are those of a campaign of which nothing else is said: nobody is written to at night or on a Sunday.
func DefaultHours(timeZone string) Hours {
	return Hours{TimeZone: timeZone, From: "09:00", To: "20:00", Weekdays: []string{"mon", "tue", "wed", "thu", "fri", "sat"}}
}

// weekdays names the days as time.Weekday counts them.
var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// IsZero tells whether every time is allowed.
func (h Hours) IsZero() bool { return h.From == "" && h.To == "" && len(h.Weekdays) == 0 }

// Validate refuses what is no time of the day, day of the week or time zone.
func (h Hours) Validate() error {
	if _, err := time.LoadLocation(h.TimeZone); err != nil {
		return invalid("unknown_time_zone", "hours.time_zone", "The time zone is not known; use a name such as America/Argentina/Buenos_Aires")
	}
	if (h.From == "") != (h.To == "") || h.From == h.To && h.From != "" {
		return invalid("bad_hours", "hours", "The hours need a beginning and an end that differ, such as 09:00 and 20:00")
	}
	for _, text := range []string{h.From, h.To} {
		if text == "" {
			continue
		}
		if _, err := time.Parse("15:04", text); err != nil {
			return invalid("bad_hours", "hours", fmt.Sprintf("%q is no time of the day; write it as 09:00", shorten(text)))
		}
	}
	for _, day := range h.Weekdays {
		if !slices.Contains(weekdays, day) {
			return invalid("bad_weekday", "hours.weekdays", fmt.Sprintf("%q is no day of the week; write %s", shorten(day), strings.Join(weekdays, ", ")))
		}
	}
	return nil
}

// window is an allowed part of a day.
type window struct{ begin, end time.Time }

// on gives the window that begins on the day of a time; false when none does.
func (h Hours) on(day time.Time) (window, bool) {
	if len(h.Weekdays) > 0 && !slices.Contains(h.Weekdays, weekdays[day.Weekday()]) {
		return window{}, false
	}
	year, month, date := day.Date()
	at := func(text string, later int) time.Time {
		clock, _ := time.Parse("15:04", text) // Validate refused others; an empty text is midnight
		return time.Date(year, month, date+later, clock.Hour(), clock.Minute(), 0, 0, day.Location())
	}
	if h.From == "" {
		return window{at("", 0), at("", 1)}, true
	}
	ends := 0
	if h.To < h.From {
		ends = 1
	}
	return window{at(h.From, 0), at(h.To, ends)}, true
}

// location gives the time zone; one that is not known any more is UTC, which delays and never hurries by more than a day.
func (h Hours) location() *time.Location {
	location, err := time.LoadLocation(h.TimeZone)
	if err != nil {
		return time.UTC
	}
	return location
}

// Next gives the earliest allowed time from a given one on; that time itself when it is allowed.
func (h Hours) Next(at time.Time) time.Time {
	if h.IsZero() {
		return at
	}
	local := at.In(h.location())
	for days := -1; days <= 7; days++ {
		year, month, date := local.Date()
		day := time.Date(year, month, date+days, 12, 0, 0, 0, local.Location()) // noon exists on every day
		allowed, is := h.on(day)
		switch {
		case !is || !allowed.end.After(at):
			continue
		case allowed.begin.After(at):
			return allowed.begin
		}
		return at
	}
	return at // cannot be: a week has every day of it
}

// Allowed tells whether messages may be sent at a time.
func (h Hours) Allowed(at time.Time) bool { return h.Next(at).Equal(at) }

// Until gives the end of the allowed window that a time lies in; the zero time when there is none, or no end.
func (h Hours) Until(at time.Time) time.Time {
	if h.IsZero() || !h.Allowed(at) {
		return time.Time{}
	}
	local := at.In(h.location())
	for days := -1; days <= 0; days++ {
		year, month, date := local.Date()
		allowed, is := h.on(time.Date(year, month, date+days, 12, 0, 0, 0, local.Location()))
		if is && !allowed.begin.After(at) && allowed.end.After(at) {
			return allowed.end
		}
	}
	return time.Time{}
}
