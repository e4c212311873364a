package campaign

import (
	"strings"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// fold makes names comparable: "Teléfono " and "telefono" are one column. It removes accents, case, and the spaces around the name.
func fold(name string) string {
	name = strings.TrimSpace(name)
	if isPlain(name) {
		return strings.ToLower(name)
	}
	stripped, _, err := transform.String(transform.Chain(norm.NFD, runes.Remove(runes.In(unicode.Mn)), norm.NFC), name)
	if err != nil {
		stripped = name // what cannot be normalised is compared as it is
	}
	return strings.ToLower(stripped)
}

func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

// nearest gives the name that is written most like the wanted one, accents and case aside, or "" when none is near enough to be meant.
func nearest(wanted string, names []string) string {
	wanted = fold(wanted)
	best, fewest := "", max(1, len([]rune(wanted))/3)
	for _, name := range names {
		if edits := distance([]rune(wanted), []rune(fold(name))); name != "" && edits <= fewest {
			best, fewest = name, edits-1
		}
	}
	return best
}

// distance is the number of letters to insert, delete or replace to make b of a (Levenshtein).
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
