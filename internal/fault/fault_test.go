package fault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// policies is the table that dashboards, runbooks and the web app rely on: a change here is a change of behaviour.
var policies = map[Class]struct {
	status      int
	redelivered bool
	replaySafe  bool
}{
	RetryNow:       {http.StatusServiceUnavailable, true, true},
	RetryLater:     {http.StatusServiceUnavailable, true, true},
	PauseSession:   {http.StatusConflict, false, true},
	Relink:         {http.StatusConflict, false, true},
	Upgrade:        {http.StatusServiceUnavailable, false, true},
	SkipRecipient:  {http.StatusConflict, false, false},
	UnknownOutcome: {http.StatusGatewayTimeout, false, false},
	Poison:         {http.StatusUnprocessableEntity, false, false},
	Invalid:        {http.StatusUnprocessableEntity, false, false},
	NotFound:       {http.StatusNotFound, false, true},
	Conflict:       {http.StatusConflict, false, true},
	CoolingDown:    {http.StatusTooManyRequests, true, true},
	Unauthorized:   {http.StatusUnauthorized, false, false},
	Forbidden:      {http.StatusForbidden, false, false},
	TooLarge:       {http.StatusRequestEntityTooLarge, false, false},
	Internal:       {http.StatusInternalServerError, true, true},
}

func TestEveryClassHasItsPolicy(t *testing.T) {
	t.Parallel()
	if got, want := len(Classes()), len(policies); got != want {
		t.Fatalf("%d classes declared, %d in the table", got, want)
	}
	for _, class := range Classes() {
		want, ok := policies[class]
		if !ok {
			t.Errorf("%s is missing in the table", class)
			continue
		}
		if got := class.HTTPStatus(); got != want.status {
			t.Errorf("%s: status %d, want %d", class, got, want.status)
		}
		if got := class.Redelivered(); got != want.redelivered {
			t.Errorf("%s: redelivered %v, want %v", class, got, want.redelivered)
		}
		safe, why := class.Replay()
		if safe != want.replaySafe || why == "" || why == "unknown class" {
			t.Errorf("%s: replay %v (%q), want %v with a reason", class, safe, why, want.replaySafe)
		}
		if got := class.Label(); got != string(class) {
			t.Errorf("%s: label %q", class, got)
		}
	}
}

func TestUnknownClassStaysBounded(t *testing.T) {
	t.Parallel()
	odd := Class("+5491155550000")
	if odd.Label() != "internal" || odd.HTTPStatus() != http.StatusInternalServerError || !odd.Redelivered() {
		t.Errorf("an unknown class must behave as internal: %q %d", odd.Label(), odd.HTTPStatus())
	}
	if safe, _ := odd.Replay(); safe {
		t.Error("an unknown class must not be replayed without force")
	}
}

func TestClassSurvivesWrapping(t *testing.T) {
	t.Parallel()
	cause := errors.New("socket closed")
	until := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	err := fmt.Errorf("send delivery: %w", Wrap(cause, PauseSession, "temporary_ban", "WhatsApp paused the account; wait").
		WithUntil(until).WithAfter(time.Minute).WithDetails(Detail{Location: "body.text", Reason: "too long"}))
	got := As(err)
	if Of(err) != PauseSession || got.Code != "temporary_ban" || !got.Until.Equal(until) || got.After != time.Minute || len(got.Details) != 1 {
		t.Errorf("lost on the way: %+v", got)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is not reachable")
	}
}

func TestErrorsWithoutClass(t *testing.T) {
	t.Parallel()
	rows := []struct {
		err  error
		want Class
	}{
		{nil, ""},
		{errors.New("disk on fire"), Internal},
		{fmt.Errorf("wait: %w", context.Canceled), RetryLater},
		{fmt.Errorf("wait: %w", context.DeadlineExceeded), RetryLater},
	}
	for _, row := range rows {
		if got := Of(row.err); got != row.want {
			t.Errorf("Of(%v) = %q, want %q", row.err, got, row.want)
		}
	}
	if As(nil) != nil {
		t.Error("As(nil) must be nil")
	}
	if message := As(errors.New("password=hunter2")).Message; message == "" || errors.Is(errors.New(message), context.Canceled) {
		t.Errorf("an internal error needs a sentence without its cause, got %q", message)
	}
}
