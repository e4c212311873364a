package sqlite

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
)

// Statements gives the text of every statement that this database has prepared so far.
func (db *DB) Statements() []string {
	known := map[string]bool{}
	for _, pool := range []*pool{db.writer, db.reader} {
		pool.mu.RLock()
		for text := range pool.statements {
			known[text] = true
		}
		pool.mu.RUnlock()
	}
	return slices.Sorted(maps.Keys(known))
}

// Flushing gives how commits wait for the disk: 2 is FULL.
func (db *DB) Flushing(ctx context.Context) (level int, err error) {
	err = db.writer.db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&level)
	return level, err
}

// Plan gives the steps by which SQLite runs a statement, as it describes them.
func (db *DB) Plan(ctx context.Context, statement string) (steps []string, err error) {
	rows, err := db.writer.db.QueryContext(ctx, "EXPLAIN QUERY PLAN "+statement, make([]any, parametersOf(statement))...)
	if err != nil {
		return nil, fmt.Errorf("explain %s: %w", statement, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			return nil, fmt.Errorf("read a plan: %w", err)
		}
		steps = append(steps, detail)
	}
	return steps, rows.Err()
}

var parameter = regexp.MustCompile(`\?(\d*)`)

// parametersOf counts the parameters of a statement: those without a number, or the highest number.
func parametersOf(statement string) int {
	count := 0
	for _, found := range parameter.FindAllStringSubmatch(statement, -1) {
		if number, err := strconv.Atoi(found[1]); err == nil {
			count = max(count, number)
		} else {
			count++
		}
	}
	return count
}
