package check

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/dannsalud/broadcaster/internal/config"
)

const root = "../.."

// stack makes the secrets of a stack in a copy of the files that compose reads, and loads the project as `docker compose` does.
func stack(t *testing.T, arguments ...string) *types.Project {
	t.Helper()
	dir, secrets := copied(t), ".env"
	if len(arguments) > 0 {
		secrets = "simulate.env"
	}
	command := exec.CommandContext(t.Context(), "sh", append([]string{filepath.Join(dir, "deployments/secrets.sh")}, arguments...)...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("make the secrets: %v: %s", err, out)
	}
	project, err := load(t.Context(), dir, filepath.Join(dir, secrets))
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// copied copies what docker-compose.yml reads into a folder without secrets.
func copied(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "deployments"), os.DirFS(filepath.Join(root, "deployments"))); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "docker-compose.yml"), content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func load(ctx context.Context, dir string, envFiles ...string) (*types.Project, error) {
	options, err := cli.NewProjectOptions([]string{filepath.Join(dir, "docker-compose.yml")}, cli.WithWorkingDirectory(dir),
		cli.WithEnvFiles(envFiles...), cli.WithDotEnv, cli.WithDefaultProfiles(), cli.WithResolvedPaths(true))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(ctx)
}

var services = []string{"api", "linker", "sender"}

func TestTheComposeFileIsValid(t *testing.T) {
	t.Parallel()
	project := stack(t)
	want := []string{"api", "grafana", "linker", "mongo", "mongo-init", "nats", "prometheus", "sender"}
	if got := project.ServiceNames(); !slices.Equal(got, want) {
		t.Errorf("the stack has the services %v, want %v", got, want)
	}
	simulated := stack(t, "simulate")
	if got := simulated.ServiceNames(); !slices.Equal(got, append(want, "wasim")) {
		t.Errorf("the simulated stack has the services %v", got)
	}
	if project.Name == simulated.Name {
		t.Errorf("both stacks are called %s, and so have the same volumes", project.Name)
	}
}

// TestEveryServiceStartsWithItsSettings: internal/config takes what compose gives, by either file of secrets, and warns of nothing but the simulator.
func TestEveryServiceStartsWithItsSettings(t *testing.T) {
	t.Parallel()
	for name, project := range map[string]*types.Project{"real phones": stack(t), "simulated": stack(t, "simulate")} {
		for _, service := range services {
			warnings, err := settings(service, project.Services[service].Environment)
			if err != nil {
				t.Errorf("%s: %s would not start: %v", name, service, err)
			}
			for _, warning := range warnings {
				if name == "real phones" || !strings.Contains(warning, "WASIM_URL") {
					t.Errorf("%s: %s warns: %s", name, service, warning)
				}
			}
		}
	}
}

// settings lets internal/config read an environment.
func settings(service string, given types.MappingWithEquals) (warnings []string, err error) {
	environ := map[string]string{}
	for name, value := range given {
		if value != nil {
			environ[name] = *value
		}
	}
	switch service {
	case "api":
		c, err := config.LoadAPI(environ)
		return c.Warnings(), err
	case "linker":
		c, err := config.LoadLinker(environ)
		return c.Warnings(), err
	default:
		c, err := config.LoadSender(environ)
		return c.Warnings(), err
	}
}

// TestRealPhonesAreNeverSimulated: the secrets of real phones with the simulator's address, by mistake or not.
func TestRealPhonesAreNeverSimulated(t *testing.T) {
	t.Parallel()
	project := stack(t)
	for _, service := range []string{"linker", "sender"} {
		environment := project.Services[service].Environment
		environment["WASIM_URL"] = new("http://wasim:8090")
		for _, name := range []string{"production", "development"} {
			environment["ENVIRONMENT"] = new(name)
			if _, err := settings(service, environment); err == nil || !strings.Contains(err.Error(), "WASIM_URL") {
				t.Errorf("%s in %s: got %v, want a refusal of WASIM_URL", service, name, err)
			}
		}
	}
}

