package api

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/webhook"
)

// mostWalked bounds the pages that are read for one page of an answer.
const mostWalked = 100

// walk gives a page of those that the caller may see, for books without an order by user. The page may be short, with a next one behind it.
func walk[T any](page store.Page, list func(store.Page) (store.List[T], error), sees func(T) bool) (store.List[T], error) {
	wanted, found := page.Limit(), store.List[T]{}
	for range mostWalked {
		page.Size = wanted - len(found.Items) // never more than are wanted, so that no cursor points behind something left out
		part, err := list(page)
		if err != nil {
			return found, err
		}
		found.Items = append(found.Items, slices.DeleteFunc(part.Items, func(item T) bool { return !sees(item) })...)
		found.Next, page.After = part.Next, part.Next
		if found.Next == "" || len(found.Items) == wanted {
			break
		}
	}
	return found, nil
}

// ownLists are the contact lists that the caller may see.
type ownLists struct{ campaign.ContactLists }

// Get gives a list; store.ErrNotFound for one of another user.
func (o ownLists) Get(ctx context.Context, id string) (campaign.ContactList, error) {
	found, err := o.ContactLists.Get(ctx, id)
	if err == nil && !access.From(ctx).Sees(found.UserID) {
		return campaign.ContactList{}, store.ErrNotFound
	}
	return found, err
}

// List gives the lists, oldest first.
func (o ownLists) List(ctx context.Context, page store.Page) (store.List[campaign.ContactList], error) {
	return walk(page, func(page store.Page) (store.List[campaign.ContactList], error) { return o.ContactLists.List(ctx, page) },
		func(l campaign.ContactList) bool { return access.From(ctx).Sees(l.UserID) })
}

// Delete removes a list with its contacts.
func (o ownLists) Delete(ctx context.Context, id string) error {
	if _, err := o.Get(ctx, id); err != nil {
		return err
	}
	return o.ContactLists.Delete(ctx, id)
}

// Contacts gives the people of a list.
func (o ownLists) Contacts(ctx context.Context, id string, page store.Page) (store.List[campaign.Contact], error) {
	if _, err := o.Get(ctx, id); err != nil {
		return store.List[campaign.Contact]{}, err
	}
	return o.ContactLists.Contacts(ctx, id, page)
}

// Remove takes people out of a list.
func (o ownLists) Remove(ctx context.Context, id string, phones []string) (int, error) {
	if _, err := o.Get(ctx, id); err != nil {
		return 0, err
	}
	return o.ContactLists.Remove(ctx, id, phones)
}

// Import adds the people of an audience to a list.
func (o ownLists) Import(ctx context.Context, id string, audience campaign.Audience, tags []string, at time.Time) (campaign.ImportResult, error) {
	if _, err := o.Get(ctx, id); err != nil {
		return campaign.ImportResult{}, err
	}
	return o.ContactLists.Import(ctx, id, audience, tags, at)
}

// Audience gives the people of a list as an audience.
func (o ownLists) Audience(ctx context.Context, id string, tags []string) (campaign.Audience, error) {
	if _, err := o.Get(ctx, id); err != nil {
		return campaign.Audience{}, err
	}
	return o.ContactLists.Audience(ctx, id, tags)
}

// ownMedia are the files that the caller may use: those that keys of its user brought. One that a key for everybody brought is only for such keys.
type ownMedia struct{ campaign.MediaLibrary }

// Add stores a file for the caller's user.
func (o ownMedia) Add(ctx context.Context, wanted campaign.NewMedia, content io.Reader) (campaign.Media, error) {
	wanted.UserID = access.From(ctx).User
	return o.MediaLibrary.Add(ctx, wanted, content)
}

// Get gives a file without its content; store.ErrNotFound for one of another user.
func (o ownMedia) Get(ctx context.Context, id string) (campaign.Media, error) {
	found, err := o.MediaLibrary.Get(ctx, id)
	if err == nil && !access.From(ctx).Sees(found.UserID) {
		return campaign.Media{}, store.ErrNotFound
	}
	return found, err
}

// Remove deletes a file.
func (o ownMedia) Remove(ctx context.Context, id string) error {
	if _, err := o.Get(ctx, id); err != nil {
		return err
	}
	return o.MediaLibrary.Remove(ctx, id)
}

// ownWebhooks are the subscriptions that the caller may see: one that tells of everybody is not seen with a key for one user.
type ownWebhooks struct{ webhook.Subscriptions }

// Create makes a subscription. With a key for one user it tells of this user only.
func (o ownWebhooks) Create(ctx context.Context, wanted webhook.Wanted, at time.Time) (made webhook.Subscription, secret webhook.Secret, err error) {
	if wanted.UserID, err = userOf(ctx, wanted.UserID); err != nil {
		return made, secret, err
	}
	return o.Subscriptions.Create(ctx, wanted, at)
}

// Get gives a subscription; store.ErrNotFound for one that tells of other users.
func (o ownWebhooks) Get(ctx context.Context, id string) (webhook.Subscription, error) {
	found, err := o.Subscriptions.Get(ctx, id)
	if err == nil && !access.From(ctx).Sees(found.UserID) {
		return webhook.Subscription{}, store.ErrNotFound
	}
	return found, err
}

// List gives the subscriptions, oldest first.
func (o ownWebhooks) List(ctx context.Context, page store.Page) (store.List[webhook.Subscription], error) {
	return walk(page, func(page store.Page) (store.List[webhook.Subscription], error) {
		return o.Subscriptions.List(ctx, page)
	},
		func(s webhook.Subscription) bool { return access.From(ctx).Sees(s.UserID) })
}

// Change changes a subscription.
func (o ownWebhooks) Change(ctx context.Context, id string, change webhook.Change, at time.Time) (webhook.Subscription, error) {
	if found, err := o.Get(ctx, id); err != nil {
		return found, err
	}
	return o.Subscriptions.Change(ctx, id, change, at)
}

// Rotate gives a subscription a new secret.
func (o ownWebhooks) Rotate(ctx context.Context, id string, at time.Time) (found webhook.Subscription, secret webhook.Secret, err error) {
	if found, err = o.Get(ctx, id); err != nil {
		return found, secret, err
	}
	return o.Subscriptions.Rotate(ctx, id, at)
}

// Delete removes a subscription with its log.
func (o ownWebhooks) Delete(ctx context.Context, id string) error {
	if _, err := o.Get(ctx, id); err != nil {
		return err
	}
	return o.Subscriptions.Delete(ctx, id)
}

// Attempts gives the last requests of a subscription.
func (o ownWebhooks) Attempts(ctx context.Context, id string, page store.Page) (store.List[webhook.Attempt], error) {
	if _, err := o.Get(ctx, id); err != nil {
		return store.List[webhook.Attempt]{}, err
	}
	return o.Subscriptions.Attempts(ctx, id, page)
}
