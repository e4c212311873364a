package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/dannsalud/broadcaster/client"
)

func newLink() *cobra.Command {
	command := &cobra.Command{
		Use:   "link",
		Short: "Link a phone: show its QR until it is scanned",
		Args:  cobra.NoArgs,
	}
	remote := remoteFlags(command)
	user := command.Flags().String("user", "local", "user that a new session belongs to")
	sessionID := command.Flags().String("session", "", "session to link; a new one when it is left out")
	command.RunE = func(command *cobra.Command, _ []string) error {
		api, err := remote()
		if err != nil {
			return err
		}
		return linkPhone(command.Context(), api, linkTarget{Session: *sessionID, User: *user}, command.OutOrStdout())
	}
	return command
}

type linkTarget struct{ Session, User string }

// linkPoll is how often a command asks for the state of a link or a campaign.
const linkPoll = 500 * time.Millisecond

// linkPhone links a session and prints each code as it comes, until the link ends.
func linkPhone(ctx context.Context, api *client.Client, target linkTarget, out io.Writer) error {
	if target.Session == "" {
		created, err := api.CreateSession(ctx, target.User, "")
		if err != nil {
			return err
		}
		target.Session = created.ID
	}
	if _, err := api.StartLink(ctx, target.Session, "qr", ""); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "Session %s. On the phone: WhatsApp > Settings > Linked devices > Link a device.\n", target.Session)
	shown, state := "", ""
	for {
		link, err := api.Link(ctx, target.Session)
		if err != nil {
			return err
		}
		if link.State != state {
			state = link.State
			_, _ = fmt.Fprintf(out, "link: %s\n", describeLink(link))
		}
		if link.Prompt != nil && link.Prompt.QR != "" && link.Prompt.QR != shown {
			shown = link.Prompt.QR
			if err := writeQR(out, link.Prompt.QR); err != nil {
				return err
			}
		}
		switch {
		case link.State == "ready":
			return nil
		case link.Ended():
			return fmt.Errorf("the link ended as %s; start it again", describeLink(link))
		}
		if err := pause(ctx, linkPoll); err != nil {
			return err
		}
	}
}

func describeLink(link client.Link) string {
	if link.Reason == "" {
		return link.State
	}
	return link.State + " (" + link.Reason + ")"
}

// pause waits, or ends early with the context's error.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