// TestNothingStartsWithoutSecrets: no password has a default.
func TestNothingStartsWithoutSecrets(t *testing.T) {
	t.Parallel()
	_, err := load(t.Context(), copied(t))
	if err == nil || !strings.Contains(err.Error(), "deployments/secrets.sh") {
		t.Errorf("got %v, want a word about deployments/secrets.sh", err)
	}
	project := stack(t)
	required := regexp.MustCompile(`\$\{[A-Z_]*(PASSWORD|KEY)[A-Z_]*(:?-|\})`)
	content, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if found := required.Find(content); found != nil {
		t.Errorf("%s has a default or may be empty", found)
	}
	// Each service has its own password of the queue, and no other one.
	for _, service := range services {
		for name := range project.Services[service].Environment {
			if strings.HasSuffix(name, "_PASSWORD") && name != "NATS_PASSWORD" {
				t.Errorf("%s is given %s", service, name)
			}
		}
		if key := project.Services[service].Environment["EGRESS_KEY"]; key == nil || *key == "" {
			t.Errorf("%s cannot read the proxies of sessions", service)
		}
		if user := project.Services[service].Environment["NATS_USER"]; user == nil || *user != service {
			t.Errorf("%s is not the user %s of the queue", service, service)
		}
	}
	if key := project.Services["api"].Environment["KEYSTORE_KEY"]; key != nil {
		t.Error("the API is given the key of the linked phones, which it does not need")
	}
}

var exactVersion = regexp.MustCompile(`:v?\d+\.\d+\.\d+(-[a-z0-9.]+)?$`)

// TestEveryServiceIsGuarded: exact versions, health, limits, restarts, and time to stop.
func TestEveryServiceIsGuarded(t *testing.T) {
	t.Parallel()
	project := stack(t, "simulate")
	for name, service := range project.Services {
		once := name == "mongo-init"
		switch {
		case service.Build == nil && !exactVersion.MatchString(service.Image):
			t.Errorf("%s has the image %s, which is no exact version", name, service.Image)
		case service.Restart == "":
			t.Errorf("%s has no restart policy", name)
		case !once && (service.Deploy == nil || service.Deploy.Resources.Limits == nil || service.Deploy.Resources.Limits.MemoryBytes == 0):
			t.Errorf("%s has no limit of memory", name)
		case !once && name != "wasim" && (service.HealthCheck == nil || len(service.HealthCheck.Test) == 0):
			t.Errorf("%s has no health check", name)
		}
		for _, volume := range service.Volumes {
			if volume.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(volume.Source); err != nil || !volume.ReadOnly {
				t.Errorf("%s mounts %s, read only %v: %v", name, volume.Source, volume.ReadOnly, err)
			}
		}
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s opens the port %s to other machines", name, port.Published)
			}
		}
	}
	for _, name := range services {
		service := project.Services[name]
		if service.StopGracePeriod == nil || time.Duration(*service.StopGracePeriod) < 25*time.Second {
			t.Errorf("%s has less than the default DRAIN_TIMEOUT and 5 s to stop", name)
		}
		if !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) {
			t.Errorf("%s may write to its image or has capabilities", name)
		}
		if service.DependsOn["nats"].Condition != types.ServiceConditionHealthy ||
			service.DependsOn["mongo-init"].Condition != types.ServiceConditionCompletedSuccessfully {
			t.Errorf("%s does not wait for its servers: %v", name, service.DependsOn)
		}
	}
}

// TestTheServersAreUnreachable: NATS and MongoDB publish no port and have no way out.
func TestTheServersAreUnreachable(t *testing.T) {
	t.Parallel()
	project := stack(t)
	for _, name := range []string{"nats", "mongo", "mongo-init"} {
		service := project.Services[name]
		if len(service.Ports) > 0 || len(service.Networks) != 1 {
			t.Errorf("%s publishes %v and is in the networks %v", name, service.Ports, service.NetworksByPriority())
		}
		for network := range service.Networks {
			if !project.Networks[network].Internal {
				t.Errorf("%s is in the network %s, which leads outside", name, network)
			}
		}
	}
}
