package campaign

import (
	"context"
	"errors"
	"time"

	"github.com/dannsalud/broadcaster/internal/store"
)

// Outlook is what the end of a campaign depends on.
type Outlook struct {
	// Messages is how many are sent; New how many of them go to people who never wrote to the session.
	Messages, New int
	Start         time.Time
	// LinkedAt is when the session was linked, which its warm-up counts from; zero: long ago.
	LinkedAt time.Time
	Limits   Limits
	Hours    Hours
}

// Estimate walks through the messages at the mean of the gaps and gives when the first and the last may go. Rests count with their mean, too.
func (o Outlook) Estimate() (start, end time.Time) {
	at := o.Hours.Next(o.Start)
	start, end = at, at
	var hour, day, dayNew recentTimes
	fresh := 0
	for i := range o.Messages {
		limits := o.Limits
		if !o.LinkedAt.IsZero() {
			limits = limits.WarmUp(at.Sub(o.LinkedAt))
		}
		isNew := fresh*o.Messages < o.New*(i+1) && fresh < o.New
		for {
			next := o.Hours.Next(at)
			next = hour.free(next, limits.Hourly, time.Hour)
			next = day.free(next, limits.Daily, 24*time.Hour)
			if isNew {
				next = dayNew.free(next, limits.DailyNew, 24*time.Hour)
			}
			if next.Equal(at) {
				break
			}
			at = next
		}
		hour, day = append(hour, at), append(day, at)
		if isNew {
			dayNew = append(dayNew, at)
			fresh++
		}
		end = at
		at = at.Add((limits.MinGap + limits.MaxGap) / 2)
		if limits.RestEvery > 0 && (i+1)%limits.RestEvery == 0 {
			at = at.Add(limits.RestFor + limits.RestFor/4)
		}
	}
	return start, end
}

// recentTimes are the times of what was sent, in their order.
type recentTimes []time.Time

// free gives when another one may go, at the earliest at a given time. It forgets what no longer counts.
func (r *recentTimes) free(at time.Time, most int, window time.Duration) time.Time {
	if most <= 0 {
		*r = nil
		return at
	}
	for len(*r) > 0 && !(*r)[0].Add(window).After(at) {
		*r = (*r)[1:]
	}
	if len(*r) < most {
		return at
	}
	return (*r)[len(*r)-most].Add(window)
}

// SessionLimits keeps what was said about the pace of sessions, over the port of documents.
type SessionLimits struct{ Documents store.Documents }

const limitsFolder = "limits"

// Get gives the limits of a session; the zero value when nothing was said.
func (s SessionLimits) Get(ctx context.Context, sessionID string) (Limits, error) {
	limits, err := readDocument[Limits](ctx, s.Documents, limitsFolder, sessionID)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return limits, err
}

// Set says what the limits of a session are.
func (s SessionLimits) Set(ctx context.Context, sessionID string, limits Limits) error {
	document, err := encodeDocument(sessionID, limits)
	if err != nil {
		return err
	}
	return s.Documents.Put(ctx, limitsFolder, []store.Document{document})
}
