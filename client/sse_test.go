package client

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// blocksOf shows every block of a stream.
func blocksOf(in io.Reader) (shown []string, err error) {
	for reader := newBlockReader(in); ; {
		found, err := reader.next()
		if err != nil {
			return shown, err
		}
		id := "-"
		if found.id != nil {
			id = *found.id
		}
		shown = append(shown, fmt.Sprintf("%s|%s|%s|%s", id, found.event, found.data, found.retry))
	}
}

func TestBlocksAreReadAsTheStandardSays(t *testing.T) {
	t.Parallel()
	for stream, want := range map[string]string{
		"":                                      "",
		"id: 1\nevent: a\ndata: x\n\n":          "1|a|x|0s",
		"id:1\nevent:a\ndata:x\n\n":             "1|a|x|0s",
		"\ufeffdata: x\n\n":                     "-||x|0s",
		"\ufeff\ufeffdata: x\n\n":               "-|||0s",
		"data: x\n\ufeffdata: y\n\n":            "-||x|0s",
		"data: x\r\ndata: y\r\n\r\n":            "-||x\ny|0s",
		"data: x\rdata: y\r\r":                  "-||x\ny|0s",
		"data: x\n\ndata: y\r\rdata: z\r\n\r\n": "-||x|0s -||y|0s -||z|0s",
		"data:  x\ndata\ndata:\n\n":             "-|| x\n\n|0s",
		"data: a: b\n\n":                        "-||a: b|0s",
		": alive\n\n":                           "-|||0s",
		": alive\nid: 7\n\n":                    "7|||0s",
		"id\n\n":                                "|||0s",
		"id: 1\x002\n\n":                        "-|||0s",
		"retry: 2000\nid: 4\n\n":                "4|||2s",
		"retry: 2s\n\n":                         "-|||0s",
		"retry: -1\n\n":                         "-|||0s",
		"retry: 99999999999999999999\n\n":       "-|||0s",
		"retry: 86400001\n\n":                   "-|||0s",
		"ID: 1\nunknown: x\ndata: y\n\n":        "-||y|0s",
		"data: x\n\ndata: cut":                  "-||x|0s",
		"data: x\n\ndata: cut\n":                "-||x|0s",
		"event: a\nevent: b\ndata: x\n\n":       "-|b|x|0s",
	} {
		got, err := blocksOf(strings.NewReader(stream))
		if strings.Join(got, " ") != want || !errors.Is(err, io.EOF) {
			t.Errorf("%q: %q %v, want %q", stream, got, err, want)
		}
	}
}

func TestABlockHasABound(t *testing.T) {
	t.Parallel()
	line := "data: " + strings.Repeat("x", maxBlockBytes/4) + "\n"
	if got, err := blocksOf(strings.NewReader(strings.Repeat(line+"\n", 8))); len(got) != 8 || !errors.Is(err, io.EOF) {
		t.Errorf("%d blocks, %v", len(got), err)
	}
	for name, stream := range map[string]string{"one line": strings.Repeat("x", maxBlockBytes+1), "many lines": strings.Repeat(line, 4)} {
		if _, err := blocksOf(strings.NewReader(stream + "\n\n")); !errors.Is(err, errBlockTooLong) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzBlocks: whatever comes, the reader ends, and what it gives depends neither on how the bytes arrive nor on how lines end.
func FuzzBlocks(f *testing.F) {
	for _, seed := range []string{"retry: 2000\nid: 1\n\n: alive\nid: 2\n\nid: 3\nevent: a\ndata: {}\n\n", "\ufeffdata\r\rdata: \r\n\n", "id: \x00\n\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stream string) {
		whole, err := blocksOf(strings.NewReader(stream))
		if !errors.Is(err, io.EOF) && !errors.Is(err, errBlockTooLong) {
			t.Fatal(err)
		}
		single, _ := blocksOf(iotest.OneByteReader(strings.NewReader(stream)))
		lines := strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
		ended, _ := blocksOf(strings.NewReader(strings.ReplaceAll(lines, "\n", "\r\n")))
		for name, got := range map[string][]string{"byte by byte": single, "with other ends": ended} {
			if strings.Join(got, "\x00") != strings.Join(whole, "\x00") {
				t.Errorf("%s: %q, want %q", name, got, whole)
			}
		}
		for _, shown := range whole {
			if wait, err := time.ParseDuration(shown[strings.LastIndex(shown, "|")+1:]); err != nil || wait < 0 || wait > longestRetry {
				t.Errorf("a wait of %q", shown)
			}
		}
	})
}
