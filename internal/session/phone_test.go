package session

import (
	"testing"
	"time"
)

func TestPhoneThatGivesNoSign(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	device := Device{JID: "a device"}
	for name, row := range map[string]struct {
		session Session
		want    Attention
	}{
		"seen today":                    {Session{Device: device, LinkedAt: now.Add(-90 * day), PhoneSeenAt: now.Add(-time.Hour)}, AttentionNone},
		"almost ten days":               {Session{Device: device, PhoneSeenAt: now.Add(-10*day + time.Second)}, AttentionNone},
		"ten days":                      {Session{Device: device, PhoneSeenAt: now.Add(-10 * day)}, AttentionWarn},
		"twelve days":                   {Session{Device: device, PhoneSeenAt: now.Add(-12 * day)}, AttentionAlert},
		"linked since it was last seen": {Session{Device: device, LinkedAt: now.Add(-day), PhoneSeenAt: now.Add(-30 * day)}, AttentionNone},
		"never seen, linked long ago":   {Session{Device: device, LinkedAt: now.Add(-11 * day)}, AttentionWarn},
		"not linked":                    {Session{PhoneSeenAt: now.Add(-30 * day)}, AttentionNone},
		"linked before that was noted":  {Session{Device: device}, AttentionNone},
		"a clock that goes wrong":       {Session{Device: device, PhoneSeenAt: now.Add(day)}, AttentionNone},
	} {
		if got := row.session.PhoneAttention(now); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}
