package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/dannsalud/broadcaster/internal/app"
)

func newAPIKeys() *cobra.Command {
	command := &cobra.Command{
		Use:   "api-keys",
		Short: "Make, list and revoke the keys of the API, in the database itself",
		Long: `Works on the database, which may be in use, and so needs no key: whoever is on this machine has the database anyway. It is the way back in when no admin key
is left. With a key, the API does the same: POST, GET and DELETE on /v1/keys.`,
		Args: cobra.NoArgs,
	}
	command.AddCommand(newAPIKeysGenerate(), newAPIKeysCreate(), newAPIKeysList(), newAPIKeysRevoke())
	return command
}

// bookFlags adds the flags that say which database a command works on, and gives the book in it.
func bookFlags(command *cobra.Command) func() (app.KeyBookOptions, error) {
	data := command.Flags().String("data", "./data", "data folder of a product in one process, which may be running")
	shared := command.Flags().Bool("mongodb", false, "use the database of the services instead: MONGODB_URI and MONGODB_DATABASE, as they have them")
	command.MarkFlagsMutuallyExclusive("data", "mongodb")
	return func() (app.KeyBookOptions, error) {
		if !*shared {
			return app.KeyBookOptions{DataDir: *data}, nil
		}
		uri, err := sharedDatabase()
		return app.KeyBookOptions{Servers: &app.Servers{Mongo: uri, Database: os.Getenv("MONGODB_DATABASE")}}, err
	}
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
		options, err := book()
		if err != nil {
			return err
		}
		wanted.Name = arguments[0]
		if *valid != 0 {
			wanted.ExpiresAt = time.Now().Add(*valid)
		}
		made, secret, err := app.CreateAPIKey(command.Context(), options, wanted)
		if err == nil {
			_, err = fmt.Fprintf(command.OutOrStdout(), "%s\nkey, shown only now: %s\n", made.ID, secret)
		}
		return err
	}
	return command
}

func newAPIKeysList() *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "List keys, oldest first", Args: cobra.NoArgs}
	book := bookFlags(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		options, err := book()
		if err != nil {
			return err
		}
		keys, err := app.ListAPIKeys(command.Context(), options)
		if err != nil {
			return err
		}
		table := newPrinter(command.OutOrStdout(), false, "KEY PREFIX ROLE USER EXPIRES USED REVOKED NAME")
		for _, key := range keys {
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
		options, err := book()
		if err != nil {
			return err
		}
		if err := app.RevokeAPIKey(command.Context(), options, arguments[0]); err != nil {
			return err
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "revoked %s; running processes notice within a few seconds\n", arguments[0])
		return err
	}
	return command
}
