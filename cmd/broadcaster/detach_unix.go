//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// detach gives a process a session of its own, so that a signal to this one's terminal does not reach it.
func detach(command *exec.Cmd) { command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
