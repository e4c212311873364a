package law

import (
	"fmt"
	"go/ast"
	"path"
	"testing"
)

// maxMainLines is the longest a main.go may be: it parses its configuration, builds, runs, and gives the exit code.
const maxMainLines = 80

func TestProgramsStartInOneLine(t *testing.T) {
	t.Parallel()
	programs := 0
	for _, p := range packages(t) {
		if p.name == "main" {
			programs++
		}
		report(t, checkMain(p))
	}
	if programs == 0 {
		t.Error("found no program: the module was not read")
	}
}

// checkMain wants main to be os.Exit(run(...)) in a small main.go, so that everything else can be tested and cleans up; nobody else may
// leave the process, because deferred calls do not run then.
func checkMain(p *pkg) []string {
	var violations []string
	main := false
	for _, f := range p.files {
		if f.test {
			continue
		}
		for _, declaration := range f.syntax.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok && p.name == "main" && function.Name.Name == "main" {
				main = true
				violations = append(violations, checkMainFunction(f, function)...)
			}
		}
		walk(f.syntax, func(node ast.Node, stack []ast.Node) {
			leaves := isCall(node, "os", "Exit") || isCall(node, "log", "Fatal") || isCall(node, "log", "Fatalf") || isCall(node, "log", "Fatalln")
			if leaves && (p.name != "main" || enclosing(stack) != "main") {
				violations = append(violations, f.at(node)+": leaves the process, and no deferred call runs: return an error")
			}
		})
	}
	if p.name == "main" && !main {
		violations = append(violations, p.path+": has no main function")
	}
	return violations
}

func checkMainFunction(f *file, function *ast.FuncDecl) []string {
	var violations []string
	if path.Base(f.path) != "main.go" {
		violations = append(violations, f.at(function)+": main belongs in main.go")
	}
	if f.lines() > maxMainLines {
		violations = append(violations, fmt.Sprintf("%s has %d lines, over %d: logic belongs in a package", f.path, f.lines(), maxMainLines))
	}
	if len(function.Body.List) == 1 {
		statement, ok := function.Body.List[0].(*ast.ExprStmt)
		if ok && isCall(statement.X, "os", "Exit") && isRun(statement.X.(*ast.CallExpr).Args[0]) {
			return violations
		}
	}
	return append(violations, f.at(function)+": main must be os.Exit(run(...)) and nothing else")
}

// isRun tells whether an expression is a call of a function called run.
func isRun(expression ast.Expr) bool {
	call, ok := expression.(*ast.CallExpr)
	if !ok {
		return false
	}
	name, ok := call.Fun.(*ast.Ident)
	return ok && name.Name == "run"
}
