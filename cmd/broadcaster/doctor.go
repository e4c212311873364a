package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/config"
)

// errBroken ends a look that found something; the report says what.
var errBroken = errors.New("something is broken: see the report")

type doctorFlags struct {
	data, api        string
	services, inJSON bool
}

func newDoctor() *cobra.Command {
	command := &cobra.Command{
		Use:   "doctor",
		Short: "Look at a whole deployment, and say what to fix",
		Long: `Looks at the queue, the database, the keys, the clocks, the certificates, the disk and the API, and changes nothing. Each line is ok, a warning, or
broken, with what was seen and what to do. The exit code is 1 when something is broken.

Without --services it looks at the data folder of "up", which may be running. With --services it looks at the deployment of the services' own
environment (docs/configuration.md): NATS_URL, NATS_USER, NATS_PASSWORD, MONGODB_URI, KEYSTORE_KEY and the rest. With NATS_API_PASSWORD,
NATS_LINKER_PASSWORD and NATS_SENDER_PASSWORD it also compares the rights of these users with what the services need.`,
		Args: cobra.NoArgs,
	}
	var given doctorFlags
	flags := command.Flags()
	flags.StringVar(&given.data, "data", "./data", "data folder of a product in one process, which may be running")
	flags.BoolVar(&given.services, "services", false, "look at the services of the environment instead")
	flags.StringVar(&given.api, "api", "http://"+defaultListen, `address of the API; "": it is not asked`)
	flags.BoolVar(&given.inJSON, "json", false, "print the report as one JSON object")
	command.MarkFlagsMutuallyExclusive("data", "services")
	command.RunE = func(command *cobra.Command, _ []string) error {
		return examine(command.Context(), command, given)
	}
	return command
}

func examine(ctx context.Context, command *cobra.Command, given doctorFlags) error {
	options := app.DoctorOptions{DataDir: given.data, API: given.api, KeySource: keySource()}
	if given.services {
		settings, err := config.LoadDoctor(config.Environ())
		if err != nil {
			return err
		}
		options = servicesOf(settings)
		options.API = given.api
	}
	report := app.Doctor(ctx, options)
	write := report.Write
	if given.inJSON {
		write = report.WriteJSON
	}
	if err := write(command.OutOrStdout()); err != nil {
		return err
	}
	if !report.Healthy() {
		return errBroken
	}
	return nil
}

func servicesOf(c config.Doctor) app.DoctorOptions {
	return app.DoctorOptions{
		Servers: &app.Servers{NATS: c.URL(), Replicas: c.NATSReplicas, User: c.NATSUser, Password: c.NATSPassword.Reveal(),
			Credentials: c.NATSCredentials, InboxPrefix: c.InboxPrefix(), Mongo: c.MongoURI.Reveal(), Database: c.MongoDatabase},
		KeySource: app.KeySource{Key: c.KeystoreKey.Reveal()}, EgressKey: app.KeySource{Key: c.EgressKey.Reveal()},
		MaxConcurrentJobs: c.MaxConcurrentJobs, LeaseTTL: c.LeaseTTL,
		Passwords: map[app.Role]string{app.RoleAPI: c.APIPassword.Reveal(), app.RoleLinker: c.LinkerPassword.Reveal(), app.RoleSender: c.SenderPassword.Reveal()},
	}
}
