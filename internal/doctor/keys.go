package doctor

import (
	"fmt"
	"strings"
	"time"
)

const (
	// keyExpirySoon is how long before its end an API key is worth a warning: somebody has to give its program another one.
	keyExpirySoon = 14 * 24 * time.Hour
	// keyMissed is how shortly before its end a key was still used, when whoever used it is locked out now.
	keyMissed = 24 * time.Hour
)

// APIKey is what is looked at of an API key that was not revoked.
type APIKey struct {
	ID, Name string
	// ExpiresAt is zero for one that holds until it is revoked, UsedAt for one that never was used.
	ExpiresAt, UsedAt time.Time
}

// APIKeys names those that expire soon, and those that expired while they were in use.
func APIKeys(all []APIKey, now time.Time) Finding {
	const fix = "make a new key, give it to whoever uses this one, and revoke this one: docs/runbooks/KeyExpires.md"
	var found []string
	for _, key := range all {
		switch left := key.ExpiresAt.Sub(now); {
		case key.ExpiresAt.IsZero() || left >= keyExpirySoon:
		case left > 0:
			found = append(found, fmt.Sprintf("%s (%q) expires on %s, in %d days", key.ID, key.Name, key.ExpiresAt.Format(time.DateOnly), int(left.Hours()/24)))
		case !key.UsedAt.IsZero() && key.ExpiresAt.Sub(key.UsedAt) < keyMissed:
			found = append(found, fmt.Sprintf("%s (%q) expired on %s, and was in use until then", key.ID, key.Name, key.ExpiresAt.Format(time.DateOnly)))
		}
	}
	if len(found) > 0 {
		return Bad(Warning, fix, "%s", strings.Join(found, "; "))
	}
	return Fine("none of %d expires within two weeks, or expired while it was in use", len(all))
}
