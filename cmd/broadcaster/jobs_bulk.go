package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/dannsalud/broadcaster/client"
)

func newJobsReplay() *cobra.Command {
	command := &cobra.Command{Use: "replay [ENTRY]", Short: "Let a failed job run again, or with --all those that match the filter", Args: cobra.MaximumNArgs(1)}
	remote, bulk := operatorFlags(command), bulkFlags(command)
	force := command.Flags().Bool("force", false, "replay what its class says is not safe to replay")
	command.RunE = func(command *cobra.Command, arguments []string) error {
		wanted, all, err := bulk(arguments)
		if err != nil {
			return err
		}
		if !all {
			return withJob(command, remote, arguments[0], func(ctx context.Context, api *client.Client, entry uint64) (string, error) {
				id, err := api.ReplayJob(ctx, entry, *force)
				return "queued again as " + id, err
			})
		}
		wanted.Force = *force
		return runBulk(command, remote, wanted, "replayed", (*client.Client).ReplayJobs)
	}
	return command
}

func newJobsDiscard() *cobra.Command {
	command := &cobra.Command{Use: "discard [ENTRY]", Short: "Give a failed job up for good, or with --all those that match the filter", Args: cobra.MaximumNArgs(1)}
	remote, bulk := operatorFlags(command), bulkFlags(command)
	reason := command.Flags().String("reason", "", "why it is not needed any more, for the audit")
	cobra.CheckErr(command.MarkFlagRequired("reason"))
	command.RunE = func(command *cobra.Command, arguments []string) error {
		wanted, all, err := bulk(arguments)
		if err != nil {
			return err
		}
		if !all {
			return withJob(command, remote, arguments[0], func(ctx context.Context, api *client.Client, entry uint64) (string, error) {
				return "discarded " + arguments[0], api.DiscardJob(ctx, entry, *reason)
			})
		}
		wanted.Reason = *reason
		return runBulk(command, remote, wanted, "discarded", (*client.Client).DiscardJobs)
	}
	return command
}

// bulkFlags adds the flags that name many failed jobs, and tells whether they are meant.
func bulkFlags(command *cobra.Command) func(arguments []string) (wanted client.Bulk, all bool, err error) {
	filter := filterFlags(command)
	wanted := client.Bulk{}
	flags := command.Flags()
	all := flags.Bool("all", false, "all that match the filter, instead of one")
	flags.BoolVar(&wanted.DryRun, "dry-run", false, "only count those that match")
	flags.Float64Var(&wanted.PerSecond, "rate", 20, "how many a second; the API has a limit of its own")
	flags.Uint64Var(&wanted.Until, "until", 0, "go no further than this entry: what an interrupted run said")
	return func(arguments []string) (client.Bulk, bool, error) {
		wanted.FailedFilter = filter()
		switch {
		case *all == (len(arguments) == 1):
			return wanted, false, errors.New("name one entry, or --all with a filter")
		case *all && wanted.PerSecond <= 0:
			return wanted, false, errors.New("--rate must be more than 0")
		case !*all && (wanted.DryRun || wanted.FailedFilter != client.FailedFilter{}):
			return wanted, false, errors.New("a filter and --dry-run go with --all")
		}
		return wanted, *all, nil
	}
}

// batchTime is about how long one call may take: short enough for a bar that moves, and for the client's time-out.
const batchTime = 2 * time.Second

// runBulk does something to all failed jobs that match, a batch at a time, until none is left up to the last entry that there was at the start: what fails again
// meanwhile is left. Interrupted, it is simply run again.
func runBulk(command *cobra.Command, remote func() (*client.Client, error), wanted client.Bulk, done string,
	act func(*client.Client, context.Context, client.Bulk) (client.BulkResult, error)) error {
	api, err := remote()
	if err != nil {
		return err
	}
	dry := wanted
	dry.DryRun = true
	found, err := act(api, command.Context(), dry)
	if err != nil {
		return err
	}
	out := command.OutOrStdout()
	fmt.Fprintf(out, "%d match, up to entry %d; %d of them are not replayed without --force\n", found.Matched, found.Until, found.Unsafe)
	if wanted.DryRun || found.Matched == 0 {
		return nil
	}
	fmt.Fprintf(out, "if this is interrupted, go on with the same command and --until %d\n", found.Until)
	wanted.Until, wanted.Limit = found.Until, min(max(1, int(wanted.PerSecond*batchTime.Seconds())), 500)
	count, refused, err := walkBulk(command.Context(), bulkBar(command.ErrOrStderr(), found.Matched), func(ctx context.Context, after uint64) (client.BulkResult, error) {
		wanted.After = after
		return act(api, ctx, wanted)
	})
	fmt.Fprintf(out, "%d %s\n", count, done)
	for _, code := range slices.Sorted(maps.Keys(refused)) {
		fmt.Fprintf(out, "%d stayed: %s (%s)\n", refused[code].count, refused[code].message, code)
	}
	return err
}

type refusal struct {
	count   int
	message string
}

// walkBulk makes one call after the other, and counts.
func walkBulk(ctx context.Context, bar func(int), call func(context.Context, uint64) (client.BulkResult, error)) (done int, refused map[string]refusal, err error) {
	defer bar(-1)
	refused = map[string]refusal{}
	for after := uint64(0); ; {
		batch, err := call(ctx, after)
		if err != nil {
			return done, refused, err
		}
		done += batch.Done
		for _, job := range batch.Refused {
			refused[job.Code] = refusal{count: refused[job.Code].count + 1, message: job.Message}
		}
		bar(batch.Done + len(batch.Refused))
		if after = batch.Next; after == 0 {
			return done, refused, nil
		}
	}
}

// bulkBar shows how far it is, on a terminal. It is told how many were done, and -1 at the end.
func bulkBar(out io.Writer, total int) func(int) {
	if !isTerminal(out) {
		return func(int) {}
	}
	bars := mpb.New(mpb.WithOutput(out), mpb.WithWidth(40))
	bar := bars.AddBar(int64(total), mpb.AppendDecorators(decor.CountersNoUnit("%d / %d"), decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 8})))
	return func(done int) {
		if done >= 0 {
			bar.IncrBy(done)
			return
		}
		bar.Abort(false)
		bars.Wait()
	}
}
