package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dannsalud/broadcaster/client"
)

func newWebhooks() *cobra.Command {
	command := &cobra.Command{Use: "webhooks", Short: "List, create, test or delete webhooks"}
	command.AddCommand(newWebhooksList(), newWebhooksCreate(), newWebhooksTest(), newWebhooksLog(), newWebhooksDelete())
	return command
}

func newWebhooksList() *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "List webhooks, oldest first", Args: cobra.NoArgs}
	remote := remoteFlags(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		api, err := remote()
		if err != nil {
			return err
		}
		table := newPrinter(command.OutOrStdout(), false, "WEBHOOK ENABLED USER EVENTS ADDRESS")
		return printAll(table, api.Webhooks(command.Context()), func(w client.Webhook) []any {
			return []any{w.ID, fmt.Sprintf("%t %s", w.Enabled, w.Reason), w.UserID, strings.Join(w.Events, ","), w.URL}
		})
	}
	return command
}

func newWebhooksCreate() *cobra.Command {
	command := &cobra.Command{Use: "create ADDRESS", Short: "Create a webhook, and show its secret once", Args: cobra.ExactArgs(1)}
	remote, wanted := remoteFlags(command), client.NewWebhook{}
	command.Flags().StringSliceVar(&wanted.Events, "events", []string{"*"}, "the events that it is told, separated by commas")
	command.Flags().StringVar(&wanted.UserID, "user", "", "tell it the events of this user only")
	command.RunE = func(command *cobra.Command, arguments []string) error {
		api, err := remote()
		if err != nil {
			return err
		}
		wanted.URL = arguments[0]
		made, err := api.CreateWebhook(command.Context(), wanted)
		if err == nil {
			_, err = fmt.Fprintf(command.OutOrStdout(), "%s\nsecret, shown only now: %s\n", made.ID, made.Secret)
		}
		return err
	}
	return command
}

func newWebhooksTest() *cobra.Command {
	command := &cobra.Command{Use: "test WEBHOOK", Short: "Tell a webhook of an event that is only a test", Args: cobra.ExactArgs(1)}
	remote := remoteFlags(command)
	command.RunE = func(command *cobra.Command, arguments []string) error {
		api, err := remote()
		if err != nil {
			return err
		}
		id, err := api.TestWebhook(command.Context(), arguments[0])
		if err == nil {
			_, err = fmt.Fprintf(command.OutOrStdout(), "queued as %s; `broadcaster webhooks log` tells what came of it\n", id)
		}
		return err
	}
	return command
}

func newWebhooksLog() *cobra.Command {
	command := &cobra.Command{Use: "log WEBHOOK", Short: "List the last requests of a webhook, newest first", Args: cobra.ExactArgs(1)}
	remote := remoteFlags(command)
	command.RunE = func(command *cobra.Command, arguments []string) error {
		api, err := remote()
		if err != nil {
			return err
		}
		table := newPrinter(command.OutOrStdout(), false, "AT EVENT DELIVERY OUTCOME STATUS TOOK WHY")
		return printAll(table, api.WebhookAttempts(command.Context(), arguments[0]), func(a client.WebhookAttempt) []any {
			return []any{moment(a.At), a.Event, a.DeliveryID, a.Outcome, a.Status, time.Duration(a.TookMS) * time.Millisecond, a.Message}
		})
	}
	return command
}

func newWebhooksDelete() *cobra.Command {
	command := &cobra.Command{Use: "delete WEBHOOK", Short: "Delete a webhook; what waits for it is dropped", Args: cobra.ExactArgs(1)}
	remote := remoteFlags(command)
	command.RunE = func(command *cobra.Command, arguments []string) error {
		api, err := remote()
		if err != nil {
			return err
		}
		return api.DeleteWebhook(command.Context(), arguments[0])
	}
	return command
}
