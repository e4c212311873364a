// Package store holds what the storage ports have in common: the errors that callers branch on and the shape of a page. The ports
// themselves stand beside the types they persist (session.Store, campaign.Store, campaign.Deliveries, campaign.Suppressions); the
// adapters are store/sqlite and store/mongo, and store/storetest is the conformance suite that both pass.
//
// Rules of every port, checked by storetest:
//   - A read returns what the last finished write of any process wrote.
//   - A record that does not exist is ErrNotFound; a create of a key that exists, or an update of a record that changed since it was
//     read (its Revision moved), is ErrConflict and changes nothing.
//   - A list is a keyset page in a stable order: no record is shown twice or missed because others were written meanwhile.
//   - Times are stored in UTC with millisecond precision.
//
// It must never know a database.
package store

import "github.com/dannsalud/broadcaster/internal/fault"

// ErrNotFound: the record named does not exist.
var ErrNotFound = fault.New(fault.NotFound, "not_found", "There is no such record; it may have been deleted")

// ErrConflict: the key exists already, or the record changed since it was read; read it again and decide anew.
var ErrConflict = fault.New(fault.Conflict, "conflict", "The record changed meanwhile; read it again and retry")

// MaxPageSize is the largest page that a list gives.
const MaxPageSize = 500

// DefaultPageSize is used when a page asks for no size.
const DefaultPageSize = 50

// Page asks for the part of a list that comes after a cursor.
type Page struct {
	// After is the cursor that the previous page returned; empty: from the start. It is opaque to callers.
	After string
	// Size is the most records wanted, 1 to MaxPageSize; zero: DefaultPageSize.
	Size int
}

// Limit gives the size of the page within its bounds.
func (p Page) Limit() int {
	switch {
	case p.Size <= 0:
		return DefaultPageSize
	case p.Size > MaxPageSize:
		return MaxPageSize
	}
	return p.Size
}

// List is one page of records and the cursor of the next one; Next is empty on the last page.
type List[T any] struct {
	Items []T
	Next  string
}
