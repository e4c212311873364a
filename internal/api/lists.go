package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
)

func (a *API) lists() ownLists {
	return ownLists{campaign.ContactLists{Documents: a.options.Documents}}
}

// ListView is a saved contact list.
type ListView struct {
	ID        string    `json:"id"`
	UserID    string    `json:"user_id"`
	Name      string    `json:"name"`
	Columns   []string  `json:"columns" doc:"The fields that a text may name."`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func viewContactList(l campaign.ContactList) ListView {
	view := ListView(l)
	if view.Columns == nil {
		view.Columns = []string{}
	}
	return view
}

type listOutput struct{ Body ListView }

type createListInput struct {
	Body struct {
		UserID string `json:"user_id" minLength:"1" maxLength:"200" doc:"The web app's user that the list belongs to."`
		Name   string `json:"name" minLength:"1" maxLength:"200" doc:"What people call it."`
	}
}

func (a *API) createList(ctx context.Context, input *createListInput) (*listOutput, error) {
	user, err := userOf(ctx, input.Body.UserID)
	var created campaign.ContactList
	if err == nil {
		created, err = a.lists().Create(ctx, user, strings.TrimSpace(input.Body.Name), a.now().UTC())
	}
	if err != nil {
		return nil, a.problem(ctx, "create list", err)
	}
	return &listOutput{Body: viewContactList(created)}, nil
}

type listListsOutput struct{ Body listBody[ListView] }

type listListsInput struct{ PageInput }

func (a *API) listLists(ctx context.Context, input *listListsInput) (*listListsOutput, error) {
	list, err := a.lists().List(ctx, input.page())
	if err != nil {
		return nil, a.problem(ctx, "list lists", err)
	}
	return &listListsOutput{Body: viewList(list, viewContactList)}, nil
}

// ListInput names a contact list in the path. It is exported because huma reads embedded structs only then.
type ListInput struct {
	ID string `path:"id" maxLength:"100" pattern:"^[!-~]+$" patternDescription:"visible ASCII" doc:"The list's id."`
}

func (a *API) getList(ctx context.Context, input *ListInput) (*listOutput, error) {
	found, err := a.lists().Get(ctx, input.ID)
	if err != nil {
		return nil, a.problem(ctx, "get list", err)
	}
	return &listOutput{Body: viewContactList(found)}, nil
}

func (a *API) deleteList(ctx context.Context, input *ListInput) (*struct{}, error) {
	if err := a.lists().Delete(ctx, input.ID); err != nil {
		return nil, a.problem(ctx, "delete list", err)
	}
	return nil, nil //nolint:nilnil // huma's answer without a body
}

// ContactView is one person of a list.
type ContactView struct {
	Phone  string            `json:"phone"`
	Fields map[string]string `json:"fields,omitempty"`
	Tags   []string          `json:"tags,omitempty"`
}

func viewContact(c campaign.Contact) ContactView { return ContactView(c) }

type listContactsInput struct {
	ListInput
	PageInput
}

type listContactsOutput struct{ Body listBody[ContactView] }

func (a *API) listContacts(ctx context.Context, input *listContactsInput) (*listContactsOutput, error) {
	if _, err := a.lists().Get(ctx, input.ID); err != nil {
		return nil, a.problem(ctx, "list contacts", err)
	}
	list, err := a.lists().Contacts(ctx, input.ID, input.page())
	if err != nil {
		return nil, a.problem(ctx, "list contacts", err)
	}
	return &listContactsOutput{Body: viewList(list, viewContact)}, nil
}

type addContactsInput struct {
	ListInput
	Body struct {
		Contacts []RecipientSpec `json:"contacts" minItems:"1" maxItems:"10000"`
		Tags     []string        `json:"tags,omitempty" maxItems:"50" doc:"Tags that all of them get."`
	}
}

// ImportView is what adding contacts came to.
type ImportView struct {
	Added      int             `json:"added" doc:"Rows that were taken; a number that was in the list before is replaced."`
	Rejected   int             `json:"rejected"`
	Rejections []RejectionView `json:"rejections,omitempty" doc:"The first 1000 of the refused rows."`
}

type importOutput struct{ Body ImportView }

func (a *API) addContacts(ctx context.Context, input *addContactsInput) (*importOutput, error) {
	listed := make([]campaign.ListedRecipient, len(input.Body.Contacts))
	for i, contact := range input.Body.Contacts {
		listed[i] = campaign.ListedRecipient{Phone: contact.Phone, Fields: contact.Fields}
	}
	audience, err := campaign.ListAudience(listed, a.audienceOptions("", ""))
	if err != nil {
		return nil, a.problem(ctx, "read contacts", err)
	}
	return a.importContacts(ctx, input.ID, audience, input.Body.Tags)
}

func (a *API) importContacts(ctx context.Context, id string, audience campaign.Audience, tags []string) (*importOutput, error) {
	err := campaign.CheckTags(tags)
	var result campaign.ImportResult
	if err == nil {
		result, err = a.lists().Import(ctx, id, audience, tags, a.now().UTC())
	}
	if err != nil {
		return nil, a.problem(ctx, "import contacts", err)
	}
	view := ImportView{Added: result.Added, Rejected: result.Rejected}
	for _, rejection := range result.Rejections {
		view.Rejections = append(view.Rejections, viewRejection(rejection))
	}
	return &importOutput{Body: view}, nil
}

// ContactsForm is the multipart form of a file of contacts. It is exported because huma reads embedded structs only then.
type ContactsForm struct {
	File        huma.FormFile `form:"file" contentType:"application/octet-stream" required:"true" doc:"A spreadsheet (XLSX) or CSV with a header row. A column called tags or etiquetas holds tags, with commas between them."`
	Tags        string        `form:"tags" required:"false" maxLength:"5000" doc:"Tags that all of them get, with commas between them."`
	PhoneColumn string        `form:"phone_column" required:"false" maxLength:"200" doc:"The column of the phone numbers; guessed from the header when it is left out."`
	Region      string        `form:"default_region" required:"false" maxLength:"2" doc:"The ISO country of numbers written without a country code."`
}

type uploadContactsInput struct {
	ListInput
	RawBody huma.MultipartFormFiles[ContactsForm]
}

func (a *API) uploadContacts(ctx context.Context, input *uploadContactsInput) (*importOutput, error) {
	defer func() { _ = input.RawBody.Form.RemoveAll() }() // a temporary file that stays is the system's to clean
	form := input.RawBody.Data()
	audience, err := campaign.ReadFile(form.File, a.audienceOptions(form.Region, form.PhoneColumn))
	if err != nil {
		return nil, a.problem(ctx, "read contacts", err)
	}
	defer func() { _ = audience.Close() }() // the same
	return a.importContacts(ctx, input.ID, audience, splitTags(form.Tags))
}

func splitTags(text string) (tags []string) {
	for tag := range strings.SplitSeq(text, ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			tags = append(tags, tag)
		}
	}
	return tags
}

