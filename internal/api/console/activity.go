package console

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
)

func activityRoutes() []route {
	return []route{{"GET /activity", access.Viewer, showActivity}}
}

const (
	activityPath   = "/activity"
	activityOnPage = 50
	// byContact is the actor of what a person did by a message.
	byContact = "contact"
)

// activityRow is an entry of the audit as people are told of it.
type activityRow struct {
	client.Audit
	// Sentence says who did what to what, Note what the entry says besides.
	Sentence, Note string
	// ID is what it was done to by its id, when the sentence names it in another way.
	ID string
	// Address is that of the page about it; empty when there is none.
	Address string
}

// Area is what it was done to.
func (r activityRow) Area() string { return areaOf(r.Action) }

// activityPage is who did what, newest first.
type activityPage struct {
	form
	Areas       []string
	Rows        []activityRow
	Next, First string
	Zone        string
	since       time.Time
	before      time.Time
}

// activityFields are the names of the filter's values in addresses.
func activityFields() []string { return []string{"area", "who", "text", "since", "before"} }

func (p *activityPage) address(after string) string {
	values := []string{"after", after}
	for _, name := range activityFields() {
		values = append(values, name, p.Value(name))
	}
	return addressOf(activityPath, values...)
}

// Narrow tells whether only some entries are wanted.
func (p *activityPage) Narrow() bool { return p.address("") != activityPath }

// areaOf is what an action was done to.
func areaOf[T ~string](action T) string {
	area, _, _ := strings.Cut(string(action), ".")
	return area
}

// activityAreas are what can be done something to, in the order of the actions.
func activityAreas() (areas []string) {
	for _, action := range campaign.AuditActions() {
		if area := areaOf(action); !slices.Contains(areas, area) {
			areas = append(areas, area)
		}
	}
	return areas
}

func showActivity(v *visit) error {
	page := &activityPage{form: newForm(), Areas: activityAreas(), Zone: v.console.options.Zone.String()}
	for _, name := range activityFields() {
		page.Values.Set(name, v.query(name))
	}
	page.since, page.before = v.timeOf(&page.form, "since"), v.timeOf(&page.form, "before")
	after := v.query("after")
	if after != "" {
		page.First = page.address("")
	}
	read := func(after string, size int) (client.Page[client.Audit], error) {
		found, err := v.api.Operations().ListAudit(v.context(), client.ListAuditQuery{After: after, Size: size})
		// The newest comes first: what is older than the filter wants ends the search.
		if count := len(found.Items); count > 0 && found.Items[count-1].At.Before(page.since) {
			found.Next = ""
		}
		return found, err
	}
	after, err := search(searching{after: after, onPage: activityOnPage, narrow: page.Narrow()}, read, func(entry client.Audit) bool {
		row := v.language.activityRow(entry)
		fits := page.fits(row)
		if fits {
			page.Rows = append(page.Rows, row)
		}
		return fits
	})
	if err != nil {
		return err
	}
	if after != "" {
		page.Next = page.address(after)
	}
	return v.show("activity/list", page)
}

func (p *activityPage) fits(row activityRow) bool {
	switch {
	case p.Value("area") != "" && row.Area() != p.Value("area"),
		row.At.Before(p.since), !p.before.IsZero() && !row.At.Before(p.before),
		!contains(p.Value("who"), row.ActorName, row.Actor):
		return false
	}
	return contains(p.Value("text"), row.Sentence, row.Note, row.Subject)
}

// activityRow adds to an entry what people are told of it.
func (l *language) activityRow(entry client.Audit) activityRow {
	row := activityRow{Audit: entry, Address: addressAbout(entry)}
	who, subject := entry.ActorName, ""
	if who == "" {
		who = l.label("activity.actor", entry.Actor)
	}
	if subject, row.Note = l.auditWords(entry); subject != entry.Subject {
		row.ID = entry.Subject
	}
	key := "activity.did." + entry.Action
	if entry.Actor == byContact && l.has(key+"."+byContact) {
		key += "." + byContact
	}
	if !l.has(key) {
		key = "activity.did.other" // of a newer version
	}
	row.Sentence = l.text(key, "Who", who, "Subject", subject, "Action", entry.Action)
	return row
}

