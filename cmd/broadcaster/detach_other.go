//go:build !unix

package main

import "os/exec"

// detach does nothing here: a process started by another one outlives it anyway.
func detach(*exec.Cmd) {}
