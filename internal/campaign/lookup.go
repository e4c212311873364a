package campaign

import (
	"context"
	"iter"
	"time"

	"github.com/dannsalud/broadcaster/internal/store"
)

// Lookup is WhatsApp's own answer about a number.
type Lookup struct {
	// Phone is the number that was asked for, Canonical the one that WhatsApp knows it as: the two differ where a country changed its numbers.
	Phone     string    `json:"phone"`
	Canonical string    `json:"canonical,omitempty"`
	Exists    bool      `json:"exists"`
	At        time.Time `json:"at"`
}

// LookupAge is how long an answer holds: people come to WhatsApp and leave it.
const LookupAge = 7 * 24 * time.Hour

// Lookups keeps answers about numbers, over the port of documents, so that WhatsApp is asked about a number once a week.
type Lookups struct{ Documents store.Documents }

const lookupsFolder = "lookups"

// Among gives what is known of some numbers.
func (l Lookups) Among(ctx context.Context, phones []string) (map[string]Lookup, error) {
	known := map[string]Lookup{}
	found, err := l.Documents.Among(ctx, lookupsFolder, phones)
	for _, document := range found {
		var lookup Lookup
		if err == nil {
			err = decodeDocument(document, &lookup)
			known[lookup.Phone] = lookup
		}
	}
	return known, err
}

// Keep remembers answers, at most store.MaxDocuments of them.
func (l Lookups) Keep(ctx context.Context, answers []Lookup) error {
	documents := make([]store.Document, len(answers))
	for i, answer := range answers {
		document, err := encodeDocument(answer.Phone, answer)
		if err != nil {
			return err
		}
		document.ExpiresAt = answer.At.Add(LookupAge)
		documents[i] = document
	}
	return l.Documents.Put(ctx, lookupsFolder, documents)
}

// Canonical gives rows with the numbers that WhatsApp knows, where its answer is known. It reads the answers a batch at a time.
func Canonical(ctx context.Context, documents store.Documents, rows iter.Seq2[Row, error]) iter.Seq2[Row, error] {
	lookups := Lookups{Documents: documents}
	return func(yield func(Row, error) bool) {
		var batch []Row
		flush := func() bool {
			phones := make([]string, 0, len(batch))
			for _, row := range batch {
				if row.Rejection == nil {
					phones = append(phones, row.Recipient.Phone)
				}
			}
			known, err := lookups.Among(ctx, phones)
			if err != nil {
				yield(Row{}, err)
				return false
			}
			for _, row := range batch {
				if lookup := known[row.Recipient.Phone]; row.Rejection == nil && lookup.Exists && lookup.Canonical != "" {
					row.Recipient.Phone = lookup.Canonical
				}
				if !yield(row, nil) {
					return false
				}
			}
			batch = batch[:0]
			return true
		}
		for row, err := range rows {
			if err != nil {
				if flush() {
					yield(Row{}, err)
				}
				return
			}
			if batch = append(batch, row); len(batch) == MaxBatch && !flush() {
				return
			}
		}
		flush()
	}
}
