package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// maxFormBytes bounds a form without files.
const maxFormBytes = 1 << 20

// form is what a person filled in, and what is wrong with it. A page that has one embeds it.
type form struct {
	Values url.Values
	// Wrong says, by the name of a field, what is wrong with it.
	Wrong map[string]string
}

// filled lets again find the form of a page that embeds one.
func (f *form) filled() *form { return f }

// newForm makes a form that nobody filled in, with what its fields begin with: names and values in turn.
func newForm(values ...string) form {
	made := form{Values: url.Values{}, Wrong: map[string]string{}}
	for i := 0; i+1 < len(values); i += 2 {
		made.Values.Set(values[i], values[i+1])
	}
	return made
}

// readForm reads a form that a browser sent.
func (v *visit) readForm() (form, error) {
	made := newForm()
	v.request.Body = http.MaxBytesReader(v.writer, v.request.Body, maxFormBytes)
	if err := v.request.ParseForm(); err != nil {
		return made, fmt.Errorf("read form: %w", err)
	}
	made.Values = v.request.PostForm
	return made, nil
}

// Value gives a field without blanks around it.
func (f *form) Value(name string) string { return strings.TrimSpace(f.Values.Get(name)) }

// Is tells whether a field has a value, for choices.
func (f *form) Is(name, value string) bool { return f.Values.Get(name) == value }

// fieldOf gives the field that a place of the API's request came from; empty when it is none of this form.
func (f *form) fieldOf(location string) string {
	name := strings.TrimPrefix(location, "body.")
	if f.Values.Has(name) {
		return name
	}
	return ""
}
