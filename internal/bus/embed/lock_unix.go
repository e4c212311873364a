//go:build unix

package embed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockDir makes sure that no other process uses a folder: nats-server itself does not, and two of them would ruin each other's files.
// The lock ends with the process, also when it is killed.
func lockDir(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // G304: the folder is the data folder of the process
	if err != nil {
		return nil, fmt.Errorf("open the lock of the embedded nats-server: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another process runs on the folder %s; stop it first: %w", dir, err), file.Close())
	}
	return file, nil
}
