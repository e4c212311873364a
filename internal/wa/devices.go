package wa

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// Devices is the key store: the keys and Signal sessions of every linked device of this machine.
type Devices struct {
	container *sqlstore.Container
	database  *sql.DB
}

// OpenDevices opens or makes the key store in a file.
//
// Write-ahead logging with synchronous=NORMAL survives the death of the process; what a loss of power may take back is the last moment of
// the Signal ratchets, which the retry receipts of the protocol mend. One connection serialises the writers, as SQLite would.
func OpenDevices(ctx context.Context, path string, log *slog.Logger) (*Devices, error) {
	dsn := "file:" + filepath.ToSlash(path) +
		"?_pragma=foreign_keys(1)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(10000)"
	database, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open the key store: %w", err)
	}
	database.SetMaxOpenConns(1)
	container := sqlstore.NewWithDB(database, "sqlite", bridge(log, "keys"))
	if err := container.Upgrade(ctx); err != nil {
		_ = database.Close()
		return nil, fmt.Errorf("prepare the key store: %w", err)
	}
	// Without its cache the first send after a restart forgets device numbers (wa-protocol §9).
	if err := container.LIDMap.FillCache(ctx); err != nil {
		_ = database.Close()
		return nil, fmt.Errorf("read the key store: %w", err)
	}
	return &Devices{container: container, database: database}, nil
}

// Close closes the file. No client may be open.
func (d *Devices) Close() error {
	if err := d.database.Close(); err != nil {
		return fmt.Errorf("close the key store: %w", err)
	}
	return nil
}

func (d *Devices) fresh() *store.Device { return d.container.NewDevice() }

func (d *Devices) find(ctx context.Context, device session.Device) (*store.Device, error) {
	jid, err := types.ParseJID(device.JID)
	if err != nil {
		return nil, fault.New(fault.Internal, "device_address", "The session's device address cannot be read; link the phone again")
	}
	found, err := d.container.GetDevice(ctx, jid)
	if err != nil {
		return nil, fmt.Errorf("read a device's keys: %w", err)
	}
	if found == nil {
		return nil, fault.New(fault.Relink, "device_unknown", "The keys of this session's device are gone; link the phone again")
	}
	return found, nil
}

func (d *Devices) remove(ctx context.Context, device *store.Device) error {
	if err := d.container.DeleteDevice(ctx, device); err != nil {
		return fmt.Errorf("delete a device's keys: %w", err)
	}
	return nil
}
