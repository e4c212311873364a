package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dannsalud/broadcaster/internal/app"
)

func newAPIKeys() *cobra.Command {
	command := &cobra.Command{
		Use:   "api-keys",
		Short: "Make, list and revoke the keys of the API",
		Long: `Works on the database, which may be in use, and so needs no key: whoever is on this machine has the database anyway. It is the way back in when no admin key
is left. With --api it asks a running service instead, from any machine; that needs an admin key.`,
		Args: cobra.NoArgs,
	}
	command.AddCommand(newAPIKeysGenerate(), newAPIKeysCreate(), newAPIKeysList(), newAPIKeysRevoke())
	return command
}

func newAPIKeysGenerate() *cobra.Command {
	return &cobra.Command{
		Use:   "generate",
		Short: "Print a new key for ADMIN_KEY; it is kept nowhere",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(command.OutOrStdout(), app.GenerateAdminKey())
			return err
		},
	}
}

func newAPIKeysCreate() *cobra.Command {
	command := &cobra.Command{Use: "create NAME", Short: "Make a key, and show it once", Args: cobra.ExactArgs(1)}
	book, wanted := bookFlags(command), app.NewAPIKey{}
	flags := command.Flags()
	flags.StringVar(&wanted.Role, "role", "", "viewer, operator or admin")
	flags.StringVar(&wanted.User, "user", "", "the only user whose things it is for")
	valid := flags.Duration("expires-in", 0, "how long it holds, such as 720h; 0: until it is revoked")
	_ = command.MarkFlagRequired("role") // it exists
	command.RunE = func(command *cobra.Command, arguments []string) error {
		keys, err := book()
		if err != nil {
			return err
		}
		wanted.Name = arguments[0]
		if *valid != 0 {
			wanted.ExpiresAt = time.Now().Add(*valid)
		}
		id, secret, err := keys.create(command.Context(), wanted)
		if err == nil {
			_, err = fmt.Fprintf(command.OutOrStdout(), "%s\nkey, shown only now: %s\n", id, secret)
		}
		return err
	}
	return command
}

func newAPIKeysList() *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "List keys, oldest first", Args: cobra.NoArgs}
	book := bookFlags(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		keys, err := book()
		if err != nil {
			return err
		}
		listed, err := keys.list(command.Context())
		if err != nil {
			return err
		}
		table := newPrinter(command.OutOrStdout(), false, "KEY PREFIX ROLE USER EXPIRES USED REVOKED NAME")
		for _, key := range listed {
			err := table.row(key, key.ID, key.Prefix, key.Role, key.User, moment(key.ExpiresAt), moment(key.UsedAt), moment(key.RevokedAt), key.Name)
			if err != nil {
				return err
			}
		}
		return table.end()
	}
	return command
}

func newAPIKeysRevoke() *cobra.Command {
	command := &cobra.Command{Use: "revoke KEY", Short: "Revoke a key by its id", Args: cobra.ExactArgs(1)}
	book := bookFlags(command)
	command.RunE = func(command *cobra.Command, arguments []string) error {
		keys, err := book()
		if err != nil {
			return err
		}
		if err := keys.revoke(command.Context(), arguments[0]); err != nil {
			return err
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "revoked %s; running processes notice within a few seconds\n", arguments[0])
		return err
	}
	return command
}
