package main

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"text/tabwriter"
	"time"
)

// printer prints rows as a table for a person, or each as a line of JSON for a program.
type printer struct {
	json  *json.Encoder
	table *tabwriter.Writer
}

func newPrinter(out io.Writer, asJSON bool, columns string) printer {
	if asJSON {
		return printer{json: json.NewEncoder(out)}
	}
	p := printer{table: tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)}
	_, _ = fmt.Fprintln(p.table, strings.ReplaceAll(columns, " ", "\t"))
	return p
}

func (p printer) row(whole any, cells ...any) error {
	if p.json != nil {
		return p.json.Encode(whole)
	}
	texts := make([]string, len(cells))
	for i, cell := range cells {
		texts[i] = fmt.Sprint(cell)
	}
	_, err := fmt.Fprintln(p.table, strings.Join(texts, "\t"))
	return err
}

func (p printer) end() error {
	if p.table == nil {
		return nil
	}
	return p.table.Flush()
}

// moment shows a time to a person; empty for none.
func moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Local().Format(time.DateTime)
}

// printAll prints every item of a list that is walked page by page.
func printAll[T any](table printer, items iter.Seq2[T, error], cells func(T) []any) error {
	for item, err := range items {
		if err == nil {
			err = table.row(item, cells(item)...)
		}
		if err != nil {
			return err
		}
	}
	return table.end()
}
