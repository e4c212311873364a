package campaign

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// longestPhoneText bounds what is looked at: no way of writing a phone number is longer.
const longestPhoneText = 64

// What spreadsheets make of a phone number: 5.49E+12 shows a long one in a narrow column, its last digits lost; 5491155550101.0 is one that
// was taken for a quantity.
var (
	scientific = regexp.MustCompile(`(?i)^\d+([.,]\d+)?e\+?\d+$`)
	quantity   = regexp.MustCompile(`^(\+?\d{6,})[.,]0+$`)
)

// NormalisePhone gives a phone number in E.164 with the plus sign, as WhatsApp knows it. A number without a country code is read as one of
// the region (an ISO country in capitals, such as "AR"). A text that is no phone number is fault.Invalid, with a stable code and a
// sentence that says what to do and repeats no digit of it.
//
// Special cases, where WhatsApp differs from what people write:
//   - Argentine mobiles have a 9 behind the country code and no 15, however they are written locally. A landline cannot be told from a
//     mobile by its digits and gets the 9 too.
//   - Mexican numbers lost the 1 behind the country code, and the prefixes 044, 045 and 01, in 2019.
//   - Brazilian mobiles of eight digits got a ninth, a 9, in front.
//
// WhatsApp's own answer for a number (its lookup) takes precedence, where it is asked.
func NormalisePhone(text, region string) (string, error) {
	text, err := cleanPhone(text)
	if err != nil {
		return "", err
	}
	number, err := phonenumbers.Parse(text, region)
	if err != nil {
		return "", explainParse(err, text)
	}
	number = fitWhatsApp(number)
	if err := refuseNumber(number, strings.HasPrefix(text, "+")); err != nil {
		return "", err
	}
	return phonenumbers.Format(number, phonenumbers.E164), nil
}

// PersonKey gives the form of a number under which what concerns the person is kept: opt-outs, and who wrote. WhatsApp may know an account by an older form
// of its number (a Brazilian one without the ninth digit, a Mexican one with the 1), so what came from WhatsApp and what stands in a file need not be the
// same text for the same person. A number that cannot be read is its own key.
func PersonKey(phone string) string {
	if ownKey.MatchString(phone) {
		return phone
	}
	fitted, err := NormalisePhone(phone, DefaultRegion)
	if err != nil {
		return phone
	}
	return fitted
}

// ownKey matches numbers of the special cases in the form that NormalisePhone gives, which nearly all of a campaign have: to read one takes tens of
// microseconds, and each is looked up among the suppressed right before it is written to. A test compares.
var ownKey = regexp.MustCompile(`^\+(549[1-9]\d{9}|52[2-9]\d{9}|55[1-9]{2}9\d{8})$`)

// PersonKeys is PersonKey for several numbers.
func PersonKeys(phones []string) []string {
	keys := make([]string, len(phones))
	for i, phone := range phones {
		keys[i] = PersonKey(phone)
	}
	return keys
}

// cleanPhone gives the digits of a text, behind a plus sign when they start with a country code. It takes away what is invisible or left by
// spreadsheets, and refuses what cannot be one number.
func cleanPhone(text string) (string, error) {
	if len(text) > longestPhoneText {
		return "", tooLong()
	}
	text = strings.TrimSpace(strings.Map(visible, text))
	text = strings.TrimPrefix(text, "'") // spreadsheets mark a number that is kept as text
	if match := quantity.FindStringSubmatch(text); match != nil {
		text = match[1]
	}
	switch {
	case text == "":
		return "", fault.New(fault.Invalid, "phone_missing", "The phone number is missing; add it")
	case scientific.MatchString(text):
		return "", fault.New(fault.Invalid, "phone_rounded",
			"The spreadsheet rounded this number; format the column as text and enter the number again")
	case strings.ContainsFunc(text, unicode.IsLetter):
		return "", fault.New(fault.Invalid, "phone_not_a_number", "A phone number has no letters; write its digits only")
	case strings.ContainsFunc(text, isForeign), strings.Count(text, "+") > 1, strings.Index(text, "+") > strings.IndexFunc(text, unicode.IsDigit):
		return "", notANumber()
	}
	text = strings.Map(dialled, text)
	if strings.HasPrefix(text, "00") {
		text = "+" + text[2:]
	}
	return text, nil
}

// dialled keeps what is dialled: the digits and the plus sign.
func dialled(r rune) rune {
	if unicode.IsDigit(r) || r == '+' {
		return r
	}
	return -1
}

