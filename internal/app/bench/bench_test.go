package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The embedded nats-server leaves this one behind each start; it reads the machine's load.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/pse.periodic"),
		// whatsmeow leaves its reader behind when a frame arrives while it disconnects: nobody takes the frame any more.
		goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).frameComplete"))
}

// tinySizes show that every workload works, and measure nothing.
func tinySizes() *sizes {
	return &sizes{rounds: 1, send: []sendVariant{{1, 8, 1}, {2, 16, 1}}, sendAgainst: []string{onOurKeys, onSQLStore, onUnflushed, inMemory},
		samples: 2, backlog: 10, audiences: []int{10, 20}, links: 1,
		idle: []int{1, 2}, clients: []int{1, 2}, requestTime: time.Millisecond, lists: []int{100, 600}, reads: 2}
}

// TestEveryWorkloadIsInTheJSONLine runs every workload once, with tiny sizes.
func TestEveryWorkloadIsInTheJSONLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if _, err := Run(t.Context(), Options{JSON: true, Out: &out, sizes: tinySizes()}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var printed map[string]json.RawMessage
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &printed); err != nil {
		t.Fatalf("the last line is no JSON object: %v", err)
	}
	for _, name := range []string{"send", "latency", "planning", "link", "idle", "api", "pages"} {
		var result struct {
			Product, Yardstick, Ratio, Spread *float64
			Rounds                            int
			Rows                              []Row
		}
		if err := json.Unmarshal(printed[name], &result); err != nil {
			t.Errorf("%s: %v in %s", name, err, printed[name])
			continue
		}
		if result.Product == nil || result.Yardstick == nil || result.Ratio == nil || result.Spread == nil || result.Rounds == 0 {
			t.Errorf("%s lacks a field: %s", name, printed[name])
		}
		for _, row := range result.Rows {
			if row.Name == "" || row.Against == "" || row.Unit == "" || row.Rounds == 0 {
				t.Errorf("%s has a row that does not say what it is: %+v", name, row)
			}
		}
	}
}

func TestUnknownWorkloadsAreRefused(t *testing.T) {
	t.Parallel()
	if _, err := Run(t.Context(), Options{Only: []string{"speed"}, Out: &bytes.Buffer{}}); err == nil || !strings.Contains(err.Error(), "latency") {
		t.Errorf("the error names no workload that there is: %v", err)
	}
}

// TestARowIsTheMedianOfItsRounds: a side's number is its own median, and the ratio that of the rounds' ratios.
func TestARowIsTheMedianOfItsRounds(t *testing.T) {
	t.Parallel()
	rounds := map[string][]float64{"product": {100, 1, 8, 3}, "bare": {100, 2, 8, 6}} // the first warms up
	sideOf := func(name string) side {
		return side{name, func(_ context.Context, round int) ([]float64, error) { return []float64{rounds[name][round]}, nil }}
	}
	rows, err := comparison{rounds: 3, numbers: []number{{"speed", "1/s", toAll(atLeast(0.9))}}, sides: []side{sideOf("product"), sideOf("bare")}}.run(t.Context())
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	row := rows[0]
	if row.Product != 3 || row.Yardstick != 6 || row.Ratio != 0.5 || row.Spread != 1 || row.Rounds != 3 || *row.Held {
		t.Errorf("the row is %+v", row)
	}
}

func TestPercentileIsTheValueThatSoManyDoNotExceed(t *testing.T) {
	t.Parallel()
	var times []time.Duration
	for i := range 200 {
		times = append(times, time.Duration(200-i)*time.Millisecond)
	}
	if p50, p99 := percentile(times, 50), percentile(times, 99); p50 != 100 || p99 != 198 {
		t.Errorf("p50 is %g and p99 %g", p50, p99)
	}
}

// BenchmarkWorkloads runs the workloads of `broadcaster bench` as Go benchmarks, and reports the ratio of each row.
func BenchmarkWorkloads(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.name, func(b *testing.B) {
			for b.Loop() {
				result, err := w.measure(b.Context(), quickSizes(), b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				for _, row := range result.Rows {
					b.ReportMetric(row.Ratio, row.Name+"/"+row.Against)
				}
			}
		})
	}
}
