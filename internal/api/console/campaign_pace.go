package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/client"
)

// paceFields are those of the step that says when and how fast.
func paceFields() []string {
	return []string{"when", "at", "zone", "min_gap", "max_gap", "hourly", "daily", "daily_new", "rest_every", "rest_minutes", "hours", "from", "to", "weekday",
		"warm_only"}
}

// zones are the time zones that a form offers. Any other name of the IANA database may be written.
type zones struct{ Zones []string }

func (v *visit) zones() zones {
	offered := []string{"America/Argentina/Buenos_Aires", "America/Montevideo", "America/Asuncion", "America/La_Paz", "America/Santiago", "America/Sao_Paulo",
		"America/Lima", "America/Bogota", "America/Guayaquil", "America/Caracas", "America/Mexico_City", "America/New_York", "Europe/Madrid", "UTC"}
	if own := v.console.options.Zone.String(); !slices.Contains(offered, own) {
		offered = append([]string{own}, offered...)
	}
	return zones{offered}
}

// Weekdays are the days as the API names them.
func (zones) Weekdays() []string { return []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"} }

// Has tells whether one of several values of a field is chosen.
func (f *form) Has(name, value string) bool { return slices.Contains(f.Values[name], value) }

// All gives every value of a field.
func (f *form) All(name string) []string { return f.Values[name] }

// campaignOf reads the campaign that a form describes. What is wrong in a field is noted there.
func (v *visit) campaignOf(f *form) client.NewCampaign {
	wanted := client.NewCampaign{SessionID: f.Value("session_id"), Name: f.Value("name"), Text: strings.ReplaceAll(strings.TrimSpace(f.Value("text")), "\r\n", "\n"),
		List: f.Value("list_id"), Tags: splitWords(f.Value("tags")), Key: f.Value("key")}
	for _, variant := range f.Values["variant"] {
		if variant = strings.TrimSpace(variant); variant != "" {
			wanted.Variants = append(wanted.Variants, strings.ReplaceAll(variant, "\r\n", "\n"))
		}
	}
	for _, mapped := range mappedIn(f) {
		if wanted.Mapping == nil {
			wanted.Mapping = map[string]string{}
		}
		wanted.Mapping[mapped.Name] = mapped.Column
	}
	if id := f.Value("media_id"); id != "" && !f.Is("no_media", "yes") {
		wanted.Media = &client.Media{ID: id}
	}
	wanted.LinkPreview, wanted.Typing, wanted.WarmOnly = f.Is("link_preview", "yes"), f.Is("typing", "yes"), f.Is("warm_only", "yes")
	if f.Is("when", "at") {
		at, wrong := readTime(f.Value("at"), f.Value("zone"))
		if wrong != "" {
			f.Wrong["at"] = v.language.text(wrong)
		} else {
			wanted.ScheduledAt = &at
		}
	}
	wanted.Limits, wanted.Hours = v.limitsOf(f), hoursOf(f)
	return wanted
}

// limitsOf reads how fast a campaign sends; nil when nothing is said, which is as the session has it.
func (v *visit) limitsOf(f *form) *client.Limits {
	number := func(name string) float64 {
		text := strings.ReplaceAll(f.Value(name), ",", ".")
		if text == "" {
			return 0
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			f.Wrong[name] = v.language.text("campaigns.wrong.number")
		}
		return value
	}
	limits := client.Limits{MinGapSeconds: number("min_gap"), MaxGapSeconds: number("max_gap"), Hourly: int(number("hourly")), Daily: int(number("daily")),
		DailyNew: int(number("daily_new")), RestEvery: int(number("rest_every")), RestSeconds: 60 * number("rest_minutes")}
	if limits == (client.Limits{}) {
		return nil
	}
	return &limits
}

// hoursOf reads when a campaign may send; nil is as the service has it.
func hoursOf(f *form) *client.Hours {
	switch {
	case f.Is("hours", "always"):
		return &client.Hours{Always: true}
	case f.Is("hours", "own"):
		return &client.Hours{TimeZone: f.Value("zone"), From: f.Value("from"), To: f.Value("to"), Weekdays: f.Values["weekday"]}
	}
	return nil
}

// formOf writes a campaign into a form.
func formOf(found client.Campaign, zone *time.Location) form {
	settings := found.Settings
	made := newForm("name", found.Name, "text", found.Text, "zone", zone.String(), "hours", "own", "session_id", found.SessionID)
	for _, variant := range settings.Variants {
		made.Values.Add("variant", variant)
	}
	for name, column := range settings.Mapping {
		made.Values.Set(mappingPrefix+name, column)
	}
	if settings.Media != nil {
		made.Values.Set("media_id", settings.Media.ID)
		made.Values.Set("media_kind", settings.Media.Kind)
	}
	for name, on := range map[string]bool{"link_preview": settings.LinkPreview, "typing": settings.Typing, "warm_only": settings.WarmOnly} {
		if on {
			made.Values.Set(name, "yes")
		}
	}
	if limits := settings.Limits; limits != nil {
		for name, value := range map[string]float64{"min_gap": limits.MinGapSeconds, "max_gap": limits.MaxGapSeconds, "hourly": float64(limits.Hourly),
			"daily": float64(limits.Daily), "daily_new": float64(limits.DailyNew), "rest_every": float64(limits.RestEvery), "rest_minutes": limits.RestSeconds / 60} {
			if value != 0 {
				made.Values.Set(name, strconv.FormatFloat(value, 'f', -1, 64))
			}
		}
	}
	if hours := settings.Hours; hours.Always {
		made.Values.Set("hours", "always")
	} else {
		made.Values.Set("from", hours.From)
		made.Values.Set("to", hours.To)
		made.Values["weekday"] = hours.Weekdays
		if hours.TimeZone != "" {
			made.Values.Set("zone", hours.TimeZone)
		}
	}
	return made
}

// endView is when a campaign would end.
type endView struct {
	Starts, Ends time.Time
	Messages     int
	Problem      string
	More         []string
}

// end asks the API when the campaign of a form would end. A form that is not right yet has no end.
func (v *visit) end(page *wizard) (endView, error) {
	asked := v.campaignOf(&page.form)
	if len(page.Wrong) > 0 {
		return endView{Problem: v.language.text("problem.class.invalid")}, nil
	}
	asked.LinkPreview = false // the page behind the link does not matter to the time
	seen, err := v.api.PreviewCampaign(v.context(), asked, client.Looking{Samples: 1})
	if problem, ok := asProblem(err); ok && problem.Status != http.StatusUnauthorized {
		said := v.language.notice(problem)
		return endView{Problem: said.Text, More: said.More}, nil
	}
	return endView{Starts: seen.StartsAt, Ends: seen.EndsAt, Messages: seen.Valid - seen.Suppressed}, err
}

// showEnd draws the estimated end alone, for the script that asks while somebody chooses.
func showEnd(v *visit) error {
	filled, err := v.readUpload(func(*form, client.Upload) error { return nil })
	if err != nil {
		return err
	}
	page := &wizard{form: filled, Step: stepPace}
	if page.End, err = v.end(page); err != nil {
		return err
	}
	return v.write(http.StatusOK, "campaigns/"+stepPace, "fragment-end", v.view(page))
}

// check asks the API what the campaign of a form would be, with a look at WhatsApp for some numbers in the step that is for it.
func (v *visit) check(page *wizard) error {
	asked := v.campaignOf(&page.form)
	if len(page.Wrong) > 0 {
		return notFilledIn()
	}
	how := client.Looking{Samples: 3}
	if page.Step == stepCheck {
		how.Check = lookedUp
	}
	seen, err := v.api.PreviewCampaign(v.context(), asked, how)
	if err != nil {
		return err
	}
	if seen.Valid == 0 {
		return nobody(client.Import{Rejections: seen.Rejections})
	}
	page.Preview, page.Refused = seen, v.language.rejections(seen.Rejections[:min(len(seen.Rejections), mostReported)])
	page.Duplicate = seen.Duplicate
	if added := atoi(page.Value("added")); added > seen.Rows && page.Value("tags") == "" {
		page.Duplicate += added - seen.Rows // the list has each number once
	}
	page.End = endView{Starts: seen.StartsAt, Ends: seen.EndsAt, Messages: seen.Valid - seen.Suppressed}
	page.Warnings = v.warnings(page)
	return nil
}

// lookedUp is of how many numbers WhatsApp is asked at once.
const lookedUp = 50

// warnings are what a person should know before they send.
func (v *visit) warnings(page *wizard) (said []string) {
	l, seen := v.language, page.Preview
	say := func(count int, key string) {
		if count > 0 {
			said = append(said, l.plural(key, count))
		}
	}
	for _, owner := range page.Sessions {
		if owner.ID == page.Value("session_id") && owner.State != "ready" {
			said = append(said, l.text("campaigns.warn.session", "Name", owner.Name, "State", l.label("sessions.state", owner.State)))
		}
	}
	if seen.LookupProblem != "" {
		said = append(said, l.text("campaigns.warn.lookup"))
	}
	say(seen.NotOnWhatsApp, "campaigns.warn.not_on_whatsapp")
	say(seen.Suppressed, "campaigns.warn.suppressed")
	say(seen.NewContacts, "campaigns.warn.new")
	if seen.Valid >= manyAlike && len(page.All("variant")) == 0 {
		said = append(said, l.text("campaigns.warn.one_text"))
	}
	return said
}

// manyAlike is from how many messages on one text for all of them is worth a warning.
const manyAlike = 50

// Variants counts the texts.
func (w *wizard) Variants() int { return 1 + len(w.All("variant")) }

// SessionName is the name of the session that sends.
func (w *wizard) SessionName() string {
	for _, owner := range w.Sessions {
		if owner.ID == w.Value("session_id") {
			return owner.Name
		}
	}
	return w.Value("session_id")
}
