package console

import (
	"slices"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/client"
)

func TestANewCampaignCarriesWhatAStepDoesNotShow(t *testing.T) {
	t.Parallel()
	page := &wizard{Step: stepPace, form: newForm("text", "Hola", "map.persona", "Paciente", "daily", "20", "list_id", "lst_1", "draft", "yes", "recipient", "3")}
	var names []string
	for _, field := range page.Carried() {
		names = append(names, field.Name)
	}
	if want := []string{"list_id", "map.persona", "text"}; !slices.Equal(names, want) {
		t.Errorf("it carries %v, not %v", names, want)
	}
	page.Step = stepMessage
	names = nil
	for _, field := range page.Carried() {
		names = append(names, field.Name)
	}
	if want := []string{"daily", "list_id"}; !slices.Equal(names, want) {
		t.Errorf("the message carries %v, not %v", names, want)
	}
}

func TestTypedNumbersMayHaveNames(t *testing.T) {
	t.Parallel()
	people := peopleIn(" 11 5000 0001 , Ana\r\n\r\n+54 9 11 5000 0002\n")
	if len(people) != 2 || people[0].Phone != "11 5000 0001" || people[0].Fields["nombre"] != "Ana" || people[1].Phone != "+54 9 11 5000 0002" || people[1].Fields != nil {
		t.Errorf("they are %+v", people)
	}
}

func TestACellOfAReportIsNoFormula(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{"=1+1": "'=1+1", "@x": "'@x", "-2": "'-2", "+5491150000001": "+5491150000001", "Ana": "Ana", "": ""} {
		if got := harmless(cell); got != want {
			t.Errorf("%q becomes %q", cell, got)
		}
	}
}

func TestAChartCountsWhatHadHappened(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	end := begin.Add(chartSteps * time.Minute)
	points := pointsOf(begin, end, []time.Time{begin, begin.Add(90 * time.Second), end}, []time.Time{end}, nil)
	for i, want := range map[int]chartPoint{0: {Sent: 1}, 1: {Sent: 1}, 2: {Sent: 2}, chartSteps - 1: {Sent: 2}, chartSteps: {Sent: 3, Delivered: 1}} {
		if got := points[i]; got.Sent != want.Sent || got.Delivered != want.Delivered || got.Read != 0 {
			t.Errorf("point %d is %+v, not %+v", i, got, want)
		}
	}
}

func TestTheFormOfACampaignSaysWhatTheCampaignSays(t *testing.T) {
	t.Parallel()
	c := newTestConsole(t)
	v := &visit{console: c, language: c.languages[spanish]}
	settings := client.CampaignSettings{Variants: []string{"Buenas"}, Mapping: map[string]string{"persona": "Paciente"}, Typing: true,
		Limits: &client.Limits{MinGapSeconds: 2.5, MaxGapSeconds: 9, Daily: 40, RestEvery: 10, RestSeconds: 90},
		Hours:  client.Hours{TimeZone: "America/Lima", From: "09:00", To: "18:00", Weekdays: []string{"mon", "tue"}}}
	filled := formOf(client.Campaign{Name: "Turnos", Text: "Hola", Settings: settings}, time.UTC)
	again := v.campaignOf(&filled)
	if again.Name != "Turnos" || again.Text != "Hola" || !slices.Equal(again.Variants, settings.Variants) || again.Mapping["persona"] != "Paciente" || !again.Typing ||
		*again.Limits != *settings.Limits || again.Hours.TimeZone != "America/Lima" || !slices.Equal(again.Hours.Weekdays, settings.Hours.Weekdays) || len(filled.Wrong) > 0 {
		t.Errorf("it becomes %+v with %v", again, filled.Wrong)
	}
	filled.Values.Set("daily", "muchos")
	if v.campaignOf(&filled); filled.Wrong["daily"] == "" {
		t.Error("a limit that is no number is taken")
	}
}
