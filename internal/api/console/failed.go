package console

import (
	"strconv"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

func failedRoutes() []route {
	return []route{
		{"GET /failed-jobs", access.Viewer, listFailed},
		{"GET /failed-jobs/replay", access.Operator, askMany(manyReplay)},
		{"POST /failed-jobs/replay", access.Operator, doMany(manyReplay)},
		{"GET /failed-jobs/discard", access.Operator, askMany(manyDiscard)},
		{"POST /failed-jobs/discard", access.Operator, doMany(manyDiscard)},
		{"GET /failed-jobs/{entry}", access.Viewer, showFailed},
		{"GET /failed-jobs/{entry}/edit", access.Operator, editFailed},
		{"POST /failed-jobs/{entry}/edit", access.Operator, saveFailed},
		{"POST /failed-jobs/{entry}/replay", access.Operator, replayFailed},
		{"POST /failed-jobs/{entry}/discard", access.Operator, discardFailed},
	}
}

const (
	failedPath   = "/failed-jobs"
	failedOnPage = 50
)

func failedJobPath(entry uint64) string { return failedPath + "/" + strconv.FormatUint(entry, 10) }

// jobKinds are what a job may be for: the commands, and the facts that are worked on.
func jobKinds() []string {
	return append([]string{events.RunCampaign{}.Kind(), events.LinkSession{}.Kind(), events.DeliverWebhook{}.Kind()}, events.FactKinds()...)
}

// failedFilter is which failed jobs a page is about: as the person filled it in, and as the API takes it.
type failedFilter struct {
	form
	Wanted client.FailedFilter
	// Zone is that of its times.
	Zone string
}

// failedFields are the names of a filter's values in addresses.
func failedFields() []string {
	return []string{"kind", "class", "session", "campaign", "text", "since", "before"}
}

// failedFilter reads the filter of the address. A time that is none is said beside its field and narrows nothing.
func (v *visit) failedFilter() failedFilter {
	filter := failedFilter{form: newForm(), Zone: v.console.options.Zone.String()}
	for _, name := range failedFields() {
		filter.Values.Set(name, v.query(name))
	}
	filter.Wanted = client.FailedFilter{Kind: filter.Value("kind"), Class: filter.Value("class"), SessionID: filter.Value("session"),
		CampaignID: filter.Value("campaign"), Text: filter.Value("text"), Since: v.timeOf(&filter.form, "since"), Before: v.timeOf(&filter.form, "before")}
	return filter
}

// timeOf reads the time of a field in the zone of the pages; the zero time when it is empty or none, which is said beside the field.
func (v *visit) timeOf(filled *form, name string) time.Time {
	text := filled.Value(name)
	if text == "" {
		return time.Time{}
	}
	at, wrong := readTime(text, v.console.options.Zone.String())
	if wrong != "" {
		filled.Wrong[name] = v.language.text(wrong)
	}
	return at
}

// Address is a path with this filter, and with more names and values.
func (f *failedFilter) Address(path string, more ...string) string {
	var values []string
	for _, name := range failedFields() {
		values = append(values, name, f.Value(name))
	}
	return addressOf(path, append(values, more...)...)
}

// Narrow tells whether only some jobs are wanted.
func (f *failedFilter) Narrow() bool { return f.Address("") != "" }

// failedRow is a failed job as people are told of it.
type failedRow struct {
	client.FailedJob
	// Sentence says why it failed.
	Sentence string
	Session  string
}

// failure says why a job failed: by its code, or else by its class.
func (l *language) failure(failure client.Failure) string {
	switch said := l.reason(failure.Code); {
	case said != "":
		return said
	case l.code == english && failure.Message != "":
		return failure.Message // the API speaks English, and knows more of the job
	case l.has("failed.code." + failure.Code):
		return l.text("failed.code." + failure.Code)
	}
	return l.label("failed.why", failure.Class)
}

// failedGroup counts the failed jobs of a kind and class, with the address of their list.
type failedGroup struct {
	client.FailedGroup
	Address string
}

// failedPage is the list of failed jobs.
type failedPage struct {
	failedFilter
	Kinds, Classes []string
	Sessions       []client.Session
	Groups         []failedGroup
	Total          int
	Rows           []failedRow
	Next, First    string
}

func listFailed(v *visit) error {
	page := &failedPage{failedFilter: v.failedFilter(), Kinds: jobKinds()}
	for _, class := range fault.Classes() {
		page.Classes = append(page.Classes, string(class))
	}
	names, err := v.sessionNames()
	if err != nil {
		return err
	}
	page.Sessions = names.all
	groups, err := v.api.FailedStats(v.context(), page.Wanted)
	if err != nil {
		return err
	}
	for _, group := range groups {
		page.Total += group.Count
		page.Groups = append(page.Groups, failedGroup{group, addressOf(failedPath, "kind", group.Kind, "class", group.Class)})
	}
	wanted, after := page.Wanted, v.query("after")
	found, err := v.api.Operations().ListFailedJobs(v.context(), client.ListFailedJobsQuery{After: after, Size: failedOnPage, Kind: wanted.Kind, Class: wanted.Class,
		SessionID: wanted.SessionID, CampaignID: wanted.CampaignID, Text: wanted.Text, Since: wanted.Since, Before: wanted.Before})
	if err != nil {
		return err
	}
	for _, job := range found.Items {
		page.Rows = append(page.Rows, failedRow{job, v.language.failure(job.LastError), names.of(job.SessionID)})
	}
	if found.Next != "" {
		page.Next = page.Address(failedPath, "after", found.Next)
	}
	if after != "" {
		page.First = page.Address(failedPath)
	}
	return v.show("failed/list", page)
}
