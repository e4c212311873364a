//go:build !unix

package embed

import (
	"fmt"
	"os"
	"path/filepath"
)

// lockDir opens the lock file only: there is no portable lock that ends with a killed process.
func lockDir(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the embedded nats-server: %w", err)
	}
	return file, nil
}
