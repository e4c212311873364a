package session

import "time"

// Attention says how urgently somebody should bring a phone online.
type Attention string

// The degrees of attention.
const (
	AttentionNone  Attention = ""
	AttentionWarn  Attention = "warn"
	AttentionAlert Attention = "alert"
)

// WhatsApp unlinks the devices of a phone that has not been online for about 14 days. The clock begins with the last sign of the phone itself: a
// message that was written on it, a chat that was read on it, or its answer to a question (peers.md §2.1: others ask after ten days and warn after
// twelve).
const (
	// PhoneAskAfter is when a phone that gave no sign is asked for one, once a day from then on: most are online, and nobody writes on them.
	PhoneAskAfter = 9 * 24 * time.Hour
	// PhoneWarnAfter and PhoneAlertAfter are when people are told.
	PhoneWarnAfter  = 10 * 24 * time.Hour
	PhoneAlertAfter = 12 * 24 * time.Hour
)

// PhoneSilence is how long a linked session's phone has given no sign; zero for a session without a device.
func (s Session) PhoneSilence(now time.Time) time.Duration {
	seen := s.PhoneSeenAt
	if s.LinkedAt.After(seen) {
		seen = s.LinkedAt // it scanned the code
	}
	if s.Device.IsZero() || seen.IsZero() || now.Before(seen) {
		return 0
	}
	return now.Sub(seen)
}

// PhoneAttention tells how urgently a session's phone should be brought online.
func (s Session) PhoneAttention(now time.Time) Attention {
	switch silence := s.PhoneSilence(now); {
	case silence >= PhoneAlertAfter:
		return AttentionAlert
	case silence >= PhoneWarnAfter:
		return AttentionWarn
	}
	return AttentionNone
}
