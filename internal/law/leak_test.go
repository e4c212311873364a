package law

import (
	"fmt"
	"go/ast"
	"slices"
	"testing"
)

// mayLeak are packages whose tests cannot look for goroutines that outlive their owner, with the reason.
var mayLeak = map[string]string{
	"internal/bus/bustest":     "a suite without tests of its own; those who run it look",
	"internal/store/storetest": "a suite without tests of its own; those who run it look",
	"internal/wa/proxytest":    "a proxy for the tests of others, which look",
}

// TestWhoStartsGoroutinesLooksForLeaks: what a package starts has ended when its owner returns, and its tests say so with goleak.
func TestWhoStartsGoroutinesLooksForLeaks(t *testing.T) {
	t.Parallel()
	used := uses{}
	for _, p := range packages(t) {
		report(t, checkLeaks(p.path, p.files, used))
	}
	report(t, used.unused(mayLeak))
}

// checkLeaks wants goleak in the tests of a package that starts goroutines or timers.
func checkLeaks(pkgPath string, files []*file, used uses) []string {
	start, looks := "", false
	for _, f := range files {
		walk(f.syntax, func(node ast.Node, _ []ast.Node) {
			switch {
			case f.test:
				looks = looks || isCall(node, "goleak", "VerifyTestMain") || isCall(node, "goleak", "VerifyNone")
			case start == "" && starts(node):
				start = f.at(node)
			}
		})
	}
	if start == "" || looks || used.excused(mayLeak, pkgPath) {
		return nil
	}
	return []string{fmt.Sprintf("%s: starts a goroutine or a timer, and the tests of %s do not look for leaks: call goleak.VerifyTestMain in a TestMain", start, pkgPath)}
}

// starts tells whether something begins that goes on by itself.
func starts(node ast.Node) bool {
	if _, ok := node.(*ast.GoStmt); ok {
		return true
	}
	for _, name := range []string{"AfterFunc", "NewTicker", "NewTimer", "Tick"} {
		if isCall(node, "time", name) {
			return true
		}
	}
	call, ok := node.(*ast.CallExpr)
	if !ok {
		return false
	}
	selector, ok := call.Fun.(*ast.SelectorExpr) // sync.WaitGroup and errgroup.Group
	return ok && slices.Contains([]string{"Go", "TryGo"}, selector.Sel.Name) && len(call.Args) == 1
}
