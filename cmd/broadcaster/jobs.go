package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dannsalud/broadcaster/client"
)

func newJobs() *cobra.Command {
	command := &cobra.Command{Use: "jobs", Short: "See the queue, and mend what failed"}
	command.AddCommand(newJobsStats(), newJobsList(), newJobsShow(), newJobsEdit(), newJobsReplay(), newJobsDiscard(),
		newJobsRunning(), newJobsPending(), newJobsCancel())
	return command
}

// operatorFlags are remoteFlags for commands that change something: the audit gets the operator's name.
func operatorFlags(command *cobra.Command) func() (*client.Client, error) {
	remote := remoteFlags(command)
	name := command.Flags().String("as", os.Getenv("USER"), "your name, for the audit")
	return func() (*client.Client, error) {
		api, err := remote()
		if err != nil {
			return nil, err
		}
		return api.As(*name), nil
	}
}

// filterFlags adds the flags that narrow failed jobs.
func filterFlags(command *cobra.Command) func() client.FailedFilter {
	filter, older, younger := client.FailedFilter{}, time.Duration(0), time.Duration(0)
	flags := command.Flags()
	flags.StringVar(&filter.Kind, "kind", "", "only jobs of this kind (link_session, run_campaign, deliver_webhook)")
	flags.StringVar(&filter.Class, "class", "", "only jobs whose last error is of this class")
	flags.StringVar(&filter.SessionID, "session", "", "only jobs of this session")
	flags.StringVar(&filter.CampaignID, "campaign", "", "only jobs of this campaign")
	flags.StringVar(&filter.Text, "text", "", "only jobs whose last error holds this text")
	flags.DurationVar(&older, "older", 0, "only jobs that were given up longer ago than this, such as 24h")
	flags.DurationVar(&younger, "younger", 0, "only jobs that were given up within this time")
	return func() client.FailedFilter {
		if older > 0 {
			filter.Before = time.Now().Add(-older)
		}
		if younger > 0 {
			filter.Since = time.Now().Add(-younger)
		}
		return filter
	}
}

func adviceOf(replay client.Replay) string {
	if replay.Safe {
		return "safe"
	}
	return "needs --force"
}

func newJobsStats() *cobra.Command {
	command := &cobra.Command{Use: "stats", Short: "Count failed jobs, and show what there is to do", Args: cobra.NoArgs}
	remote, filter := remoteFlags(command), filterFlags(command)
	asJSON := command.Flags().Bool("json", false, "print lines of JSON")
	command.RunE = func(command *cobra.Command, _ []string) error {
		api, err := remote()
		if err != nil {
			return err
		}
		groups, err := api.FailedStats(command.Context(), filter())
		if err != nil {
			return err
		}
		failed := newPrinter(command.OutOrStdout(), *asJSON, "FAILED KIND CLASS OLDEST NEWEST REPLAY")
		for _, g := range groups {
			if err := failed.row(g, g.Count, g.Kind, g.Class, moment(g.Oldest), moment(g.Newest), adviceOf(g.Replay)); err != nil {
				return err
			}
		}
		if err := failed.end(); err != nil {
			return err
		}
		return printQueues(command, api, *asJSON)
	}
	return command
}

func printQueues(command *cobra.Command, api *client.Client, asJSON bool) error {
	queues, err := api.Queues(command.Context())
	if err != nil {
		return err
	}
	table := newPrinter(command.OutOrStdout(), asJSON, "QUEUE PENDING IN_HAND OF OLDEST RETRIES")
	for _, q := range queues {
		retries := ""
		if q.Retries != nil {
			retries = fmt.Sprintf("%d attempts, %s to %s", q.Retries.Attempts, q.Retries.MinDelay, q.Retries.MaxDelay)
		}
		if err := table.row(q, q.Consumer, q.Pending, q.InHand, q.MaxInHand, moment(q.Oldest), retries); err != nil {
			return err
		}
	}
	return table.end()
}

func newJobsList() *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "List failed jobs, oldest first", Args: cobra.NoArgs}
	remote, filter := remoteFlags(command), filterFlags(command)
	asJSON := command.Flags().Bool("json", false, "print lines of JSON")
	command.RunE = func(command *cobra.Command, _ []string) error {
		api, err := remote()
		if err != nil {
			return err
		}
		table := newPrinter(command.OutOrStdout(), *asJSON, "ENTRY KIND CLASS CODE ATTEMPTS FAILED SESSION CAMPAIGN REPLAY")
		return printAll(table, api.FailedJobs(command.Context(), filter()), func(job client.FailedJob) []any {
			return []any{job.Entry, job.Kind, job.LastError.Class, job.LastError.Code, job.Attempts, moment(job.FailedAt), job.SessionID, job.CampaignID, adviceOf(job.Replay)}
		})
	}
	return command
}

