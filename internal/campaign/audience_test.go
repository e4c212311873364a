package campaign

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/internal/fault"
)

func TestListedPeopleBecomeAnAudience(t *testing.T) {
	t.Parallel()
	people := []ListedRecipient{
		{Phone: "011 15-5555-0101", Fields: map[string]string{"nombre": "Ana"}},
		{Phone: "nada", Fields: map[string]string{"turno": "lunes"}},
		{Phone: "+54 9 351 555-0102"},
		{Phone: "1155550103", Fields: map[string]string{"nombre": "a\x00b"}},
	}
	audience, err := ListAudience(people, AudienceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, audience.Columns(), []string{"nombre", "phone", "turno"})
	same(t, audience.PhoneColumn(), "phone")
	recipients, rejections, err := walk(audience)
	if err != nil {
		t.Fatal(err)
	}
	same(t, recipients, []Recipient{
		{Row: 1, Phone: "+5491155550101", PhoneColumn: "phone", Fields: map[string]string{"nombre": "Ana", "phone": "011 15-5555-0101"}},
		{Row: 3, Phone: "+5493515550102", PhoneColumn: "phone", Fields: map[string]string{"phone": "+54 9 351 555-0102"}},
	})
	same(t, rejections, []Rejection{
		{Row: 2, Column: "phone", Value: "nada", Code: "phone_not_a_number", Reason: "A phone number has no letters; write its digits only"},
		{Row: 4, Column: "nombre", Value: "a\x00b", Code: "field_not_text", Reason: "The field holds a byte that is no text; type it again"},
	})
	same(t, people[0].Fields, map[string]string{"nombre": "Ana"}) // the caller's map stays as it was
}

func TestWrongListsAreRefused(t *testing.T) {
	t.Parallel()
	_, err := ListAudience(nil, AudienceOptions{})
	wantFault(t, err, fault.Invalid, "audience_empty")
	_, err = ListAudience([]ListedRecipient{{}}, AudienceOptions{DefaultRegion: "Argentina"})
	wantFault(t, err, fault.Invalid, "unknown_region")
	_, err = ListAudience([]ListedRecipient{{Fields: map[string]string{strings.Repeat("n", maxNameBytes+1): "x"}}}, AudienceOptions{})
	wantFault(t, err, fault.Invalid, "column_name_too_long")
	wide := ListedRecipient{Fields: map[string]string{}}
	for i := range maxColumns {
		wide.Fields[fmt.Sprint("field ", i)] = "x"
	}
	_, err = ListAudience([]ListedRecipient{wide}, AudienceOptions{})
	wantFault(t, err, fault.Invalid, "too_many_columns")
}

// TestDetailsHoldNoValue: they end in logs and problem documents; a rejection's value is mostly a phone number.
func TestDetailsHoldNoValue(t *testing.T) {
	t.Parallel()
	rejection := Rejection{Row: 17, Column: "telefono", Value: "11555501", Code: "phone_too_short", Reason: "The number is too short"}
	same(t, rejection.Detail(), fault.Detail{Location: "row 17, column telefono", Reason: "The number is too short"})
	rejection.Column = ""
	same(t, rejection.Detail().Location, "row 17")
}

func TestLongValuesAreShortened(t *testing.T) {
	t.Parallel()
	same(t, shorten("Peña"), "Peña")
	same(t, shorten(strings.Repeat("ñ", 60)), strings.Repeat("ñ", 60))
	same(t, shorten(strings.Repeat("ñ", 61)), strings.Repeat("ñ", 60)+"…")
}