// visible drops the marks that come with a number copied from a chat or a web page (text direction, zero width), and makes spaces plain.
func visible(r rune) rune {
	switch {
	case unicode.Is(unicode.Cf, r):
		return -1
	case unicode.IsSpace(r):
		return ' '
	}
	return r
}

func isForeign(r rune) bool {
	return !unicode.IsDigit(r) && !unicode.Is(unicode.Pd, r) && !strings.ContainsRune(" +().-/", r)
}

func notANumber() error {
	return fault.New(fault.Invalid, "phone_not_a_number", "This is not a phone number; write its digits, best with the country code, such as +54 9 11 …")
}

func tooShort() error {
	return fault.New(fault.Invalid, "phone_too_short", "The number is too short; write all of its digits, with the area code")
}

func tooLong() error {
	return fault.New(fault.Invalid, "phone_too_long", "The number is too long; write one number only, and all of it once")
}

func explainParse(err error, text string) error {
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return fault.New(fault.Invalid, "phone_invalid", "No country has this code; check the digits after the plus sign")
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return tooLong()
	case strings.ContainsFunc(text, unicode.IsDigit): // for the library a single digit is no number at all
		return tooShort()
	}
	return notANumber()
}

// refuseNumber judges a number that has been read, by Google's data about each country.
func refuseNumber(number *phonenumbers.PhoneNumber, international bool) error {
	country := number.GetCountryCode()
	if country == argentina && strings.HasPrefix(phonenumbers.GetNationalSignificantNumber(number), "915") {
		return fault.New(fault.Invalid, "phone_area_code_missing", "The area code is missing; write it before the 15, such as 11 15 … or 351 15 …")
	}
	switch phonenumbers.IsPossibleNumberWithReason(number) {
	case phonenumbers.TOO_SHORT, phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return tooShort()
	case phonenumbers.TOO_LONG:
		return tooLong()
	}
	if phonenumbers.IsValidNumber(number) {
		return nil
	}
	reason := fmt.Sprintf("No number of country code +%d looks like this; check its digits", country)
	if !international {
		reason += ", or write its country code with a plus sign if it is from elsewhere"
	}
	return fault.New(fault.Invalid, "phone_invalid", reason)
}

// The country codes of the special cases.
const (
	argentina = 54
	mexico    = 52
	brazil    = 55
)

// fitWhatsApp gives the number as WhatsApp knows it; one that needs no change, or that no change makes right, comes back as it is.
func fitWhatsApp(number *phonenumbers.PhoneNumber) *phonenumbers.PhoneNumber {
	national := phonenumbers.GetNationalSignificantNumber(number)
	fitted := national
	switch number.GetCountryCode() {
	case argentina:
		fitted = fitArgentina(national)
	case mexico:
		fitted = fitMexico(national)
	case brazil:
		fitted = fitBrazil(national)
	}
	if fitted == national {
		return number
	}
	value, err := strconv.ParseUint(fitted, 10, 64)
	if err != nil {
		return number
	}
	country := number.GetCountryCode()
	return &phonenumbers.PhoneNumber{CountryCode: &country, NationalNumber: &value}
}

// fitArgentina makes 9 + area code + number of what people write: with the trunk 0 or without, with the 9, the 15, both, or neither.
func fitArgentina(national string) string {
	const length = 10 // area code and number
	digits := strings.TrimPrefix(national, "0")
	if len(digits) > length && digits[0] == '9' {
		digits = strings.TrimPrefix(digits[1:], "0")
	}
	if len(digits) == length+len("15") {
		digits = withoutFifteen(digits)
	}
	if len(digits) != length {
		return strings.TrimPrefix(national, "0")
	}
	return "9" + digits
}

// withoutFifteen removes the 15 between area code and number. How long the area code is, the library knows: it reads the number as it is
// dialled inside the country.
func withoutFifteen(digits string) string {
	local, err := phonenumbers.Parse("0"+digits, "AR")
	if err != nil {
		return digits
	}
	return strings.TrimPrefix(phonenumbers.GetNationalSignificantNumber(local), "9")
}

func fitMexico(national string) string {
	const length = 10
	for _, former := range []string{"1", "01", "044", "045"} {
		if len(national) == len(former)+length && strings.HasPrefix(national, former) {
			return national[len(former):]
		}
	}
	return national
}

func fitBrazil(national string) string {
	const area, length = 2, 10
	if len(national) == length && national[area] >= '6' {
		return national[:area] + "9" + national[area:]
	}
	return national
}
