package config

import (
	"slices"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
)

// Respect are the hours and the country of campaigns that say nothing else.
type Respect struct {
	TimeZone  string   `env:"TIME_ZONE" envDefault:"America/Argentina/Buenos_Aires" allowed:"a name of the IANA time zone database" meaning:"The time zone of hours that name none."`
	SendHours string   `env:"SEND_HOURS" envDefault:"09:00-20:00" allowed:"two times of the day such as 09:00-20:00, or always" meaning:"When campaigns send that say nothing else about their hours."`
	Region    string   `env:"DEFAULT_REGION" envDefault:"AR" allowed:"the ISO code of a country in capitals, such as AR or MX" meaning:"The country of phone numbers that are written without a country code."`
	SendDays  []string `env:"SEND_DAYS" envDefault:"mon,tue,wed,thu,fri,sat" allowed:"days such as mon,tue,wed, from mon to sun" meaning:"On which days they do."`
}

// always is the value of SEND_HOURS for campaigns without hours.
const always = "always"

func (r Respect) check(c *checker) {
	hours := r.Hours()
	_, err := time.LoadLocation(r.TimeZone)
	c.want(err == nil && r.TimeZone != "", "TIME_ZONE")
	c.want(r.SendHours == always || strings.Count(r.SendHours, "-") == 1 && campaign.Hours{From: hours.From, To: hours.To}.Validate() == nil, "SEND_HOURS")
	c.want(campaign.IsRegion(r.Region), "DEFAULT_REGION")
	c.want(len(r.SendDays) > 0 && campaign.Hours{Weekdays: r.SendDays}.Validate() == nil, "SEND_DAYS")
}

// Hours gives them as a campaign has them.
func (r Respect) Hours() campaign.Hours {
	if r.SendHours == always {
		return campaign.Hours{}
	}
	from, to, _ := strings.Cut(r.SendHours, "-")
	hours := campaign.Hours{TimeZone: r.TimeZone, From: strings.TrimSpace(from), To: strings.TrimSpace(to)}
	if len(r.SendDays) < 7 {
		hours.Weekdays = slices.Clone(r.SendDays)
	}
	return hours
}

// Caps are the limits of a session of which nothing else is said; docs/pacing.md gives their reasons.
type Caps struct {
	Hourly    int           `env:"SEND_HOURLY_CAP" envDefault:"80" allowed:"a number from 1 to 1000, or -1 for no limit" meaning:"The most messages of a session in any hour; the same for api and sender, as the next four."`
	Daily     int           `env:"SEND_DAILY_CAP" envDefault:"300" allowed:"a number from 1 to 10000, or -1 for no limit" meaning:"The most messages of a session in any 24 hours. A session that was linked less than 14 days ago has a lower one."`
	DailyNew  int           `env:"SEND_DAILY_NEW_CAP" envDefault:"60" allowed:"a number from 1 to 10000, or -1 for no limit" meaning:"The most messages of a session in any 24 hours to people who never wrote to it."`
	RestEvery int           `env:"SEND_REST_EVERY" envDefault:"30" allowed:"a number from 1 to 1000, or -1 for no rests" meaning:"After how many messages a session rests."`
	Rest      time.Duration `env:"SEND_REST" envDefault:"5m" allowed:"a duration from 0s to 24h" meaning:"How long it rests; up to a half is added at random."`
}

func (l Caps) check(c *checker) {
	for name, value := range map[string]int{"SEND_HOURLY_CAP": l.Hourly, "SEND_REST_EVERY": l.RestEvery} {
		c.want(within(value, 1, 1000) || value == campaign.NoCap, name)
	}
	for name, value := range map[string]int{"SEND_DAILY_CAP": l.Daily, "SEND_DAILY_NEW_CAP": l.DailyNew} {
		c.want(within(value, 1, 10_000) || value == campaign.NoCap, name)
	}
	c.want(within(l.Rest, 0, 24*time.Hour), "SEND_REST")
}

// Limits gives them with the gap between two messages.
func (l Caps) Limits(shortest, longest time.Duration) campaign.Limits {
	return campaign.Limits{MinGap: shortest, MaxGap: longest, Hourly: l.Hourly, Daily: l.Daily, DailyNew: l.DailyNew, RestEvery: l.RestEvery, RestFor: l.Rest}
}

// Words are how people say that they do not want to be written to.
type Words struct {
	OptOutWords  []string `env:"OPT_OUT_WORDS" allowed:"words or short sentences, separated by commas" meaning:"The messages that stop all messages to their writer, each alone; accents, case and punctuation do not count. Empty: BAJA, STOP, CANCELAR and others in Spanish, English and Portuguese."`
	OptOutAnswer string   `env:"OPT_OUT_ANSWER" allowed:"a text" meaning:"What such a writer gets back, once. Empty: that it is done, in Spanish and English."`
}

// Consent gives them as the sender takes them.
func (w Words) Consent() campaign.Consent {
	return campaign.Consent{Words: w.OptOutWords, Answer: w.OptOutAnswer}
}
