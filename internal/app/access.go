package app

import (
	"context"
	"fmt"
	"time"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/store"
)

// openAccess opens the book of API keys, and sees to it that there is a key to begin with: the configured one, or, at the first start of a product, one that its
// starter is shown.
func (a *App) openAccess(ctx context.Context, documents store.Documents) (*access.Book, error) {
	book, err := access.New(access.Options{Documents: documents})
	if err != nil {
		return nil, err
	}
	if a.options.AdminKey != "" {
		if err := book.Configure(ctx, a.options.AdminKey); err != nil {
			return nil, fmt.Errorf("keep the configured admin key: %w", err)
		}
	}
	return book, a.firstKey(ctx, book)
}

func (a *App) firstKey(ctx context.Context, book *access.Book) error {
	if a.options.SeeFirstKey == nil {
		return a.warnWithoutKeys(ctx, book)
	}
	_, secret, made, err := book.First(ctx)
	if err != nil {
		return fmt.Errorf("make the first key: %w", err)
	}
	if made {
		a.options.SeeFirstKey(secret)
		return nil
	}
	return a.warnWithoutKeys(ctx, book)
}

// warnWithoutKeys says what to do when nobody can call the API.
func (a *App) warnWithoutKeys(ctx context.Context, book *access.Book) error {
	keys, err := book.List(ctx, access.Caller{Key: access.Terminal, Role: access.Admin})
	if err != nil {
		return fmt.Errorf("look for keys: %w", err)
	}
	if len(keys) == 0 {
		a.options.Log.WarnContext(ctx, "no API key", "fix", "set ADMIN_KEY, or make one on this machine with: broadcaster api-keys create NAME --role admin")
	}
	return nil
}

// GenerateAdminKey gives a key for ADMIN_KEY and Options.AdminKey.
func GenerateAdminKey() string { return access.Generate(time.Now()) }
