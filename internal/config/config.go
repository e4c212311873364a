// Package config reads what a process is told by its environment: one struct for each service, with a default for all that has one.
//
// Nouns: API, Linker and Sender (the settings of a service, made of the groups that several of them share), variable (one setting: its name,
// default, what is allowed and what it means, all in the tags of its field, from which the refusals and docs/configuration.md are made),
// Secret (a text that no log and no error ever shows), warning (a setting that is allowed and unwise).
//
// A Load function takes the environment as a map, so that a test needs no process of its own; Environ gives that of this process. An
// empty value counts as unset. Every Secret may be given by a file instead: NAME_FILE holds its path. A refusal names every
// variable that is wrong, at once, and what it may be; it never repeats a secret.
//
// Callers: cmd/api, cmd/linker and cmd/sender, each of which loads its struct and hands the parts to internal/app. The package must never
// build what it configures, nor read the environment behind the back of its caller.
package config

import (
	"errors"
	"log/slog"
	"os"
	"slices"

	"github.com/caarlos0/env/v11"
)

// API are the settings of cmd/api.
type API struct {
	Process
	Observe
	Queue
	Database
	Web
	Access
	Respect
	Caps
	Egress
	Webhooks

	// Proxies are the egresses that new sessions of single users get: PROXY_USER_<id>, by id.
	Proxies map[string]Secret
}

// Linker are the settings of cmd/linker.
type Linker struct {
	Process
	Observe
	Queue
	Database
	Pages
	WhatsApp
	Egress
	Links
}

// Sender are the settings of cmd/sender.
type Sender struct {
	Process
	Observe
	Queue
	Database
	Pages
	WhatsApp
	Egress
	Sends
	Caps
	Words
	Webhooks
	Deliveries
}

// Environ gives the environment of this process.
func Environ() map[string]string { return env.ToMap(os.Environ()) }

// LoadAPI reads and checks the settings of cmd/api.
func LoadAPI(environ map[string]string) (c API, err error) {
	check := read(environ, &c)
	c.Proxies = proxies(environ, check)
	c.check(check)
	return c, check.result()
}

// LoadLinker reads and checks the settings of cmd/linker.
func LoadLinker(environ map[string]string) (c Linker, err error) {
	check := read(environ, &c)
	c.Proxies = proxies(environ, check)
	c.check(check)
	return c, check.result()
}

// LoadSender reads and checks the settings of cmd/sender.
func LoadSender(environ map[string]string) (c Sender, err error) {
	check := read(environ, &c)
	c.Proxies = proxies(environ, check)
	c.capacitySet = environ[maxConnections] != ""
	c.check(check)
	return c, check.result()
}

// Validate names every variable that holds what it must not.
func (c API) Validate() error { return validate(c, c.check) }

// Validate names every variable that holds what it must not.
func (c Linker) Validate() error { return validate(c, c.check) }

// Validate names every variable that holds what it must not.
func (c Sender) Validate() error { return validate(c, c.check) }

func (c API) check(check *checker) {
	c.Process.check(check)
	c.Observe.check(check)
	c.Queue.check(check)
	c.Database.check(check)
	c.Web.check(check)
	c.Access.check(check)
	c.Respect.check(check)
	c.Caps.check(check)
	c.Webhooks.check(check)
	if len(c.Proxies) > 0 && c.EgressKey == "" {
		check.refuse("EGRESS_KEY", "it must be set when there are proxies of users")
	}
}

func (c Linker) check(check *checker) {
	c.Process.check(check)
	c.Observe.check(check)
	c.Queue.check(check)
	c.Database.check(check)
	c.Pages.check(check)
	c.WhatsApp.check(check, c.Environment)
	c.Links.check(check, c.Simulated())
}

func (c Sender) check(check *checker) {
	c.Process.check(check)
	c.Observe.check(check)
	c.Queue.check(check)
	c.Database.check(check)
	c.Pages.check(check)
	c.WhatsApp.check(check, c.Environment)
	c.Sends.check(check, c.Simulated())
	c.Caps.check(check)
	c.Webhooks.check(check)
	c.Deliveries.check(check)
}

func validate(settings any, check func(*checker)) error {
	found := newChecker(settings)
	check(found)
	return found.result()
}

// Warnings says what is allowed and unwise, one sentence each.
func (c API) Warnings() []string { return c.Queue.warnings(c.Environment) }

// Warnings says what is allowed and unwise, one sentence each.
func (c Linker) Warnings() []string {
	return slices.Concat(c.Queue.warnings(c.Environment), c.WhatsApp.warnings(c.Environment))
}

// Warnings says what is allowed and unwise, one sentence each.
func (c Sender) Warnings() []string {
	return slices.Concat(c.Queue.warnings(c.Environment), c.WhatsApp.warnings(c.Environment), c.Sends.warnings())
}

// Redacted gives every setting by the name of its variable, as it may be logged.
func (c API) Redacted() []slog.Attr { return redacted(c, c.Proxies) }

// Redacted gives every setting by the name of its variable, as it may be logged.
func (c Linker) Redacted() []slog.Attr { return redacted(c, c.Proxies) }

// Redacted gives every setting by the name of its variable, as it may be logged.
func (c Sender) Redacted() []slog.Attr { return redacted(c, c.Proxies) }

// read fills a struct from an environment: values first, then files, then defaults. What cannot be read is refused, and left at zero.
func read(environ map[string]string, target any) *checker {
	check := newChecker(target)
	err := env.ParseWithOptions(target, env.Options{Environment: withFiles(environ, check)})
	var several env.AggregateError
	if !errors.As(err, &several) {
		return check
	}
	for _, one := range several.Errors { // They name fields and repeat values: ours name variables, and say what they may be.
		var parse env.ParseError
		if errors.As(one, &parse) {
			check.refuseField(parse.Name)
		}
	}
	return check
}
