package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Trial is what a command does with a fleet, and what it has to say at the end.
type Trial[R any] struct {
	// Name begins what is said of a failure.
	Name string
	// Limit ends a run that hangs.
	Limit time.Duration
	// JSON prints the result as one object on the last line of Out, also of a run that its verdict condemns.
	JSON        bool
	Out, ErrOut io.Writer
	Prove       func(ctx context.Context) (R, error)
	Verdict     func(result R) error
}

// Run runs it until its end, or an interruption, and gives the exit code.
func (t Trial[R]) Run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, t.Limit)
	defer cancel()
	result, err := t.Prove(ctx)
	if err == nil && t.JSON {
		err = json.NewEncoder(t.Out).Encode(result)
	}
	if err == nil {
		err = t.Verdict(result)
	}
	if err != nil {
		fmt.Fprintf(t.ErrOut, "%s: %v\n", t.Name, err)
		return 1
	}
	return 0
}
