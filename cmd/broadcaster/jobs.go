package main

import (
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/dannsalud/broadcaster/client"
)

func newJobs() *cobra.Command {
	command := &cobra.Command{Use: "jobs", Short: "List, show, replay or discard jobs that the workers gave up"}
	command.AddCommand(newJobsList(), newJobsShow(), newJobsReplay(), newJobsDiscard())
	return command
}

// filterFlags adds the flags that narrow failed jobs.
func filterFlags(command *cobra.Command) func() client.FailedFilter {
	filter, older := client.FailedFilter{}, time.Duration(0)
	flags := command.Flags()
	flags.StringVar(&filter.Kind, "kind", "", "only jobs of this kind (link_session, run_campaign)")
	flags.StringVar(&filter.Class, "class", "", "only jobs whose last error is of this class")
	flags.StringVar(&filter.SessionID, "session", "", "only jobs of this session")
	flags.StringVar(&filter.CampaignID, "campaign", "", "only jobs of this campaign")
	flags.StringVar(&filter.Text, "text", "", "only jobs whose last error holds this text")
	flags.DurationVar(&older, "older", 0, "only jobs that were given up longer ago than this")
	return func() client.FailedFilter {
		if older > 0 {
			filter.Before = time.Now().Add(-older)
		}
		return filter
	}
}

func newJobsList() *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "List failed jobs, oldest first", Args: cobra.NoArgs}
	remote, filter := remoteFlags(command), filterFlags(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		api, err := remote()
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(command.OutOrStdout(), 0, 4, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "ENTRY\tKIND\tCLASS\tCODE\tATTEMPTS\tFAILED\tSESSION\tCAMPAIGN\tREPLAY")
		for job, err := range api.FailedJobs(command.Context(), filter()) {
			if err != nil {
				return err
			}
			advice := "safe"
			if !job.Replay.Safe {
				advice = "needs --force"
			}
			_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", job.Entry, job.Kind, job.LastError.Class, job.LastError.Code, job.Attempts,
				job.FailedAt.Format(time.DateTime), job.SessionID, job.CampaignID, advice)
		}
		return table.Flush()
	}
	return command
}

func newJobsShow() *cobra.Command {
	command := &cobra.Command{Use: "show ENTRY", Short: "Show a failed job with its payload", Args: cobra.ExactArgs(1)}
	remote := remoteFlags(command)
	command.RunE = func(command *cobra.Command, arguments []string) error {
		api, entry, err := jobOf(remote, arguments[0])
		if err != nil {
			return err
		}
		job, err := api.FailedJob(command.Context(), entry)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "%s %s\nattempts: %d, given up by %s at %s\nfirst error: %s %s: %s\nlast error: %s %s: %s\n  %s\nreplay: safe is %t: %s\npayload: %s\n",
			job.Kind, job.MessageID, job.Attempts, job.Worker, job.FailedAt.Format(time.DateTime), job.FirstError.Class, job.FirstError.Code, job.FirstError.Message,
			job.LastError.Class, job.LastError.Code, job.LastError.Message, job.LastError.Detail, job.Replay.Safe, job.Replay.Why, job.Payload)
		return err
	}
	return command
}

// jobOf gives the client and the entry that an argument names.
func jobOf(remote func() (*client.Client, error), argument string) (*client.Client, uint64, error) {
	entry, err := strconv.ParseUint(argument, 10, 64)
	if err != nil {
		return nil, 0, fmt.Errorf("%q is no entry: the list shows their numbers", argument)
	}
	api, err := remote()
	return api, entry, err
}

func newJobsReplay() *cobra.Command {
	command := &cobra.Command{Use: "replay ENTRY", Short: "Let a failed job run again", Args: cobra.ExactArgs(1)}
	remote := remoteFlags(command)
	force := command.Flags().Bool("force", false, "replay it although its class says that this is not safe")
	command.RunE = func(command *cobra.Command, arguments []string) error {
		api, entry, err := jobOf(remote, arguments[0])
		if err != nil {
			return err
		}
		id, err := api.ReplayJob(command.Context(), entry, *force)
		if err == nil {
			_, err = fmt.Fprintf(command.OutOrStdout(), "queued again as %s\n", id)
		}
		return err
	}
	return command
}

func newJobsDiscard() *cobra.Command {
	command := &cobra.Command{Use: "discard ENTRY", Short: "Give a failed job up for good", Args: cobra.ExactArgs(1)}
	remote := remoteFlags(command)
	reason := command.Flags().String("reason", "", "why it is not needed any more, for the audit")
	cobra.CheckErr(command.MarkFlagRequired("reason"))
	command.RunE = func(command *cobra.Command, arguments []string) error {
		api, entry, err := jobOf(remote, arguments[0])
		if err != nil {
			return err
		}
		return api.DiscardJob(command.Context(), entry, *reason)
	}
	return command
}
