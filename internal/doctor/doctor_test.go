package doctor

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestReportsSayWhatWasSeenAndWhatToDo(t *testing.T) {
	t.Parallel()
	report := Run(t.Context(), []Check{
		{Name: "one", Look: func(context.Context) Finding { return Fine("all %s", "well") }},
		{Name: "two", Look: func(context.Context) Finding { return Bad(Warning, "do this", "hm") }},
	})
	if !report.Healthy() {
		t.Error("a warning is broken")
	}
	var out strings.Builder
	if err := report.Write(&out); err != nil {
		t.Fatal(err)
	}
	want := "ok       one: all well\nwarning  two: hm\n         -> do this\n1 ok, 1 warnings, 0 broken\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
	if append(report, Bad(Broken, "f", "s")).Healthy() {
		t.Error("what is broken is healthy")
	}
}

// TestACheckThatHangsDoesNotHoldUpTheReport: what does not answer is a finding.
func TestACheckThatHangsDoesNotHoldUpTheReport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		report := Run(t.Context(), []Check{{Name: "silent", Look: func(ctx context.Context) Finding {
			<-ctx.Done()
			return Bad(Broken, "mend it", "it does not answer")
		}}})
		if report[0].Check != "silent" || report[0].State != Broken {
			t.Errorf("got %v", report)
		}
	})
}

func TestDatesAndClocksAtTheirBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		const week = 7 * 24 * time.Hour
		clock := func(off time.Duration) Finding {
			return Skew(Reading{Whose: "x", Time: now, At: now, Unsure: time.Second}, func() time.Time { return now.Add(off) })
		}
		for name, row := range map[string]struct {
			got  Finding
			want State
		}{
			"in step":            {clock(3 * time.Second), OK},
			"ahead":              {clock(4 * time.Second), Warning},
			"behind":             {clock(-4 * time.Second), Warning},
			"far off":            {clock(-32 * time.Second), Broken},
			"valid":              {Expiry("x", now.Add(4*week), now), OK},
			"soon":               {Expiry("x", now.Add(2*week), now), Warning},
			"expired":            {Expiry("x", now, now), Broken},
			"fresh library":      {LibraryAge("v", now.Add(-6*week), now), OK},
			"old library":        {LibraryAge("v", now.Add(-6*week-1), now), Warning},
			"a library unknown":  {LibraryAge("", time.Time{}, now), OK},
			"a disk that is not": {Disk("/none/at/all", DefaultDiskLimits())(t.Context()), Warning},
		} {
			if row.got.State != row.want {
				t.Errorf("%s is %s, want %s: %s", name, row.got.State, row.want, row.got.Saw)
			}
		}
	})
}

func TestVersionsAreComparedByTheirNumbers(t *testing.T) {
	t.Parallel()
	for version, older := range map[string]bool{"2.9.25": true, "2.12.0": false, "2.15.2": false, "3.0": false, "1.99": true, "2.12.0-beta": false, "": false, "v2.11": true} {
		if Older(version, "2.12") != older {
			t.Errorf("%q is older: %t", version, !older)
		}
	}
}
