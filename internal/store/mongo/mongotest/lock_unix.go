//go:build unix

package mongotest

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock waits until no other process holds the lock, and gives the function that ends it. It ends with the process, too.
func lock(path string) (unlock func() error, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // a file of our cache folder
	if err != nil {
		return nil, fmt.Errorf("open the lock of the build: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for another build: %w", err), file.Close())
	}
	return file.Close, nil
}
