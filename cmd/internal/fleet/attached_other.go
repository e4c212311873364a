//go:build !linux

package fleet

import "syscall"

// attached would make a process end with its starter; only Linux can.
func attached() *syscall.SysProcAttr { return nil }
