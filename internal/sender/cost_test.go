package sender

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/store"
)

// till counts operations by their names.
type till struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *till) add(name string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[name] += n
}

// paidBucket counts what the budgets ask of their bucket.
type paidBucket struct {
	*pace.Memory
	till *till
}

func (b paidBucket) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	b.till.add("NATS: read a budget", 1)
	return b.Memory.Get(ctx, key)
}

func (b paidBucket) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	b.till.add("NATS: write a budget", 1)
	return b.Memory.Create(ctx, key, value)
}

func (b paidBucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	b.till.add("NATS: write a budget", 1)
	return b.Memory.Update(ctx, key, value, revision)
}

// paidDocuments counts the questions for documents.
type paidDocuments struct {
	store.Documents
	till *till
}

func (d paidDocuments) Among(ctx context.Context, folder string, ids []string) ([]store.Document, error) {
	d.till.add("database: read documents", 1)
	return d.Documents.Among(ctx, folder, ids)
}

// TestWhatAMessageCosts counts what a campaign that is paced, one delivery at a time, asks of NATS and the database. docs/scale.md has the numbers.
func TestWhatAMessageCosts(t *testing.T) {
	inWorld(t, func(w *world) {
		const messages = 200
		paid := &till{counts: map[string]int{}}
		w.memory.failWith(func(operation string) error {
			paid.add("database: "+operation, 1)
			return nil
		})
		w.host(func(o *HostOptions) {
			o.Limits = campaign.Limits{MinGap: 3 * time.Second, MaxGap: 8 * time.Second, Hourly: 1000, Daily: 1000}
			o.Budgets, o.Documents = pace.NewBudgets(paidBucket{&pace.Memory{}, paid}), paidDocuments{w.documents, paid}
		})
		w.online("ses_a")
		w.runner(1, nil)
		w.planned("cmp_a", "ses_a", messages)
		clear(paid.counts)
		facts := len(w.queue.all())
		w.untilCampaign("cmp_a", campaign.Completed)
		paid.add("NATS: request to send and its answer", messages)
		paid.add("NATS: fact published", len(w.queue.all())-facts)
		delete(paid.counts, "database: list sessions") // a host does that however much it sends
		database, nats := 0, 0
		for _, name := range slices.Sorted(maps.Keys(paid.counts)) {
			t.Logf("%-40s %6.2f a message", name, float64(paid.counts[name])/messages)
			if name[0] == 'N' {
				nats += paid.counts[name]
			} else {
				database += paid.counts[name]
			}
		}
		if nats > 9*messages/2 || database > 8*messages {
			t.Errorf("a message costs %.2f exchanges with NATS and %.2f with the database, want at most 4.5 and 8",
				float64(nats)/messages, float64(database)/messages)
		}
	})
}
