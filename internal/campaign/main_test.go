package campaign

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// start is when the tests take place.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func now() time.Time { return start }

// same fails the test when a value is not as wanted.
func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("not as wanted (-want +got):\n%s", diff)
	}
}

// wantFault fails the test unless err has the class and code, and gives its fault.
func wantFault(t *testing.T, err error, class fault.Class, code string) fault.Error {
	t.Helper()
	known := fault.As(err)
	if known == nil || known.Class != class || known.Code != code {
		t.Fatalf("got %v, want %s %s", err, class, code)
	}
	return *known
}

// random gives a source whose seed is printed when the test fails.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// open reads an audience file that is right up to its header.
func open(t *testing.T, file string, options AudienceOptions) Audience {
	t.Helper()
	audience, err := ReadCSV(strings.NewReader(file), options)
	if err != nil {
		t.Fatalf("open %q: %v", file, err)
	}
	return audience
}

// walk gives the recipients and the rejections of an audience, and the error that ended it.
func walk(audience Audience) (recipients []Recipient, rejections []Rejection, err error) {
	for row, err := range audience.Rows() {
		switch {
		case err != nil:
			return recipients, rejections, err
		case row.Rejection != nil:
			rejections = append(rejections, *row.Rejection)
		default:
			recipients = append(recipients, row.Recipient)
		}
	}
	return recipients, rejections, nil
}

var errDisk = errors.New("disk on fire")

// failing is a reader that gives a text and then fails.
type failing struct{ text *strings.Reader }

func (f failing) Read(buffer []byte) (int, error) {
	if f.text.Len() == 0 {
		return 0, errDisk
	}
	return f.text.Read(buffer)
}
