package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// Document is a record that is only ever asked for by its name or in the order of names. What is in it, its owner knows.
type Document struct {
	// ID is unique in its folder. Lists are in the order of ids, byte by byte.
	ID   string
	Data []byte
	// ExpiresAt is when it ceases to exist; zero: never.
	ExpiresAt time.Time
}

// Documents persists small records of many kinds, each kind in folders of its own: contact lists, media, replies, the audit, what WhatsApp said about
// numbers. Their packages are written once, over this port, and not once for each database (docs/decisions/007). What needs another order, a
// count or a condition over several records has a port of its own instead.
//
// A batch has at most MaxDocuments entries. It is not one transaction: when it fails half-way, what it wrote stays, and putting it again
// changes nothing of that.
type Documents interface {
	// Create stores a new document; ErrConflict when there is one that has not expired.
	Create(ctx context.Context, folder string, created Document) error
	// Put stores documents in the place of those that have their ids.
	Put(ctx context.Context, folder string, batch []Document) error
	// Among gives those of the ids that exist, in the order of ids.
	Among(ctx context.Context, folder string, ids []string) ([]Document, error)
	// List gives a folder's documents in the order of their ids.
	List(ctx context.Context, folder string, page Page) (List[Document], error)
	// Remove deletes documents and gives how many existed.
	Remove(ctx context.Context, folder string, ids []string) (removed int, err error)
	// Clear deletes all documents of a folder.
	Clear(ctx context.Context, folder string) error
}

const (
	// MaxDocuments is the longest batch of documents.
	MaxDocuments = 500
	// MaxDocumentBytes is the largest document: well below what MongoDB takes.
	MaxDocumentBytes = 1 << 20
	// maxDocumentName bounds folders and ids.
	maxDocumentName = 300
)

// CheckDocuments refuses what no store of documents takes. It stands here so that every adapter refuses the same.
func CheckDocuments(folder string, batch []Document) error {
	ids := make([]string, len(batch))
	for i, document := range batch {
		ids[i] = document.ID
		if len(document.Data) > MaxDocumentBytes {
			return fault.New(fault.TooLarge, "document_too_large", fmt.Sprintf("A record has at most %d bytes; make it smaller", MaxDocumentBytes))
		}
	}
	return CheckDocumentIDs(folder, ids)
}

// CheckDocumentIDs refuses names that no store of documents takes.
func CheckDocumentIDs(folder string, ids []string) error {
	if len(ids) > MaxDocuments {
		return fault.New(fault.Invalid, "batch_too_large", fmt.Sprintf("A batch has at most %d entries and this one has %d; split it", MaxDocuments, len(ids)))
	}
	for _, name := range append([]string{folder}, ids...) {
		if name == "" || len(name) > maxDocumentName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) {
			return fault.New(fault.Invalid, "bad_document_name", "The name of a record must have some characters, not too many, and none that is invisible")
		}
	}
	return nil
}
