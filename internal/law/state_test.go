package law

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestNoPackageKeepsState(t *testing.T) {
	t.Parallel()
	state, foreign := uses{}, uses{}
	for _, p := range packages(t) {
		report(t, checkState(p.path, p.files, state))
		report(t, checkForeign(p.files, foreign))
	}
	report(t, state.unused(mayKeepState))
	report(t, foreign.unused(maySetForeign))
}

// checkState finds package-level variables that change: declared without a value, of a type that exists to change, assigned, or
// reached by address. Values that are only read (errors, tables, compiled patterns, embedded files) are fine.
func checkState(pkgPath string, files []*file, used uses) []string {
	specs := map[*ast.ValueSpec]bool{}
	variables := map[string]*file{}
	var violations []string
	accuse := func(f *file, node ast.Node, name, how string) {
		if !used.excused(mayKeepState, pkgPath+": "+name) {
			violations = append(violations, fmt.Sprintf("%s: package variable %s %s: state belongs to a value that a constructor made", f.at(node), name, how))
		}
	}
	for _, f := range files {
		if f.test || f.generated() {
			continue
		}
		for spec, embedded := range variableSpecs(f.syntax) {
			specs[spec] = true
			for i, name := range spec.Names {
				if name.Name == "_" {
					continue
				}
				variables[name.Name] = f
				if how := changeable(spec, i, embedded); how != "" {
					accuse(f, name, name.Name, how)
				}
			}
		}
	}
	for _, f := range files {
		if f.test || f.generated() {
			continue
		}
		walk(f.syntax, func(node ast.Node, _ []ast.Node) {
			for _, target := range written(node) {
				name := rootOf(target)
				if name == nil || variables[name.Name] == nil {
					continue
				}
				// Without an object the name is declared in another file, so at package level; else it must be the package's own.
				if name.Obj != nil && !ofSpec(name.Obj, specs) {
					continue
				}
				accuse(f, node, name.Name, "is written")
			}
		})
	}
	return violations
}

// variableSpecs gives the package-level variables of a file, and whether the go command fills them.
func variableSpecs(syntax *ast.File) map[*ast.ValueSpec]bool {
	specs := map[*ast.ValueSpec]bool{}
	for _, declaration := range syntax.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok || general.Tok != token.VAR {
			continue
		}
		for _, spec := range general.Specs {
			value := spec.(*ast.ValueSpec)
			specs[value] = embeds(general.Doc) || embeds(value.Doc)
		}
	}
	return specs
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// changeable says why a declared variable can only be meant to change; "" when it may be a constant in all but name.
func changeable(spec *ast.ValueSpec, i int, embedded bool) string {
	if len(spec.Values) == 0 {
		if embedded {
			return ""
		}
		return "has no value yet"
	}
	if len(spec.Values) != len(spec.Names) {
		return ""
	}
	how := ""
	ast.Inspect(spec.Values[i], func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.FuncLit:
			return false
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok && (pkg.Name == "sync" || pkg.Name == "atomic") && !strings.HasPrefix(n.Sel.Name, "Once") {
				how = "is made to change"
			}
		case *ast.ChanType:
			how = "is a channel"
		}
		return true
	})
	return how
}

// written gives what a node assigns to, counts up, or takes the address of.
func written(node ast.Node) []ast.Expr {
	switch n := node.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			return []ast.Expr{n.Key, n.Value}
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	case *ast.CallExpr:
		if name, ok := n.Fun.(*ast.Ident); ok && (name.Name == "delete" || name.Name == "clear") {
			return n.Args[:1]
		}
	}
	return nil
}

// rootOf gives x in x, x.field, x[i], *x and any mixture.
func rootOf(expression ast.Expr) *ast.Ident {
	for {
		switch e := expression.(type) {
		case *ast.Ident:
			return e
		case *ast.SelectorExpr:
			expression = e.X
		case *ast.IndexExpr:
			expression = e.X
		case *ast.StarExpr:
			expression = e.X
		case *ast.ParenExpr:
			expression = e.X
		default:
			return nil
		}
	}
}

//nolint:staticcheck // the parser's own objects are enough to tell a local name from the package's, and need no type check
func ofSpec(object *ast.Object, specs map[*ast.ValueSpec]bool) bool {
	spec, ok := object.Decl.(*ast.ValueSpec)
	return ok && specs[spec]
}

// checkForeign finds writes to variables of other packages.
func checkForeign(files []*file, used uses) []string {
	var violations []string
	for _, f := range files {
		if f.test {
			continue
		}
		names := importNames(f.syntax)
		walk(f.syntax, func(node ast.Node, _ []ast.Node) {
			for _, target := range written(node) {
				name := rootOf(target)
				if name == nil || name.Obj != nil || target == ast.Expr(name) || !names[name.Name] {
					continue
				}
				if used.excused(maySetForeign, f.path) {
					continue
				}
				violations = append(violations, fmt.Sprintf("%s: writes a variable of package %s, which the whole process shares", f.at(node), name.Name))
			}
		})
	}
	return violations
}

// importNames gives the names by which a file knows its imports.
func importNames(syntax *ast.File) map[string]bool {
	names := map[string]bool{}
	for _, spec := range syntax.Imports {
		if spec.Name != nil {
			names[spec.Name.Name] = true
			continue
		}
		full, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		base := path.Base(full)
		if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
			base = path.Base(path.Dir(full))
		}
		names[strings.TrimSuffix(base, ".go")] = true
	}
	return names
}
