package bus

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/session"
)

func TestPromptsAreShownReplacedAndCleared(t *testing.T) {
	t.Parallel()
	prompts, err := newBus(t).Prompts(t.Context())
	handle(t, err)
	if _, found, err := prompts.Get(t.Context(), "ses_1"); found || err != nil {
		t.Errorf("a prompt before one was shown: %v", err)
	}
	handle(t, prompts.Clear(t.Context(), "ses_1"))
	for _, shown := range []session.Prompt{
		{LinkID: "lnk_1", QR: "2@secret", Index: 1, Deadline: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
		{LinkID: "lnk_1", Code: "ABCD-1234"},
	} {
		handle(t, prompts.Show(t.Context(), "ses_1", shown))
		got, found, err := prompts.Get(t.Context(), "ses_1")
		if err != nil || !found {
			t.Fatalf("the prompt is not there: %v", err)
		}
		if diff := cmp.Diff(shown, got); diff != "" {
			t.Error(diff)
		}
	}
	handle(t, prompts.Clear(t.Context(), "ses_1"))
	if _, found, err := prompts.Get(t.Context(), "ses_1"); found || err != nil {
		t.Errorf("a prompt after it was cleared: %v", err)
	}
	if _, err := prompts.bucket.Put(t.Context(), "ses_1", []byte(`"2@secret`)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := prompts.Get(t.Context(), "ses_1"); err == nil || redact(err.Error()) != "read the prompt of ses_1: it is not understood" {
		t.Errorf("the error is %v", err)
	}
}

// TestPromptsDisappearByThemselves shortens the bucket's TTL and sees that the server keeps to it.
func TestPromptsDisappearByThemselves(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	prompts, err := bus.Prompts(t.Context())
	handle(t, err)
	for _, config := range bus.buckets() {
		if config.Bucket != BucketQR {
			continue
		}
		if config.Storage != jetstream.MemoryStorage || config.TTL <= 0 || config.TTL > 3*time.Minute {
			t.Errorf("prompts are kept for %v in %v", config.TTL, config.Storage)
		}
		config.TTL = 300 * time.Millisecond
		_, err := bus.js.UpdateKeyValue(t.Context(), config)
		handle(t, err)
	}
	handle(t, prompts.Show(t.Context(), "ses_1", session.Prompt{LinkID: "lnk_1", QR: "2@secret"}))
	eventually(t, "the prompt is gone", func() bool {
		_, found, err := prompts.Get(t.Context(), "ses_1")
		return err == nil && !found
	})
}

// TestARestartForgetsPromptsAndTheirTextIsInNoFile: a QR is a secret.
func TestARestartForgetsPromptsAndTheirTextIsInNoFile(t *testing.T) {
	t.Parallel()
	const secret = "2@do-not-write-me-down"
	server := newBroker(t)
	bus := server.connect(Options{})
	prompts, err := bus.Prompts(t.Context())
	handle(t, err)
	handle(t, prompts.Show(t.Context(), "ses_1", session.Prompt{LinkID: "lnk_1", QR: secret}))
	_, err = openBucket(t, bus, BucketPacing).Put(t.Context(), "note", []byte("in a file"))
	handle(t, err)
	server.stop()
	if holding := filesWith(t, server.dir, secret); len(holding) > 0 {
		t.Errorf("the prompt is in %v", holding)
	}
	if holding := filesWith(t, server.dir, "in a file"); len(holding) == 0 {
		t.Error("the search finds nothing that is in a file either")
	}
	server.start()
	handle(t, bus.EnsureTopology(t.Context()))
	if _, found, err := prompts.Get(t.Context(), "ses_1"); found || err != nil {
		t.Errorf("after a restart the prompt is there: %v, %v", found, err)
	}
}

func filesWith(t *testing.T, dir, text string) []string {
	t.Helper()
	var holding []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), text) {
			holding = append(holding, path)
		}
		return err
	})
	handle(t, err)
	return holding
}

func TestAnswersAreTakenOnce(t *testing.T) {
	t.Parallel()
	answers, err := newBus(t).Answers(t.Context())
	handle(t, err)
	if _, found, err := answers.Take(t.Context(), "ses_1"); found || err != nil {
		t.Errorf("an answer before one was given: %v", err)
	}
	given := session.Answer{LinkID: "lnk_1", Passkey: []byte(`{"id":"secret"}`)}
	handle(t, answers.Give(t.Context(), "ses_1", session.Answer{LinkID: "lnk_0"}))
	handle(t, answers.Give(t.Context(), "ses_1", given))
	taken, found, err := answers.Take(t.Context(), "ses_1")
	if err != nil || !found {
		t.Fatalf("the answer is not there: %v", err)
	}
	if diff := cmp.Diff(given, taken); diff != "" {
		t.Error(diff)
	}
	if _, found, err := answers.Take(t.Context(), "ses_1"); found || err != nil {
		t.Errorf("an answer that was taken: %v", err)
	}
	if _, err := answers.bucket.Put(t.Context(), "ses_1", []byte(`"secret`)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := answers.Take(t.Context(), "ses_1"); err == nil || redact(err.Error()) != "take the answer for ses_1: it is not understood" {
		t.Errorf("the error is %v", err)
	}
}
