package main

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// fillDisk lets the files of a process grow no more until it ends.
func fillDisk(process int) error {
	var limit unix.Rlimit
	if err := unix.Prlimit(process, unix.RLIMIT_FSIZE, nil, &limit); err != nil {
		return fmt.Errorf("read the limit of files: %w", err)
	}
	limit.Cur = 1
	if err := unix.Prlimit(process, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		return fmt.Errorf("limit the size of files: %w", err)
	}
	return nil
}

// freezeProcess stops a process where it is, or lets it go on.
func freezeProcess(process int, thaw bool) error {
	signal := syscall.SIGSTOP
	if thaw {
		signal = syscall.SIGCONT
	}
	return syscall.Kill(process, signal)
}
