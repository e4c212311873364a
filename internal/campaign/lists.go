package campaign

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// ContactList is a saved audience that several campaigns use.
type ContactList struct {
	ID     string `json:"id"`
	UserID string `json:"user_id"`
	Name   string `json:"name"`
	// Columns are the fields that its contacts have, as far as was ever said.
	Columns   []string  `json:"columns"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Contact is one person of a list.
type Contact struct {
	// Phone is E.164 with the plus sign; a list has each number once.
	Phone  string            `json:"phone"`
	Fields map[string]string `json:"fields,omitempty"`
	Tags   []string          `json:"tags,omitempty"`
}

// ContactLists keeps lists with their contacts, over the port of documents.
type ContactLists struct{ Documents store.Documents }

const listsFolder = "lists"

func contactsFolder(list string) string { return "contacts/" + list }

// Create makes an empty list.
func (l ContactLists) Create(ctx context.Context, userID, name string, at time.Time) (ContactList, error) {
	created := ContactList{ID: "lst_" + uuid.Must(uuid.NewV7()).String(), UserID: userID, Name: name, CreatedAt: at, UpdatedAt: at}
	return created, l.put(ctx, created)
}

func (l ContactLists) put(ctx context.Context, list ContactList) error {
	document, err := encodeDocument(list.ID, list)
	if err != nil {
		return err
	}
	return l.Documents.Put(ctx, listsFolder, []store.Document{document})
}

// Get gives a list; store.ErrNotFound when there is none.
func (l ContactLists) Get(ctx context.Context, id string) (ContactList, error) {
	return readDocument[ContactList](ctx, l.Documents, listsFolder, id)
}

// List gives the lists, oldest first.
func (l ContactLists) List(ctx context.Context, page store.Page) (store.List[ContactList], error) {
	return listDocuments[ContactList](ctx, l.Documents, listsFolder, page)
}

// Delete removes a list with its contacts. Campaigns that were planned from it keep their recipients.
func (l ContactLists) Delete(ctx context.Context, id string) error {
	if err := l.Documents.Clear(ctx, contactsFolder(id)); err != nil {
		return err
	}
	removed, err := l.Documents.Remove(ctx, listsFolder, []string{id})
	if err == nil && removed == 0 {
		err = store.ErrNotFound
	}
	return err
}

// Contacts gives the people of a list in the order of their numbers.
func (l ContactLists) Contacts(ctx context.Context, id string, page store.Page) (store.List[Contact], error) {
	return listDocuments[Contact](ctx, l.Documents, contactsFolder(id), page)
}

// Remove takes people out of a list and gives how many were in it.
func (l ContactLists) Remove(ctx context.Context, id string, phones []string) (int, error) {
	return l.Documents.Remove(ctx, contactsFolder(id), phones)
}

// ImportResult is what adding an audience to a list came to.
type ImportResult struct {
	// Added counts the rows that were taken; a number that the list had is replaced. Rejected those refused, Rejections the first of them.
	Added, Rejected int
	Rejections      []Rejection
}

// maxKeptRejections is how many refused rows an ImportResult names.
const maxKeptRejections = 1000

// Import adds the people of an audience to a list, with tags beside those of their own column. It holds one batch in memory.
func (l ContactLists) Import(ctx context.Context, id string, audience Audience, tags []string, at time.Time) (result ImportResult, err error) {
	list, err := l.Get(ctx, id)
	if err != nil {
		return result, err
	}
	var batch []store.Document
	flush := func() error {
		err := l.Documents.Put(ctx, contactsFolder(id), batch)
		batch = batch[:0]
		return err
	}
	for row, err := range Canonical(ctx, l.Documents, audience.Rows()) {
		if err != nil {
			return result, err
		}
		if row.Rejection != nil {
			if result.Rejected++; len(result.Rejections) < maxKeptRejections {
				result.Rejections = append(result.Rejections, *row.Rejection)
			}
			continue
		}
		document, err := encodeDocument(row.Recipient.Phone, contactOf(row.Recipient, tags))
		if err != nil {
			return result, err
		}
		batch = append(batch, document)
		result.Added++
		if len(batch) == store.MaxDocuments {
			if err := flush(); err != nil {
				return result, err
			}
		}
	}
	if err := flush(); err != nil {
		return result, err
	}
	for _, column := range audience.Columns() {
		if !hasName(list.Columns, column) && !isTagsColumn(column) {
			list.Columns = append(list.Columns, column)
		}
	}
	list.UpdatedAt = at
	return result, l.put(ctx, list)
}

// tagsColumns are the names of a column that holds tags, folded.
var tagsColumns = []string{"tags", "tag", "etiquetas", "etiqueta", "grupo", "grupos"}

func isTagsColumn(name string) bool { return slices.Contains(tagsColumns, fold(name)) }

func contactOf(recipient Recipient, tags []string) Contact {
	contact := Contact{Phone: recipient.Phone, Fields: map[string]string{}}
	tags = slices.Clone(tags)
	for name, value := range recipient.Fields {
		if isTagsColumn(name) {
			tags = append(tags, strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(",;|", r) })...)
			continue
		}
		contact.Fields[name] = value
	}
	for _, tag := range tags {
		if tag = strings.TrimSpace(tag); tag != "" && !hasName(contact.Tags, tag) {
			contact.Tags = append(contact.Tags, tag)
		}
	}
	slices.Sort(contact.Tags)
	return contact
}

// Audience gives the people of a list as an audience: all, or those with one of some tags. It is fault.Invalid when the list is empty.
func (l ContactLists) Audience(ctx context.Context, id string, tags []string) (Audience, error) {
	list, err := l.Get(ctx, id)
	if err != nil {
		return Audience{}, err
	}
	columns := slices.Clone(list.Columns)
	if !hasName(columns, PhoneField) && !hasName(columns, phoneAlias) {
		columns = append(columns, PhoneField)
	}
	return Audience{columns: columns, phoneColumn: PhoneField, rows: l.walk(ctx, id, tags)}, nil
}

func (l ContactLists) walk(ctx context.Context, id string, tags []string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		page, number := store.Page{Size: store.MaxPageSize}, 0
		for {
			contacts, err := l.Contacts(ctx, id, page)
			if err != nil {
				yield(Row{}, fmt.Errorf("read the contacts of %s: %w", id, err))
				return
			}
			for _, contact := range contacts.Items {
				number++
				if !contact.hasOneOf(tags) {
					continue
				}
				recipient := Recipient{Row: number, Phone: contact.Phone, PhoneColumn: PhoneField, Fields: contact.Fields}
				if recipient.Fields == nil {
					recipient.Fields = map[string]string{}
				}
				if recipient.Fields[PhoneField] == "" {
					recipient.Fields[PhoneField] = contact.Phone
				}
				if !yield(Row{Recipient: recipient}, nil) {
					return
				}
			}
			if contacts.Next == "" {
				return
			}
			page.After = contacts.Next
		}
	}
}

func (c Contact) hasOneOf(tags []string) bool {
	return len(tags) == 0 || slices.ContainsFunc(tags, func(tag string) bool { return hasName(c.Tags, tag) })
}

// CheckTags refuses tags that nobody could read.
func CheckTags(tags []string) error {
	for _, tag := range tags {
		if strings.TrimSpace(tag) == "" || len(tag) > maxNameBytes || strings.ContainsAny(tag, ",;|\n") {
			return fault.New(fault.Invalid, "bad_tag", "A tag is a short text without commas, semicolons and bars")
		}
	}
	return nil
}
