package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/dannsalud/broadcaster/client"
)

func newSessions() *cobra.Command {
	command := &cobra.Command{Use: "sessions", Short: "List sessions and their states", Args: cobra.NoArgs}
	remote := remoteFlags(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		api, err := remote()
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(command.OutOrStdout(), 0, 4, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "SESSION\tUSER\tNAME\tPHONE\tSTATE\tREASON")
		after := ""
		for {
			sessions, next, err := api.Sessions(command.Context(), after)
			if err != nil {
				return err
			}
			for _, s := range sessions {
				_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, s.UserID, s.Name, s.Phone, s.State, s.Reason)
			}
			if next == "" {
				return table.Flush()
			}
			after = next
		}
	}
	return command
}

func newCampaigns() *cobra.Command {
	command := &cobra.Command{Use: "campaigns", Short: "Show, pause, resume or cancel a campaign"}
	command.AddCommand(
		campaignCommand("show", "Show a campaign's progress", (*client.Client).Campaign),
		campaignCommand("pause", "Hold a campaign before its next message", (*client.Client).PauseCampaign),
		campaignCommand("resume", "Go on with a paused campaign", (*client.Client).ResumeCampaign),
		campaignCommand("cancel", "Stop a campaign for good", (*client.Client).CancelCampaign),
	)
	return command
}

func campaignCommand(use, short string, act func(*client.Client, context.Context, string) (client.Campaign, error)) *cobra.Command {
	command := &cobra.Command{Use: use + " CAMPAIGN", Short: short, Args: cobra.ExactArgs(1)}
	remote := remoteFlags(command)
	command.RunE = func(command *cobra.Command, arguments []string) error {
		api, err := remote()
		if err != nil {
			return err
		}
		campaign, err := act(api, command.Context(), arguments[0])
		if err != nil {
			return err
		}
		counts := campaign.Counts
		_, err = fmt.Fprintf(command.OutOrStdout(), "%s %s %s: %d recipients, %d pending, %d unknown, %d sent, %d delivered, %d read, %d replied, %d failed, %d skipped\n",
			campaign.ID, campaign.State, campaign.Reason, campaign.Recipients, counts.Pending+counts.Sending, counts.Unknown,
			counts.Sent, counts.Delivered, counts.Read, counts.Replied, counts.Failed, counts.Skipped)
		return err
	}
	return command
}
