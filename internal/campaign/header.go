package campaign

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// phoneWords are the words that people use for a phone number, folded, the surest first. A column bears one as its whole name, or as one word of
// its name ("Teléfono del paciente").
var phoneWords = []string{"whatsapp", "wsp", "celular", "cel", "movil", "mobile", "cellphone", "cell", "telefono", "tel", "phone", "telephone", "fono"}

// phoneNames are names that mean a phone number only when nothing else is in the name ("numero", and not "numero de turno").
var phoneNames = []string{"numero", "number", "nro", "num", "msisdn", "contacto", "contact"}

// nameWords are what people call the name of a person, folded, the surest first: a text that asks for {{nombre}} means the column "First name".
var nameWords = []string{"nombre", "nombres", "name", "firstname", "first", "paciente", "cliente", "apellido"}

// guessColumn finds, among column names, the one that a placeholder means though it is called otherwise; "" when none is. Only the name of a
// person is guessed: it is what nearly every text asks for.
func guessColumn(key string, columns []string) string {
	if !slices.Contains(nameWords[:4], key) {
		return ""
	}
	for _, word := range nameWords {
		for _, column := range columns {
			if name := fold(column); name == word || hasWord(name, word) {
				return column
			}
		}
	}
	return ""
}

// digitsOfData is how many digits in one column name make it improbable that it is a name.
const digitsOfData = 7

func cleanNames(header []string) []string {
	names := make([]string, len(header))
	for i, name := range header {
		names[i] = strings.TrimFunc(decode(name), func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) })
	}
	return names
}

// findColumns checks the header and gives the index of the column of phone numbers.
func findColumns(columns []string, wanted string) (int, error) {
	if len(columns) > maxColumns {
		return 0, invalid("too_many_columns", "row 1",
			fmt.Sprintf("The file has %d columns and at most %d are read; remove some", len(columns), maxColumns))
	}
	phone := phoneIndex(columns, wanted)
	if phone < 0 {
		return 0, phoneColumnMissing(columns, wanted)
	}
	if err := refuseLongNames(columns, "row 1"); err != nil {
		return 0, err
	}
	first := map[string]int{}
	for i, name := range columns {
		key := fold(name)
		if earlier, twice := first[key]; twice && key != "" {
			return 0, invalid("column_twice", "row 1", fmt.Sprintf("Columns %d and %d are both called %q; rename one", earlier+1, i+1, shorten(name)))
		}
		first[key] = i
	}
	return phone, nil
}

// phoneColumnMissing says what was found and what is expected. A file without a header is told apart, and its data not repeated.
func phoneColumnMissing(columns []string, wanted string) error {
	if slices.ContainsFunc(columns, looksLikeData) {
		return invalid("header_missing", "row 1", "The first row holds data; put a row with the names of the columns above it, such as nombre, telefono")
	}
	found := listNames(columns)
	expected := "a column of phone numbers, called telefono, celular, whatsapp or phone"
	message := "No column looks like the phone numbers; call it telefono, or say which column it is"
	if wanted != "" {
		expected = fmt.Sprintf("a column called %q", shorten(wanted))
		message = fmt.Sprintf("There is no column called %q", shorten(wanted))
	}
	return fault.New(fault.Invalid, "phone_column_missing", message+". The columns are: "+found).
		WithDetails(fault.Detail{Location: "row 1", Value: found, Reason: "expected " + expected})
}

func looksLikeData(name string) bool {
	digits := 0
	for _, r := range name {
		if unicode.IsDigit(r) {
			digits++
		}
	}
	return digits >= digitsOfData
}

// listNames lists column names for a person, as many as can be read.
func listNames(columns []string) string {
	const most = 20
	var names []string
	for _, name := range columns {
		if name != "" {
			names = append(names, shorten(name))
		}
	}
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// phoneIndex finds the wanted column, or guesses the one of phone numbers; -1 when there is none.
func phoneIndex(columns []string, wanted string) int {
	names := make([]string, len(columns))
	for i, name := range columns {
		names[i] = fold(name)
	}
	if wanted != "" {
		return slices.Index(names, fold(wanted))
	}
	for _, exact := range slices.Concat(phoneWords, phoneNames) {
		if i := slices.Index(names, exact); i >= 0 {
			return i
		}
	}
	for _, word := range phoneWords {
		if i := slices.IndexFunc(names, func(name string) bool { return hasWord(name, word) }); i >= 0 {
			return i
		}
	}
	return -1
}

func hasWord(name, word string) bool {
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) })
	return slices.Contains(words, word)
}
