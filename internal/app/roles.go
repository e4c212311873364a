package app

import "slices"

// Role is what a process does. Each of the three services has one; the all-in-one process has all of them.
type Role string

// The roles.
const (
	// RoleAPI answers HTTP requests, and makes the queue's topology.
	RoleAPI Role = "api"
	// RoleLinker pairs phones.
	RoleLinker Role = "linker"
	// RoleSender hosts sessions and runs campaigns.
	RoleSender Role = "sender"
)

// Roles lists every role.
func Roles() []Role { return []Role{RoleAPI, RoleLinker, RoleSender} }

func (a *App) does(role Role) bool { return slices.Contains(a.options.Roles, role) }

// works tells whether this process takes jobs.
func (a *App) works() bool { return a.does(RoleLinker) || a.does(RoleSender) }
