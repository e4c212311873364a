package console

import (
	"net/http"
	"strconv"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
)

func limitRoutes() []route {
	return []route{
		{"GET /sessions/{id}/limits", access.Viewer, showLimits},
		{"POST /sessions/{id}/limits", access.Operator, setLimits},
	}
}

// limitField is one limit: its name in the API, what was said of the session, and what holds.
type limitField struct {
	Name string
	// Holds is what is in force; empty: no limit.
	Holds string
}

// limitsPage is how fast a session sends.
type limitsPage struct {
	form
	Session sessionRow
	Fields  []limitField
}

// limitValues gives limits by their names. Zero is nothing said, and below zero no limit.
func limitValues(limits client.Limits) map[string]float64 {
	return map[string]float64{
		"min_gap_seconds": limits.MinGapSeconds, "max_gap_seconds": limits.MaxGapSeconds, "hourly": float64(limits.Hourly), "daily": float64(limits.Daily),
		"daily_new": float64(limits.DailyNew), "rest_every": float64(limits.RestEvery), "rest_seconds": limits.RestSeconds,
	}
}

// limitNames are the limits in the order in which they are shown.
func limitNames() []string {
	return []string{"min_gap_seconds", "max_gap_seconds", "hourly", "daily", "daily_new", "rest_every", "rest_seconds"}
}

// limitsPage makes the page; a nil form is filled with what was said of the session.
func (v *visit) limitsPage(filled *form) (*limitsPage, error) {
	id := v.request.PathValue("id")
	found, err := v.api.Session(v.context(), id)
	if err != nil {
		return nil, err
	}
	limits, err := v.api.SessionLimits(v.context(), id)
	if err != nil {
		return nil, err
	}
	page := &limitsPage{Session: v.language.sessionRow(found)}
	if filled == nil {
		made := newForm()
		filled = &made
		if limits.Own != nil {
			for name, value := range limitValues(*limits.Own) {
				if value != 0 {
					filled.Values.Set(name, strconv.FormatFloat(value, 'f', -1, 64))
				}
			}
		}
	}
	page.form = *filled
	page.Fields = v.language.limitFields(limits.Effective)
	return page, nil
}

func (l *language) limitFields(effective client.Limits) []limitField {
	holds := limitValues(effective)
	fields := make([]limitField, 0, len(holds))
	for _, name := range limitNames() {
		field := limitField{Name: name}
		if holds[name] > 0 {
			field.Holds = l.number(holds[name])
		}
		fields = append(fields, field)
	}
	return fields
}

func showLimits(v *visit) error {
	page, err := v.limitsPage(nil)
	if err != nil {
		return err
	}
	return v.show("sessions/limits", page)
}

func setLimits(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	id := v.request.PathValue("id")
	limits, err := readLimits(&filled, v.language)
	if err == nil {
		_, err = v.api.SetSessionLimits(v.context(), id, limits)
	}
	if err == nil {
		return v.done(sessionPath(id), "limits.saved")
	}
	page, pageErr := v.limitsPage(&filled)
	if pageErr != nil {
		return pageErr
	}
	return v.again(err, "sessions/limits", page)
}

// readLimits reads the limits of a form, and marks what is no number.
func readLimits(filled *form, l *language) (client.Limits, error) {
	values := map[string]float64{}
	for _, name := range limitNames() {
		text := filled.Value(name)
		if text == "" {
			continue
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			filled.Wrong[name] = l.text("limits.no_number")
			continue
		}
		values[name] = value
	}
	if len(filled.Wrong) > 0 {
		return client.Limits{}, &client.Problem{Status: http.StatusUnprocessableEntity}
	}
	return client.Limits{
		MinGapSeconds: values["min_gap_seconds"], MaxGapSeconds: values["max_gap_seconds"], Hourly: int(values["hourly"]), Daily: int(values["daily"]),
		DailyNew: int(values["daily_new"]), RestEvery: int(values["rest_every"]), RestSeconds: values["rest_seconds"],
	}, nil
}