// auditWords says in words what an entry has in codes: what it was done to, and what its detail says. What has no words is said as it is.
func (l *language) auditWords(entry client.Audit) (subject, note string) {
	first, rest, _ := strings.Cut(entry.Detail, ", ")
	switch campaign.AuditAction(entry.Action) {
	case campaign.AuditOptOutAdded:
		if l.has("optouts.reason." + first) {
			return entry.Subject, l.label("optouts.reason", first) + " · " + rest
		}
	case campaign.AuditKeyCreated:
		return rest, l.label("activity.role", first)
	case campaign.AuditKeyRevoked:
		return entry.Detail, ""
	case campaign.AuditCampaignDeleted:
		var counts []string
		for count := range strings.SplitSeq(entry.Detail, ", ") {
			state, number, _ := strings.Cut(count, " ")
			counts = append(counts, l.label("campaigns.delivery", state)+" "+number)
		}
		return entry.Subject, strings.TrimSpace(strings.Join(counts, ", "))
	case campaign.AuditCampaignRetried:
		state, number, _ := strings.Cut(entry.Detail, ": ")
		return entry.Subject, l.label("campaigns.delivery", state) + ": " + number
	case campaign.AuditJobEdited, campaign.AuditJobReplayed, campaign.AuditJobDiscarded, campaign.AuditJobCancelled:
		if found := jobOfAudit.FindStringSubmatch(entry.Detail); found != nil {
			return l.text("activity.job", "Entry", found[1], "Kind", l.jobKindOf(entry.Subject)), l.jobNote(found[2], found[3])
		}
	case campaign.AuditOptOutRemoved, campaign.AuditWebhookCreated, campaign.AuditWebhookChanged, campaign.AuditWebhookRotated, campaign.AuditWebhookDeleted:
	}
	return entry.Subject, entry.Detail
}

// jobOfAudit finds in a detail the number of a job, the class that it failed with or the state that it was in, and what else is said.
var jobOfAudit = regexp.MustCompile(`^(?:failed )?job ([0-9]+), ([a-z_]+)(.*)$`)

// jobNote says the class of a failed job in words, and keeps what an operator wrote.
func (l *language) jobNote(class, more string) string {
	if !l.has("failed.class." + class) {
		return class + more
	}
	code, said, _ := strings.Cut(strings.TrimSpace(more), ": ")
	note := l.label("failed.class", class) + " (" + code + ")"
	if said != "" {
		note += " · " + said
	}
	return note
}

// jobKindOf says what a job was for, by the beginning of its identity.
func (l *language) jobKindOf(messageID string) string {
	prefix, _, _ := strings.Cut(messageID, ":")
	switch prefix {
	case "campaign":
		return l.label("failed.kind", events.RunCampaign{}.Kind())
	case "webhook":
		return l.label("failed.kind", events.DeliverWebhook{}.Kind())
	case "link":
		return l.label("failed.kind", events.LinkSession{}.Kind())
	}
	return prefix
}

// addressAbout is the page about what an entry was done to, if there is one still.
func addressAbout(entry client.Audit) string {
	switch action := campaign.AuditAction(entry.Action); {
	case action == campaign.AuditCampaignDeleted:
		return ""
	case areaOf(action) == "campaign":
		return campaignPath(entry.Subject)
	case areaOf(action) == "suppression":
		return addressOf("/opt-outs", "q", digits(entry.Subject))
	case areaOf(action) == "job":
		return addressOfJob(entry)
	}
	return ""
}

// addressOfJob is the page of a job that failed still, or of the campaign that it was for.
func addressOfJob(entry client.Audit) string {
	if number, found := strings.CutPrefix(entry.Detail, "failed job "); found && entry.Action == string(campaign.AuditJobEdited) {
		number, _, _ = strings.Cut(number, ",")
		return failedPath + "/" + number
	}
	for part := range strings.SplitSeq(entry.Subject, ":") {
		if strings.HasPrefix(part, "cmp_") {
			return campaignPath(part)
		}
	}
	return ""
}
