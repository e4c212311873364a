package campaign

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// Recipient is one accepted row of an audience.
type Recipient struct {
	// Row is the number of the row as people see it. In a file the header is row 1 and the first recipient row 2; in a list the first
	// recipient is row 1.
	Row int
	// Phone is E.164 with the plus sign.
	Phone string
	// PhoneColumn names the column that the number stood in; Fields holds it as it was written.
	PhoneColumn string
	// Fields maps column names, as in the header, to the row's values.
	Fields map[string]string
}

// Rejection is one row that was refused, with everything a person needs to mend it. Its Value is shown to the owner of the audience and
// goes nowhere else: it is personal data, often a phone number.
type Rejection struct {
	Row int
	// Column is the header's name of the wrong column, empty when the whole row is wrong; Value what stood there.
	Column string
	Value  string
	// Code is stable ("phone_too_short", "phone_not_a_number", "duplicate"); Reason is a sentence that says what to do.
	Code   string
	Reason string
}

// Detail names the wrong place for an error that may be logged: it leaves the value out.
func (r Rejection) Detail() fault.Detail {
	location := fmt.Sprintf("row %d", r.Row)
	if r.Column != "" {
		location += ", column " + r.Column
	}
	return fault.Detail{Location: location, Reason: r.Reason}
}

// Row is one row of an audience: a recipient, or a rejection when Rejection is not nil.
type Row struct {
	Recipient Recipient
	Rejection *Rejection
}

// The limits of an audience. They bound the memory of one row and the time of one plan.
const (
	// DefaultMaxRows is the most rows of an audience, unless AudienceOptions say otherwise.
	DefaultMaxRows = 1_000_000
	// DefaultRegion is the country of numbers without a country code, unless AudienceOptions say otherwise.
	DefaultRegion = "AR"
	maxColumns    = 100
	maxNameBytes  = 200
	maxFieldBytes = 8 << 10
)

// AudienceOptions say how an audience is read.
type AudienceOptions struct {
	// DefaultRegion is the ISO country of numbers that are written without a country code; empty: "AR".
	DefaultRegion string
	// PhoneColumn names the column of phone numbers in a file; empty: it is guessed from the header.
	PhoneColumn string
	// MaxRows is the most rows that are read; zero: DefaultMaxRows.
	MaxRows int
}

func (o AudienceOptions) withDefaults() (AudienceOptions, error) {
	if o.DefaultRegion == "" {
		o.DefaultRegion = DefaultRegion
	}
	o.DefaultRegion = strings.ToUpper(o.DefaultRegion)
	if !IsRegion(o.DefaultRegion) {
		return o, invalid("unknown_region", "default_region", "The default region must be the two letters of a country, such as AR or MX")
	}
	if o.MaxRows < 0 {
		return o, invalid("invalid_max_rows", "max_rows", "The largest number of rows must not be negative")
	}
	if o.MaxRows == 0 {
		o.MaxRows = DefaultMaxRows
	}
	return o, nil
}

// IsRegion tells whether a text is the ISO code of a country, in capitals.
func IsRegion(code string) bool { return phonenumbers.GetCountryCodeForRegion(code) != 0 }

func (o AudienceOptions) tooManyRows() error {
	return fault.New(fault.TooLarge, "audience_too_long",
		fmt.Sprintf("The audience has more than %d rows; split it into several campaigns", o.MaxRows))
}

// Audience is a list of people that is read as it is used: Rows may be walked once.
type Audience struct {
	columns     []string
	phoneColumn string
	rows        iter.Seq2[Row, error]
	close       func() error
}

// Close gives up what the audience holds, such as temporary files. It may be closed before its end.
func (a Audience) Close() error {
	if a.close == nil {
		return nil
	}
	return a.close()
}

// Columns are the names that a text may use as placeholders.
func (a Audience) Columns() []string { return a.columns }

// PhoneColumn is the column that the phone numbers are taken from.
func (a Audience) PhoneColumn() string { return a.phoneColumn }

// Rows walks the rows in order, their numbers rising. An error ends the walk: the audience could not be read further.
func (a Audience) Rows() iter.Seq2[Row, error] { return a.rows }

