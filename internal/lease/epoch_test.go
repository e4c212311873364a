package lease

import (
	"math"
	"testing"
	"time"
)

func TestEpochsGrowWhenTheBucketIsMadeAnew(t *testing.T) {
	t.Parallel()
	made := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	before := Keeper{era: eraOf(made)}
	after := Keeper{era: eraOf(made.Add(time.Second))}
	if last, first := before.epoch(4_000_000_000), after.epoch(1); first <= last {
		t.Errorf("epoch %d of the new bucket after %d of the old one", first, last)
	}
	if bare := (&Keeper{era: eraOf(time.Time{})}).epoch(7); bare != 7 {
		t.Errorf("without an era the epoch of revision 7 is %d", bare)
	}
	far := Keeper{era: eraOf(time.Date(2090, time.January, 1, 0, 0, 0, 0, time.UTC))}
	if epoch := far.epoch(math.MaxUint32); epoch > math.MaxInt64 {
		t.Errorf("epoch %d of 2090 does not fit into a database's signed number", epoch)
	}
}
