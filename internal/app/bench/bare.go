package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	wastore "go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	waevents "go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/wa/keys"
	"github.com/dannsalud/broadcaster/wasim"
)

// The yardsticks that are bare whatsmeow, by the store of their keys.
const (
	// inMemory is the limit: whatsmeow on maps, with its own settings.
	inMemory = "bare_memory"
	// onSQLStore is what others use: whatsmeow's own store on SQLite, with the settings of its documentation (store/sqlstore, container.go).
	onSQLStore = "bare_sqlstore"
	// onUnflushed is the same store set up for speed: with a write-ahead log that is not flushed at a commit, so that a machine that loses its power may
	// come back with a ratchet that was used.
	onUnflushed = "bare_sqlstore_unflushed"
	// onOurKeys is whatsmeow on our key store, sealed and flushed to the disk as the product's, with the product's settings of a client.
	onOurKeys = "bare_same_keys"
)

// deviceStore makes devices of bare clients.
type deviceStore struct {
	newDevice func(ctx context.Context) (*wastore.Device, error)
	// asOurs says that clients are set up as the product's: what was sent is kept for retries in the store, and events are buffered there.
	asOurs bool
	close  func() error
}

func openDevices(ctx context.Context, kind, directory string) (*deviceStore, error) {
	switch kind {
	case onSQLStore:
		return openSQLStore(ctx, directory, "")
	case onUnflushed:
		return openSQLStore(ctx, directory, "&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	case onOurKeys:
		return openOurKeys(ctx, directory)
	}
	return &deviceStore{newDevice: func(context.Context) (*wastore.Device, error) { return newMemoryDevice(), nil }, close: func() error { return nil }}, nil
}

func openSQLStore(ctx context.Context, directory, settings string) (*deviceStore, error) {
	database, err := sql.Open("sqlite", "file:"+filepath.Join(directory, "bare.db")+"?_pragma=foreign_keys(1)&_pragma=busy_timeout(10000)"+settings)
	if err != nil {
		return nil, fmt.Errorf("open the yardstick's database: %w", err)
	}
	database.SetMaxOpenConns(1)
	container := sqlstore.NewWithDB(database, "sqlite", nil)
	if err := container.Upgrade(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the yardstick's database: %w", err), database.Close())
	}
	return &deviceStore{newDevice: func(context.Context) (*wastore.Device, error) { return container.NewDevice(), nil }, close: database.Close}, nil
}

func openOurKeys(ctx context.Context, directory string) (*deviceStore, error) {
	ring, err := keys.MakeRing(filepath.Join(directory, "bare.key"))
	if err != nil {
		return nil, err
	}
	file, err := sqlite.OpenKeys(ctx, sqlite.Options{Path: filepath.Join(directory, "barekeys.db")})
	if err != nil {
		return nil, err
	}
	store, err := keys.Open(ctx, keys.Options{Keys: file, Ring: ring})
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	var owners []*keys.Owner
	return &deviceStore{asOurs: true,
		newDevice: func(ctx context.Context) (*wastore.Device, error) {
			owner, err := store.Own(ctx, keys.OwnerOptions{Session: fmt.Sprintf("bare_%d", len(owners)), Epoch: 1})
			if err != nil {
				return nil, err
			}
			owners = append(owners, owner)
			return owner.NewDevice(), nil
		},
		close: func() error {
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			var errs []error
			for _, owner := range owners {
				errs = append(errs, owner.Close(closing))
			}
			return errors.Join(append(errs, file.Close())...)
		},
	}, nil
}

// bare is a client that is nothing but whatsmeow. The product must have been started before: it makes this process trust the simulator.
type bare struct {
	client *whatsmeow.Client
	// linking is how long it took from the first dialling to ready.
	linking time.Duration
}

func linkBare(ctx context.Context, devices *deviceStore, simulator *wasim.Server, number string) (*bare, error) {
	phone, err := simulator.NewPhone(number)
	if err != nil {
		return nil, err
	}
	device, err := devices.newDevice(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	b := &bare{client: whatsmeow.NewClient(device, nil)}
	b.client.UseRetryMessageStore, b.client.EnableDecryptedEventBuffer, b.client.SynchronousAck = devices.asOurs, devices.asOurs, devices.asOurs
	b.client.SetPreLoginHTTPClient(simulator.HTTPClient())
	b.client.SetWebsocketHTTPClient(simulator.HTTPClient())
	codes, connected := make(chan string, 1), make(chan time.Time, 4)
	b.client.AddEventHandler(func(event any) {
		switch event := event.(type) {
		case *waevents.QR:
			codes <- event.Codes[0]
		case *waevents.Connected:
			connected <- time.Now()
		}
	})
	if err := b.client.ConnectContext(ctx); err != nil {
		return nil, fmt.Errorf("connect a bare client: %w", err)
	}
	qr, err := await(ctx, codes)
	if err == nil {
		err = phone.ScanQR(ctx, qr)
	}
	var at time.Time
	if err == nil {
		at, err = await(ctx, connected)
	}
	if err != nil {
		b.client.Disconnect()
		return nil, err
	}
	b.linking = at.Sub(began)
	return b, nil
}

// send sends to the people with the numbers first to first+size-1, one after the other.
func (b *bare) send(ctx context.Context, first, size int, text string) error {
	for i := range size {
		to := types.NewJID(recipient(first + i)[1:], types.DefaultUserServer)
		message := fmt.Sprintf("Hola Ana María %d, %s", first+i, text)
		if _, err := b.client.SendMessage(ctx, to, &waE2E.Message{Conversation: proto.String(message)}); err != nil {
			return fmt.Errorf("send by a bare client: %w", err)
		}
	}
	return nil
}
