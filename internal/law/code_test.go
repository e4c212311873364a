package law

import (
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"testing"
)

// The limits of the house, for code that is not generated and not a test.
const (
	maxFunctionLines = 80
	maxParameters    = 5
	// fileLines is where a file is worth a second look; it is reported, not refused.
	fileLines = 450
)

// The exceptions, each "path of the package: name", with its reason.
var (
	// mayWait are functions that may call time.Sleep although they are not seen to run in a synctest bubble.
	mayWait = map[string]string{}
	// maySkip are functions that may skip a test.
	maySkip = map[string]string{
		"internal/app/browser: needChromium": "a machine without a Chromium cannot run the console's tests; it says so loudly, and in CI it is a failure",
	}
	// mayKeepState are package-level variables that change.
	mayKeepState = map[string]string{
		"internal/wa: trusted": "whatsmeow reads the root key that it trusts from a variable of its own; this one lets it be written once only",
	}
	// maySetForeign are the files that may write variables of other packages.
	maySetForeign = map[string]string{
		"internal/wa/globals.go": "the one file for whatsmeow's process-wide variables",
	}
	// mayBeLong are functions over the limits.
	mayBeLong = map[string]string{}
	// mayInit are packages with an init function.
	mayInit = map[string]string{}
)

// uses are the exceptions that were asked for.
type uses map[string]bool

// excused tells whether an exception is listed, and remembers that it was needed.
func (u uses) excused(exceptions map[string]string, key string) bool {
	u[key] = true
	return exceptions[key] != ""
}

// unused names the exceptions that nothing asked for.
func (u uses) unused(exceptions map[string]string) []string {
	var violations []string
	for _, key := range slices.Sorted(maps.Keys(exceptions)) {
		if !u[key] {
			violations = append(violations, fmt.Sprintf("the exception for %q is not needed any more: remove it", key))
		}
	}
	return violations
}

func TestNoTestSkipsSilently(t *testing.T) {
	t.Parallel()
	used := uses{}
	for _, p := range packages(t) {
		report(t, checkSkips(p.path, p.files, used))
	}
	report(t, used.unused(maySkip))
}

// checkSkips finds calls of Skip, Skipf and SkipNow.
func checkSkips(pkgPath string, files []*file, used uses) []string {
	var violations []string
	for _, f := range files {
		walk(f.syntax, func(node ast.Node, stack []ast.Node) {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return
			}
			selector, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, selector.Sel.Name) {
				return
			}
			if receiver, ok := selector.X.(*ast.Ident); !ok || !slices.Contains([]string{"t", "b", "f", "tb"}, receiver.Name) {
				return
			}
			if name := enclosing(stack); !used.excused(maySkip, pkgPath+": "+name) {
				violations = append(violations, fmt.Sprintf("%s: %s skips: a test that does not run proves nothing", f.at(node), name))
			}
		})
	}
	return violations
}

func TestNoWorkInInit(t *testing.T) {
	t.Parallel()
	used := uses{}
	for _, p := range packages(t) {
		report(t, checkInit(p.path, p.files, used))
	}
	report(t, used.unused(mayInit))
}

func checkInit(pkgPath string, files []*file, used uses) []string {
	var violations []string
	for _, f := range files {
		for _, declaration := range f.syntax.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if ok && function.Recv == nil && function.Name.Name == "init" && !used.excused(mayInit, pkgPath) {
				violations = append(violations, f.at(function)+": init works before anybody asked; build in a constructor")
			}
		}
	}
	return violations
}

func TestFunctionsStaySmall(t *testing.T) {
	t.Parallel()
	used := uses{}
	var lengths []int
	for _, p := range packages(t) {
		violations, measured := checkFunctions(p.path, p.files, used)
		report(t, violations)
		lengths = append(lengths, measured...)
	}
	report(t, used.unused(mayBeLong))
	slices.Sort(lengths)
	t.Logf("%d functions; lines: median %d, 90th percentile %d (aims: 10, 40)", len(lengths), percentile(lengths, 50), percentile(lengths, 90))
}

func checkFunctions(pkgPath string, files []*file, used uses) (violations []string, lengths []int) {
	for _, f := range files {
		if f.test || f.generated() {
			continue
		}
		for _, declaration := range f.syntax.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := pkgPath + ": " + function.Name.Name
			lines := f.line(function.End()) - f.line(function.Pos()) + 1
			lengths = append(lengths, lines)
			if lines > maxFunctionLines && !used.excused(mayBeLong, name) {
				violations = append(violations, fmt.Sprintf("%s: %s has %d lines, over %d: it does more than one thing", f.at(function), function.Name.Name, lines, maxFunctionLines))
			}
			if parameters := function.Type.Params.NumFields(); parameters > maxParameters && !used.excused(mayBeLong, name) {
				violations = append(violations, fmt.Sprintf("%s: %s takes %d parameters, over %d: give it an Options struct", f.at(function), function.Name.Name, parameters, maxParameters))
			}
		}
	}
	return violations, lengths
}

// TestFileLengths measures; it refuses nothing, because a file that is cut to please a number is no easier to read.
func TestFileLengths(t *testing.T) {
	t.Parallel()
	var lengths []int
	for _, p := range packages(t) {
		for _, f := range p.files {
			if f.test || f.generated() {
				continue
			}
			lengths = append(lengths, f.lines())
			if f.lines() > fileLines {
				t.Logf("%s has %d lines: two nouns?", f.path, f.lines())
			}
		}
	}
	slices.Sort(lengths)
	t.Logf("%d files; lines: median %d, 90th percentile %d (aim: %d)", len(lengths), percentile(lengths, 50), percentile(lengths, 90), fileLines)
}

func percentile(sorted []int, percent int) int {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)]
}

// walk visits every node with the nodes around it, outermost first.
func walk(root ast.Node, visit func(node ast.Node, stack []ast.Node)) {
	var stack []ast.Node
	ast.Inspect(root, func(node ast.Node) bool {
		if node == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		visit(node, stack)
		stack = append(stack, node)
		return true
	})
}

// enclosing names the declared function around a node, or says that there is none.
func enclosing(stack []ast.Node) string {
	for _, node := range stack {
		if function, ok := node.(*ast.FuncDecl); ok {
			return function.Name.Name
		}
	}
	return "package level"
}

// isCall tells whether a node is a call of pkg.function.
func isCall(node ast.Node, pkg, function string) bool {
	call, ok := node.(*ast.CallExpr)
	if !ok {
		return false
	}
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != function {
		return false
	}
	name, ok := selector.X.(*ast.Ident)
	return ok && name.Name == pkg
}
