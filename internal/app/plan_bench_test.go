package app_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/wasim"
)

// manyRows is the audience of BenchmarkPlanHundredThousandRows.
const manyRows = 100_000

// BenchmarkPlanHundredThousandRows uploads an audience of 100 000 rows through the API of the whole product, on SQLite, and says how long it takes until
// every delivery is written, and how much resident memory that takes above the idle product.
//
// The yardstick, in the same run, is the least that could be done: read the same CSV and write the same deliveries to a database of their own. The
// product has to check, normalise and screen each row besides, and must not take more than three times as long, nor 20 seconds, nor 150 MiB.
func BenchmarkPlanHundredThousandRows(b *testing.B) {
	file := manyPeople(manyRows)
	product := newPlanner(b)
	for b.Loop() {
		least := planBare(b, file)
		debug.FreeOSMemory()
		idle, err := residentBytes()
		if err != nil {
			b.Fatal(err)
		}
		stop, most := watchMemory()
		began := time.Now()
		made, err := product.UploadCampaign(b.Context(), client.NewCampaign{SessionID: product.session, Text: "Hola {{nombre}}, su turno es el {{turno}}",
			Settings: client.Settings{Draft: true}}, bytes.NewReader(file))
		took := time.Since(began)
		close(stop)
		above := float64(<-most-idle) / (1 << 20)
		if err != nil || made.Recipients != manyRows {
			b.Fatalf("planned %d, %v", made.Recipients, err)
		}
		ratio := took.Seconds() / least.Seconds()
		b.ReportMetric(took.Seconds(), "s/plan")
		b.ReportMetric(ratio, "ratio")
		b.ReportMetric(above, "MiB-above-idle")
		if took > 20*time.Second || above > 150 || ratio > 3 {
			b.Errorf("the plan took %s, %.1f times the yardstick, and %.0f MiB", took, ratio, above)
		}
	}
}

func manyPeople(rows int) []byte {
	var file bytes.Buffer
	file.WriteString("nombre,telefono,turno,medico\n")
	for i := range rows {
		fmt.Fprintf(&file, "Ana María %d,11 4%03d-%04d,lunes 10:30,Dra. Quiroga\n", i, i/10000%1000, i%10000)
	}
	return file.Bytes()
}

// planBare reads a file and writes its rows as deliveries, and nothing else.
func planBare(b *testing.B, file []byte) time.Duration {
	b.Helper()
	database, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), "bare.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = database.Close() }()
	if err := database.Campaigns().Create(b.Context(), campaign.Campaign{ID: "cmp_bare", State: campaign.Draft}); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	rows := csv.NewReader(bytes.NewReader(file))
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
				State: campaign.Pending, PlannedAt: began, UpdatedAt: began})
		}
		if len(batch) == campaign.MaxBatch || err != nil && len(batch) > 0 {
			if _, err := database.Deliveries().Plan(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	if !errors.Is(err, io.EOF) {
		b.Fatal(err)
	}
	return time.Since(began)
}

// residentBytes is the memory of this process that is in the machine's memory; where the system does not say, what the runtime has taken.
func residentBytes() (int64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if errors.Is(err, fs.ErrNotExist) {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.Sys - stats.HeapReleased), nil // far below the limit
	}
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// watchMemory samples the resident memory until it is stopped, and then gives the most.
func watchMemory() (stop chan struct{}, most chan int64) {
	stop, most = make(chan struct{}), make(chan int64, 1)
	go func() {
		highest := int64(0)
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for {
			if now, err := residentBytes(); err == nil {
				highest = max(highest, now)
			}
			select {
			case <-stop:
				most <- highest
				return
			case <-ticker.C:
			}
		}
	}()
	return stop, most
}

// planner is the whole product with a linked session.
type planner struct {
	*client.Client
	session string
}

func newPlanner(b *testing.B) *planner {
	b.Helper()
	simulator, err := wasim.New(wasim.Options{AutoContacts: true})
	if err != nil {
		b.Fatal(err)
	}
	product, stop := newProduct(b, simulator)
	b.Cleanup(func() {
		stop()
		http.DefaultClient.CloseIdleConnections()
		_ = simulator.Close() // the benchmark is over
	})
	return &planner{Client: product.api, session: product.session}
}
