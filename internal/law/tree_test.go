package law

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// module is the path of the module that is read.
const module = "github.com/dannsalud/broadcaster"

// pkg is one package of the module. Its path is relative to the module, as in "internal/bus".
type pkg struct {
	path    string
	name    string
	imports []string
	// testImports are those of its tests, inside and outside the package, that its own code does not have.
	testImports []string
	files       []*file
}

// file is one parsed file. Its path is relative to the module.
type file struct {
	path   string
	test   bool
	syntax *ast.File
	set    *token.FileSet
}

// at gives the place of a node as people write it.
func (f *file) at(node ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, f.line(node.Pos()))
}

func (f *file) line(pos token.Pos) int { return f.set.Position(pos).Line }

func (f *file) lines() int { return f.set.File(f.syntax.FileStart).LineCount() }

func (f *file) generated() bool { return ast.IsGenerated(f.syntax) }

// tree reads the whole module, once for all tests.
var tree = sync.OnceValues(readTree)

// packages gives every package of the module.
func packages(t *testing.T) []*pkg {
	t.Helper()
	all, err := tree()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("found %d packages: the module was not read", len(all))
	}
	return all
}

// find gives one package; nil when it does not exist.
func find(t *testing.T, path string) *pkg {
	t.Helper()
	for _, p := range packages(t) {
		if p.path == path {
			return p
		}
	}
	return nil
}

// root is the directory of the module.
func root() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// listed is what "go list" says of a package.
type listed struct {
	Dir, ImportPath, Name                    string
	GoFiles, CgoFiles                        []string
	TestGoFiles, XTestGoFiles                []string
	Imports, TestImports, XTestImports, Deps []string
}

func readTree() ([]*pkg, error) {
	dir, err := root()
	if err != nil {
		return nil, err
	}
	command := exec.Command("go", "list", "-e",
		"-json=Dir,ImportPath,Name,GoFiles,CgoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports", "./...")
	command.Dir = dir
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	if err := look(dir); err != nil {
		return nil, err
	}
	var all []*pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		switch err := decoder.Decode(&l); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("read the list of packages: %w", err)
		}
		p, err := readPackage(dir, l)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
}

// look reads every directory of the module. "go test" remembers what a test reads and does not run it again while that is the same; what
// "go list" reads is hidden from it, so that a new file would go unseen.
func look(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != dir && strings.HasPrefix(entry.Name(), ".") {
			return filepath.SkipDir
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // A directory that another test made is gone again.
		}
		return err
	})
}

func readPackage(dir string, l listed) (*pkg, error) {
	p := &pkg{path: relative(l.ImportPath), name: l.Name, imports: l.Imports}
	for _, path := range append(l.TestImports, l.XTestImports...) {
		if path != l.ImportPath && !slices.Contains(l.Imports, path) && !slices.Contains(p.testImports, path) {
			p.testImports = append(p.testImports, path)
		}
	}
	for _, group := range []struct {
		names []string
		test  bool
	}{{l.GoFiles, false}, {l.CgoFiles, false}, {l.TestGoFiles, true}, {l.XTestGoFiles, true}} {
		for _, name := range group.names {
			set := token.NewFileSet()
			full := filepath.Join(l.Dir, name)
			syntax, err := parser.ParseFile(set, full, nil, parser.ParseComments)
			if err != nil {
				return nil, err
			}
			path, err := filepath.Rel(dir, full)
			if err != nil {
				return nil, err
			}
			p.files = append(p.files, &file{path: filepath.ToSlash(path), test: group.test, syntax: syntax, set: set})
		}
	}
	return p, nil
}

// relative turns an import path of the module into a path like "internal/bus"; others stay as they are.
func relative(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

// within tells whether a path is one of the patterns: "internal/bus" is itself alone, "cmd/..." is everything below cmd and cmd itself.
func within(path string, patterns ...string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		below, all := strings.CutSuffix(pattern, "/...")
		return path == below || all && strings.HasPrefix(path, below+"/")
	})
}

// code parses a snippet for the tests of the rules.
func code(t *testing.T, name, source string) *file {
	t.Helper()
	set := token.NewFileSet()
	syntax, err := parser.ParseFile(set, name, source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return &file{path: name, test: strings.HasSuffix(name, "_test.go"), syntax: syntax, set: set}
}

// report fails the test with each violation.
func report(t *testing.T, violations []string) {
	t.Helper()
	for _, violation := range violations {
		t.Error(violation)
	}
}
