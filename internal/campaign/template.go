package campaign

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// MaxTextLength is the longest text of a WhatsApp message, in characters, that WhatsApp's own clients allow.
const MaxTextLength = 65536

// maxPlaceholders bounds the work and the memory of one rendered message, together with maxFieldBytes.
const maxPlaceholders = 100

// Template is a text with placeholders: {{column}}, or {{column|fallback}} where the fallback stands in for an empty value. Column names
// match without regard to case, accents and spaces around them; {{phone}} and {{telefono}} are the phone number as it was written, whatever its
// column is called. A single brace, and closing ones without an opening, are text; \{{ writes two opening braces.
type Template struct {
	parts []part
	// mapping gives the columns of placeholders that are called otherwise, by their folded names.
	mapping map[string]string
}

// part is a piece of text, or a placeholder when column is not empty.
type part struct {
	text     string
	column   string
	key      string // column, folded
	fallback string
}

// ParseTemplate reads a text. It is fault.Invalid when it is empty, too long, not UTF-8, when a placeholder is not closed or has no name, or
// when there are too many placeholders.
func ParseTemplate(text string) (Template, error) {
	if err := checkText(text); err != nil {
		return Template{}, err
	}
	var template Template
	placeholders := 0
	for text != "" {
		before, after, opened := strings.Cut(text, "{{")
		if !opened {
			template.addText(before)
			break
		}
		if literal, escaped := strings.CutSuffix(before, `\`); escaped {
			template.addText(literal + "{{")
			text = after
			continue
		}
		template.addText(before)
		placeholder, rest, err := parsePlaceholder(after)
		if err != nil {
			return Template{}, err
		}
		if placeholders++; placeholders > maxPlaceholders {
			return Template{}, invalid("too_many_placeholders", "text", fmt.Sprintf("The message has more than %d placeholders; remove some", maxPlaceholders))
		}
		template.parts = append(template.parts, placeholder)
		text = rest
	}
	return template, nil
}

func checkText(text string) error {
	if strings.TrimSpace(text) == "" {
		return invalid("text_empty", "text", "The message has no text; write one")
	}
	if !utf8.ValidString(text) {
		return invalid("text_not_utf8", "text", "The message is not valid UTF-8; save it as UTF-8")
	}
	if length := utf8.RuneCountInString(text); length > MaxTextLength {
		return invalid("text_too_long", "text", fmt.Sprintf("The message has %d characters and WhatsApp takes %d; shorten it", length, MaxTextLength))
	}
	return nil
}

func (t *Template) addText(text string) {
	if text != "" {
		t.parts = append(t.parts, part{text: text})
	}
}

// parsePlaceholder reads one placeholder from behind its opening braces, and gives the text behind it.
func parsePlaceholder(text string) (placeholder part, rest string, err error) {
	inside, rest, closed := strings.Cut(text, "}}")
	if !closed || strings.Contains(inside, "{{") {
		return part{}, "", invalid("placeholder_not_closed", "text",
			fmt.Sprintf("The placeholder %q is not closed; write it as {{column}}, or \\{{ for two braces", "{{"+shorten(inside)))
	}
	column, fallback, _ := strings.Cut(inside, "|")
	column = strings.TrimSpace(column)
	if column == "" || strings.ContainsAny(column, "{}") || len(column) > maxNameBytes {
		return part{}, "", invalid("placeholder_without_name", "text",
			fmt.Sprintf("The placeholder %q names no column; write it as {{column}}", "{{"+shorten(inside)+"}}"))
	}
	return part{column: column, key: fold(column), fallback: strings.TrimSpace(fallback)}, rest, nil
}

// Placeholders gives the names of the columns that the text asks for, as it writes them, each once, in order.
func (t Template) Placeholders() []string {
	var names []string
	seen := map[string]bool{}
	for _, part := range t.parts {
		if part.column != "" && !seen[part.key] {
			seen[part.key] = true
			names = append(names, part.column)
		}
	}
	return names
}

// Check compares the placeholders with the columns that exist. Unknown ones are fault.Invalid, which names each of them, the column that was
// probably meant, and the known columns.
func (t Template) Check(columns []string) error {
	known := map[string]bool{}
	for _, column := range columns {
		known[fold(column)] = true
	}
	var details []fault.Detail
	for _, name := range t.Placeholders() {
		if key := fold(name); !known[key] && !isPhoneAlias(key) && t.mapping[key] == "" && guessColumn(key, columns) == "" {
			details = append(details, unknownPlaceholder(name, columns))
		}
	}
	if len(details) == 0 {
		return nil
	}
	message := fmt.Sprintf("The text asks for %s: %s", details[0].Value, details[0].Reason)
	return fault.New(fault.Invalid, "unknown_placeholder", message).WithDetails(details...)
}

func unknownPlaceholder(name string, columns []string) fault.Detail {
	reason := "there is no such column. "
	if meant := nearest(name, columns); meant != "" {
		reason += fmt.Sprintf("Did you mean {{%s}}? ", meant)
	}
	return fault.Detail{Location: "text", Value: "{{" + shorten(name) + "}}", Reason: reason + "The columns are: " + listNames(columns)}
}

// Render fills the placeholders from a recipient's fields. A missing or empty value becomes the fallback, or nothing.
func (t Template) Render(fields map[string]string) string {
	values := values{fields: fields, mapping: t.mapping}
	var text strings.Builder
	for _, part := range t.parts {
		if part.column == "" {
			text.WriteString(part.text)
			continue
		}
		value := strings.TrimSpace(values.of(part))
		if value == "" {
			value = part.fallback
		}
		text.WriteString(value)
	}
	return text.String()
}

// values finds the fields of one recipient by the names that a text uses.
type values struct {
	fields map[string]string
	// folded has the fields by their folded names. It is made when a text first writes a name otherwise than the header does.
	folded map[string]string
	// mapping is that of the text.
	mapping map[string]string
}

// of gives the value of a placeholder: by its exact name, by its folded one, and by what else the phone number may be called.
func (v *values) of(placeholder part) string {
	if column := v.mapping[placeholder.key]; column != "" {
		placeholder = part{column: column, key: fold(column)}
	}
	if value, ok := v.fields[placeholder.column]; ok {
		return value
	}
	if v.folded == nil {
		v.folded = foldNames(v.fields)
	}
	if value, ok := v.folded[placeholder.key]; ok {
		return value
	}
	if !isPhoneAlias(placeholder.key) {
		return v.folded[guessColumn(placeholder.key, slices.Sorted(maps.Keys(v.folded)))]
	}
	return v.folded[PhoneField] + v.folded[phoneAlias] // the one that is missing is not the other
}

// foldNames gives fields by their folded names; of several names that fold into one, the first in the alphabet stands.
func foldNames(fields map[string]string) map[string]string {
	folded := make(map[string]string, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		key := fold(name)
		if _, taken := folded[key]; !taken {
			folded[key] = fields[name]
		}
	}
	return folded
}

// phoneAlias is what people call the phone number, whatever its column is called; PhoneField is the other name.
const phoneAlias = "telefono"

// isPhoneAlias tells whether a folded name stands for the phone number whatever its column is called.
func isPhoneAlias(key string) bool { return key == PhoneField || key == phoneAlias }
