package sqlite

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// newWrites makes the metric of transactions. Reads are in this process and from memory mostly; a write waits for the one before it and for the disk.
func newWrites(registerer prometheus.Registerer) (*prometheus.HistogramVec, error) {
	writes := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "sqlite_transaction_duration_seconds",
		Help:    "Time that a write to SQLite took, the wait for the one before it included, by its result, ok or failed (a refused one too).",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5}, NativeHistogramBucketFactor: 1.1,
	}, []string{"result"})
	for _, result := range []string{resultOK, resultFailed} {
		writes.WithLabelValues(result) // A series that is there from the start can be told from one that is missing.
	}
	if registerer == nil {
		return writes, nil
	}
	if err := registerer.Register(writes); err != nil {
		return nil, fmt.Errorf("register the metrics of SQLite: %w", err)
	}
	return writes, nil
}

const (
	resultOK     = "ok"
	resultFailed = "failed"
)

// timed notes how long a write took that began at a time. The key store is a database too, and is not measured: WhatsApp's client writes all the time.
func (db *DB) timed(begun time.Time, err error) {
	if db.writes == nil {
		return
	}
	result := resultOK
	if err != nil {
		result = resultFailed
	}
	db.writes.WithLabelValues(result).Observe(time.Since(begun).Seconds())
}
