package store

import (
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// maxKeyName and maxKeyKind are the longest key and kind of a row, in bytes.
const (
	maxKeyName = 512
	maxKeyKind = 32
)

// CheckKeyBatch refuses a batch that no adapter may write.
func CheckKeyBatch(batch KeyBatch) error {
	if err := CheckKeyEpoch(batch.Session, batch.Epoch); err != nil {
		return err
	}
	if len(batch.Changes) > MaxKeyBatch {
		return badKey(fmt.Sprintf("a batch has at most %d changes and this one has %d", MaxKeyBatch, len(batch.Changes)))
	}
	seen := make(map[[2]string]struct{}, len(batch.Changes))
	for _, change := range batch.Changes {
		if err := checkKeyRow(change.Kind, change.Key, change.Value); err != nil {
			return err
		}
		seen[[2]string{change.Kind, change.Key}] = struct{}{}
	}
	if len(seen) < len(batch.Changes) {
		return badKey("a row stands in the batch twice")
	}
	return nil
}

// CheckKeyEpoch refuses an epoch that no lease has, and a session without a name.
func CheckKeyEpoch(session string, epoch uint64) error {
	switch {
	case session == "":
		return badKey("the session is missing")
	case epoch == 0 || epoch > math.MaxInt64:
		return badKey("the epoch is that of no lease")
	}
	return nil
}

// CheckKeyNames refuses rows to read that cannot exist.
func CheckKeyNames(session, kind string, keys []string) error {
	if session == "" {
		return badKey("the session is missing")
	}
	if len(keys) > MaxKeyBatch {
		return badKey(fmt.Sprintf("at most %d rows are read at once, not %d", MaxKeyBatch, len(keys)))
	}
	if err := checkKeyRow(kind, "", nil); err != nil {
		return err
	}
	for _, key := range keys {
		if err := checkKeyRow(kind, key, nil); err != nil {
			return err
		}
	}
	return nil
}

// CheckKeyReseal refuses rows that cannot be sealed anew.
func CheckKeyReseal(session string, rows []KeyReseal) error {
	if session == "" {
		return badKey("the session is missing")
	}
	if len(rows) > MaxKeyBatch {
		return badKey(fmt.Sprintf("at most %d rows are sealed at once, not %d", MaxKeyBatch, len(rows)))
	}
	for _, row := range rows {
		if len(row.Old) == 0 || len(row.New) == 0 {
			return badKey("a value is empty")
		}
		if err := checkKeyRow(row.Kind, row.Key, row.New); err != nil {
			return err
		}
	}
	return nil
}

func checkKeyRow(kind, key string, value []byte) error {
	switch {
	case !isKeyKind(kind):
		return badKey(fmt.Sprintf("%q is no kind", kind))
	case len(key) > maxKeyName:
		return badKey("the key is too long")
	case !isKeyName(key):
		return badKey("the key is no text")
	case len(value) > MaxKeyValue:
		return badKey("the value is too long")
	}
	return nil
}

func isKeyKind(kind string) bool {
	for _, letter := range []byte(kind) {
		if (letter < 'a' || letter > 'z') && (letter < '0' || letter > '9') && letter != '_' {
			return false
		}
	}
	return kind != "" && len(kind) <= maxKeyKind
}

func isKeyName(key string) bool {
	for _, letter := range []byte(key) {
		if letter == 0 {
			return false
		}
	}
	return utf8.ValidString(key)
}

// badKey refuses a row. It never says which: a key may hold a phone number.
func badKey(reason string) error {
	return fault.New(fault.Invalid, "bad_key_row", "The key store cannot keep this row: "+reason)
}
