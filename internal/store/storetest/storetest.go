// Package storetest is the conformance suite of the storage ports: session.Store, campaign.Store, campaign.Deliveries,
// campaign.Suppressions and store.Idempotency. What it demands is what callers may rely on, whatever database is behind a port.
//
// Nouns: Stores (one empty database, seen through its ports), Run (the suite). Each test has a database of its own and runs beside the
// others; random tests carry their seed in their name.
//
// Callers: the tests of the adapters in internal/store. The suite knows no database and makes no exception for one. It asks for nothing
// that needs a transaction over several records but where a port promises it; what else an adapter promises (that a failed batch leaves nothing,
// that a killed process loses nothing) is tested beside the adapter.
package storetest

import (
	"testing"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Stores are the ports of one database.
type Stores struct {
	Sessions     session.Store
	Campaigns    campaign.Store
	Deliveries   campaign.Deliveries
	Suppressions campaign.Suppressions
	Histories    session.Histories
	Idempotency  store.Idempotency
	Documents    store.Documents
	// Reopen closes these stores and opens the same database anew, as a process that starts again does.
	Reopen func(t *testing.T) Stores
}

// check is one test of the suite; its name says the behaviour.
type check struct {
	name string
	run  func(*testing.T, Stores)
}

// Run runs the suite. open gives the stores of an empty database and closes them when the test that it is given ends.
func Run(t *testing.T, open func(t *testing.T) Stores) {
	groups := map[string][]check{
		"Sessions":     sessionChecks(),
		"Campaigns":    campaignChecks(),
		"Plan":         planChecks(),
		"Claim":        claimChecks(),
		"Record":       recordChecks(),
		"Settle":       settleChecks(),
		"Rejections":   rejectionChecks(),
		"Suppressions": suppressionChecks(),
		"Histories":    historyChecks(),
		"Idempotency":  idempotencyChecks(),
		"Documents":    documentChecks(),
		"Pages":        pageChecks(),
		"Values":       valueChecks(),
		"Everywhere":   commonChecks(),
	}
	for name, checks := range groups {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, check := range checks {
				t.Run(check.name, func(t *testing.T) {
					t.Parallel()
					check.run(t, open(t))
				})
			}
		})
	}
}