type removeContactInput struct {
	ListInput
	Phone string `path:"phone" maxLength:"100" doc:"The number of the contact."`
}

func (a *API) removeContact(ctx context.Context, input *removeContactInput) (*struct{}, error) {
	phone, err := campaign.NormalisePhone(input.Phone, a.options.DefaultRegion)
	removed := 0
	if err == nil {
		removed, err = a.lists().Remove(ctx, input.ID, []string{phone})
	}
	if err == nil && removed == 0 {
		err = fault.New(fault.NotFound, "no_contact", "The list has no contact with this number")
	}
	if err != nil {
		return nil, a.problem(ctx, "remove contact", err)
	}
	return nil, nil //nolint:nilnil // huma's answer without a body
}

// registerLists lists the routes of contact lists.
func (a *API) registerLists(doors huma.API) {
	huma.Register(doors, operation(http.MethodPost, "/v1/lists", "create-list", "Create a contact list", http.StatusCreated), a.createList)
	huma.Register(doors, operation(http.MethodGet, "/v1/lists", "list-lists", "List contact lists", http.StatusOK), a.listLists)
	huma.Register(doors, operation(http.MethodGet, "/v1/lists/{id}", "get-list", "Get a contact list", http.StatusOK), a.getList)
	huma.Register(doors, operation(http.MethodDelete, "/v1/lists/{id}", "delete-list", "Delete a contact list with its contacts", http.StatusNoContent), a.deleteList)
	huma.Register(doors, operation(http.MethodGet, "/v1/lists/{id}/contacts", "list-contacts", "List the contacts of a list", http.StatusOK), a.listContacts)
	huma.Register(doors, operation(http.MethodPost, "/v1/lists/{id}/contacts", "add-contacts", "Add contacts to a list", http.StatusOK), a.addContacts)
	huma.Register(doors, a.upload("/v1/lists/{id}/contacts/upload", "upload-contacts", "Add the contacts of a file to a list", http.StatusOK), a.uploadContacts)
	huma.Register(doors, operation(http.MethodDelete, "/v1/lists/{id}/contacts/{phone}", "remove-contact", "Take a contact out of a list", http.StatusNoContent), a.removeContact)
}
