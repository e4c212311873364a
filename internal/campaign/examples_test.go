package campaign

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// readmeRow is a row of the table in examples/README.md: how many rows have a code, and which.
var readmeRow = regexp.MustCompile("(?m)^\\| (\\d+) \\| `(\\w+)` \\|.*\\(rows ([\\d, ]+)\\) \\|$")

// TestTheExampleIsAsItsReadmeSays plans examples/contacts.csv and compares with the numbers and rows in the README beside it.
func TestTheExampleIsAsItsReadmeSays(t *testing.T) {
	t.Parallel()
	file, err := os.Open("../../examples/contacts.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	audience, err := ReadCSV(file, AudienceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, audience.Columns(), []string{"nombre", "teléfono", "turno", "especialidad"})
	deliveries := newLedger()
	result, err := PlanAudience(t.Context(), deliveries, "cmp_1", audience.Rows(), now)
	if err != nil {
		t.Fatal(err)
	}
	same(t, []int{result.Planned, result.Rejected}, []int{186, 14})

	got := map[string][]int{}
	for _, row := range slices.Sorted(maps.Keys(deliveries.rejected)) {
		code := deliveries.rejected[row].Code
		got[code] = append(got[code], row)
	}
	readme, err := os.ReadFile("../../examples/README.md")
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, claimedRows(t, string(readme)))
	if claim := "200 rows below the header, of which 186 are right and 14 are wrong on purpose"; !strings.Contains(string(readme), claim) {
		t.Errorf("the README does not say %q", claim)
	}
}

func claimedRows(t *testing.T, readme string) map[string][]int {
	t.Helper()
	claimed := map[string][]int{}
	for _, match := range readmeRow.FindAllStringSubmatch(readme, -1) {
		for _, text := range strings.Split(match[3], ", ") {
			row, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			claimed[match[2]] = append(claimed[match[2]], row)
		}
		if count := fmt.Sprint(len(claimed[match[2]])); count != match[1] {
			t.Errorf("the README counts %s rows with %s and lists %s", match[1], match[2], count)
		}
	}
	return claimed
}
