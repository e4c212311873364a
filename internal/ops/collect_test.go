package ops_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dannsalud/broadcaster/internal/ops"
)

func TestDependenciesThatDoNotAnswerAreDown(t *testing.T) {
	t.Parallel()
	collector := ops.NewDependencies([]ops.Check{
		{Name: "broker", Probe: func(context.Context) error { return nil }},
		{Name: "database", Probe: func(ctx context.Context) error {
			<-ctx.Done() // it hangs
			return errors.New("no answer")
		}},
	})
	want := "# HELP dependency_up 1 when what this process needs answers it, else 0, by dependency, as /readyz asks it.\n# TYPE dependency_up gauge\n" +
		"dependency_up{dependency=\"broker\"} 1\ndependency_up{dependency=\"database\"} 0\n"
	if err := testutil.CollectAndCompare(collector, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestADiskThatCannotBeMeasuredHasNoSeries(t *testing.T) {
	t.Parallel()
	rows := map[string]struct {
		disk ops.Disk
		err  error
		want int
	}{
		"measured":      {disk: ops.Disk{Size: 100, Free: 40}, want: 2},
		"failed":        {disk: ops.Disk{Size: 100}, err: errors.New("no answer")},
		"not supported": {},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry := prometheus.NewPedanticRegistry()
			registry.MustRegister(ops.NewDisk("database", func(context.Context) (ops.Disk, error) { return row.disk, row.err }))
			count, err := testutil.GatherAndCount(registry)
			if err != nil || count != row.want {
				t.Errorf("%d series, want %d: %v", count, row.want, err)
			}
		})
	}
}

func TestTheDataFoldersDiskIsMeasured(t *testing.T) {
	t.Parallel()
	disk, err := ops.MeasureFolder(t.TempDir())
	if err != nil || disk.Size == 0 || disk.Free > disk.Size {
		t.Errorf("got %+v: %v", disk, err)
	}
	if _, err := ops.MeasureFolder(t.TempDir() + "/missing"); err == nil {
		t.Error("a folder that does not exist was measured")
	}
}

func TestTheRegistrySaysWhichBuildThisIs(t *testing.T) {
	t.Parallel()
	count, err := testutil.GatherAndCount(ops.NewRegistry(), "broadcaster_build_info", "go_build_info", "go_goroutines")
	if err != nil || count != 3 {
		t.Errorf("%d series, want 3: %v", count, err)
	}
}
