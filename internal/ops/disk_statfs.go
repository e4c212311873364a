//go:build linux || darwin

package ops

import (
	"fmt"
	"syscall"
)

// MeasureFolder gives the room of the disk that a folder is on.
func MeasureFolder(path string) (Disk, error) {
	var found syscall.Statfs_t
	if err := syscall.Statfs(path, &found); err != nil {
		return Disk{}, fmt.Errorf("measure the disk of %s: %w", path, err)
	}
	block := uint64(found.Bsize)                                                     //nolint:gosec,unconvert,nolintlint // its type differs between systems, and it is never negative
	return Disk{Size: found.Blocks * block, Free: uint64(found.Bavail) * block}, nil //nolint:gosec,unconvert,nolintlint // the same
}
