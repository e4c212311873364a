package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/wa/keys"
)

func TestKeysAreMadeAndRotatedFromTheCommandLine(t *testing.T) {
	folder := t.TempDir()
	var out, errOut bytes.Buffer
	if code := run([]string{"keys", "generate"}, &out, &errOut); code != 0 {
		t.Fatalf("exit code %d: %s", code, &errOut)
	}
	fresh := strings.TrimSpace(out.String())
	old, err := keys.MakeRing(filepath.Join(folder, "keystore.key"))
	if err != nil {
		t.Fatal(err)
	}
	database, err := sqlite.OpenKeys(t.Context(), sqlite.Options{Path: filepath.Join(folder, "keystore.db")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Open(t.Context(), keys.Options{Keys: database, Ring: old}); err != nil {
		t.Fatal(err)
	}
	if err := database.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KEYSTORE_KEY", fresh)
	if code := run([]string{"keys", "rotate", "--data", folder}, &out, &errOut); code != 1 || !strings.Contains(errOut.String(), "KEYSTORE_KEY") || strings.Contains(errOut.String(), fresh) {
		t.Errorf("a rotation without the old key: exit code %d: %s", code, &errOut)
	}
	t.Setenv("KEYSTORE_KEY", "")
	t.Setenv("KEYSTORE_KEY_FILE", filepath.Join(folder, "keystore.key"))
	out.Reset()
	if code := run([]string{"keys", "rotate", "--json", "--data", folder}, &out, &errOut); code != 0 {
		t.Errorf("exit code %d: %s", code, &errOut)
	}
	var rotation app.KeyRotation
	if err := json.Unmarshal(out.Bytes(), &rotation); err != nil || rotation.Resealed != 0 || rotation.Damaged != 0 {
		t.Errorf("said %q: %v", &out, err)
	}
	if code := run([]string{"keys", "rotate", "--data", filepath.Join(folder, "nothing")}, &out, &errOut); code != 1 {
		t.Errorf("a folder without a key store: exit code %d", code)
	}
}
