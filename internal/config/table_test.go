package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// update writes docs/configuration.md anew: go test ./internal/config -update.
var update = flag.Bool("update", false, "write docs/configuration.md anew")

const page = "../../docs/configuration.md"

// TestTheDocumentedTableIsTrue: docs/configuration.md is made of the tags of the structs.
func TestTheDocumentedTableIsTrue(t *testing.T) {
	t.Parallel()
	want := document()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/configuration.md is not what the code says; go test ./internal/config -update writes it anew (-want +got):\n%s", diff)
	}
}

const introduction = `# Configuration

The services are configured by their environment. This page is made from the code (` + "`go test ./internal/config -update`" + ` writes it anew).

- An empty value counts as unset.
- A secret may be given by a file: ` + "`NAME_FILE`" + ` holds the path, as Docker secrets want it. White space around the secret is dropped.
- A service that finds something wrong says all of it at once, by the names of the variables, and ends with exit code 2. What is allowed but unwise
  is a warning in the log. The settings are logged at the start; secrets, and the credentials in addresses, are not.
- Durations look like ` + "`500ms`, `15s`, `2m`" + `.

`

const rules = `## Proxies

` + "`PROXY_USER_<id>`" + ` (api, linker and sender; a secret) is the egress that every new session of one user of the web app gets from the API: the address of a proxy, such as
` + "`socks5://user:password@host:1080`" + `, with http, https or socks5. The id is spelled exactly as the web app spells it, and cannot end in
` + "`_FILE`" + `.

## Simulators and real keys

A service that was told to simulate by mistake would pair no phone and send nothing, and one that mixed simulated devices with real ones would lose
them. So:

1. ` + "`WASIM_URL`" + ` is refused unless ` + "`ENVIRONMENT=development`" + `, which is not the default.
2. It is refused, whatever the environment, when any key of ` + "`KEYSTORE_KEY`" + ` has a name that begins with ` + "`production`" + `
   (` + "`production-2026:…`" + `). Name the keys of real phones so; ` + "`deployments/secrets.sh`" + ` does.
3. The other way round, a key whose name begins with ` + "`simulation` or `development`" + ` is refused in production.
4. A key with another name, or none, is allowed on both sides. In production that is a warning, because rule 2 cannot hold for it.

Sending without gaps and linking without waits are refused unless ` + "`WASIM_URL`" + ` is set.
`

// document makes the page.
func document() string {
	services := []struct {
		name     string
		settings any
	}{{"api", API{}}, {"linker", Linker{}}, {"sender", Sender{}}}
	users := map[string][]string{}
	var all []variable
	for _, service := range services {
		for _, v := range variablesOf(service.settings) {
			if len(users[v.name]) == 0 {
				all = append(all, v)
			}
			users[v.name] = append(users[v.name], service.name)
		}
	}
	var text strings.Builder
	text.WriteString(introduction)
	text.WriteString("## Variables\n\n| variable | services | default | meaning | allowed |\n|---|---|---|---|---|\n")
	for _, v := range all {
		who := strings.Join(users[v.name], ", ")
		if len(users[v.name]) == len(services) {
			who = "all"
		}
		fmt.Fprintf(&text, "| `%s`%s | %s | %s | %s | %s |\n", v.name, mark(v), who, standard(v), v.meaning, v.allowed)
	}
	text.WriteString("\n" + rules)
	return text.String()
}

func mark(v variable) string {
	if v.secret {
		return " (secret)"
	}
	return ""
}

func standard(v variable) string {
	if v.standard == "" {
		return ""
	}
	return "`" + v.standard + "`"
}
