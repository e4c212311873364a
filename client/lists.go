package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// List is a saved contact list.
type List struct {
	ID        string    `json:"id"`
	UserID    string    `json:"user_id"`
	Name      string    `json:"name"`
	Columns   []string  `json:"columns"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Contact is one person of a list.
type Contact struct {
	Phone  string            `json:"phone"`
	Fields map[string]string `json:"fields,omitempty"`
	Tags   []string          `json:"tags,omitempty"`
}

// Import is what adding numbers came to.
type Import struct {
	Added      int         `json:"added"`
	Rejected   int         `json:"rejected"`
	Rejections []Rejection `json:"rejections"`
}

// Reading says how a file of people is read. An empty PhoneColumn is guessed from the header, an empty Region is the service's.
type Reading struct {
	PhoneColumn string
	Region      string
}

// Page is a part of a list: its items, and the cursor of the next part, empty at the end.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// part says which part of a list is wanted: what is behind a cursor, empty for the first one, and at most how much.
type part struct {
	after string
	size  int
}

// pageOf asks for one page. Of query, empty values are left out.
func pageOf[T any](ctx context.Context, c *Client, path string, wanted part, query url.Values) (Page[T], error) {
	asked := url.Values{"size": {strconv.Itoa(wanted.size)}}
	for name := range query {
		if value := query.Get(name); value != "" {
			asked.Set(name, value)
		}
	}
	if wanted.after != "" {
		asked.Set("after", wanted.after)
	}
	var found Page[T]
	err := c.call(ctx, http.MethodGet, path+"?"+asked.Encode(), nil, &found)
	return found, err
}

// Lists walks the contact lists, oldest first, as Deliveries does.
func (c *Client) Lists(ctx context.Context) iter.Seq2[List, error] {
	return walk[List](ctx, c, "/v1/lists", url.Values{})
}

// List gives a contact list.
func (c *Client) List(ctx context.Context, id string) (List, error) {
	var found List
	err := c.call(ctx, http.MethodGet, listPath(id), nil, &found)
	return found, err
}

// CreateList makes an empty contact list for a user.
func (c *Client) CreateList(ctx context.Context, userID, name string) (List, error) {
	var created List
	err := c.call(ctx, http.MethodPost, "/v1/lists", map[string]string{"user_id": userID, "name": name}, &created)
	return created, err
}

// DeleteList deletes a contact list with its contacts.
func (c *Client) DeleteList(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, listPath(id), nil, nil)
}

// ContactsPage gives a page of the contacts of a list, in the order of their numbers.
func (c *Client) ContactsPage(ctx context.Context, id, after string, size int) (Page[Contact], error) {
	return pageOf[Contact](ctx, c, listPath(id)+"/contacts", part{after, size}, nil)
}

// Contacts walks the contacts of a list, as Deliveries does.
func (c *Client) Contacts(ctx context.Context, id string) iter.Seq2[Contact, error] {
	return walk[Contact](ctx, c, listPath(id)+"/contacts", url.Values{})
}

// AddContacts adds people to a list, and gives all of them the tags.
func (c *Client) AddContacts(ctx context.Context, id string, people []Recipient, tags []string) (Import, error) {
	var added Import
	body := struct {
		Contacts []Recipient `json:"contacts"`
		Tags     []string    `json:"tags,omitempty"`
	}{people, tags}
	err := c.call(ctx, http.MethodPost, listPath(id)+"/contacts", body, &added)
	return added, err
}

// UploadContacts adds the people of a spreadsheet or CSV file to a list, and gives all of them the tags.
func (c *Client) UploadContacts(ctx context.Context, id string, file File, how Reading, tags []string) (Import, error) {
	var added Import
	fields := append(how.fields(), [2]string{"tags", strings.Join(tags, ",")})
	err := c.upload(ctx, listPath(id)+"/contacts/upload", fields, file, &added)
	return added, err
}

func (r Reading) fields() [][2]string {
	return [][2]string{{"phone_column", r.PhoneColumn}, {"default_region", r.Region}}
}

// RemoveContact takes a number out of a list.
func (c *Client) RemoveContact(ctx context.Context, id, phone string) error {
	return c.call(ctx, http.MethodDelete, listPath(id)+"/contacts/"+url.PathEscape(phone), nil, nil)
}

func listPath(id string) string { return "/v1/lists/" + url.PathEscape(id) }
