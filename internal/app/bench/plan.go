package bench

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
)

// barePlan is the least that could be done with an audience: read the same CSV and write the same deliveries to a database of their own. The product
// checks, normalises and screens each row besides.
const barePlan = "bare_rows"

// planning uploads audiences through the API and says how long it takes until every delivery is written, and how much heap that takes above the idle
// process, garbage that was not swept yet included. The sizes go round by round, once each: the largest takes its time.
func planning(ctx context.Context, s sizes, directory string) (rows []Row, err error) {
	p, err := startProduct(ctx, productOptions{directory: filepath.Join(directory, "product")})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	id, _, err := p.link(ctx, ownNumber(1))
	if err != nil {
		return nil, err
	}
	if _, err := p.plan(ctx, id, s.audiences[0]); err != nil { // fills caches, and the heap of an idle process after its first plan
		return nil, err
	}
	memory := make([]float64, len(s.audiences))
	for i, size := range s.audiences {
		rounds := s.rounds
		if size > 100_000 {
			rounds = 1
		}
		var ours, theirs, above, least []float64
		for round := range rounds {
			product, err := p.plan(ctx, id, size)
			if err != nil {
				return nil, err
			}
			bare, err := planBare(ctx, filepath.Join(directory, fmt.Sprintf("bare_%d_%d.db", size, round)), size)
			if err != nil {
				return nil, err
			}
			ours, theirs = append(ours, product[0]), append(theirs, bare[0])
			above, least = append(above, product[1]), append(least, bare[1])
		}
		taken := summarise(ours, theirs)
		taken.Name, taken.Unit, taken.Against = fmt.Sprintf("seconds_%d", size), "s", barePlan
		peak := summarise(above, least)
		peak.Name, peak.Unit, peak.Against = fmt.Sprintf("peak_heap_%d", size), "MiB above idle", barePlan
		memory[i] = peak.Product
		rows = append(rows, taken.promising(atMost(4)), peak)
	}
	return append(rows, growth(memory, s.audiences)), nil
}

// growth holds the peak of the largest audience against that of the smallest: it must not grow with the audience, beyond what the moment of a
// sweep decides.
func growth(memory []float64, audiences []int) Row {
	last := len(memory) - 1
	row := summarise(memory[last:], memory[:1])
	row.Name, row.Unit, row.Against = "peak_heap_growth", "MiB above idle", fmt.Sprintf("product_%d", audiences[0])
	return row.promising(lessThanAbove(32, "MiB"))
}

// plan uploads an audience, and gives the seconds and the MiB.
func (p *product) plan(ctx context.Context, id string, size int) ([]float64, error) {
	return measurePlan(func() error {
		made, err := p.api.UploadCampaign(ctx, client.NewCampaign{SessionID: id, Text: "Hola {{nombre}}, su turno es el {{turno}}",
			Settings: client.Settings{Draft: true}}, people(0, size))
		if err == nil && made.Recipients != size {
			err = fmt.Errorf("only %d of %d were planned", made.Recipients, size)
		}
		return err
	})
}

func measurePlan(plan func() error) ([]float64, error) {
	debug.FreeOSMemory()
	idle := heapBytes()
	highest := watchHeap()
	began := time.Now()
	err := plan()
	took := time.Since(began)
	above := float64(highest()) - float64(idle)
	return []float64{took.Seconds(), max(above, 0) / (1 << 20)}, err
}

// planBare reads an audience and writes its rows as deliveries, and nothing else.
func planBare(ctx context.Context, path string, size int) ([]float64, error) {
	database, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err != nil {
		return nil, err
	}
	defer func() { _ = database.Close() }()
	if err := database.Campaigns().Create(ctx, campaign.Campaign{ID: "cmp_bare", State: campaign.Draft}); err != nil {
		return nil, err
	}
	return measurePlan(func() error { return writePlan(ctx, database.Deliveries(), people(0, size)) })
}

func writePlan(ctx context.Context, deliveries campaign.Deliveries, audience io.Reader) error {
	now := time.Now()
	rows := csv.NewReader(audience)
	header, err := rows.Read()
	var batch []campaign.Delivery
	for n := 1; err == nil; n++ {
		var row []string
		if row, err = rows.Read(); err == nil {
			fields := map[string]string{}
			for i, name := range header {
				fields[name] = row[i]
			}
			batch = append(batch, campaign.Delivery{ID: campaign.MessageID("cmp_bare", row[1]), CampaignID: "cmp_bare", Sequence: n, Phone: row[1], Fields: fields,
				State: campaign.Pending, PlannedAt: now, UpdatedAt: now})
		}
		if len(batch) == campaign.MaxBatch || err != nil && len(batch) > 0 {
			if _, err := deliveries.Plan(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the audience: %w", err)
	}
	return nil
}

// heapBytes is what is on the heap now, garbage included.
func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// watchHeap samples the heap until it is asked for the most.
func watchHeap() (highest func() uint64) {
	stop, most := make(chan struct{}), make(chan uint64, 1)
	go func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		high := heapBytes()
		for {
			select {
			case <-stop:
				most <- high
				return
			case <-ticker.C:
				high = max(high, heapBytes())
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return <-most
	}
}
