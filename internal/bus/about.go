package bus

import (
	"context"
	"log/slog"
	"strings"

	"github.com/dannsalud/broadcaster/internal/events"
)

// Annotate gives a context whose log lines bear attributes; internal/ops has one.
type Annotate func(ctx context.Context, attrs ...slog.Attr) context.Context

// unannotated is used where nobody annotates.
func unannotated(ctx context.Context, _ ...slog.Attr) context.Context { return ctx }

// aboutSubject says what a command or a fact is about, by its subject.
func aboutSubject(subject string) []slog.Attr {
	parts := strings.Split(subject, ".")
	if len(parts) < 3 {
		return nil
	}
	switch parts[0] + "." + parts[1] {
	case "commands.link", "events.session":
		return []slog.Attr{slog.String("session", parts[2])}
	case "commands.campaign", "events.campaign", "events.message":
		return []slog.Attr{slog.String("campaign", parts[2])}
	}
	return nil
}

// aboutRequest says what a request to send is about.
func aboutRequest(request events.SendRequest) []slog.Attr {
	attrs := append(make([]slog.Attr, 0, 3), slog.String("session", string(request.SessionID)))
	if request.CampaignID != "" {
		attrs = append(attrs, slog.String("campaign", string(request.CampaignID)))
	}
	if request.MessageID != "" {
		attrs = append(attrs, slog.String("delivery", request.MessageID))
	}
	return attrs
}
