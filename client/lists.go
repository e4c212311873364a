package client

import (
	"context"
	"iter"
)

// Lists walks the contact lists, oldest first, as Deliveries does.
func (c *Client) Lists(ctx context.Context) iter.Seq2[List, error] {
	return walk(ctx, func(ctx context.Context, after string) (Page[List], error) {
		return c.Operations().ListLists(ctx, ListListsQuery{After: after, Size: pageSize})
	})
}

// List gives a contact list.
func (c *Client) List(ctx context.Context, id string) (List, error) {
	return c.Operations().GetList(ctx, id)
}

// CreateList makes an empty contact list for a user.
func (c *Client) CreateList(ctx context.Context, userID, name string) (List, error) {
	return c.Operations().CreateList(ctx, CreateListRequest{UserID: userID, Name: name})
}

// DeleteList deletes a contact list with its contacts.
func (c *Client) DeleteList(ctx context.Context, id string) error {
	return c.Operations().DeleteList(ctx, id)
}

// Contacts walks the contacts of a list in the order of their numbers, as Deliveries does.
func (c *Client) Contacts(ctx context.Context, id string) iter.Seq2[Contact, error] {
	return walk(ctx, func(ctx context.Context, after string) (Page[Contact], error) {
		return c.Operations().ListContacts(ctx, id, ListContactsQuery{After: after, Size: pageSize})
	})
}

// AddContacts adds people to a list, and gives all of them the tags.
func (c *Client) AddContacts(ctx context.Context, id string, people []Recipient, tags []string) (Import, error) {
	return c.Operations().AddContacts(ctx, id, AddContactsRequest{Contacts: people, Tags: tags})
}

// RemoveContact takes a number out of a list.
func (c *Client) RemoveContact(ctx context.Context, id, phone string) error {
	return c.Operations().RemoveContact(ctx, id, phone)
}
