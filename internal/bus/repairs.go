package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// repairs keeps what operators did to failed jobs, in the bucket "repairs", beside the entries, which never change.
type repairs struct{ bus *Bus }

// repair is what was done to one failed job so far.
type repair struct {
	Edit *events.Edit `json:"edit,omitempty"`
	// Replaying is the identity of a job that was about to be published in the place of the failed one, or was published, while the entry is still there.
	Replaying string `json:"replaying,omitempty"`

	// revision is the one that was read; at is when the server wrote it.
	revision uint64
	at       time.Time
}

func repairKey(entry uint64) string { return strconv.FormatUint(entry, 10) }

func (r *repairs) read(ctx context.Context, entry uint64) (repair, error) {
	var found repair
	bucket, err := r.bus.Bucket(ctx, BucketRepairs)
	if err != nil {
		return found, failedUnavailable(err)
	}
	kept, err := bucket.kv.Get(ctx, repairKey(entry))
	if err != nil {
		if err := bucket.explain("get", err); !errors.Is(err, ErrMissing) {
			return found, failedUnavailable(err)
		}
		return found, nil
	}
	if err := json.Unmarshal(kept.Value(), &found); err != nil {
		return found, fmt.Errorf("read what was done to failed job %d: %w", entry, err)
	}
	found.revision, found.at = kept.Revision(), kept.Created()
	return found, nil
}

// write writes what was done in the place of what was read; fault.Conflict when somebody else wrote meanwhile.
func (r *repairs) write(ctx context.Context, entry uint64, next repair) error {
	bucket, err := r.bus.Bucket(ctx, BucketRepairs)
	if err != nil {
		return failedUnavailable(err)
	}
	value, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode what was done to failed job %d: %w", entry, err)
	}
	if next.revision == 0 {
		_, err = bucket.Create(ctx, repairKey(entry), value)
	} else {
		_, err = bucket.Update(ctx, repairKey(entry), value, next.revision)
	}
	if errors.Is(err, ErrExists) || errors.Is(err, ErrRevision) {
		return fault.Wrap(err, fault.Conflict, "changed_meanwhile", "Somebody else works on this failed job at this moment; look at it again")
	}
	if err != nil {
		return failedUnavailable(err)
	}
	return nil
}

// forget removes what was done to a job whose entry is gone.
func (r *repairs) forget(ctx context.Context, entry uint64) error {
	bucket, err := r.bus.Bucket(ctx, BucketRepairs)
	if err == nil {
		err = bucket.Remove(ctx, repairKey(entry))
	}
	if err != nil {
		return failedUnavailable(err)
	}
	return nil
}
