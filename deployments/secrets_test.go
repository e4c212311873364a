package deployments

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// makeSecrets runs a copy of secrets.sh in a folder of its own.
func makeSecrets(t *testing.T, dir string, arguments ...string) (string, error) {
	t.Helper()
	script, err := os.ReadFile("secrets.sh")
	must(t, "read secrets.sh", err)
	must(t, "make a folder", os.MkdirAll(filepath.Join(dir, "deployments"), 0o700))
	path := filepath.Join(dir, "deployments", "secrets.sh")
	must(t, "copy secrets.sh", os.WriteFile(path, script, 0o600))
	out, err := exec.CommandContext(t.Context(), "sh", append([]string{path}, arguments...)...).CombinedOutput()
	return string(out), err
}

// settingsOf reads a file that secrets.sh made.
func settingsOf(t *testing.T, path string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, "read the secrets", err)
	settings := map[string]string{}
	for line := range strings.Lines(string(content)) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(name, "#") {
			settings[name] = value
		}
	}
	return settings
}

var (
	aPassword  = regexp.MustCompile(`^p[0-9a-f]{48}$`)
	aKey       = regexp.MustCompile(`^(production-[0-9]{8}|simulation):[0-9a-f]{64}$`)
	anAdminKey = regexp.MustCompile(`^bcr_[0-9a-v]{16}_[A-Za-z0-9_-]{43}$`)
)

// TestSecretsAreRandomAndOnlyTheOwners: every secret is its own, and no other user of the machine can read them.
func TestSecretsAreRandomAndOnlyTheOwners(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for file, arguments := range map[string][]string{".env": nil, "simulate.env": {"simulate"}} {
		path := filepath.Join(t.TempDir(), file)
		if out, err := makeSecrets(t, filepath.Dir(path), arguments...); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		info, err := os.Stat(path)
		must(t, "look at the file", err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v", file, info.Mode())
		}
		passwords := 0
		for name, value := range settingsOf(t, path) {
			if !strings.HasSuffix(name, "_PASSWORD") && !strings.HasSuffix(name, "_KEY") {
				continue
			}
			passwords++
			if seen[value] {
				t.Errorf("%s of %s is another's too", name, file)
			}
			seen[value] = true
			if strings.HasSuffix(name, "_PASSWORD") && !aPassword.MatchString(value) || (name == "KEYSTORE_KEY" || name == "EGRESS_KEY") && !aKey.MatchString(value) ||
				name == "ADMIN_KEY" && !anAdminKey.MatchString(value) {
				t.Errorf("%s of %s has another form", name, file)
			}
		}
		if passwords != 13 {
			t.Errorf("%s has %d secrets, want 13", file, passwords)
		}
	}
}

// TestSecretsSayWhatTheyAreFor: those of real phones refuse a simulator, and those of a simulator refuse real phones (docs/configuration.md).
func TestSecretsSayWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, arguments := range [][]string{nil, {"simulate"}} {
		if out, err := makeSecrets(t, dir, arguments...); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	genuine, simulated := settingsOf(t, filepath.Join(dir, ".env")), settingsOf(t, filepath.Join(dir, "simulate.env"))
	if genuine["ENVIRONMENT"] != "production" || genuine["WASIM_URL"] != "" || !strings.HasPrefix(genuine["KEYSTORE_KEY"], "production-") {
		t.Error(".env is not for real phones")
	}
	if simulated["ENVIRONMENT"] != "development" || simulated["WASIM_URL"] == "" || !strings.HasPrefix(simulated["KEYSTORE_KEY"], "simulation:") {
		t.Error("simulate.env is not for a simulator")
	}
	if genuine["COMPOSE_PROJECT_NAME"] == simulated["COMPOSE_PROJECT_NAME"] {
		t.Error("both stacks have the same name, and so the same data")
	}
}

// TestSecretsAreNeverOverwritten: the key in them is the only way to the linked phones.
func TestSecretsAreNeverOverwritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, ".env")
	must(t, "write a file", os.WriteFile(path, []byte("KEYSTORE_KEY=precious\n"), 0o600))
	out, err := makeSecrets(t, dir)
	if err == nil || !strings.Contains(out, "is left as it is") {
		t.Errorf("got %v: %s", err, out)
	}
	content, err := os.ReadFile(path)
	if err != nil || string(content) != "KEYSTORE_KEY=precious\n" {
		t.Errorf("the file holds %q, %v", content, err)
	}
	if out, err := makeSecrets(t, dir, "everything"); err == nil {
		t.Errorf("an unknown word was taken: %s", out)
	}
}
