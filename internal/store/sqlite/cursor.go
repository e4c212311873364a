package sqlite

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// cursor is the kind of list that a page's cursor belongs to. A cursor is the key of the last record of the page before, marked with its
// kind, so that one of another list is noticed, and encoded, so that nobody builds on its form.
type cursor string

// The lists that have cursors. The digit is the version of the form.
const (
	sessionCursor     cursor = "s1:"
	campaignCursor    cursor = "c1:"
	deliveryCursor    cursor = "d1:"
	rejectionCursor   cursor = "r1:"
	suppressionCursor cursor = "p1:"
	egressCursor      cursor = "e1:"
	documentCursor    cursor = "o1:"
)

// lastText sorts behind every id: a list in descending order starts before it.
const lastText = "\U0010FFFF"

func (c cursor) encode(key string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(string(c) + key))
}

// text gives the key that a page starts behind; start for the first page.
func (c cursor) text(page store.Page, start string) (string, error) {
	if page.After == "" {
		return start, nil
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(page.After)
	key, ours := strings.CutPrefix(string(decoded), string(c))
	if err != nil || !ours || key == "" {
		return "", badCursor()
	}
	return key, nil
}

// number is text for lists in the order of a number.
func (c cursor) number(page store.Page) (int64, error) {
	key, err := c.text(page, strconv.Itoa(math.MinInt64))
	if err != nil {
		return 0, err
	}
	number, err := strconv.ParseInt(key, 10, 64)
	if err != nil {
		return 0, badCursor()
	}
	return number, nil
}

func badCursor() error {
	return fault.New(fault.Invalid, "bad_cursor", "The cursor is not one that this list gave; start from the first page").
		WithDetails(fault.Detail{Location: "after", Reason: "not a cursor of this list"})
}

// listOf cuts the one record too many, which only says that there is a next page, and gives the cursor of that page.
func listOf[T any](items []T, page store.Page, kind cursor, key func(T) string) store.List[T] {
	limit := page.Limit()
	if len(items) <= limit {
		return store.List[T]{Items: items}
	}
	items = items[:limit]
	return store.List[T]{Items: items, Next: kind.encode(key(items[limit-1]))}
}
