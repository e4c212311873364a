package doctor_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/doctor"
)

func TestKeysThatEndAreNamed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	rows := map[string]struct {
		key  doctor.APIKey
		want string
	}{
		"without an end":          {doctor.APIKey{UsedAt: now}, ""},
		"in a fortnight":          {doctor.APIKey{ExpiresAt: now.Add(14 * day)}, ""},
		"within a fortnight":      {doctor.APIKey{ExpiresAt: now.Add(14*day - 1)}, `key_1 ("App") expires on 2026-03-15, in 13 days`},
		"within hours":            {doctor.APIKey{ExpiresAt: now.Add(time.Hour)}, `key_1 ("App") expires on 2026-03-01, in 0 days`},
		"expired now":             {doctor.APIKey{ExpiresAt: now, UsedAt: now.Add(-time.Hour)}, `key_1 ("App") expired on 2026-03-01, and was in use until then`},
		"expired, in use":         {doctor.APIKey{ExpiresAt: now.Add(-90 * day), UsedAt: now.Add(-90*day - 23*time.Hour)}, `key_1 ("App") expired on 2025-12-01, and was in use until then`},
		"expired, out of use":     {doctor.APIKey{ExpiresAt: now.Add(-time.Hour), UsedAt: now.Add(-26 * time.Hour)}, ""},
		"expired, and never used": {doctor.APIKey{ExpiresAt: now.Add(-time.Hour)}, ""},
	}
	for name, row := range rows {
		row.key.ID, row.key.Name = "key_1", "App"
		got := doctor.APIKeys([]doctor.APIKey{{}, row.key}, now)
		if want := row.want != ""; (got.State == doctor.Warning) != want || want && got.Saw != row.want || want && !strings.Contains(got.Fix, "runbooks/KeyExpires.md") {
			t.Errorf("%s: %+v, want %q", name, got, row.want)
		}
	}
}
