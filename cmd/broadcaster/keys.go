package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/ops"
)

// keySource reads from the environment what the key store is sealed with.
func keySource() app.KeySource {
	return app.KeySource{Key: os.Getenv("KEYSTORE_KEY"), File: os.Getenv("KEYSTORE_KEY_FILE")}
}

func newKeys() *cobra.Command {
	command := &cobra.Command{
		Use:   "keys",
		Short: "Make and rotate the keys that seal the key store",
		Args:  cobra.NoArgs,
		Long: `The devices' keys are sealed with the key in KEYSTORE_KEY (32 bytes in base64 or hex), or in the file that KEYSTORE_KEY_FILE names; with
neither, "up" makes a key file in its data folder. Without that key the linked phones are lost: keep a copy, apart from the backups.

To change the key: put the new one in front ("new:...,old:...", or as the first line of the key file), restart every process, run
"keys rotate", and take the old one out.`,
	}
	command.AddCommand(newGenerateKey(), newRotateKeys())
	return command
}

func newGenerateKey() *cobra.Command {
	return &cobra.Command{
		Use:   "generate",
		Short: "Print a new key for KEYSTORE_KEY",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(command.OutOrStdout(), app.GenerateKey())
			return err
		},
	}
}

func newRotateKeys() *cobra.Command {
	command := &cobra.Command{
		Use:   "rotate",
		Short: "Seal the whole key store with the first key",
		Args:  cobra.NoArgs,
	}
	flags := command.Flags()
	data := flags.String("data", "./data", "data folder of a product in one process, which may be running")
	shared := flags.Bool("mongodb", false, "rotate the database of the services instead: MONGODB_URI and MONGODB_DATABASE, as they have them")
	inJSON := flags.Bool("json", false, "print the numbers as one JSON object")
	command.MarkFlagsMutuallyExclusive("data", "mongodb")
	command.RunE = func(command *cobra.Command, _ []string) error {
		options := app.KeyRotationOptions{DataDir: *data, KeySource: keySource(),
			Log: ops.NewLogger(ops.LogOptions{Writer: command.ErrOrStderr(), Format: ops.FormatText})}
		if *shared {
			servers, err := sharedServers()
			if err != nil {
				return err
			}
			options.EgressKey = app.KeySource{Key: os.Getenv("EGRESS_KEY"), File: os.Getenv("EGRESS_KEY_FILE")}
			options.Servers = servers
		}
		rotation, err := app.RotateKeys(command.Context(), options)
		if *inJSON {
			return errors.Join(err, json.NewEncoder(command.OutOrStdout()).Encode(rotation))
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(command.OutOrStdout(), describeRotation(rotation))
		return err
	}
	return command
}

// sharedDatabase gives the connection string of the services' database.
func sharedDatabase() (string, error) {
	if file := os.Getenv("MONGODB_URI_FILE"); file != "" {
		content, err := os.ReadFile(file) //nolint:gosec // the path is the operator's own setting
		return strings.TrimSpace(string(content)), err
	}
	if uri := os.Getenv("MONGODB_URI"); uri != "" {
		return uri, nil
	}
	return "", errors.New("MONGODB_URI is missing: it names the database of the services")
}

// sharedServers gives the services' database, as their environment names it.
func sharedServers() (*app.Servers, error) {
	uri, err := sharedDatabase()
	return &app.Servers{Mongo: uri, Database: os.Getenv("MONGODB_DATABASE")}, err
}

func describeRotation(rotation app.KeyRotation) string {
	text := fmt.Sprintf("%d rows of %d sessions sealed anew", rotation.Resealed, rotation.Sessions)
	if len(rotation.Retired) > 0 {
		text += "; not needed any more: " + strings.Join(rotation.Retired, ", ")
	}
	return text
}
