package sqlite

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"
)

// instant is a time as a column holds it: unix milliseconds in UTC, NULL for the zero time.
type instant time.Time

// Value implements driver.Valuer.
func (i instant) Value() (driver.Value, error) {
	if time.Time(i).IsZero() {
		return nil, nil
	}
	return time.Time(i).UnixMilli(), nil
}

// Scan implements sql.Scanner.
func (i *instant) Scan(value any) error {
	switch milliseconds := value.(type) {
	case nil:
		*i = instant{}
	case int64:
		*i = instant(time.UnixMilli(milliseconds).UTC())
	default:
		return fmt.Errorf("a time is stored as %T", value)
	}
	return nil
}

// jsonOf is a list or a map as a column holds it: JSON.
type jsonOf[T any] struct{ of *T }

// inJSON stores and reads a value as JSON.
func inJSON[T any](of *T) jsonOf[T] { return jsonOf[T]{of} }

// Value implements driver.Valuer.
func (j jsonOf[T]) Value() (driver.Value, error) {
	text, err := json.Marshal(j.of)
	return string(text), err
}

// Scan implements sql.Scanner.
func (j jsonOf[T]) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("JSON is stored as %T", value)
	}
	return json.Unmarshal([]byte(text), j.of)
}
