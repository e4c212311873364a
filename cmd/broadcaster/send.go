package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/dannsalud/broadcaster/client"
)

func newSend() *cobra.Command {
	command := &cobra.Command{
		Use:     "send",
		Short:   "Send a campaign from a session to the people in a CSV file",
		Example: `  broadcaster send --session ses_… --file contacts.csv --text "Hola {{nombre}}, le esperamos el {{turno}}"`,
		Args:    cobra.NoArgs,
	}
	remote := remoteFlags(command)
	campaign := client.NewCampaign{}
	command.Flags().StringVar(&campaign.SessionID, "session", "", "session that sends")
	command.Flags().StringVar(&campaign.Text, "text", "", "message; {{column}} stands for a column of the file")
	command.Flags().StringVar(&campaign.Name, "name", "", "name of the campaign")
	file := command.Flags().String("file", "", "audience as a spreadsheet (XLSX) or CSV, with a header row")
	anyTime := command.Flags().Bool("any-time", false, "send at night and on Sundays too")
	for _, name := range []string{"session", "text", "file"} {
		cobra.CheckErr(command.MarkFlagRequired(name))
	}
	command.RunE = func(command *cobra.Command, _ []string) error {
		api, err := remote()
		if err != nil {
			return err
		}
		audience, err := os.Open(*file)
		if err != nil {
			return fmt.Errorf("open the audience: %w", err)
		}
		defer func() { _ = audience.Close() }()
		if *anyTime {
			campaign.Hours = &client.Hours{Always: true}
		}
		created, err := api.UploadCampaign(command.Context(), campaign, audience)
		if err != nil {
			return err
		}
		return followCampaign(command.Context(), api, created, command.OutOrStdout())
	}
	return command
}

// followCampaign prints what was refused, then the progress until the campaign ends or is paused.
func followCampaign(ctx context.Context, api *client.Client, campaign client.Campaign, out io.Writer) error {
	_, _ = fmt.Fprintf(out, "Campaign %s: %d recipients, %d rows refused.\n", campaign.ID, campaign.Recipients, campaign.Rejected)
	for rejection, err := range api.Rejections(ctx, campaign.ID) {
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(out, "  row %d, %s %q: %s\n", rejection.Row, rejection.Column, rejection.Value, rejection.Reason)
	}
	id, settled := campaign.ID, -1
	for {
		current, err := api.Campaign(ctx, id)
		if err != nil {
			return err
		}
		if now := current.Counts.Settled(); now != settled || current.Ended() {
			settled = now
			_, _ = fmt.Fprintf(out, "%s: %d of %d, %d failed, %d skipped\n",
				current.State, settled, current.Recipients, current.Counts.Failed, current.Counts.Skipped)
		}
		switch {
		case current.Ended():
			return nil
		case current.State == "paused":
			return fmt.Errorf("the campaign is paused (%s); resume it with: broadcaster campaigns resume %s", current.Reason, id)
		}
		if err := pause(ctx, linkPoll); err != nil {
			return err
		}
	}
}
