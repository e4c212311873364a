package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

func TestDoctorTellsByItsExitCode(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "none")
	var out, errOut bytes.Buffer
	if code := run([]string{"doctor", "--data", missing, "--api", "", "--json"}, &out, &errOut); code != 1 {
		t.Errorf("exit code %d\n%s", code, &errOut)
	}
	var report struct {
		Healthy  bool
		Findings []struct{ Check, State, Saw, Fix string }
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || report.Healthy || len(report.Findings) < 5 {
		t.Errorf("%v: %s", err, &out)
	}
	for _, finding := range report.Findings {
		if finding.Check == "" || finding.Saw == "" || finding.State != "ok" && finding.Fix == "" {
			t.Errorf("not whole: %+v", finding)
		}
	}
	out.Reset()
	if run([]string{"doctor", "--data", missing, "--api", ""}, &out, &errOut); !strings.Contains(out.String(), "broken   data folder: ") {
		t.Errorf("a person reads:\n%s", &out)
	}
}
