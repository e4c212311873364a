package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/store/storetest"
)

// victimPath names, in the environment of a process that is going to be killed, the database that it writes to.
const victimPath = "SQLITE_TEST_VICTIM"

func TestMain(m *testing.M) {
	if path := os.Getenv(victimPath); path != "" {
		os.Exit(beVictim(path))
	}
	goleak.VerifyTestMain(m)
}

func TestStoresKeepTheirPromises(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Stores { return stores(t, filepath.Join(t.TempDir(), "books.db")) })
}

func stores(t *testing.T, path string) storetest.Stores {
	t.Helper()
	db := open(t, path)
	// Last in, first out: the plans are read before the database is closed.
	t.Cleanup(func() { wantIndexes(t, db) })
	return storetest.Stores{Sessions: db.Sessions(), Campaigns: db.Campaigns(), Deliveries: db.Deliveries(), Suppressions: db.Suppressions(), Histories: db.Histories(),
		Idempotency: db.Idempotency(), Documents: db.Documents(), Reopen: func(t *testing.T) storetest.Stores {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			return stores(t, path)
		}}
}

// wantIndexes asks the planner about every statement that a test has run. A list that comes as a parameter is the only thing that may be walked.
func wantIndexes(t *testing.T, db *sqlite.DB) {
	t.Helper()
	for _, statement := range db.Statements() {
		steps, err := db.Plan(context.WithoutCancel(t.Context()), statement)
		if err != nil && !strings.Contains(err.Error(), "closed") {
			t.Error(err)
		}
		for _, step := range steps {
			walks := strings.HasPrefix(step, "SCAN ") && !strings.Contains(step, "json_each") && !strings.Contains(step, "CONSTANT ROW") &&
				!strings.Contains(step, "USING INDEX") && !strings.Contains(step, "USING COVERING INDEX") && !strings.HasPrefix(step, "SCAN (")
			if walks || strings.Contains(step, "TEMP B-TREE FOR ORDER BY") {
				t.Errorf("%q, for:\n%s", step, statement)
			}
		}
	}
}

// beVictim writes until it is killed, and prints what has been acknowledged.
func beVictim(path string) int {
	db, err := sqlite.Open(context.Background(), sqlite.Options{Path: path})
	if err == nil {
		err = db.Campaigns().Create(context.Background(), campaign.Campaign{ID: "cmp_a", State: campaign.Draft})
	}
	for n := 1; err == nil; n++ {
		if _, err = db.Deliveries().Plan(context.Background(), planned("cmp_a", n, 1)); err == nil {
			fmt.Println(n)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func TestAKilledProcessLosesNothingThatItWasToldIsStored(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "books.db")
	victim := exec.CommandContext(t.Context(), os.Args[0])
	victim.Env = append(os.Environ(), victimPath+"="+path)
	victim.Stderr = t.Output()
	output, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if acknowledged, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatal(err)
		}
		if acknowledged == 200 {
			_ = victim.Process.Kill()
		}
	}
	_ = victim.Wait() // it was killed
	if acknowledged < 200 {
		t.Fatalf("it ended after %d", acknowledged)
	}
	counts, err := open(t, path).Deliveries().Counts(t.Context(), "cmp_a")
	if err != nil || counts[campaign.Pending] < acknowledged || counts[campaign.Pending] > acknowledged+1 {
		t.Errorf("%d were acknowledged, and there are %v (%v)", acknowledged, counts, err)
	}
}

func TestABatchThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "books.db"))
	plan(t, db, "cmp_a", 3)
	batch := planned("cmp_a", 10, 5)
	batch[4].Sequence = 2 // taken
	if _, err := db.Deliveries().Plan(t.Context(), batch); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("error %v", err)
	}
	counts, err := db.Deliveries().Counts(t.Context(), "cmp_a")
	if err != nil || counts.Total() != 3 {
		t.Errorf("counts %v, %v", counts, err)
	}
}

func TestTwoProcessesMayHaveTheFileOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "books.db")
	one, other := open(t, path), open(t, path)
	for i, db := range []*sqlite.DB{one, other} {
		if err := db.Sessions().Create(t.Context(), session.Session{ID: session.ID(fmt.Sprint("ses_", i))}); err != nil {
			t.Fatal(err)
		}
	}
	for i, db := range []*sqlite.DB{other, one} {
		if _, err := db.Sessions().Get(t.Context(), session.ID(fmt.Sprint("ses_", i))); err != nil {
			t.Errorf("what the other wrote: %v", err)
		}
	}
}

func TestForeignAndNewerFilesAreRefusedAndLeftAsTheyAre(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]string{
		"another program's": "CREATE TABLE theirs (x)",
		"a newer version's": "PRAGMA user_version = 9999",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "books.db")
			if name != "another program's" {
				ours, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
				if err != nil {
					t.Fatal(err)
				}
				if err := ours.Close(); err != nil {
					t.Fatal(err)
				}
			}
			change(t, path, prepare)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = sqlite.Open(t.Context(), sqlite.Options{Path: path})
			if fault.As(err) == nil || fault.As(err).Message == "" {
				t.Errorf("error %v: it must say what to do", err)
			}
			after, err := os.ReadFile(path)
			if err != nil || string(after) != string(before) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

func change(t *testing.T, path, statement string) {
	t.Helper()
	database, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := database.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	if err := database.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestMemoryDoesNotGrowWithTheAudience plans, claims and lists an audience that is ten times larger than another, and compares the heaps.
func TestMemoryDoesNotGrowWithTheAudience(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	small, large := heapOf(t, 1_000), heapOf(t, 10_000)
	if large > small+(2<<20) {
		t.Errorf("1 000 deliveries take %d KiB of heap, 10 000 take %d KiB", small>>10, large>>10)
	}
}

// heapOf gives the most heap that was in use after any batch.
func heapOf(t *testing.T, size int) (most uint64) {
	t.Helper()
	db := open(t, filepath.Join(t.TempDir(), "books.db"))
	measure := func() {
		runtime.GC()
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		most = max(most, memory.HeapAlloc)
	}
	plan(t, db, "cmp_a", size)
	measure()
	for taken := 0; taken < size; taken += campaign.MaxBatch {
		claimed, err := db.Deliveries().Claim(t.Context(), campaign.Claim{CampaignID: "cmp_a", Run: "run", Limit: campaign.MaxBatch, At: start})
		if err != nil || len(claimed) != campaign.MaxBatch {
			t.Fatalf("%d claimed, %v", len(claimed), err)
		}
		outcomes := make([]campaign.Outcome, len(claimed))
		for i, d := range claimed {
			outcomes[i] = campaign.Outcome{DeliveryID: d.ID, State: campaign.Sent, At: start}
		}
		if _, err := db.Deliveries().Record(t.Context(), outcomes); err != nil {
			t.Fatal(err)
		}
		if taken%(10*campaign.MaxBatch) == 0 {
			measure()
		}
	}
	page := store.Page{Size: store.MaxPageSize}
	for {
		list, err := db.Deliveries().List(t.Context(), "cmp_a", "", page)
		if err != nil {
			t.Fatal(err)
		}
		if list.Next == "" {
			break
		}
		page.After = list.Next
	}
	measure()
	return most
}

// TestOnlyClaimsDoNotWaitForTheDisk: a write behind one does again, however the claim ended.
func TestOnlyClaimsDoNotWaitForTheDisk(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "books.db"))
	plan(t, db, "cmp_a", 10)
	waits := func(behind string) {
		t.Helper()
		if level, err := db.Flushing(t.Context()); err != nil || level != 2 {
			t.Errorf("behind %s commits are flushed as %d, not as 2: %v", behind, level, err)
		}
	}
	waits("the opening")
	claim := campaign.Claim{CampaignID: "cmp_a", Run: "run", Limit: 3, At: start}
	if claimed, err := db.Deliveries().Claim(t.Context(), claim); err != nil || len(claimed) != 3 {
		t.Fatal(claimed, err)
	}
	waits("a claim")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.Deliveries().Claim(over, claim); !errors.Is(err, context.Canceled) {
		t.Errorf("a claim of somebody who left: %v", err)
	}
	waits("a claim that failed")
}
