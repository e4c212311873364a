package api

import (
	"maps"
	"slices"
)

// Described lists the operations that the contract speaks of.
func Described() []string { return slices.Sorted(maps.Keys(contract())) }
