package console

import (
	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
	"slices"
)

func contactRoutes() []route {
	return []route{
		{"GET /contacts", access.Viewer, listLists},
		{"POST /contacts", access.Operator, createList},
		{"GET /contacts/{id}", access.Viewer, showList},
		{"POST /contacts/{id}/import", access.Operator, importContacts},
		{"POST /contacts/{id}/remove", access.Operator, removeContact},
		{"POST /contacts/{id}/delete", access.Operator, deleteList},
	}
}

// contactsOnPage is how many contacts a page shows, and columnsOnPage of how many of their fields.
const (
	contactsOnPage = 50
	columnsOnPage  = 5
	mostLists      = 500
)

// listsPage is the saved contact lists.
type listsPage struct {
	form
	Lists []client.List
	// User is the only user that the caller may make lists for; empty: any.
	User string
	// Users are those that have sessions, to choose from.
	Users []string
	More  bool
}

func (v *visit) listsPage(filled form) (*listsPage, error) {
	page := &listsPage{form: filled, User: v.caller.User}
	for found, err := range v.api.Lists(v.context()) {
		if err != nil {
			return nil, err
		}
		if len(page.Lists) == mostLists {
			page.More = true
			break
		}
		page.Lists = append(page.Lists, found)
	}
	names, err := v.sessionNames()
	if err != nil {
		return nil, err
	}
	for _, owner := range names.all {
		if !slices.Contains(page.Users, owner.UserID) {
			page.Users = append(page.Users, owner.UserID)
		}
	}
	return page, nil
}

func listLists(v *visit) error {
	page, err := v.listsPage(newForm("user_id", v.caller.User))
	if err != nil {
		return err
	}
	if page.Value("user_id") == "" && len(page.Users) == 1 {
		page.Values.Set("user_id", page.Users[0])
	}
	return v.show("contacts/list", page)
}

func createList(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	created, err := v.api.CreateList(v.context(), filled.Value("user_id"), filled.Value("name"))
	if err != nil {
		page, pageErr := v.listsPage(filled)
		if pageErr != nil {
			return pageErr
		}
		return v.again(err, "contacts/list", page)
	}
	return v.done(listPath(created.ID), "contacts.created", "Name", created.Name)
}

func listPath(id string) string { return "/contacts/" + id }

// listPage is one list with its contacts.
type listPage struct {
	form
	List client.List
	// Columns are those that the table shows.
	Columns     []string
	Search, Tag string
	Rows        []client.Contact
	Next, First string
	Report      *report
}

func (v *visit) listPage(filled form) (*listPage, error) {
	page := &listPage{form: filled, Search: v.query("q"), Tag: v.query("tag")}
	var err error
	if page.List, err = v.api.List(v.context(), v.request.PathValue("id")); err != nil {
		return nil, err
	}
	page.Columns = page.List.Columns[:min(len(page.List.Columns), columnsOnPage)]
	path, after := listPath(page.List.ID), v.query("after")
	if after != "" {
		page.First = addressOf(path, "q", page.Search, "tag", page.Tag)
	}
	read := func(after string, size int) (client.Page[client.Contact], error) {
		return v.api.Operations().ListContacts(v.context(), page.List.ID, client.ListContactsQuery{After: after, Size: size})
	}
	after, err = search(searching{after: after, onPage: contactsOnPage, narrow: page.Search != "" || page.Tag != ""}, read, func(contact client.Contact) bool {
		fits := page.fits(contact)
		if fits {
			page.Rows = append(page.Rows, contact)
		}
		return fits
	})
	if err != nil {
		return nil, err
	}
	if after != "" {
		page.Next = addressOf(path, "q", page.Search, "tag", page.Tag, "after", after)
	}
	return page, nil
}

func (p *listPage) fits(contact client.Contact) bool {
	if p.Tag != "" && !hasOneOf(contact.Tags, []string{p.Tag}) {
		return false
	}
	texts := []string{contact.Phone}
	for _, value := range contact.Fields {
		texts = append(texts, value)
	}
	return contains(p.Search, texts...)
}

func showList(v *visit) error {
	page, err := v.listPage(newForm())
	if err != nil {
		return err
	}
	return v.show("contacts/contacts", page)
}

// importContacts adds a file, or numbers that were typed, to a list.
func importContacts(v *visit) error {
	id := v.request.PathValue("id")
	var read client.Import
	came := false
	filled, err := v.readUpload(func(filled *form, file client.Upload) error {
		came = true
		var err error
		read, err = v.api.Operations().UploadContacts(v.context(), id, file, uploadOf(filled))
		return err
	})
	if err == nil && !came {
		if people := peopleIn(filled.Value("numbers")); len(people) > 0 {
			came = true
			read, err = v.api.AddContacts(v.context(), id, people, splitWords(filled.Value("tags")))
		}
	}
	if err == nil && !came {
		filled.Wrong["numbers"] = v.language.text("campaigns.wrong.no_people")
		err = notFilledIn()
	}
	if err == nil && read.Rejected == 0 {
		v.flash(v.language.plural("contacts.added", read.Added))
		return v.done(listPath(id), "")
	}
	if _, ok := asProblem(err); err != nil && !ok {
		return err
	}
	page, pageErr := v.listPage(filled)
	if pageErr != nil {
		return pageErr
	}
	if err != nil {
		return v.wrongForm(err, "contacts/contacts", page)
	}
	made := v.language.report(read)
	page.Report = &made
	return v.show("contacts/contacts", page)
}

func removeContact(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	id := v.request.PathValue("id")
	if err := v.api.RemoveContact(v.context(), id, filled.Value("phone")); err != nil {
		return v.back(err, listPath(id))
	}
	return v.done(listPath(id), "contacts.removed", "Phone", filled.Value("phone"))
}

func deleteList(v *visit) error {
	id := v.request.PathValue("id")
	if err := v.api.DeleteList(v.context(), id); err != nil {
		return v.back(err, listPath(id))
	}
	return v.done("/contacts", "contacts.deleted")
}
