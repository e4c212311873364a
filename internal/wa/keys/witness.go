package keys

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// Witness remembers, outside of the database, the highest epoch that has opened each session's device. A database that was put back to an older copy
// knows a lower one. internal/bus keeps it in NATS.
type Witness interface {
	// Last gives the epoch; zero when there is none.
	Last(ctx context.Context, session string) (uint64, error)
	// Note remembers one; a higher one that is known stays.
	Note(ctx context.Context, session string, epoch uint64) error
}

// ErrRestored: the device's rows are older than what it has sent with. To go on with them would turn the Signal ratchets back: contacts would wait
// for messages for ever, and keys would be used twice.
var ErrRestored = fault.New(fault.Relink, "key_store_restored",
	"The key store was put back to an older copy, with which this phone's contacts could not read its messages any more; link the phone again")

// Attest refuses a device whose rows come from an older copy of the database, and notes that this owner opens it. It is called before a linked
// device connects. What it cannot see is a copy that was made since the last owner opened the device: both know the same epoch then.
func (o *Owner) Attest(ctx context.Context) error {
	witness := o.store.options.Witness
	if witness == nil {
		return nil
	}
	last, err := witness.Last(ctx, o.options.Session)
	if err != nil {
		return fmt.Errorf("ask who opened a device last: %w", err)
	}
	found, err := o.get(ctx, kindOpened, "")
	if err != nil {
		return err
	}
	opened := uint64(0)
	if found.exists() {
		if len(found.value) != 8 {
			return unreadable(kindOpened, fmt.Errorf("%d bytes", len(found.value)))
		}
		opened = binary.BigEndian.Uint64(found.value)
	}
	if opened < last {
		return ErrRestored
	}
	// First the row: a crash in between leaves a database that knows more than the witness, which is fine.
	if err := o.do(ctx, &unit{changes: []change{o.mark()}, urgency: durable}); err != nil {
		return fmt.Errorf("note who opened a device: %w", err)
	}
	if err := witness.Note(ctx, o.options.Session, o.options.Epoch); err != nil {
		return fmt.Errorf("note who opened a device: %w", err)
	}
	return nil
}

// mark is the row that says who opened the device last.
func (o *Owner) mark() change {
	return put(kindOpened, "", binary.BigEndian.AppendUint64(nil, o.options.Epoch))
}
