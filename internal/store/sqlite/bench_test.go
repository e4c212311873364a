package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
)

// start is when the tests take place: whole milliseconds, as the books keep them.
var start = time.Date(2026, 3, 1, 9, 30, 0, int(250*time.Millisecond), time.UTC)

func open(t testing.TB, path string) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// planned makes the nth batch of a campaign's deliveries.
func planned(id campaign.ID, first, size int) []campaign.Delivery {
	batch := make([]campaign.Delivery, size)
	for i := range batch {
		phone := fmt.Sprintf("+54911%08d", first+i)
		batch[i] = campaign.Delivery{ID: campaign.MessageID(id, phone), CampaignID: id, Sequence: first + i, Phone: phone,
			Fields: map[string]string{"nombre": "María José Fernández", "turno": "jueves 14:30", "profesional": "Dra. Núñez"},
			State:  campaign.Pending, PlannedAt: start, UpdatedAt: start}
	}
	return batch
}

func plan(t testing.TB, db *sqlite.DB, id campaign.ID, size int) {
	t.Helper()
	if err := db.Campaigns().Create(t.Context(), campaign.Campaign{ID: id, State: campaign.Draft}); err != nil {
		t.Fatal(err)
	}
	for first := 1; first <= size; first += campaign.MaxBatch {
		existing, err := db.Deliveries().Plan(t.Context(), planned(id, first, min(campaign.MaxBatch, size-first+1)))
		if err != nil || len(existing) > 0 {
			t.Fatal(existing, err)
		}
	}
}

// BenchmarkPlan writes the plan of a campaign of 100 000 recipients.
func BenchmarkPlan(b *testing.B) {
	const size = 100_000
	for i := range b.N {
		db := open(b, filepath.Join(b.TempDir(), fmt.Sprintf("%d.db", i)))
		plan(b, db, "cmp_bench", size)
	}
	b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkClaim takes the deliveries of a campaign of 100 000 in batches.
func BenchmarkClaim(b *testing.B) {
	for _, size := range []int{1, 50, 500} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			db := open(b, filepath.Join(b.TempDir(), "books.db"))
			campaigns := 0
			id := campaign.ID("")
			taken := 0
			b.ResetTimer()
			for b.Loop() {
				if taken == 0 {
					b.StopTimer()
					campaigns++
					id = campaign.ID(fmt.Sprintf("cmp_%d", campaigns))
					plan(b, db, id, 100_000)
					b.StartTimer()
				}
				claimed, err := db.Deliveries().Claim(b.Context(), campaign.Claim{CampaignID: id, Run: "run", Limit: size, At: start})
				if err != nil || len(claimed) != size {
					b.Fatal(len(claimed), err)
				}
				if taken += size; taken == 100_000 {
					taken = 0
				}
			}
			b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkRecord writes outcomes in batches.
func BenchmarkRecord(b *testing.B) {
	for _, size := range []int{1, 50, 500} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			db := open(b, filepath.Join(b.TempDir(), "books.db"))
			plan(b, db, "cmp_bench", 100_000)
			states := []campaign.DeliveryState{campaign.Sent, campaign.Delivered, campaign.Read}
			next := 0
			b.ResetTimer()
			for b.Loop() {
				outcomes := make([]campaign.Outcome, size)
				for i := range outcomes {
					phone := fmt.Sprintf("+54911%08d", next%100_000+1)
					outcomes[i] = campaign.Outcome{DeliveryID: campaign.MessageID("cmp_bench", phone), State: states[next/100_000%3], At: start}
					next++
				}
				if missing, err := db.Deliveries().Record(b.Context(), outcomes); err != nil || missing > 0 {
					b.Fatal(missing, err)
				}
			}
			b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkState asks what the runner asks before each message.
func BenchmarkState(b *testing.B) {
	db := open(b, filepath.Join(b.TempDir(), "books.db"))
	plan(b, db, "cmp_bench", 1)
	for b.Loop() {
		if _, err := db.Campaigns().State(b.Context(), "cmp_bench"); err != nil {
			b.Fatal(err)
		}
	}
}
