package store

import (
	"context"
	"errors"
	"testing"
)

type record struct {
	value    int
	revision int
}

// table holds one record. Each of the next `meddle` updates finds that another writer came first.
type table struct {
	stored  record
	meddle  int
	updates int
	broken  error
}

func (t *table) Get(_ context.Context, key string) (record, error) {
	if key != "known" {
		return record{}, ErrNotFound
	}
	return t.stored, nil
}

func (t *table) Update(_ context.Context, r record) error {
	t.updates++
	if t.meddle > 0 {
		t.meddle--
		t.stored.value += 100
		t.stored.revision++
	}
	switch {
	case t.broken != nil:
		return t.broken
	case r.revision != t.stored.revision:
		return ErrConflict
	}
	t.stored = record{value: r.value, revision: r.revision + 1}
	return nil
}

func addOne(r *record) error { r.value++; return nil }

func TestModifyStartsAgainWhenAnotherWriterCameBetween(t *testing.T) {
	t.Parallel()
	records := &table{stored: record{value: 1, revision: 1}, meddle: 3}
	got, written, err := Modify(t.Context(), records, "known", addOne)
	if want := (record{value: 302, revision: 4}); err != nil || !written || got != want {
		t.Errorf("%+v, written %v, %v; want %+v", got, written, err, want)
	}
	if want := (record{value: 302, revision: 5}); records.stored != want || records.updates != 4 {
		t.Errorf("stored %+v by %d updates, want %+v", records.stored, records.updates, want)
	}
}

func TestModifyWritesNothingWhenChangeRefuses(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	rows := []struct{ change, want error }{{refused, refused}, {ErrUnchanged, nil}, {errors.Join(ErrUnchanged), nil}}
	for _, row := range rows {
		records := &table{stored: record{value: 1, revision: 1}}
		got, written, err := Modify(t.Context(), records, "known", func(r *record) error { r.value = 9; return row.change })
		if !errors.Is(err, row.want) || written || got != records.stored || records.updates != 0 {
			t.Errorf("%v: %+v, written %v, %v", row.change, got, written, err)
		}
	}
}

func TestModifyEndsWithTheErrorsOfThePort(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	records := &table{stored: record{value: 1}, broken: broken}
	if _, written, err := Modify(t.Context(), records, "known", addOne); !errors.Is(err, broken) || written || records.updates != 1 {
		t.Errorf("a failing write: written %v, %d updates, %v", written, records.updates, err)
	}
	if _, written, err := Modify(t.Context(), records, "unknown", addOne); !errors.Is(err, ErrNotFound) || written {
		t.Errorf("a missing record: written %v, %v", written, err)
	}
}

func TestModifyGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	records := &table{meddle: 1 << 30}
	tries := 0
	_, written, err := Modify(ctx, records, "known", func(*record) error {
		if tries++; tries == 5 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || written || tries != 5 {
		t.Errorf("after %d tries: written %v, %v", tries, written, err)
	}
}
