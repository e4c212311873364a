package law

import (
	"fmt"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// minCommentLines is the shortest package comment that says what a package is for, its nouns, who calls it, and what it must never do.
const minCommentLines = 5

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		report(t, checkComment(p))
	}
}

// checkComment wants one package comment, in doc.go, in main.go of a program, or in the file that bears the package's name.
func checkComment(p *pkg) []string {
	places := []string{"doc.go", path.Base(p.path) + ".go", p.name + ".go"}
	found := 0
	for _, f := range p.files {
		if f.test || f.syntax.Doc == nil {
			continue
		}
		lines := f.line(f.syntax.Doc.End()) - f.line(f.syntax.Doc.Pos()) + 1
		switch name := path.Base(f.path); {
		case !slices.Contains(places, name):
			return []string{fmt.Sprintf("%s: the package comment belongs in one of %v, not in %s", p.path, places, name)}
		case lines < minCommentLines:
			return []string{fmt.Sprintf("%s has a comment of %d lines: say what it is for, its nouns, who calls it, and what it must never do", p.path, lines)}
		}
		found++
	}
	switch found {
	case 0:
		return []string{fmt.Sprintf("%s has no comment: say what it is for, its nouns, who calls it, and what it must never do", p.path)}
	case 1:
		return nil
	}
	return []string{fmt.Sprintf("%s has %d package comments", p.path, found)}
}

// TestEveryMessageHasAGoldenFile: what goes over the wire is written down, so that a change of its shape is seen.
func TestEveryMessageHasAGoldenFile(t *testing.T) {
	t.Parallel()
	events := find(t, "internal/events")
	if events == nil {
		t.Fatal("internal/events does not exist")
	}
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	kinds := kindsOf(events.files)
	if len(kinds) < 5 {
		t.Fatalf("found the kinds %v only: the rule cannot read internal/events any more", kinds)
	}
	for _, kind := range kinds {
		files, err := filepath.Glob(filepath.Join(dir, "internal/events/testdata", kind+"*.json"))
		if err != nil || len(files) == 0 {
			t.Errorf("the message %q has no golden file internal/events/testdata/%s*.json (%v)", kind, kind, err)
		}
	}
}

// kindsOf gives what the Kind methods of the messages return.
func kindsOf(files []*file) []string {
	var kinds []string
	for _, f := range files {
		if f.test {
			continue
		}
		walk(f.syntax, func(node ast.Node, stack []ast.Node) {
			result, ok := node.(*ast.ReturnStmt)
			if !ok || enclosing(stack) != "Kind" || len(result.Results) != 1 {
				return
			}
			if literal, ok := result.Results[0].(*ast.BasicLit); ok {
				if kind, err := strconv.Unquote(literal.Value); err == nil {
					kinds = append(kinds, kind)
				}
			}
		})
	}
	return kinds
}

// machine finds traces of a certain machine or network: absolute home and work directories, private registries.
var machine = regexp.MustCompile(strings.Join([]string{"/ro" + "ot/", "/ho" + "me/[a-z]", "/wo" + "rk/", "/Us" + "ers/", `C:\\Us` + `ers`}, "|"))

// TestNothingNamesAMachine: code and documents must mean the same wherever they are checked out.
func TestNothingNamesAMachine(t *testing.T) {
	t.Parallel()
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, p := range packages(t) {
		for _, f := range p.files {
			paths = append(paths, f.path)
		}
	}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "Makefile", ".ci/run", ".golangci.yml"} {
		matches, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range matches {
			paths = append(paths, strings.TrimPrefix(match, dir+"/"))
		}
	}
	for _, name := range paths {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if found := machine.Find(text); found != nil {
			t.Errorf("%s names a directory of one machine: %s", name, found)
		}
	}
	if !machine.MatchString("see /ho"+"me/ana/x") || machine.MatchString("https://example.com/work") {
		t.Error("the rule itself does not hold")
	}
}
