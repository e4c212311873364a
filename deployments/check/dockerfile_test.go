package check

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// stages parses the Dockerfile as BuildKit does; what its linter finds fails the test.
func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "deployments/Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range parsed.Warnings {
		t.Errorf("BuildKit warns: %s (%v)", warning.Short, warning.Location)
	}
	found, _, err := instructions.Parse(parsed.AST, linter.New(&linter.Config{
		Warn: func(rule, description, _, message string, location []parser.Range) {
			t.Errorf("BuildKit's linter: %s: %s: %s (%v)", rule, description, message, location)
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// commands gives the commands of a kind in a stage and in those that it is made from.
func commands[T instructions.Command](all []instructions.Stage, name string) []T {
	var found []T
	for _, stage := range all {
		if stage.Name != name {
			continue
		}
		found = append(found, commands[T](all, stage.BaseName)...)
		for _, command := range stage.Commands {
			if wanted, ok := command.(T); ok {
				found = append(found, wanted)
			}
		}
	}
	return found
}

func TestTheDockerfileIsValid(t *testing.T) {
	t.Parallel()
	all := stages(t)
	project := stack(t, "simulate")
	built := 0
	for name, service := range project.Services {
		if service.Build == nil {
			continue
		}
		built++
		if !slices.ContainsFunc(all, func(stage instructions.Stage) bool { return stage.Name == service.Build.Target }) {
			t.Errorf("%s is built from the stage %q, which the Dockerfile does not have", name, service.Build.Target)
		}
		if _, err := os.Stat(filepath.Join(service.Build.Context, service.Build.Dockerfile)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if built != 4 {
		t.Errorf("%d services are built, want 4", built)
	}
}

// TestImagesHaveNoRootAndSayHowTheyAre: nobody but an unprivileged user, no shell in what is run, and an exact version below.
func TestImagesHaveNoRootAndSayHowTheyAre(t *testing.T) {
	t.Parallel()
	all := stages(t)
	for _, stage := range all {
		known := slices.ContainsFunc(all, func(other instructions.Stage) bool { return other.Name == stage.BaseName })
		if !known && stage.BaseName != "scratch" && !exactVersion.MatchString(stage.BaseName) {
			t.Errorf("the stage %s is made from %s, which is no exact version", stage.Name, stage.BaseName)
		}
	}
	for _, name := range []string{"api", "linker", "sender", "wasim", "broadcaster"} {
		users := commands[*instructions.UserCommand](all, name)
		if len(users) == 0 || users[len(users)-1].User != "65532:65532" {
			t.Errorf("%s runs as another user: %v", name, users)
		}
		entry := commands[*instructions.EntrypointCommand](all, name)
		if len(entry) != 1 || entry[0].PrependShell || !slices.Equal(entry[0].CmdLine, []string{"/" + name}) {
			t.Errorf("%s starts with %v", name, entry)
		}
		health := commands[*instructions.HealthCheckCommand](all, name)
		if len(health) != 1 || health[0].Health.Test[0] == "CMD-SHELL" {
			t.Errorf("%s has the health check %v, which needs a shell or does not exist", name, health)
		}
		if slices.Contains(services, name) && !slices.Equal(health[0].Health.Test, []string{"CMD", "/" + name, "healthcheck"}) {
			t.Errorf("%s has the health check %v", name, health[0].Health.Test)
		}
	}
}

// TestTheBuildIsTheProducts: the Go of go.mod, every program of the images, and no cgo.
func TestTheBuildIsTheProducts(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(root, "deployments/Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"api", "linker", "sender", "broadcaster", "wasim"} {
		if !bytes.Contains(content, []byte(" ./cmd/"+name)) {
			t.Errorf("%s is not built", name)
		}
		if _, err := os.Stat(filepath.Join(root, "cmd", name)); err != nil {
			t.Errorf("%s is built and does not exist: %v", name, err)
		}
	}
	if !bytes.Contains(content, []byte("CGO_ENABLED=0")) {
		t.Error("the binaries are not static")
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	language := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	image := regexp.MustCompile(`golang:(\d+\.\d+)\.`).FindSubmatch(content)
	if language == nil || image == nil || !bytes.Equal(language[1], image[1]) {
		t.Errorf("go.mod wants Go %s, the image has %s", language, image)
	}
}
