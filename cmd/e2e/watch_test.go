package main

import (
	"encoding/json"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOnlyThePatienceOfRulesIsShortened(t *testing.T) {
	t.Parallel()
	got, err := hurried([]byte("groups:\n  - rules:\n      - alert: A\n        expr: 'increase(x[15m]) > 0'\n        for: 15m\n      - alert: B\n        for: 30s\n        # for: 1h\n"))
	want := "groups:\n  - rules:\n      - alert: A\n        expr: 'increase(x[15m]) > 0'\n        for: 15000ms\n      - alert: B\n        for: 500ms\n        # for: 1h\n"
	if string(got) != want || err != nil {
		t.Errorf("got %s: %v", got, err)
	}
}

func TestTheLastLineTellsWhatWasNotTried(t *testing.T) {
	t.Parallel()
	for want, result := range map[string]seen{
		`{"series_missing":"skipped","alerts_fired":"skipped"}`: {},
		`{"series_missing":[],"alerts_fired":["TargetDown"]}`:   {SeriesMissing: findings{}, AlertsFired: findings{"TargetDown"}},
		`{"series_missing":["links_total"],"alerts_fired":[]}`:  {SeriesMissing: findings{"links_total"}, AlertsFired: findings{}},
	} {
		if got, err := json.Marshal(result); string(got) != want || err != nil {
			t.Errorf("got %s, want %s: %v", got, want, err)
		}
	}
}
