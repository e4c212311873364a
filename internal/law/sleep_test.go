package law

import (
	"fmt"
	"go/ast"
	"slices"
	"testing"
)

func TestNothingSleeps(t *testing.T) {
	t.Parallel()
	used := uses{}
	for _, p := range packages(t) {
		report(t, checkSleeps(p.path, p.files, used))
	}
	report(t, used.unused(mayWait))
}

// checkSleeps finds calls of time.Sleep for real. In tests a call is fine inside synctest.Test, where time is virtual, and in a function
// that the package's tests mention only there.
func checkSleeps(pkgPath string, files []*file, used uses) []string {
	bubbles := openers(files)
	bubbled := onlyInBubbles(files, bubbles)
	var violations []string
	for _, f := range files {
		walk(f.syntax, func(node ast.Node, stack []ast.Node) {
			if !isCall(node, "time", "Sleep") || f.test && bubbles.around(stack) {
				return
			}
			name := enclosing(stack)
			if f.test && bubbled[name] || used.excused(mayWait, pkgPath+": "+name) {
				return
			}
			advice := "wait with a timer and the context"
			if f.test {
				advice = "run under testing/synctest, or wait for an event"
			}
			violations = append(violations, fmt.Sprintf("%s: %s sleeps for real: %s", f.at(node), name, advice))
		})
	}
	return violations
}

// bubbles are the functions of a package's tests that run a function they are given under synctest.Test.
type bubbles map[string]bool

// openers finds the functions that mention, in what they give to synctest.Test or to another opener, a parameter of theirs of a function
// type.
func openers(files []*file) bubbles {
	found := bubbles{}
	for before := -1; before < len(found); {
		before = len(found)
		for _, f := range files {
			if f.test {
				walk(f.syntax, func(node ast.Node, stack []ast.Node) {
					if name, ok := node.(*ast.Ident); ok && found.around(stack) && isFunctionParameter(stack[1], name.Name) {
						found[enclosing(stack)] = true
					}
				})
			}
		}
	}
	return found
}

// isFunctionParameter tells whether a declaration is a function that takes a function of that name.
func isFunctionParameter(declaration ast.Node, name string) bool {
	function, ok := declaration.(*ast.FuncDecl)
	return ok && slices.ContainsFunc(function.Type.Params.List, func(field *ast.Field) bool {
		_, isFunction := field.Type.(*ast.FuncType)
		return isFunction && slices.ContainsFunc(field.Names, func(p *ast.Ident) bool { return p.Name == name })
	})
}

// around tells whether a node stands in what is given to synctest.Test, or to a function that gives it on.
func (b bubbles) around(stack []ast.Node) bool {
	return slices.ContainsFunc(stack, func(node ast.Node) bool {
		if isCall(node, "synctest", "Test") {
			return true
		}
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return false
		}
		name, ok := call.Fun.(*ast.Ident)
		return ok && b[name.Name]
	})
}

// onlyInBubbles gives the functions of the test files that are mentioned, and only inside bubbles or in one another.
func onlyInBubbles(files []*file, opened bubbles) map[string]bool {
	declared := map[string]bool{}
	type mention struct{ by, of string }
	var mentions []mention
	for _, f := range files {
		if !f.test {
			continue
		}
		walk(f.syntax, func(node ast.Node, stack []ast.Node) {
			if function, ok := node.(*ast.FuncDecl); ok {
				declared[function.Name.Name] = true
			}
			if name, ok := node.(*ast.Ident); ok && !declares(stack, name) {
				by := enclosing(stack)
				if opened.around(stack) {
					by = "the bubble"
				}
				mentions = append(mentions, mention{by, name.Name})
			}
		})
	}
	inside := map[string]bool{"the bubble": true}
	for _, m := range mentions {
		if declared[m.of] {
			inside[m.of] = true
		}
	}
	for changed := true; changed; {
		changed = false
		for _, m := range mentions {
			if inside[m.of] && !inside[m.by] && m.by != m.of {
				delete(inside, m.of)
				changed = true
			}
		}
	}
	delete(inside, "the bubble")
	return inside
}

// declares tells whether an identifier is the name of the function declared around it.
func declares(stack []ast.Node, name *ast.Ident) bool {
	function, ok := stack[len(stack)-1].(*ast.FuncDecl)
	return ok && function.Name == name
}
