package config

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
)

// variable is one setting, as the tags of its field describe it.
type variable struct {
	// name is that of the environment, field that of the struct.
	name, field string
	standard    string
	// allowed ends the sentence "it must be …"; meaning says what it is for.
	allowed, meaning string
	secret           bool
	value            reflect.Value
}

var secretType = reflect.TypeFor[Secret]()

// variablesOf lists the variables of a struct, or of a pointer to one, group by group in the order of the fields.
func variablesOf(settings any) []variable {
	return collect(reflect.Indirect(reflect.ValueOf(settings)))
}

func collect(settings reflect.Value) []variable {
	var found []variable
	for i := range settings.NumField() {
		field := settings.Type().Field(i)
		name := field.Tag.Get("env")
		switch {
		case field.Anonymous:
			found = append(found, collect(settings.Field(i))...)
		case name != "":
			found = append(found, variable{
				name: name, field: field.Name, standard: field.Tag.Get("envDefault"), allowed: field.Tag.Get("allowed"),
				meaning: field.Tag.Get("meaning"), secret: field.Type == secretType, value: settings.Field(i),
			})
		}
	}
	return found
}

// checker collects what is wrong.
type checker struct {
	variables []variable
	problems  map[string]error
}

func newChecker(settings any) *checker {
	return &checker{variables: variablesOf(settings), problems: map[string]error{}}
}

// want refuses a variable, in the words of its tag, unless it holds.
func (c *checker) want(holds bool, name string) {
	if holds {
		return
	}
	for _, v := range c.variables {
		if v.name == name {
			c.refuse(name, "it must be "+v.allowed)
			return
		}
	}
	c.refuse(name, "it is not allowed")
}

// refuse refuses a variable for a reason of its own; the first one counts.
func (c *checker) refuse(name, reason string) {
	if c.problems[name] == nil {
		c.problems[name] = fmt.Errorf("%s: %s", name, reason)
	}
}

// refuseField refuses the variable of a field.
func (c *checker) refuseField(field string) {
	for _, v := range c.variables {
		if v.field == field {
			c.want(false, v.name)
		}
	}
}

// result joins what is wrong, in the order of the names.
func (c *checker) result() error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(c.problems)) {
		problems = append(problems, c.problems[name])
	}
	return errors.Join(problems...)
}

// fileSuffix makes the name of the variable that says which file holds a secret.
const fileSuffix = "_FILE"

// withFiles gives the environment without empty values, and with the secrets that lie in files.
func withFiles(environ map[string]string, check *checker) map[string]string {
	given := map[string]string{} // never nil: the parser would read the environment of this process instead
	for name, value := range environ {
		if value != "" {
			given[name] = value
		}
	}
	for _, v := range check.variables {
		if path := given[v.name+fileSuffix]; v.secret && path != "" {
			given[v.name] = readSecret(given[v.name], v.name, path, check)
		}
	}
	return given
}

// readSecret reads the file of a secret. White space around it is dropped, and several lines (of keys) are joined by commas.
func readSecret(given, name, path string, check *checker) string {
	if given != "" {
		check.refuse(name, "it must be empty when "+name+fileSuffix+" is set")
		return ""
	}
	content, err := os.ReadFile(path) //nolint:gosec // the path is the operator's own setting
	secret := strings.Join(strings.Fields(string(content)), ",")
	switch {
	case err != nil:
		check.refuse(name, fmt.Sprintf("the file that %s%s names cannot be read: %v", name, fileSuffix, err))
	case secret == "":
		check.refuse(name, fmt.Sprintf("the file that %s%s names is empty", name, fileSuffix))
	}
	return secret
}

// redacted shows every setting by the name of its variable.
func redacted(settings any, proxies map[string]Secret) []slog.Attr {
	var shown []slog.Attr
	for _, v := range variablesOf(settings) {
		shown = append(shown, slog.String(v.name, show(v)))
	}
	for _, id := range slices.Sorted(maps.Keys(proxies)) {
		shown = append(shown, slog.String(proxyPrefix+id, withoutCredentials(proxies[id].Reveal())))
	}
	return shown
}

func show(v variable) string {
	switch value := v.value.Interface().(type) {
	case Secret:
		if strings.HasSuffix(v.name, "_URI") {
			return withoutCredentials(value.Reveal())
		}
		return value.String()
	case []string:
		addresses := slices.Clone(value)
		for i, address := range addresses {
			if strings.Contains(address, "@") {
				addresses[i] = withoutCredentials(address)
			}
		}
		return strings.Join(addresses, ",")
	default:
		return fmt.Sprint(value)
	}
}
