package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/app"
)

// keyBook is where keys are made, listed and revoked: the database itself, or a running service.
type keyBook interface {
	create(ctx context.Context, wanted app.NewAPIKey) (id, secret string, err error)
	list(ctx context.Context) ([]app.APIKey, error)
	revoke(ctx context.Context, id string) error
}

// bookFlags adds the flags that say whose keys are meant, and gives the book.
func bookFlags(command *cobra.Command) func() (keyBook, error) {
	flags := command.Flags()
	data := flags.String("data", "./data", "data folder of a product in one process, which may be running")
	shared := flags.Bool("mongodb", false, "use the database of the services instead: MONGODB_URI and MONGODB_DATABASE, as they have them")
	address := flags.String("api", "", "ask the API of a running broadcaster at this address instead, with an admin key in "+keyVariable)
	command.MarkFlagsMutuallyExclusive("data", "mongodb", "api")
	return func() (keyBook, error) {
		switch {
		case *address != "":
			api, err := remoteClient(*address, "")
			return remoteBook{api}, err
		case !*shared:
			return localBook{DataDir: *data}, nil
		}
		servers, err := sharedServers()
		return localBook{Servers: servers}, err
	}
}

// localBook is the one in a database. It needs no key.
type localBook app.KeyBookOptions

func (b localBook) create(ctx context.Context, wanted app.NewAPIKey) (id, secret string, err error) {
	made, secret, err := app.CreateAPIKey(ctx, app.KeyBookOptions(b), wanted)
	return made.ID, secret, err
}

func (b localBook) list(ctx context.Context) ([]app.APIKey, error) {
	return app.ListAPIKeys(ctx, app.KeyBookOptions(b))
}

func (b localBook) revoke(ctx context.Context, id string) error {
	return app.RevokeAPIKey(ctx, app.KeyBookOptions(b), id)
}

// remoteBook is the one of a running service. The key decides what it may.
type remoteBook struct{ api *client.Client }

func (b remoteBook) create(ctx context.Context, wanted app.NewAPIKey) (id, secret string, err error) {
	made, err := b.api.Operations().CreateKey(ctx, client.CreateKeyRequest{Name: wanted.Name, Role: wanted.Role, UserID: wanted.User, ExpiresAt: wanted.ExpiresAt})
	return made.ID, made.Key, err
}

func (b remoteBook) list(ctx context.Context) ([]app.APIKey, error) {
	found, err := b.api.Operations().ListKeys(ctx)
	listed := make([]app.APIKey, len(found.Items))
	for i, key := range found.Items {
		listed[i] = app.APIKey{ID: key.ID, Prefix: key.Prefix, Name: key.Name, Role: key.Role, User: key.UserID,
			CreatedAt: key.CreatedAt, ExpiresAt: key.ExpiresAt, UsedAt: key.UsedAt, RevokedAt: key.RevokedAt}
	}
	return listed, err
}

func (b remoteBook) revoke(ctx context.Context, id string) error {
	_, err := b.api.Operations().RevokeKey(ctx, id)
	return err
}
