package console

import (
	"net/http"
	"strings"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/campaign"
)

func optOutRoutes() []route {
	return []route{
		{"GET /opt-outs", access.Viewer, listOptOuts},
		{"POST /opt-outs", access.Operator, addOptOuts},
		{"POST /opt-outs/remove", access.Operator, removeOptOut},
	}
}

const (
	optOutsOnPage = 50
	// auditShown is how many entries of the audit stand on the page, auditSearched how many are looked through for them.
	auditShown    = 20
	auditSearched = 1000
)

// optOutsPage is the numbers that are not written to.
type optOutsPage struct {
	form
	Search      string
	Rows        []client.Suppression
	Next, First string
	// Words are the messages by which people opt out.
	Words  []string
	Audit  []client.Audit
	Report *report
}

func (v *visit) optOutsPage(filled form) (*optOutsPage, error) {
	page := &optOutsPage{form: filled, Search: v.query("q"), Words: v.console.options.OptOutWords}
	if len(page.Words) == 0 {
		page.Words = campaign.DefaultOptOutWords()
	}
	after, wanted := v.query("after"), digits(page.Search)
	if after != "" {
		page.First = addressOf("/opt-outs", "q", page.Search)
	}
	read := func(after string, size int) (client.Page[client.Suppression], error) {
		return v.api.Operations().ListSuppressions(v.context(), client.ListSuppressionsQuery{After: after, Size: size})
	}
	after, err := search(searching{after: after, onPage: optOutsOnPage, narrow: page.Search != ""}, read, func(item client.Suppression) bool {
		fits := page.Search == "" || (wanted != "" && strings.Contains(item.Phone, wanted)) || contains(page.Search, item.Source)
		if fits {
			page.Rows = append(page.Rows, item)
		}
		return fits
	})
	if err != nil {
		return nil, err
	}
	if after != "" {
		page.Next = addressOf("/opt-outs", "q", page.Search, "after", after)
	}
	page.Audit, err = v.optOutAudit()
	return page, err
}

// optOutAudit gives the latest entries of the audit that are about opt-outs.
func (v *visit) optOutAudit() (entries []client.Audit, err error) {
	after, read := "", 0
	for {
		found, err := v.api.Operations().ListAudit(v.context(), client.ListAuditQuery{After: after, Size: searchPage})
		if problem, ok := asProblem(err); ok && problem.Status == http.StatusForbidden {
			return nil, nil // the page is whole without it, for whom it is not
		}
		if err != nil {
			return nil, err
		}
		for _, entry := range found.Items {
			if about, _, _ := strings.Cut(entry.Action, "."); about == "suppression" && len(entries) < auditShown {
				entries = append(entries, entry)
			}
		}
		read += len(found.Items)
		if after = found.Next; after == "" || len(entries) >= auditShown || read >= auditSearched {
			return entries, nil
		}
	}
}

// digits gives the digits of a text, as a number is kept.
func digits(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
}

func listOptOuts(v *visit) error {
	page, err := v.optOutsPage(newForm("reason", campaign.OptedOut))
	if err != nil {
		return err
	}
	return v.show("optouts/list", page)
}

// addOptOuts adds a file, or numbers that were typed.
func addOptOuts(v *visit) error {
	var read client.Import
	came := false
	filled, err := v.readUpload(func(filled *form, file client.Upload) error {
		came = true
		var err error
		read, err = v.api.Operations().UploadSuppressions(v.context(), file, client.UploadSuppressionsForm{Reason: filled.Value("reason"), Source: filled.Value("source")})
		return err
	})
	if err == nil && !came {
		numbers := client.AddSuppressionsRequest{Reason: filled.Value("reason"), Source: filled.Value("source")}
		for _, person := range peopleIn(filled.Value("numbers")) {
			numbers.Phones = append(numbers.Phones, person.Phone)
		}
		if came = len(numbers.Phones) > 0; came {
			read, err = v.api.Operations().AddSuppressions(v.context(), numbers)
		}
	}
	if err == nil && !came {
		filled.Wrong["numbers"] = v.language.text("campaigns.wrong.no_people")
		err = notFilledIn()
	}
	if err == nil && read.Rejected == 0 {
		v.flash(v.language.plural("optouts.added", read.Added))
		return v.done("/opt-outs", "")
	}
	if _, ok := asProblem(err); err != nil && !ok {
		return err
	}
	page, pageErr := v.optOutsPage(filled)
	if pageErr != nil {
		return pageErr
	}
	if err != nil {
		return v.wrongForm(err, "optouts/list", page)
	}
	made := v.language.report(read)
	page.Report = &made
	return v.show("optouts/list", page)
}

func removeOptOut(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	phone, reason := filled.Value("phone"), filled.Value("why")
	if reason == "" {
		v.flashNotice(notice{Kind: kindProblem, Text: v.language.text("optouts.why_missing")})
		return v.done("/opt-outs", "")
	}
	if err := v.api.Operations().RemoveSuppression(v.context(), phone, client.RemoveSuppressionQuery{Reason: reason}); err != nil {
		return v.back(err, "/opt-outs")
	}
	return v.done("/opt-outs", "optouts.removed", "Phone", phone)
}