func newJobsShow() *cobra.Command {
	command := &cobra.Command{Use: "show ENTRY", Short: "Show a failed job whole; with --live one in the queue", Args: cobra.ExactArgs(1)}
	remote := remoteFlags(command)
	live := command.Flags().Bool("live", false, "ENTRY is the number of a job in the queue, as running and pending show it")
	command.RunE = func(command *cobra.Command, arguments []string) error {
		api, number, err := jobOf(remote, arguments[0])
		if err != nil {
			return err
		}
		var shown any
		if *live {
			shown, err = api.Job(command.Context(), number)
		} else {
			shown, err = api.FailedJob(command.Context(), number)
		}
		if err != nil {
			return err
		}
		encoder := json.NewEncoder(command.OutOrStdout())
		encoder.SetIndent("", "  ")
		return encoder.Encode(shown)
	}
	return command
}

// jobOf gives the client and the number that an argument names.
func jobOf(remote func() (*client.Client, error), argument string) (*client.Client, uint64, error) {
	number, err := strconv.ParseUint(argument, 10, 64)
	if err != nil {
		return nil, 0, fmt.Errorf("%q is no number of a job: the lists show them", argument)
	}
	api, err := remote()
	return api, number, err
}

func newJobsEdit() *cobra.Command {
	command := &cobra.Command{Use: "edit ENTRY", Short: "Put a payload in the place of a failed job's own, for its replay", Args: cobra.ExactArgs(1)}
	remote := operatorFlags(command)
	file := command.Flags().String("file", "-", "the file with the payload; - is the standard input")
	command.RunE = func(command *cobra.Command, arguments []string) error {
		api, entry, err := jobOf(remote, arguments[0])
		if err != nil {
			return err
		}
		var payload []byte
		if *file == "-" {
			payload, err = io.ReadAll(command.InOrStdin())
		} else {
			payload, err = os.ReadFile(*file)
		}
		if err != nil {
			return fmt.Errorf("read the payload: %w", err)
		}
		if !json.Valid(payload) {
			return fmt.Errorf("the payload is no JSON; `broadcaster jobs show %d` shows the one there is", entry)
		}
		if _, err := api.EditJob(command.Context(), entry, payload); err != nil {
			return err
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "edited; `broadcaster jobs replay %d` runs it\n", entry)
		return err
	}
	return command
}

// jobTable is a list of jobs in the queue: those in some states, and what is shown of each.
type jobTable struct {
	use, short, columns string
	states              []string
	cells               func(client.Job) []any
}

func newJobsRunning() *cobra.Command {
	return newJobTable(jobTable{use: "running", short: "Show the jobs that workers have, and those that wait for their next attempt",
		columns: "JOB STATE KIND WORKER SINCE HEARTBEAT ATTEMPT NEXT_ATTEMPT SESSION CAMPAIGN", states: []string{"running", "retrying", "unattended"},
		cells: func(j client.Job) []any {
			return []any{j.Sequence, j.State, j.Kind, j.Worker, moment(j.Since), moment(j.Heartbeat), fmt.Sprintf("%d/%d", j.Attempt, j.MaxAttempts), moment(j.NextAttemptAt),
				j.SessionID, j.CampaignID}
		}})
}

func newJobsPending() *cobra.Command {
	return newJobTable(jobTable{use: "pending", short: "Show the jobs that no worker had yet, and those that wait for their time",
		columns: "JOB STATE KIND QUEUED DUE SESSION CAMPAIGN", states: []string{"pending", "scheduled"},
		cells: func(j client.Job) []any {
			return []any{j.Sequence, j.State, j.Kind, moment(j.QueuedAt), moment(j.DueAt), j.SessionID, j.CampaignID}
		}})
}

func newJobTable(wanted jobTable) *cobra.Command {
	command := &cobra.Command{Use: wanted.use, Short: wanted.short, Args: cobra.NoArgs}
	remote := remoteFlags(command)
	asJSON := command.Flags().Bool("json", false, "print lines of JSON")
	command.RunE = func(command *cobra.Command, _ []string) error {
		api, err := remote()
		if err != nil {
			return err
		}
		return printAll(newPrinter(command.OutOrStdout(), *asJSON, wanted.columns), api.Jobs(command.Context(), wanted.states...), wanted.cells)
	}
	return command
}

func newJobsCancel() *cobra.Command {
	command := &cobra.Command{Use: "cancel JOB", Short: "Cancel a job that no worker has: its link is cancelled, its campaign paused", Args: cobra.ExactArgs(1)}
	remote := operatorFlags(command)
	command.RunE = func(command *cobra.Command, arguments []string) error {
		return withJob(command, remote, arguments[0], func(ctx context.Context, api *client.Client, sequence uint64) (string, error) {
			job, err := api.CancelJob(ctx, sequence)
			return "cancelled " + job.MessageID, err
		})
	}
	return command
}

// withJob does something to one job and says what came of it.
func withJob(command *cobra.Command, remote func() (*client.Client, error), argument string, act func(context.Context, *client.Client, uint64) (string, error)) error {
	api, number, err := jobOf(remote, argument)
	if err != nil {
		return err
	}
	said, err := act(command.Context(), api, number)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(command.OutOrStdout(), said)
	return err
}
