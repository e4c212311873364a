package fleet

import "syscall"

// attached makes a process end with its starter, however that ends.
func attached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
