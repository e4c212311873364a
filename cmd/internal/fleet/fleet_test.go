package fleet_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dannsalud/broadcaster/cmd/internal/fleet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatIsAwaitedIsNamedWhenItDoesNotCome(t *testing.T) {
	t.Parallel()
	asked := 0
	if err := fleet.Await(t.Context(), "the third time", func(context.Context) (bool, error) { asked++; return asked == 3, nil }); err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	broken := errors.New("broken")
	if err := fleet.Await(t.Context(), "it works", func(context.Context) (bool, error) { return false, broken }); !errors.Is(err, broken) || !strings.Contains(err.Error(), "it works") {
		t.Errorf("the error is %v", err)
	}
	over, end := context.WithCancel(t.Context())
	end()
	if err := fleet.Await(over, "it comes", func(context.Context) (bool, error) { return false, nil }); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "it comes") {
		t.Errorf("the error is %v", err)
	}
}

func TestATrialPrintsWhatItCondemns(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, row := range map[string]struct {
		proof, verdict error
		code           int
		out, errOut    string
	}{
		"good":      {nil, nil, 0, "7\n", ""},
		"condemned": {nil, broken, 1, "7\n", "trial: broken\n"},
		"failed":    {broken, nil, 1, "", "trial: broken\n"},
	} {
		var out, errOut strings.Builder
		code := fleet.Trial[int]{Name: "trial", Limit: time.Minute, JSON: true, Out: &out, ErrOut: &errOut,
			Prove: func(context.Context) (int, error) { return 7, row.proof }, Verdict: func(int) error { return row.verdict }}.Run()
		if code != row.code || out.String() != row.out || errOut.String() != row.errOut {
			t.Errorf("%s: %d, %q, %q", name, code, out.String(), errOut.String())
		}
	}
}
