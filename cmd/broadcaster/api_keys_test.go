package main

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/internal/store/sqlite"
)

// TestTheFirstAdminKeyNeedsNoAPI: the way in, and back in, is the database; through the API it needs a key.
func TestTheFirstAdminKeyNeedsNoAPI(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	books, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(folder, "broadcaster.db")})
	if err != nil {
		t.Fatal(err)
	}
	if err := books.Close(); err != nil {
		t.Fatal(err)
	}
	if out := runs(t, 0, "api-keys", "create", "Ana", "--role", "admin", "--data", folder); !regexp.MustCompile(`^key_\S+\nkey, shown only now: bcr_\S+\n$`).MatchString(out) {
		t.Errorf("made %d bytes of output", len(out))
	}
	if out := runs(t, 0, "api-keys", "list", "--data", folder); !strings.Contains(out, "admin") || !strings.Contains(out, "Ana") {
		t.Errorf("listed %s", out)
	}
	runs(t, 1, "api-keys", "list", "--api", "http://127.0.0.1:1", "--data", folder)
	runs(t, 1, "api-keys", "list", "--api", "nowhere")
}

// TestKeysAreMadeListedAndRevokedThroughTheAPI with a product that runs.
func TestKeysAreMadeListedAndRevokedThroughTheAPI(t *testing.T) {
	w := newWorld(t)
	running := w.start(t)
	t.Setenv(keyVariable, w.key)
	made := strings.Fields(runs(t, 0, "api-keys", "create", "App", "--role", "viewer", "--user", "ana", "--expires-in", "24h", "--api", running.url))
	id, secret := made[0], made[len(made)-1]
	if caller, err := running.api.WithKey(secret).Operations().GetCaller(t.Context()); err != nil || caller.Role != "viewer" || caller.UserID != "ana" {
		t.Errorf("the key that was made is %+v: %v", caller, err)
	}
	runs(t, 0, "api-keys", "revoke", id, "--api", running.url)
	for line := range strings.Lines(runs(t, 0, "api-keys", "list", "--api", running.url)) {
		if columns := regexp.MustCompile(`\s{2,}`).Split(line, -1); strings.HasPrefix(line, id) && len(columns) < 7 {
			t.Errorf("listed %q, want an end, a use, and that it was revoked", line)
		}
	}
	t.Setenv(keyVariable, secret)
	runs(t, 1, "api-keys", "list", "--api", running.url)
	running.stop(t)
}

func runs(t *testing.T, want int, arguments ...string) string {
	t.Helper()
	var out, errOut bytes.Buffer
	if code := run(arguments, &out, &errOut); code != want {
		t.Errorf("broadcaster %v ended with %d: %s", arguments, code, &errOut)
	}
	return out.String()
}
