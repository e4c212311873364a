package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
)

// Inspection is what can be told about a database file without changing it.
type Inspection struct {
	// Version is that of its schema, Newest the one that this program knows.
	Version, Newest int
	// Missing names the tables and indexes that do not exist.
	Missing []string
	// Damage is what SQLite's own check found; empty: the file is sound.
	Damage string
}

// Look opens a file of books for reading only. The product may be running.
func Look(ctx context.Context, path string) (seen Inspection, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return seen, fmt.Errorf("look at the database: %w", err)
	}
	settings := readerSettings()
	settings.Set("mode", "ro")
	file, err := newPool(path, 1, settings)
	if err != nil {
		return seen, err
	}
	defer func() { err = errors.Join(err, file.close()) }()
	db := DB{writer: file}
	steps, err := readSteps()
	if err != nil {
		return seen, err
	}
	seen.Newest = len(steps)
	if seen.Version, err = db.check(ctx, seen.Newest); err != nil {
		return seen, err
	}
	if err := file.db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&seen.Damage); err != nil {
		return seen, fmt.Errorf("check the database: %w", err)
	}
	if seen.Damage == "ok" {
		seen.Damage = ""
	}
	seen.Missing, err = missing(ctx, file.db, steps[:seen.Version])
	return seen, err
}

// missing compares the names of tables and indexes with those that the migrations make, in a database in memory.
func missing(ctx context.Context, file *sql.DB, steps []string) (names []string, err error) {
	memory, err := newPool("/doctor", 1, url.Values{"mode": {"memory"}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, memory.close()) }()
	for _, step := range steps {
		if _, err := memory.db.ExecContext(ctx, step); err != nil {
			return nil, fmt.Errorf("make the schema in memory: %w", err)
		}
	}
	want, err := schemaNames(ctx, memory.db)
	if err != nil {
		return nil, err
	}
	have, err := schemaNames(ctx, file)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(want, func(name string) bool { return slices.Contains(have, name) }), nil
}

func schemaNames(ctx context.Context, db *sql.DB) (names []string, err error) {
	rows, err := db.QueryContext(ctx, "SELECT type || ' ' || name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("read the schema: %w", err)
		}
		names = append(names, name)
	}
	return names, rows.Err()
}
