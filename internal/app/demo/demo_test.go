package demo

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The embedded nats-server leaves this one behind each start; it reads the machine's load.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/pse.periodic"),
		// whatsmeow leaves a goroutine behind when a socket closes while a frame is read.
		goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).frameComplete"))
}

func TestMainJob(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options Options
		want    Summary
		says    string
	}{
		// The example has 200 rows, of which 14 are wrong on purpose; each session sends to all of them.
		"with the example": {
			Options{}, Summary{Sessions: 2, Campaigns: 2, Recipients: 372, Sent: 372, Delivered: 372, Read: 372, Skipped: 28, ReadyEvents: 2},
			"2 phones linked, 2 campaigns sent",
		},
		"with a generated audience": {
			Options{Sessions: 3, Recipients: 100}, Summary{Sessions: 3, Campaigns: 3, Recipients: 100, Sent: 100, Delivered: 100, Read: 100, ReadyEvents: 3},
			"3 phones linked, 3 campaigns sent",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			test.options.Out, test.options.JSON = &out, true
			summary, err := Run(t.Context(), test.options)
			if err != nil {
				t.Fatalf("%v\n%s", err, &out)
			}
			if difference := cmp.Diff(test.want, summary, cmpopts.IgnoreFields(Summary{}, "Seconds")); difference != "" {
				t.Errorf("summary (-want +got):\n%s", difference)
			}
			if !strings.Contains(out.String(), test.says) {
				t.Errorf("it says:\n%s", &out)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			var printed Summary
			if err := json.Unmarshal([]byte(lines[len(lines)-1]), &printed); err != nil || printed != summary {
				t.Errorf("the last line is %s (%v)", lines[len(lines)-1], err)
			}
		})
	}
}

func TestImpossibleDemosAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options Options
		says    string
	}{
		"too many sessions":      {Options{Sessions: 7}, "1 to 6"},
		"no session":             {Options{Sessions: -1}, "1 to 6"},
		"fewer than one each":    {Options{Sessions: 3, Recipients: 2}, "at least one per session"},
		"fewer than no audience": {Options{Recipients: -1}, "at least one per session"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.options.Out = io.Discard
			if _, err := Run(t.Context(), test.options); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v", err)
			}
		})
	}
}
