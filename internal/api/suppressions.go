package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/campaign"
)

// SuppressionView is a number that is not written to.
type SuppressionView struct {
	Phone     string    `json:"phone"`
	Reason    string    `json:"reason" enum:"opt_out,blocked" doc:"opt_out: the person asked for it. blocked: an operator did."`
	Source    string    `json:"source,omitempty" doc:"Who or what added it."`
	CreatedAt time.Time `json:"created_at"`
}

func viewSuppression(s campaign.Suppression) SuppressionView { return SuppressionView(s) }

type listSuppressionsInput struct{ PageInput }

type listSuppressionsOutput struct{ Body listBody[SuppressionView] }

func (a *API) listSuppressions(ctx context.Context, input *listSuppressionsInput) (*listSuppressionsOutput, error) {
	list, err := a.options.Suppressions.List(ctx, input.page())
	if err != nil {
		return nil, a.problem(ctx, "list suppressions", err)
	}
	return &listSuppressionsOutput{Body: viewList(list, viewSuppression)}, nil
}

type addSuppressionsInput struct {
	Body struct {
		Phones []string `json:"phones" minItems:"1" maxItems:"10000" doc:"The numbers; without a country code they are of the default region."`
		Reason string   `json:"reason,omitempty" enum:"opt_out,blocked" default:"blocked"`
		Source string   `json:"source,omitempty" maxLength:"200" doc:"Who or what asks for it, for the audit."`
	}
}

func (a *API) addSuppressions(ctx context.Context, input *addSuppressionsInput) (*importOutput, error) {
	listed := make([]campaign.ListedRecipient, len(input.Body.Phones))
	for i, phone := range input.Body.Phones {
		listed[i].Phone = phone
	}
	audience, err := campaign.ListAudience(listed, a.audienceOptions("", ""))
	if err != nil {
		return nil, a.problem(ctx, "read numbers", err)
	}
	return a.suppress(ctx, audience, input.Body.Reason, input.Body.Source)
}

// SuppressionsForm is the multipart form of a file of numbers. It is exported because huma reads embedded structs only then.
type SuppressionsForm struct {
	File        huma.FormFile `form:"file" contentType:"application/octet-stream" required:"true" doc:"A spreadsheet (XLSX) or CSV with a header row and a column of phone numbers."`
	PhoneColumn string        `form:"phone_column" required:"false" maxLength:"200"`
	Region      string        `form:"default_region" required:"false" maxLength:"2"`
	Reason      string        `form:"reason" required:"false" enum:"opt_out,blocked"`
	Source      string        `form:"source" required:"false" maxLength:"200"`
}

type uploadSuppressionsInput struct {
	RawBody huma.MultipartFormFiles[SuppressionsForm]
}

func (a *API) uploadSuppressions(ctx context.Context, input *uploadSuppressionsInput) (*importOutput, error) {
	defer func() { _ = input.RawBody.Form.RemoveAll() }() // a temporary file that stays is the system's to clean
	form := input.RawBody.Data()
	audience, err := campaign.ReadFile(form.File, a.audienceOptions(form.Region, form.PhoneColumn))
	if err != nil {
		return nil, a.problem(ctx, "read numbers", err)
	}
	defer func() { _ = audience.Close() }() // the same
	return a.suppress(ctx, audience, form.Reason, form.Source)
}

// suppress adds the numbers of an audience, a batch at a time. One that was suppressed before keeps its reason.
func (a *API) suppress(ctx context.Context, audience campaign.Audience, reason, source string) (*importOutput, error) {
	if reason == "" {
		reason = campaign.Blocked
	}
	if source == "" {
		source = "api"
	}
	output := &importOutput{}
	var batch []campaign.Suppression
	var entries []campaign.AuditEntry
	flush := func() error {
		err := a.options.Suppressions.Add(ctx, batch)
		if err == nil {
			err = a.record(ctx, entries...)
		}
		batch, entries = batch[:0], entries[:0]
		return err
	}
	for row, err := range audience.Rows() {
		if err == nil && row.Rejection != nil {
			if output.Body.Rejected++; output.Body.Rejected <= maxShownRejections {
				output.Body.Rejections = append(output.Body.Rejections, viewRejection(*row.Rejection))
			}
			continue
		}
		if err == nil {
			batch = append(batch, campaign.Suppression{Phone: campaign.PersonKey(row.Recipient.Phone), Reason: reason, Source: source, CreatedAt: a.now().UTC()})
			entries = append(entries, campaign.AuditEntry{Action: campaign.AuditOptOutAdded, Subject: batch[len(batch)-1].Phone, Detail: reason + ", " + source})
			output.Body.Added++
			if len(batch) == campaign.MaxBatch {
				err = flush()
			}
		}
		if err != nil {
			return nil, a.problem(ctx, "add suppressions", err)
		}
	}
	if err := flush(); err != nil {
		return nil, a.problem(ctx, "add suppressions", err)
	}
	return output, nil
}

