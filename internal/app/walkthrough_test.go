package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/wasim"
)

const walkthrough = "../../docs/api.md"

// step is a block of commands on the page, and what the page shows for it, if it shows something: an answer, or all that is printed.
type step struct {
	commands        string
	answer, printed string
}

var fence = regexp.MustCompile("(?ms)^```(sh|json|text)\n(.*?)^```$")

func readSteps(t *testing.T) (steps []step) {
	t.Helper()
	page, err := os.ReadFile(walkthrough)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range fence.FindAllStringSubmatch(string(page), -1) {
		switch block[1] {
		case "sh":
			steps = append(steps, step{commands: block[2]})
		case "json":
			steps[len(steps)-1].answer = block[2]
		case "text":
			steps[len(steps)-1].printed = block[2]
		}
	}
	return steps
}

// behind is printed behind the output of each step.
const behind = "\n--- the step is done ---\n"

// TestTheWalkthroughIsTrue runs docs/api.md as a reader would, in one shell. A simulated phone scans what the link shows, which is the reader's part.
func TestTheWalkthroughIsTrue(t *testing.T) {
	t.Parallel()
	receiver := startHook(t)
	w := startHooked(t, t.TempDir(), app.GenerateKey())
	phone, err := w.simulator.NewPhone("+5491150000001")
	if err != nil {
		t.Fatal(err)
	}
	steps := readSteps(t)
	var script strings.Builder
	script.WriteString("set -eu\n")
	for _, step := range steps {
		script.WriteString(step.commands + "printf '%s' '" + behind + "'\n")
	}
	ctx, cancel := context.WithTimeout(t.Context(), longestWait)
	defer cancel()
	shell := exec.CommandContext(ctx, "sh", "-c", script.String()) // #nosec G204 -- our own page
	shell.Env = append(os.Environ(), "BASE="+w.product.URL(), "KEY="+w.key, "HOOK="+receiver.URL)
	var output lockedBuffer
	var complaints bytes.Buffer
	shell.Stdout, shell.Stderr = &output, &complaints
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- shell.Wait() }()
	scanned := make(chan struct{})
	go func() {
		defer close(scanned)
		w.scanWhenShown(ctx, phone, output.String)
	}()
	err = <-ended
	cancel()
	<-scanned
	answers := strings.Split(output.String(), behind)
	if err != nil {
		t.Fatalf("%v behind step %d of %d, which is\n%s\nIt wrote %s%s", err, len(answers)-1, len(steps), steps[min(len(answers), len(steps))-1].commands, answers[len(answers)-1], complaints.String())
	}
	for i, step := range steps {
		if step.printed != "" {
			pattern := strings.NewReplacer("…\n", ".*", "…", ".*").Replace(regexp.QuoteMeta(strings.TrimSpace(step.printed)))
			if !regexp.MustCompile("(?s)^" + pattern + "$").MatchString(strings.TrimSpace(strings.ReplaceAll(answers[i], "\r", ""))) {
				t.Errorf("what is printed by\n%s\nis not as the page shows it: %q", step.commands, answers[i])
			}
		}
		if step.answer != "" {
			if difference := missing(t, step.answer, answers[i]); difference != "" {
				t.Errorf("the answer to\n%s\nis not as the page shows it: %s\n%s", step.commands, difference, answers[i])
			}
		}
	}
}

// scanWhenShown has a phone scan the QR of the one session there is, as soon as the reader saw that there is one.
func (w *world) scanWhenShown(ctx context.Context, phone *wasim.Phone, seen func() string) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		sessions, _, err := w.api.Sessions(ctx, "")
		if err == nil && len(sessions) == 1 && strings.Contains(seen(), `"state":"qr"`) {
			if link, err := w.api.Link(ctx, sessions[0].ID); err == nil && link.Prompt != nil {
				if err := phone.ScanQR(ctx, link.Prompt.QR); err != nil {
					w.t.Errorf("scan: %v", err)
				}
				return
			}
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// missing says where an answer differs from what a page shows of it. It may have more; texts with an ellipsis are only shown to be there.
func missing(t *testing.T, shown, answered string) string {
	t.Helper()
	var wanted, got any
	if err := json.Unmarshal([]byte(shown), &wanted); err != nil {
		t.Fatalf("the page shows what is no JSON: %v in %s", err, shown)
	}
	if err := json.Unmarshal([]byte(strings.TrimSpace(answered)), &got); err != nil {
		return err.Error()
	}
	return differs("", wanted, got)
}

func differs(place string, wanted, got any) string {
	switch wanted := wanted.(type) {
	case map[string]any:
		found, is := got.(map[string]any)
		if !is {
			return place + " is no object"
		}
		for name, value := range wanted {
			if different := differs(place+"."+name, value, found[name]); different != "" {
				return different
			}
		}
		return ""
	case []any:
		found, is := got.([]any)
		if !is || len(found) == 0 {
			return place + " has nothing in it"
		}
		return differs(place+"[0]", wanted[0], found[0])
	case string:
		if found, is := got.(string); is && found != "" && strings.Contains(wanted, "…") {
			return differs(place, true, strings.HasPrefix(found, strings.Split(wanted, "…")[0]))
		}
	}
	if wanted != got {
		return fmt.Sprintf("%s is %v and not %v", place, got, wanted)
	}
	return ""
}
