package bus

import (
	"context"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dannsalud/broadcaster/internal/events"
)

type aboutKey struct{}

// note is an Annotate whose context tells what it was given.
func note(ctx context.Context, attrs ...slog.Attr) context.Context {
	return context.WithValue(ctx, aboutKey{}, append(noted(ctx), attrs...))
}

func noted(ctx context.Context) []slog.Attr {
	attrs, _ := ctx.Value(aboutKey{}).([]slog.Attr)
	return attrs
}

func TestHandlersKnowWhatTheirJobIsAbout(t *testing.T) {
	t.Parallel()
	seen := make(chan []slog.Attr, 1)
	bus := newBroker(t).connect(Options{Annotate: note})
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleLinkSession(func(ctx context.Context, _ events.LinkSession) error {
		seen <- noted(ctx)
		return nil
	}))
	start(t, w)
	handle(t, bus.SendCommand(t.Context(), link("a")))
	if got := receive(t, "job", seen); !cmp.Equal(got, []slog.Attr{slog.String("job", "link:lnk_a"), slog.String("session", "ses_a")},
		cmp.Comparer(func(a, b slog.Attr) bool { return a.Equal(b) })) {
		t.Errorf("the job's lines bear %v", got)
	}
}

func TestSubjectsSayWhatTheyAreAbout(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]string{
		"commands.link.s1": "session=s1", "commands.campaign.c1": "campaign=c1", "events.message.c1.receipt": "campaign=c1",
		"events.session.s1.state": "session=s1", "commands.schedule.x": "", "failed": "",
	} {
		got := ""
		for _, attr := range aboutSubject(subject) {
			got += attr.String()
		}
		if got != want {
			t.Errorf("%s is about %q, want %q", subject, got, want)
		}
	}
}
