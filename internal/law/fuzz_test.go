package law

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheListOfFuzzTargetsIsTrue holds docs/testing.md against the code: what reads from outside is known, and how it is tested.
func TestTheListOfFuzzTargetsIsTrue(t *testing.T) {
	t.Parallel()
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "docs/testing.md"))
	if err != nil {
		t.Fatal(err)
	}
	var listed, there []string
	for _, match := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `(Fuzz[^`]+)` \\| [^|]+ \\|$").FindAllStringSubmatch(string(page), -1) {
		listed = append(listed, match[1]+": "+match[2])
	}
	for _, p := range packages(t) {
		for _, target := range fuzzTargets(p.files) {
			there = append(there, p.path+": "+target)
		}
	}
	if len(there) < 10 {
		t.Fatalf("found the fuzz targets %v only: the rule cannot read the code any more", there)
	}
	for _, target := range there {
		if !slices.Contains(listed, target) {
			t.Errorf("the fuzz target %s is not listed in docs/testing.md: what does it read?", target)
		}
	}
	for _, target := range listed {
		if !slices.Contains(there, target) {
			t.Errorf("docs/testing.md lists the fuzz target %s, which does not exist", target)
		}
	}
}

func fuzzTargets(files []*file) (names []string) {
	for _, f := range files {
		for _, declaration := range f.syntax.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok && f.test && function.Recv == nil && strings.HasPrefix(function.Name.Name, "Fuzz") {
				names = append(names, function.Name.Name)
			}
		}
	}
	return names
}
