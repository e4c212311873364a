package api_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/dannsalud/broadcaster/internal/api"
	"github.com/dannsalud/broadcaster/internal/store"
)

// countedDocuments counts the writes, each of which is a flush to the disk.
type countedDocuments struct {
	store.Documents
	writes atomic.Int32
}

// Create implements store.Documents.
func (c *countedDocuments) Create(ctx context.Context, folder string, created store.Document) error {
	c.writes.Add(1)
	return c.Documents.Create(ctx, folder, created)
}

// Put implements store.Documents.
func (c *countedDocuments) Put(ctx context.Context, folder string, batch []store.Document) error {
	c.writes.Add(1)
	return c.Documents.Put(ctx, folder, batch)
}

// TestManyOptOutsAreAuditedInOneWrite: a list of thousands must not take a flush to the disk for each number.
func TestManyOptOutsAreAuditedInOneWrite(t *testing.T) {
	t.Parallel()
	counted := &countedDocuments{}
	f := start(t, func(options *api.Options) {
		counted.Documents = options.Documents
		options.Documents = counted
	})
	const many = 300
	phones := make([]string, many)
	for i := range phones {
		phones[i] = fmt.Sprintf("+54911%08d", 55550000+i)
	}
	f.want(f.call(http.MethodPost, "/v1/suppressions", map[string]any{"phones": phones}), http.StatusOK, "")
	if writes := counted.writes.Load(); writes != 1 {
		t.Errorf("%d writes", writes)
	}
	if listed, _ := f.call(http.MethodGet, "/v1/audit?size=500", nil).body["items"].([]any); len(listed) != many {
		t.Errorf("the audit has %d entries", len(listed))
	}
}
