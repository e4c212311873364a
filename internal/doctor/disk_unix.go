//go:build linux || darwin

package doctor

import "syscall"

// diskSpace gives what is free for this user, and what there is.
func diskSpace(folder string) (free, total uint64, err error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(folder, &stat); err != nil {
		return 0, 0, err
	}
	size := uint64(stat.Bsize)
	return stat.Bavail * size, stat.Blocks * size, nil
}
