package stanza

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.mau.fi/whatsmeow/types"
)

// The LID of a number is the number scrambled by a multiplication modulo 2^50 (E.164 numbers have at most 15 digits, which is less
// than 2^50): every number has exactly one LID and the other way round, without a table, in every process.
const (
	lidBits       = 50
	lidMask       = 1<<lidBits - 1
	lidMultiplier = 0x1b5a3c96e2f47
)

// lidInverse is the multiplicative inverse of lidMultiplier modulo 2^50, found by Newton's iteration.
var lidInverse = func() uint64 {
	inverse := uint64(1)
	for range 6 {
		inverse *= 2 - lidMultiplier*inverse
	}
	return inverse & lidMask
}()

// ErrNumber is returned for a text that is not an international phone number.
var ErrNumber = errors.New("not an international phone number")

// ParseNumber reads "+49 151 1234567": spaces, dashes, dots and brackets are ignored, 7 to 15 digits remain, none leading zero.
func ParseNumber(text string) (uint64, error) {
	digits := strings.NewReplacer(" ", "", "-", "", ".", "", "(", "", ")", "").Replace(strings.TrimPrefix(text, "+"))
	number, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || len(digits) < 7 || len(digits) > 15 || digits[0] == '0' {
		return 0, fmt.Errorf("%w: %d characters, want 7 to 15 digits without a leading zero", ErrNumber, len(text))
	}
	return number, nil
}

// FormatNumber writes a number as E.164, with the plus sign.
func FormatNumber(number uint64) string { return "+" + strconv.FormatUint(number, 10) }

// PN is the JID of a device by its phone number.
func PN(number uint64, device uint16) types.JID {
	return types.JID{User: strconv.FormatUint(number, 10), Device: device, Server: types.DefaultUserServer}
}

// LID is the JID of a device by its hidden id.
func LID(number uint64, device uint16) types.JID {
	hidden := number * lidMultiplier & lidMask
	return types.JID{User: strconv.FormatUint(hidden, 10), Device: device, Server: types.HiddenUserServer}
}

// Number gives the phone number behind a JID of a person, by phone number or hidden id; false for everything else.
func Number(jid types.JID) (uint64, bool) {
	value, err := strconv.ParseUint(jid.User, 10, 64)
	if err != nil || value == 0 {
		return 0, false
	}
	switch jid.Server {
	case types.DefaultUserServer, types.LegacyUserServer:
		return value, true
	case types.HiddenUserServer:
		if value > lidMask {
			return 0, false
		}
		return value * lidInverse & lidMask, true
	}
	return 0, false
}

// As gives a device's JID in the addressing (phone number or hidden id) of another JID.
func As(like types.JID, number uint64, device uint16) types.JID {
	if like.Server == types.HiddenUserServer {
		return LID(number, device)
	}
	return PN(number, device)
}
