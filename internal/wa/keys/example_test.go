package keys_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/wa/keys"
)

// A worker that holds the lease of a session opens its rows, and gives the device to whatsmeow.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "keys")
	check(err)
	defer func() { _ = os.RemoveAll(folder) }()
	database, err := sqlite.OpenKeys(ctx, sqlite.Options{Path: filepath.Join(folder, "keystore.db")})
	check(err)
	defer func() { _ = database.Close() }()
	ring, err := keys.MakeRing(filepath.Join(folder, "keystore.key"))
	check(err)
	keyStore, err := keys.Open(ctx, keys.Options{Keys: database, Ring: ring})
	check(err)

	const leaseEpoch = 7
	owner, err := keyStore.Own(ctx, keys.OwnerOptions{Session: "ses_1", Epoch: leaseEpoch})
	check(err)
	check(paired(owner.NewDevice()).Save(ctx)) // whatsmeow saves it when the phone has accepted it
	device, err := owner.Device(ctx)
	check(err)
	fmt.Println(device.PushName)

	_, err = keyStore.Own(ctx, keys.OwnerOptions{Session: "ses_1", Epoch: leaseEpoch - 1})
	fmt.Println(err != nil)
	check(owner.Close(ctx))
	// Output:
	// Ana
	// true
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
