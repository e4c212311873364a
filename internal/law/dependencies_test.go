package law

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// explanation is a line of docs/dependencies.md.
type explanation struct{ module, licence string }

// explanations reads the tables: module, why, in place of, licence.
func explanations(page string) (rows []explanation) {
	for _, match := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| [^|]+ \\| [^|]+ \\| ([^ |]+) \\|$").FindAllStringSubmatch(page, -1) {
		rows = append(rows, explanation{match[1], match[2]})
	}
	return rows
}

// licences are sentences by which the texts of licences are known.
var licences = map[string]string{
	"Apache-2.0":   "Apache License Version 2.0",
	"BSD-3-Clause": "Neither the name",
	"GPL-3.0":      "GNU GENERAL PUBLIC LICENSE Version 3",
	"ISC":          "Permission to use, copy, modify, and distribute this software for any purpose with or without fee",
	"MIT":          "Permission is hereby granted, free of charge",
	"MPL-2.0":      "Mozilla Public License Version 2.0",
	"Unlicense":    "This is free and unencumbered software released into the public domain",
}

// isUnder tells whether a module's folder has the text of a licence. It may have others: those of what was copied into it.
func isUnder(folder, licence string) (bool, error) {
	sentence, known := licences[licence]
	if !known {
		return false, fmt.Errorf("the licence %s is not known here", licence)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return false, err
	}
	for _, entry := range entries {
		name := strings.ToUpper(entry.Name())
		if !strings.HasPrefix(name, "LICEN") && !strings.HasPrefix(name, "COPYING") && !strings.HasPrefix(name, "UNLICENSE") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, entry.Name())) // #nosec G304 -- of a module that go.mod names
		if err != nil {
			return false, err
		}
		words := strings.Join(strings.Fields(strings.ReplaceAll(string(text), "//", "")), " ")
		if strings.Contains(words, sentence) {
			return true, nil
		}
	}
	return false, nil
}

func TestLicencesAreWhatThePageSays(t *testing.T) {
	t.Parallel()
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "docs/dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := explanations(string(page))
	modules := make([]string, len(rows))
	for i, row := range rows {
		modules[i] = row.module
	}
	command := exec.Command("go", append([]string{"list", "-m", "-f", "{{.Dir}}"}, modules...)...) // #nosec G204 -- modules of ours
	command.Dir = dir
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	folders := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(folders) != len(rows) {
		t.Fatalf("%d folders of %d modules", len(folders), len(rows))
	}
	read := 0
	for i, row := range rows {
		if folders[i] == "" { // only what is built is downloaded
			continue
		}
		read++
		if is, err := isUnder(folders[i], row.licence); err != nil || !is {
			t.Errorf("%s is under %s in docs/dependencies.md, and has no such text (%v)", row.module, row.licence, err)
		}
	}
	if read < len(rows)*9/10 {
		t.Errorf("the texts of %d modules of %d only are there", read, len(rows))
	}
}

// TestEveryDependencyHasItsReason compares the direct requirements of go.mod with docs/dependencies.md.
func TestEveryDependencyHasItsReason(t *testing.T) {
	t.Parallel()
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	required, err := requirements(dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "docs/dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	var explained []string
	for _, row := range explanations(string(text)) {
		explained = append(explained, row.module)
	}
	if len(required) == 0 || len(explained) == 0 {
		t.Fatalf("read %d requirements and %d reasons: the rule cannot read its files any more", len(required), len(explained))
	}
	for _, dependency := range required {
		if !slices.Contains(explained, dependency) {
			t.Errorf("%s has no line in docs/dependencies.md: what would be missing without it?", dependency)
		}
	}
	for _, dependency := range explained {
		if !slices.Contains(required, dependency) {
			t.Errorf("%s is explained in docs/dependencies.md but is no direct requirement of go.mod", dependency)
		}
	}
}

// requirements gives the direct requirements of go.mod.
func requirements(dir string) ([]string, error) {
	command := exec.Command("go", "mod", "edit", "-json")
	command.Dir = dir
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("read go.mod: %w", err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return nil, fmt.Errorf("read go.mod: %w", err)
	}
	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	return direct, nil
}
