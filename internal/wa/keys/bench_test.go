package keys_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	wastore "go.mau.fi/whatsmeow/store"

	"github.com/dannsalud/broadcaster/internal/store/sqlite"
)

// The yardstick's file, with the settings under which whatsmeow is usually run, and with those that are as safe as ours.
const (
	usualSettings = "?_pragma=foreign_keys(1)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
	safeSettings  = "?_pragma=foreign_keys(1)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
)

// BenchmarkAgainstSQLStore runs the same work on both stores, in turn, and reports how many times faster ours is than sqlstore with its usual settings
// (x-usual, which may lose the last moments when the power goes) and with settings as safe as ours (x-safe).
func BenchmarkAgainstSQLStore(b *testing.B) {
	work := map[string]func(b *testing.B, s wastore.AllStores, round int){
		"PutManySessions+GetManySessions of 10": func(b *testing.B, s wastore.AllStores, round int) {
			addresses := make([]string, 10)
			sessions := map[string][]byte{}
			for i := range addresses {
				addresses[i] = fmt.Sprintf("%d:%d", 100000000000+round%200, i)
				sessions[addresses[i]] = []byte(fmt.Sprint(round) + strings.Repeat(" session", 150))
			}
			must(b, s.PutManySessions(b.Context(), sessions))
			_, err := s.GetManySessions(b.Context(), addresses)
			must(b, err)
		},
		"a send": func(b *testing.B, s wastore.AllStores, round int) {
			user := 100000000000 + round%200
			must(b, send(b.Context(), s, fmt.Sprint("3EB0", round), []string{fmt.Sprint(user, "_1:0"), fmt.Sprint(user, "_1:1"), "900000000000000_1:0"}))
		},
	}
	for name, once := range work {
		b.Run(name, func(b *testing.B) {
			folder := b.TempDir()
			usual := storesOf(b, save(b, yardstickAt(b, "file:"+filepath.Join(folder, "usual.db")+usualSettings).NewDevice()))
			safe := storesOf(b, save(b, yardstickAt(b, "file:"+filepath.Join(folder, "safe.db")+safeSettings).NewDevice()))
			database, err := sqlite.OpenKeys(b.Context(), sqlite.Options{Path: filepath.Join(folder, "keys.db")})
			must(b, err)
			b.Cleanup(func() { _ = database.Close() })
			owner := own(b, openStore(b, database, newRing(b)), "ses_1", 1)
			save(b, owner.NewDevice())
			took := [3]time.Duration{}
			round := 0
			for b.Loop() {
				for i, s := range []wastore.AllStores{owner, usual, safe} {
					began := time.Now()
					once(b, s, round)
					took[i] += time.Since(began)
				}
				round++
			}
			b.ReportMetric(0, "ns/op") // the three together, which says nothing
			b.ReportMetric(float64(took[0].Microseconds())/float64(b.N), "us/ours")
			b.ReportMetric(float64(took[1].Microseconds())/float64(b.N), "us/usual")
			b.ReportMetric(float64(took[2].Microseconds())/float64(b.N), "us/safe")
			b.ReportMetric(float64(took[1])/float64(took[0]), "x-usual")
			b.ReportMetric(float64(took[2])/float64(took[0]), "x-safe")
		})
	}
}