// ListedRecipient is one person of an audience that is given as a list.
type ListedRecipient struct {
	Phone  string
	Fields map[string]string
}

// PhoneField is the column name of the phone numbers of a listed audience.
const PhoneField = "phone"

// ListAudience makes an audience of listed people. Its columns are PhoneField and the fields that any of them has. It is
// fault.Invalid when there is nobody, or too many different fields.
func ListAudience(people []ListedRecipient, options AudienceOptions) (Audience, error) {
	options, err := options.withDefaults()
	if err != nil {
		return Audience{}, err
	}
	if len(people) == 0 {
		return Audience{}, invalid("audience_empty", "recipients", "There are no recipients; list at least one")
	}
	if len(people) > options.MaxRows {
		return Audience{}, options.tooManyRows()
	}
	columns := listedColumns(people)
	if len(columns) > maxColumns {
		return Audience{}, invalid("too_many_columns", "recipients",
			fmt.Sprintf("The recipients have %d different fields and at most %d are read; remove some", len(columns), maxColumns))
	}
	if err := refuseLongNames(columns, "recipients"); err != nil {
		return Audience{}, err
	}
	rows := func(yield func(Row, error) bool) {
		for i, person := range people {
			fields := make(map[string]string, len(person.Fields)+1)
			maps.Copy(fields, person.Fields)
			fields[PhoneField] = person.Phone
			if !yield(newRow(i+1, PhoneField, fields, options.DefaultRegion), nil) {
				return
			}
		}
	}
	return Audience{columns: columns, phoneColumn: PhoneField, rows: rows}, nil
}

func listedColumns(people []ListedRecipient) []string {
	names := map[string]bool{PhoneField: true}
	for _, person := range people {
		for name := range person.Fields {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func refuseLongNames(columns []string, location string) error {
	for _, name := range columns {
		if len(name) > maxNameBytes {
			return invalid("column_name_too_long", location,
				fmt.Sprintf("The column name %q is too long; shorten it to %d characters", shorten(name), maxNameBytes/2))
		}
	}
	return nil
}

// newRow judges one row of any audience.
func newRow(number int, phoneColumn string, fields map[string]string, region string) Row {
	if problem := wrongField(fields); problem != nil {
		problem.Row = number
		return Row{Rejection: problem}
	}
	written := fields[phoneColumn]
	phone, err := NormalisePhone(written, region)
	if err != nil {
		problem := fault.As(err)
		return Row{Rejection: &Rejection{Row: number, Column: phoneColumn, Value: shorten(written), Code: problem.Code, Reason: problem.Message}}
	}
	return Row{Recipient: Recipient{Row: number, Phone: phone, PhoneColumn: phoneColumn, Fields: fields}}
}

// wrongField finds a field that no message can hold; of several, the one whose column comes first in the alphabet.
func wrongField(fields map[string]string) *Rejection {
	var wrong *Rejection
	for column, value := range fields {
		code, reason := judgeField(value)
		if code != "" && (wrong == nil || column < wrong.Column) {
			wrong = &Rejection{Column: column, Value: shorten(value), Code: code, Reason: reason}
		}
	}
	return wrong
}

func judgeField(value string) (code, reason string) {
	switch {
	case len(value) > maxFieldBytes:
		return "field_too_long", fmt.Sprintf("The field has %d bytes and at most %d are read; shorten it", len(value), maxFieldBytes)
	case strings.IndexByte(value, 0) >= 0:
		return "field_not_text", "The field holds a byte that is no text; type it again"
	case slices.Contains(cellErrors, value):
		return "cell_error", "The spreadsheet shows an error here; correct the formula, or type the value"
	}
	return "", ""
}

// cellErrors are what spreadsheets show in the place of a value that they could not work out.
var cellErrors = []string{"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!"}

func invalid(code, location, message string) *fault.Error {
	return fault.New(fault.Invalid, code, message).WithDetails(fault.Detail{Location: location, Reason: message})
}

// shorten keeps an error readable whatever the text is.
func shorten(text string) string {
	const longest = 60
	count := 0
	for i := range text {
		if count == longest {
			return text[:i] + "…"
		}
		count++
	}
	return text
}
