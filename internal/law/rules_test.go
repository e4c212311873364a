package law

import (
	"fmt"
	"strings"
	"testing"
)

// TestCodeRulesCatchViolations breaks each rule of code_test.go, main_test.go and docs_test.go once, and keeps it once where keeping it
// looks similar.
func TestCodeRulesCatchViolations(t *testing.T) {
	t.Parallel()
	long := "package p\nfunc Long() {\n" + strings.Repeat("\tprintln()\n", maxFunctionLines) + "}\n"
	rows := []struct {
		name, file, source string
		rule               func([]*file) []string
		want               string
	}{
		{"a sleeping test", "p_test.go", `package p
			func TestX(t *testing.T) { time.Sleep(1) }`, sleeps, "TestX sleeps"},
		{"a sleeping helper of a test", "p_test.go", `package p
			func TestX(t *testing.T) { wait() }
			func wait() { time.Sleep(1) }`, sleeps, "wait sleeps"},
		{"a helper used inside and outside of a bubble", "p_test.go", `package p
			func TestX(t *testing.T) { synctest.Test(t, func(t *testing.T) { wait() }) }
			func TestY(t *testing.T) { wait() }
			func wait() { time.Sleep(1) }`, sleeps, "wait sleeps"},
		{"sleeping code", "p.go", `package p
			func Poll() { time.Sleep(1) }`, sleeps, "Poll sleeps"},
		{"sleeping code that mentions a bubble", "p.go", `package p
			func Poll() { synctest.Test(nil, func(t *testing.T) { time.Sleep(1) }) }`, sleeps, "Poll sleeps"},
		{"virtual sleep", "p_test.go", `package p
			func TestX(t *testing.T) { synctest.Test(t, func(t *testing.T) { time.Sleep(1) }) }`, sleeps, ""},
		{"virtual sleep in helpers of helpers", "p_test.go", `package p
			func TestX(t *testing.T) { synctest.Test(t, func(t *testing.T) { newWorld().run() }) }
			func (w world) run() { wait() }
			func wait() { time.Sleep(1) }`, sleeps, ""},
		{"virtual sleep in a bubble of the package's own", "p_test.go", `package p
			func TestX(t *testing.T) { larger(t, func(t *testing.T) { time.Sleep(1); wait() }) }
			func wait() { time.Sleep(1) }
			func larger(t *testing.T, story func(*testing.T)) { world(t, func(t *testing.T) { story(t) }) }
			func world(t *testing.T, story func(*testing.T)) { synctest.Test(t, func(t *testing.T) { story(t) }) }`, sleeps, ""},
		{"a sleep in a helper that calls its function outside of a bubble", "p_test.go", `package p
			func TestX(t *testing.T) { world(t, func(t *testing.T) { time.Sleep(1) }) }
			func world(t *testing.T, story func(*testing.T)) { story(t); synctest.Test(t, func(t *testing.T) {}) }`, sleeps, "TestX sleeps"},

		{"a skipped test", "p_test.go", `package p
			func TestX(t *testing.T) { t.Skip("slow") }`, skips, "TestX skips"},
		{"a skip in a suite", "p.go", `package p
			func Run(t *testing.T) { if !ok { t.SkipNow() } }`, skips, "Run skips"},
		{"another kind of skip", "p.go", `package p
			func Read(reader R) { reader.Skip(3) }`, skips, ""},

		{"a goroutine that nobody looks for", "p.go", "package p\nfunc F() { go f() }", leaks, "starts a goroutine"},
		{"a timer that nobody looks for", "p.go", "package p\nfunc F() { time.AfterFunc(1, f) }", leaks, "starts a goroutine"},
		{"a group that nobody looks for", "p.go", "package p\nfunc F() { group.Go(f) }", leaks, "starts a goroutine"},
		{"nothing that goes on", "p.go", "package p\nfunc F() { f(); time.After(1) }", leaks, ""},

		{"init", "p.go", "package p\nfunc init() {}", inits, "init works"},
		{"a method called init", "p.go", "package p\nfunc (x *X) init() {}", inits, ""},

		{"a mutex", "p.go", "package p\nvar mu sync.Mutex", state, "mu has no value yet"},
		{"a counter", "p.go", "package p\nvar n = 0\nfunc F() { n++ }", state, "n is written"},
		{"a cache", "p.go", "package p\nvar cache = map[string]int{}\nfunc F() { cache[`a`] = 1 }", state, "cache is written"},
		{"a cache emptied", "p.go", "package p\nvar cache = map[string]int{}\nfunc F() { delete(cache, `a`) }", state, "cache is written"},
		{"a field", "p.go", "package p\nvar config = C{}\nfunc F() { config.A.B = 1 }", state, "config is written"},
		{"an address", "p.go", "package p\nvar config = C{}\nfunc F() *C { return &config }", state, "config is written"},
		{"a pool", "p.go", "package p\nvar pool = sync.Pool{New: f}", state, "is made to change"},
		{"an atomic behind a pointer", "p.go", "package p\nvar n = new(atomic.Int64)", state, "is made to change"},
		{"a local of the same name", "p.go", "package p\nvar n = 1\nfunc F() { n := 2; n++; m := &n; _ = m }", state, ""},
		{"a parameter of the same name", "p.go", "package p\nvar n = 1\nfunc F(n int) { n = 2 }", state, ""},
		{"an error, a table, a pattern and an assertion", "p.go", `package p
			var ErrX = errors.New("x")
			var table = map[string]int{"a": 1}
			var pattern = regexp.MustCompile("x")
			var _ I = T{}
			var lazy = sync.OnceValue(f)`, state, ""},
		{"an embedded file", "p.go", "package p\n//go:embed x\nvar x []byte", state, ""},

		{"a foreign variable", "p.go", "package p\nimport \"go.mau.fi/whatsmeow\"\nfunc F() { whatsmeow.KeepAlive.Max = 1 }", foreign, "writes a variable of package whatsmeow"},
		{"a foreign variable under another name", "p.go", "package p\nimport w \"a/b/v2\"\nfunc F() { w.X = 1 }", foreign, "package w"},
		{"a local with a package's name", "p.go", "package p\nimport \"a/store\"\nfunc F(store *S) { store.X = 1 }", foreign, ""},

		{"a long function", "p.go", long, functions, "Long has 82 lines"},
		{"a function of many parameters", "p.go", "package p\nfunc F(a, b, c int, d, e, f string) {}", functions, "takes 6 parameters"},
		{"a long test", "p_test.go", long, functions, ""},
		{"generated code", "p.go", "// Code generated by x. DO NOT EDIT.\n" + long, functions, ""},

		{"a main that works", "cmd/x/main.go", "package main\nfunc main() { open(); os.Exit(run()) }", mains, "main must be"},
		{"a main that hides its exit code", "cmd/x/main.go", "package main\nfunc main() { run() }", mains, "main must be"},
		{"an exit in the depth", "cmd/x/main.go", "package main\nfunc main() { os.Exit(run()) }\nfunc run() int { os.Exit(3); return 0 }", mains, "leaves the process"},
		{"a fatal log in the depth", "internal/x/x.go", "package x\nfunc F() { log.Fatal(1) }", mains, "leaves the process"},
		{"a long main", "cmd/x/main.go", "package main\nfunc main() { os.Exit(run()) }\n" + strings.Repeat("\n", maxMainLines), mains, "has 82 lines"},
		{"a small main", "cmd/x/main.go", "package main\nfunc main() { os.Exit(run()) }", mains, ""},

		{"no comment", "x/p.go", "package p", comments, "has no comment"},
		{"a short comment", "x/p.go", "// Package p is.\n// It is.\npackage p", comments, "has a comment of 2 lines"},
		{"a comment in another file", "x/other.go", "// Package p is.\n//\n// A.\n// B.\n// C.\n// D.\npackage p", comments, "not in other.go"},
		{"a good comment", "x/p.go", "// Package p is.\n//\n// A.\n// B.\n// C.\n// D.\npackage p", comments, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := strings.Join(row.rule([]*file{code(t, row.file, row.source)}), "\n")
			if row.want == "" && got != "" || !strings.Contains(got, row.want) {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// TestStateIsFoundAcrossFiles: a variable declared in one file and written in another.
func TestStateIsFoundAcrossFiles(t *testing.T) {
	t.Parallel()
	files := []*file{
		code(t, "a.go", "package p\nvar n = 1"),
		code(t, "b.go", "package p\nfunc F() { n = 2 }"),
	}
	if got := fmt.Sprint(state(files)); !strings.Contains(got, "b.go:2: package variable n is written") {
		t.Errorf("got %s", got)
	}
}

func TestExceptionsThatNothingNeedsAreFound(t *testing.T) {
	t.Parallel()
	used := uses{}
	exceptions := map[string]string{"p: Used": "a reason", "p: Unused": "a reason"}
	if !used.excused(exceptions, "p: Used") || used.excused(exceptions, "p: Other") {
		t.Error("an exception holds for its own key only")
	}
	if got := used.unused(exceptions); len(got) != 1 || !strings.Contains(got[0], "p: Unused") {
		t.Errorf("got %v", got)
	}
}

func sleeps(files []*file) []string  { return checkSleeps("p", files, uses{}) }
func leaks(files []*file) []string   { return checkLeaks("p", files, uses{}) }
func skips(files []*file) []string   { return checkSkips("p", files, uses{}) }
func inits(files []*file) []string   { return checkInit("p", files, uses{}) }
func state(files []*file) []string   { return checkState("p", files, uses{}) }
func foreign(files []*file) []string { return checkForeign(files, uses{}) }
func functions(files []*file) []string {
	violations, _ := checkFunctions("p", files, uses{})
	return violations
}
func mains(files []*file) []string {
	return checkMain(&pkg{path: "cmd/x", name: files[0].syntax.Name.Name, files: files})
}
func comments(files []*file) []string {
	return checkComment(&pkg{path: "x", name: "p", files: files})
}