// maxShownRejections is how many refused rows one answer names.
const maxShownRejections = 1000

type removeSuppressionInput struct {
	Phone  string `path:"phone" maxLength:"100" doc:"The number."`
	Reason string `query:"reason" maxLength:"200" doc:"Why it is written to again, for the audit."`
}

func (a *API) removeSuppression(ctx context.Context, input *removeSuppressionInput) (*struct{}, error) {
	phone, err := campaign.NormalisePhone(input.Phone, a.options.DefaultRegion)
	if err == nil {
		err = a.options.Suppressions.Remove(ctx, phone)
	}
	if err == nil {
		err = a.record(ctx, campaign.AuditEntry{Action: campaign.AuditOptOutRemoved, Subject: phone, Detail: input.Reason})
	}
	if err != nil {
		return nil, a.problem(ctx, "remove suppression", err)
	}
	return nil, nil //nolint:nilnil // huma's answer without a body
}

// record writes something into the audit, before or right behind the thing itself.
func (a *API) record(ctx context.Context, entries ...campaign.AuditEntry) error {
	caller, now := access.From(ctx), a.now().UTC()
	for i := range entries {
		entries[i].At, entries[i].Actor, entries[i].ActorName = now, cmp.Or(caller.Key, "api"), caller.Name
	}
	return campaign.Audit{Documents: a.options.Documents}.Record(ctx, entries...)
}

// audit is record for what does not depend on it.
func (a *API) audit(ctx context.Context, entry campaign.AuditEntry) {
	if err := a.record(ctx, entry); err != nil {
		_ = a.problem(ctx, "write the audit", err) // it logs
	}
}

// AuditView is one entry of the audit.
type AuditView struct {
	At     time.Time            `json:"at"`
	Action campaign.AuditAction `json:"action" doc:"A stable word."`
	Actor  string               `json:"actor" doc:"The id of the key that did it, or contact for a person who wrote an opt-out word."`
	// ActorName is that of the time: a key keeps its name.
	ActorName string `json:"actor_name,omitempty" doc:"What the key is called."`
	Subject   string `json:"subject" doc:"What it was done to: an id or a phone number."`
	UserID    string `json:"user_id,omitempty"`
	Detail    string `json:"detail,omitempty"`
}

type listAuditInput struct{ PageInput }

type listAuditOutput struct{ Body listBody[AuditView] }

func (a *API) listAudit(ctx context.Context, input *listAuditInput) (*listAuditOutput, error) {
	list, err := campaign.Audit{Documents: a.options.Documents}.List(ctx, input.page())
	if err != nil {
		return nil, a.problem(ctx, "list the audit", err)
	}
	return &listAuditOutput{Body: viewList(list, func(e campaign.AuditEntry) AuditView { return AuditView(e) })}, nil
}

// registerConsent lists the routes of suppressions and the audit.
func (a *API) registerConsent(doors huma.API) {
	huma.Register(doors, operation(http.MethodGet, "/v1/suppressions", "list-suppressions", "List the numbers that are not written to", http.StatusOK), a.listSuppressions)
	huma.Register(doors, operation(http.MethodPost, "/v1/suppressions", "add-suppressions", "Stop writing to numbers", http.StatusOK), a.addSuppressions)
	huma.Register(doors, a.upload("/v1/suppressions/upload", "upload-suppressions", "Stop writing to the numbers of a file", http.StatusOK), a.uploadSuppressions)
	huma.Register(doors, table("/v1/suppressions.csv", "export-suppressions", "Export the numbers that are not written to", csvType), a.exportSuppressions)
	huma.Register(doors, operation(http.MethodDelete, "/v1/suppressions/{phone}", "remove-suppression", "Write to a number again", http.StatusNoContent), a.removeSuppression)
	huma.Register(doors, operation(http.MethodGet, "/v1/audit", "list-audit", "List what must be provable later, newest first", http.StatusOK), a.listAudit)
}
