package campaign

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
)

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if err == nil || fault.As(err).Code != code {
		t.Errorf("the error is %v, want the code %s", err, code)
	}
}

func TestHoursSayWhenTheNextMessageMayGo(t *testing.T) {
	t.Parallel()
	day := DefaultHours(DefaultTimeZone) // 09:00 to 20:00 but on Sundays, at UTC-3
	night := Hours{TimeZone: "Europe/Berlin", From: "22:00", To: "02:00", Weekdays: []string{"fri"}}
	rows := []struct {
		name  string
		hours Hours
		at    string
		next  string
	}{
		{"in the day", day, "2026-03-02T15:00:00Z", "2026-03-02T15:00:00Z"},
		{"before the day", day, "2026-03-02T10:00:00Z", "2026-03-02T12:00:00Z"},
		{"the first moment", day, "2026-03-02T12:00:00Z", "2026-03-02T12:00:00Z"},
		{"the first one that is late", day, "2026-03-02T23:00:00Z", "2026-03-03T12:00:00Z"},
		{"Saturday night", day, "2026-03-07T23:30:00Z", "2026-03-09T12:00:00Z"},
		{"Sunday", day, "2026-03-08T15:00:00Z", "2026-03-09T12:00:00Z"},
		{"after midnight, of Friday", night, "2026-03-07T00:30:00Z", "2026-03-07T00:30:00Z"},
		{"after midnight, of Thursday", night, "2026-03-06T00:30:00Z", "2026-03-06T21:00:00Z"},
		{"the clocks go forward", Hours{TimeZone: "Europe/Berlin", From: "02:30", To: "04:00"}, "2026-03-29T00:50:00Z", "2026-03-29T01:30:00Z"},
		{"always", Hours{}, "2026-03-08T03:00:00Z", "2026-03-08T03:00:00Z"},
		{"only days", Hours{TimeZone: "UTC", Weekdays: []string{"mon"}}, "2026-03-08T03:00:00Z", "2026-03-09T00:00:00Z"},
	}
	for _, row := range rows {
		at, _ := time.Parse(time.RFC3339, row.at)
		want, _ := time.Parse(time.RFC3339, row.next)
		if got := row.hours.Next(at); !got.Equal(want) {
			t.Errorf("%s: %s, want %s", row.name, got.UTC(), want)
		}
		if row.hours.Allowed(at) != want.Equal(at) {
			t.Errorf("%s: allowed is %t", row.name, row.hours.Allowed(at))
		}
	}
}

func TestNextIsAlwaysAllowedAndTheEarliest(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		hours := Hours{TimeZone: []string{"UTC", DefaultTimeZone, "Europe/Berlin", "Asia/Kolkata"}[random.IntN(4)],
			From: fmt.Sprintf("%02d:%02d", random.IntN(24), random.IntN(60)), To: fmt.Sprintf("%02d:%02d", random.IntN(24), random.IntN(60))}
		if hours.From == hours.To {
			continue
		}
		for _, day := range weekdays {
			if random.IntN(3) == 0 {
				hours.Weekdays = append(hours.Weekdays, day)
			}
		}
		at := time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC).Add(time.Duration(random.Int64N(int64(20 * 24 * time.Hour)))).Truncate(time.Second)
		next := hours.Next(at)
		if next.Before(at) || !hours.Allowed(next) {
			t.Fatalf("seed %d: %+v at %s gives %s", seed, hours, at, next)
		}
		for step := at; step.Before(next); step = step.Add(7 * time.Minute) {
			if hours.Allowed(step) {
				t.Fatalf("seed %d: %+v allows %s, and Next(%s) gave %s", seed, hours, step, at, next)
			}
		}
		if end := hours.Until(next); !end.After(next) || hours.Allowed(end) && hours.From != hours.To && !end.Equal(hours.Next(end)) {
			t.Fatalf("seed %d: the window of %s ends %s", seed, next, end)
		}
	}
}

func TestHoursThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for code, hours := range map[string]Hours{
		"unknown_time_zone": {TimeZone: "Mars/Olympus", From: "09:00", To: "10:00"},
		"bad_hours":         {From: "9 o'clock", To: "10:00"},
		"bad_weekday":       {Weekdays: []string{"lunes"}},
	} {
		wantCode(t, hours.Validate(), code)
	}
	wantCode(t, Hours{From: "09:00"}.Validate(), "bad_hours")
	wantCode(t, Hours{From: "09:00", To: "09:00"}.Validate(), "bad_hours")
	for _, hours := range []Hours{{}, DefaultHours(DefaultTimeZone), {From: "22:00", To: "02:00"}} {
		if err := hours.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestTheMostSpecificLimitWinsAndHealthOnlySlowsDown(t *testing.T) {
	t.Parallel()
	session := Limits{Daily: 100}.Over(DefaultLimits())
	campaign := Limits{MinGap: time.Second, MaxGap: 2 * time.Second, Hourly: NoCap}.Over(session)
	want := Limits{MinGap: time.Second, MaxGap: 2 * time.Second, Hourly: NoCap, Daily: 100, DailyNew: 60, RestEvery: 30, RestFor: 5 * time.Minute}
	same(t, campaign, want)
	young := campaign.WarmUp(time.Hour)
	same(t, []int{young.Hourly, young.Daily, young.DailyNew}, []int{NoCap, 30, 10})
	grown := campaign.WarmUp(20 * 24 * time.Hour)
	same(t, grown, campaign)
	slow := campaign.SlowedBy(2)
	same(t, []any{slow.MinGap, slow.MaxGap, slow.Hourly, slow.Daily, slow.DailyNew, slow.RestFor},
		[]any{2 * time.Second, 4 * time.Second, NoCap, 50, 30, 10 * time.Minute})
	for _, factor := range []int{-3, 0, 1} {
		same(t, campaign.SlowedBy(factor), campaign)
	}
	wantCode(t, Limits{MinGap: 2, MaxGap: 1}.Validate(), "bad_gap")
	wantCode(t, Limits{Daily: -2}.Validate(), "bad_limit")
}

func TestEachRecipientGetsAlwaysTheSameOfSeveralTexts(t *testing.T) {
	t.Parallel()
	c := Campaign{ID: "cmp_1", Text: "Hola {{nombre}}", Settings: Settings{Variants: []string{"Buen día {{nombre}}", "Qué tal {{quien}}"},
		Mapping: map[string]string{"Quién": "nombre"}}}
	templates, err := c.Templates()
	if err != nil {
		t.Fatal(err)
	}
	if err := templates.Check([]string{"Nombre", "telefono"}); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for i := range 3000 {
		phone := fmt.Sprintf("+54911%08d", i)
		text := templates.For(phone).Render(map[string]string{"Nombre": "Ana"})
		if text != templates.For(phone).Render(map[string]string{"Nombre": "Ana"}) {
			t.Fatal("the text changed")
		}
		counts[text]++
	}
	for _, text := range []string{"Hola Ana", "Buen día Ana", "Qué tal Ana"} {
		if counts[text] < 850 || counts[text] > 1150 {
			t.Errorf("%q went to %d of 3000", text, counts[text])
		}
	}
	same(t, DecodeSettings(c.Settings.Encode()), c.Settings)
	wantCode(t, func() error {
		c.Settings.Mapping = map[string]string{"nombre": "apodo"}
		broken, _ := c.Templates()
		return broken.Check([]string{"nombre"})
	}(), "unknown_column")
	c.Settings.Variants = []string{"{{"}
	_, err = c.Templates()
	wantCode(t, err, "placeholder_not_closed")
}

func TestTheNameIsFoundUnderItsOtherNames(t *testing.T) {
	t.Parallel()
	template, err := ParseTemplate("Hola {{nombre|vecino}}")
	if err != nil {
		t.Fatal(err)
	}
	columns := []string{"First name", "Telefono"}
	if err := template.Check(columns); err != nil {
		t.Error(err)
	}
	same(t, template.Render(map[string]string{"First name": "Ana", "Telefono": "1"}), "Hola Ana")
	same(t, template.Render(map[string]string{"First name": "", "Telefono": "1"}), "Hola vecino")
	if template.Check([]string{"dirección", "Telefono"}) == nil {
		t.Error("a name was found where there is none")
	}
}
