package ops

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// repeatsWindow is the second within which lines of one kind are counted.
	repeatsWindow = time.Second
	// maxKinds bounds how many kinds of lines are remembered at once; above it those of past windows are forgotten.
	maxKinds = 1024
)

// kindKeys are the attributes that tell lines of one message apart: the same failure of two sessions is two kinds, of two deliveries one.
var kindKeys = []string{"session", "campaign", "class", "code", "kind", "doing", "for", "part", "module"}

// repeats leaves out lines that come again and again within a second, and says behind them how many there were: whatever its level, a line is
// written or counted.
type repeats struct {
	limit int

	mu    sync.Mutex
	kinds map[string]*kind
}

// kind is one kind of line within one window.
type kind struct {
	began   time.Time
	written int
	left    int
	// tell writes how many were left out; timer calls it at the end of the window.
	tell  func(left int)
	timer *time.Timer
}

func newRepeats(limit int) *repeats { return &repeats{limit: limit, kinds: map[string]*kind{}} }

// admit tells whether a line is written; one that is not is counted.
func (r *repeats) admit(ctx context.Context, h handler, record slog.Record) bool {
	if r.limit < 0 {
		return true
	}
	name, attrs := kindOf(h, record)
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.kinds[name]
	if k == nil || now.Sub(k.began) >= repeatsWindow {
		r.forget(now)
		r.kinds[name] = &kind{began: now, written: 1}
		return true
	}
	if k.written < r.limit {
		k.written++
		return true
	}
	if k.left++; k.left == 1 {
		ctx = context.WithoutCancel(ctx)
		k.tell = func(left int) {
			summary := slog.NewRecord(time.Now(), record.Level, "repeated lines left out", 0)
			summary.AddAttrs(slog.String("line", record.Message), slog.Int("count", left))
			summary.AddAttrs(attrs...)
			_ = h.lines.Handle(ctx, summary) // where a line cannot be written, that it cannot be said either
		}
		k.timer = time.AfterFunc(k.began.Add(repeatsWindow).Sub(now), func() { r.end(k) })
	}
	return false
}

// end says how many lines of a kind were left out.
func (r *repeats) end(k *kind) {
	r.mu.Lock()
	left := k.left
	k.left = 0
	r.mu.Unlock()
	if left > 0 {
		k.tell(left)
	}
}

// flush says at once what was left out of all kinds.
func (r *repeats) flush() {
	r.mu.Lock()
	var waiting []*kind
	for _, k := range r.kinds {
		if k.left > 0 {
			k.timer.Stop()
			waiting = append(waiting, k)
		}
	}
	r.mu.Unlock()
	for _, k := range waiting {
		r.end(k)
	}
}

// forget makes room. What is waiting to be said is in its timer's hands.
func (r *repeats) forget(now time.Time) {
	if len(r.kinds) < maxKinds {
		return
	}
	for name, k := range r.kinds {
		if k.left == 0 && now.Sub(k.began) >= repeatsWindow {
			delete(r.kinds, name)
		}
	}
}

// kindOf names the kind of a line, and gives the attributes of the line itself that do so.
func kindOf(h handler, record slog.Record) (name string, attrs []slog.Attr) {
	var text strings.Builder
	text.WriteString(record.Level.String() + "\x00" + record.Message)
	note := func(attr slog.Attr) bool {
		if !slices.Contains(kindKeys, attr.Key) {
			return false
		}
		text.WriteString("\x00" + attr.Key + "=" + attr.Value.String())
		return true
	}
	for _, attr := range h.bound {
		note(attr)
	}
	record.Attrs(func(attr slog.Attr) bool {
		if note(attr) {
			attrs = append(attrs, attr)
		}
		return true
	})
	return text.String(), attrs
}
