package campaign

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	actionConstant = regexp.MustCompile(`(?m)^\tAudit\w+\s+AuditAction = "([a-z.]+)"$`)
	// actionByHand finds an entry whose action is no constant of this package.
	actionByHand = regexp.MustCompile(`AuditEntry\{[^}]*Action:\s*"`)
)

func TestEveryActionOfTheAuditIsListed(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("audit.go")
	if err != nil {
		t.Fatal(err)
	}
	found := actionConstant.FindAllStringSubmatch(string(source), -1)
	if len(found) != len(AuditActions()) {
		t.Errorf("%d actions are declared, and %d listed", len(found), len(AuditActions()))
	}
	for _, declared := range found {
		if !slices.Contains(AuditActions(), AuditAction(declared[1])) {
			t.Errorf("%s is not listed", declared[1])
		}
	}
}

func TestNobodyWritesAnActionThatIsNotListed(t *testing.T) {
	t.Parallel()
	if !actionByHand.MatchString(`campaign.AuditEntry{At: at, Action: "made.up"}`) {
		t.Fatal("the rule finds nothing")
	}
	read := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if actionByHand.Match(source) {
			t.Errorf("%s writes an action by hand into the audit", path)
		}
		read++
		return err
	})
	if err != nil || read < 100 {
		t.Errorf("%d files were read: %v", read, err)
	}
}
