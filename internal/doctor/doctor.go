// Package doctor looks at a deployment and says what is wrong with it, each thing with what to do.
//
// Nouns: Check (one named look), Finding (what it saw: ok, warning or broken, and the fix), Report (all findings, in the order of the checks).
// A check that several deployments share, such as that of clocks, certificates and disks, is here; those of a technology are made by internal/app
// from what the doors tell about themselves.
//
// Callers: internal/app puts the checks together, and cmd/broadcaster prints the report. A check must never change what it looks at, and a finding
// must never hold a password, a key or a phone number.
package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"
)

// State says how bad a finding is.
type State string

// The states.
const (
	OK      State = "ok"
	Warning State = "warning"
	Broken  State = "broken"
)

// Finding is what a check saw.
type Finding struct {
	Check string `json:"check"`
	State State  `json:"state"`
	Saw   string `json:"saw"`
	// Fix says what to do; empty when all is well.
	Fix string `json:"fix,omitempty"`
}

// Fine is a finding that needs nothing.
func Fine(saw string, arguments ...any) Finding {
	return Finding{State: OK, Saw: fmt.Sprintf(saw, arguments...)}
}

// Bad is a finding that needs a fix.
func Bad(state State, fix, saw string, arguments ...any) Finding {
	return Finding{State: state, Fix: fix, Saw: fmt.Sprintf(saw, arguments...)}
}

// Check is one named look.
type Check struct {
	Name string
	Look func(ctx context.Context) Finding
}

// Report is what all checks saw.
type Report []Finding

// checkTimeout bounds one check; each tells by its context's end that what it waited for does not answer.
const checkTimeout = 15 * time.Second

// Run makes all checks at once.
func Run(ctx context.Context, checks []Check) Report {
	report := make(Report, len(checks))
	var looks errgroup.Group
	for i, check := range checks {
		looks.Go(func() error {
			limited, cancel := context.WithTimeout(ctx, checkTimeout)
			defer cancel()
			report[i] = check.Look(limited)
			report[i].Check = check.Name
			return nil
		})
	}
	_ = looks.Wait() // a check has findings instead of errors
	return report
}

// Healthy tells that nothing is broken. Warnings can wait.
func (r Report) Healthy() bool {
	for _, finding := range r {
		if finding.State == Broken {
			return false
		}
	}
	return true
}

// Write prints the report for a person.
func (r Report) Write(out io.Writer) error {
	counts := map[State]int{}
	for _, finding := range r {
		counts[finding.State]++
		if _, err := fmt.Fprintf(out, "%-8s %s: %s\n", finding.State, finding.Check, finding.Saw); err != nil {
			return err
		}
		if finding.Fix != "" {
			if _, err := fmt.Fprintf(out, "%-8s -> %s\n", "", finding.Fix); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(out, "%d ok, %d warnings, %d broken\n", counts[OK], counts[Warning], counts[Broken])
	return err
}

// WriteJSON prints the report for a machine.
func (r Report) WriteJSON(out io.Writer) error {
	return json.NewEncoder(out).Encode(struct {
		Healthy  bool   `json:"healthy"`
		Findings Report `json:"findings"`
	}{r.Healthy(), r})
}
