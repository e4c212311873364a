package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ours finds the commands of this program in a page, in a line of their own or in the text.
var ours = regexp.MustCompile("(?m)(?:^|`)broadcaster ([a-z][^`\n]*)")

// calls finds the calls of the API; each needs a key.
var calls = regexp.MustCompile("curl [^`\n]*:8080/v1/[^`\n]*")

// TestTheCommandsOfTheRunbooksExist: an operator at night must not meet a command that was renamed.
func TestTheCommandsOfTheRunbooksExist(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/runbooks/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("there are no runbooks: %v", err)
	}
	found := 0
	for _, path := range pages {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range calls.FindAllString(string(page), -1) {
			if !strings.Contains(call, "Authorization: Bearer $") {
				t.Errorf("%s: %s shows no key", filepath.Base(path), call)
			}
		}
		for _, match := range ours.FindAllStringSubmatch(string(page), -1) {
			found++
			if err := understood(strings.Fields(match[1])); err != nil {
				t.Errorf("%s: broadcaster %s: %v", filepath.Base(path), match[1], err)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d commands were found", found)
	}
	for _, unknown := range []string{"jobs ls", "campaigns stop CAMPAIGN", "jobs list --oldest 1h", "jobs show"} {
		if understood(strings.Fields(unknown)) == nil {
			t.Errorf("broadcaster %s is taken for a command", unknown)
		}
	}
}

// understood tells whether the program knows a command, its flags and the number of its arguments; it runs nothing.
func understood(arguments []string) error {
	root := newRoot(io.Discard, io.Discard)
	command, rest, err := root.Find(arguments)
	if err != nil {
		return err
	}
	if err := command.ParseFlags(rest); err != nil {
		return err
	}
	if !command.Runnable() {
		return os.ErrNotExist
	}
	return command.ValidateArgs(command.Flags().Args())
}
