package sqlite

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/dannsalud/broadcaster/internal/store"
)

// listing is a list of records in the order of their ids that can be narrowed to an owner and to some states.
type listing[T any] struct {
	table      string
	columns    string
	descending bool
	// start is what a descending list begins before; empty: its end.
	start  string
	scan   func(row) (T, error)
	cursor cursor
	key    func(T) string
}

// narrowed is what is wanted of a listing.
type narrowed struct {
	// columns name what must equal the values.
	columns []string
	values  []any
	// states are those wanted: nil takes all, an empty list none.
	states []string
}

// to narrows the listing to the records with this value, unless it is empty.
func (n *narrowed) to(column, value string) {
	if value != "" {
		n.columns, n.values = append(n.columns, column), append(n.values, value)
	}
}

// chosen gives the states wanted, each once, without those that do not exist: the statements of a listing, one for each number of states,
// stay few.
func chosen[S ~string](wanted, all []S) []string {
	if len(wanted) == 0 {
		return nil
	}
	states := []string{}
	for _, state := range all {
		if slices.Contains(wanted, state) {
			states = append(states, string(state))
		}
	}
	return states
}

func listPage[T any](ctx context.Context, db *DB, l listing[T], n narrowed, page store.Page) (store.List[T], error) {
	start := ""
	if l.descending {
		start = cmp.Or(l.start, lastText)
	}
	after, err := l.cursor.text(page, start)
	if err != nil || n.states != nil && len(n.states) == 0 {
		return store.List[T]{}, err
	}
	text, args := l.query(n, after, page.Limit()+1)
	items, err := queryAll(ctx, db.reader, text, args, l.scan)
	if err != nil {
		return store.List[T]{}, db.explain(ctx, "list "+l.table, err)
	}
	return listOf(items, page, l.cursor, l.key), nil
}

// query gives the statement and its arguments. Each state is a branch of its own, and SQLite merges the branches in the order of the ids
// while it reads them from their indexes: a long list is neither sorted nor read to its end.
func (l listing[T]) query(n narrowed, after string, limit int) (text string, args []any) {
	branch, order := "SELECT "+l.columns+" FROM "+l.table+" WHERE id > ?", " ORDER BY id LIMIT ?"
	if l.descending {
		branch, order = "SELECT "+l.columns+" FROM "+l.table+" WHERE id < ?", " ORDER BY id DESC LIMIT ?"
	}
	head := append([]any{after}, n.values...)
	for _, column := range n.columns {
		branch += " AND " + column + " = ?"
	}
	if len(n.states) == 0 {
		return branch + order, append(head, limit)
	}
	branches := make([]string, len(n.states))
	for i, state := range n.states {
		branches[i] = branch + " AND state = ?"
		args = append(append(args, head...), state)
	}
	return strings.Join(branches, " UNION ALL ") + order, append(args, limit)
}
