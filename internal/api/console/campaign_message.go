package console

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/campaign"
)

// messageFields are those of the step that says what is sent. Those of the mapping, which begin with "map.", belong to it too.
func messageFields() []string {
	return []string{"text", "variant", "media_id", "media_kind", "media_name", "no_media", "link_preview", "typing"}
}

const mappingPrefix = "map."

func isMapping(name string) bool { return strings.HasPrefix(name, mappingPrefix) }

func sortedKeys(values url.Values) []string { return slices.Sorted(maps.Keys(values)) }

// placeholder is a word of a text that is no column, and the column that a person chose for it.
type unmapped struct{ Name, Column string }

// mappedIn gives the placeholders for which a form has columns.
func mappedIn(filled *form) (mapped []unmapped) {
	for _, name := range sortedKeys(filled.Values) {
		if column := filled.Value(name); isMapping(name) && column != "" {
			mapped = append(mapped, unmapped{strings.TrimPrefix(name, mappingPrefix), column})
		}
	}
	return mapped
}

// takeMedia stores the file of a message, and writes it into the form.
func (v *visit) takeMedia(filled *form, file client.Upload) error {
	stored, err := v.api.Operations().UploadMedia(v.context(), file, client.UploadMediaForm{})
	if err != nil {
		return err
	}
	filled.Values.Del("no_media") // it was about the file before
	filled.Values.Set("media_id", stored.ID)
	filled.Values.Set("media_kind", stored.Kind)
	filled.Values.Set("media_name", stored.Name)
	return nil
}

// bubble is a message as the phone of one recipient shows it.
type bubble struct {
	Text  string
	Phone string
	// Position counts from 1; Previous and Next are what the buttons send.
	Position, Of   int
	Previous, Next int
	MediaKind      string
	MediaName      string
	Typing         bool
	Link           string
	// Problem says why there is no message to show; Unknown are placeholders that are no column.
	Problem string
	More    []string
	Unknown []unmapped
	Columns []string
}

// previewed is how many recipients a preview can be paged through.
const previewed = 20

var linkInText = regexp.MustCompile(`https?://[^\s{}]+`)

// bubble asks the API how the message of the form would look for one of the first recipients.
func (v *visit) bubble(page *wizard) (bubble, error) {
	filled := &page.form
	shown := bubble{MediaKind: filled.Value("media_kind"), MediaName: filled.Value("media_name"), Typing: filled.Is("typing", "yes"), Columns: page.List.Columns}
	if filled.Is("no_media", "yes") {
		shown.MediaKind, shown.MediaName = "", ""
	}
	page.Unknown = mappedIn(filled)
	people, err := v.people(page.List.ID, splitWords(filled.Value("tags")), previewed)
	if err != nil {
		return shown, err
	}
	asked := v.campaignOf(filled)
	clear(filled.Wrong) // nothing was sent yet
	if strings.TrimSpace(asked.Text) == "" && asked.Media == nil {
		return shown, nil
	}
	asked.List, asked.Tags, asked.LinkPreview, asked.ScheduledAt, asked.Limits = "", nil, false, nil, nil
	asked.Hours = &client.Hours{Always: true}
	for _, person := range people {
		asked.Recipients = append(asked.Recipients, client.Recipient{Phone: person.Phone, Fields: person.Fields})
	}
	seen, err := v.api.PreviewCampaign(v.context(), asked, client.Looking{Samples: previewed})
	if problem, ok := asProblem(err); ok && problem.Status != http.StatusUnauthorized {
		said := v.language.notice(problem)
		shown.Problem, shown.More = said.Text, said.More
		page.Unknown = addUnknown(page.Unknown, problem)
		shown.Unknown = page.Unknown
		return shown, nil
	}
	if err != nil {
		return shown, err
	}
	shown.Unknown = page.Unknown
	v.fill(&shown, seen, atoi(filled.Value("recipient")))
	if filled.Is("link_preview", "yes") {
		shown.Link = hostOf(linkInText.FindString(shown.Text))
	}
	return shown, nil
}

// fill puts the message of one recipient into a bubble.
func (v *visit) fill(shown *bubble, seen client.Preview, wanted int) {
	count := len(seen.Samples)
	if count == 0 {
		shown.Problem = v.language.text("campaigns.nobody_to_show")
		for _, rejection := range seen.Rejections[:min(1, len(seen.Rejections))] {
			shown.More = []string{v.language.rejection(rejection)}
		}
		return
	}
	at := min(max(1, wanted), count)
	sample := seen.Samples[at-1]
	shown.Text, shown.Phone, shown.Position, shown.Of = sample.Text, sample.Phone, at, count
	shown.Previous, shown.Next = (at+count-2)%count+1, at%count+1
}

// addUnknown adds the placeholders that the API knows no column for.
func addUnknown(known []unmapped, problem *client.Problem) []unmapped {
	if problem.Code != "unknown_placeholder" {
		return known
	}
	for _, detail := range problem.Errors {
		text, _ := detail.Value.(string)
		name := strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(text, "{{"), "}}"))
		if name != "" && !slices.ContainsFunc(known, func(p unmapped) bool { return strings.EqualFold(p.Name, name) }) {
			known = append(known, unmapped{Name: name})
		}
	}
	return known
}

func hostOf(link string) string {
	parsed, err := url.Parse(link)
	if err != nil {
		return ""
	}
	return parsed.Host
}

// showBubble draws the preview alone, for the script that asks while somebody types.
func showBubble(v *visit) error {
	filled, err := v.readUpload(func(*form, client.Upload) error { return nil }) // the file is stored when the step is over
	if err != nil {
		return err
	}
	page := &wizard{form: filled, Step: stepMessage}
	if page.List, err = v.api.List(v.context(), page.Value("list_id")); err != nil {
		return err
	}
	if page.Bubble, err = v.bubble(page); err != nil {
		return err
	}
	return v.write(http.StatusOK, "campaigns/"+stepMessage, "fragment-bubble", v.view(page))
}

// checkMessage asks the API whether the message can be sent to the people at all, before anybody says when.
func (v *visit) checkMessage(page *wizard) error {
	filled := &page.form
	asked := v.campaignOf(filled)
	clear(filled.Wrong)
	if asked.LinkPreview && !linkInText.MatchString(asked.Text) {
		return &client.Problem{Status: http.StatusUnprocessableEntity, Class: "invalid", Code: "no_link_in_text",
			Detail: "There is no link in the text that a preview could be of; turn the preview off, or write the link"}
	}
	people, err := v.people(page.List.ID, asked.Tags, previewed)
	if err != nil {
		return err
	}
	if len(people) == 0 {
		return &client.Problem{Status: http.StatusUnprocessableEntity, Class: "invalid", Code: "no_recipients", Detail: "Nobody of the list has one of these tags"}
	}
	asked.List, asked.Tags, asked.LinkPreview, asked.ScheduledAt, asked.Limits = "", nil, false, nil, nil
	asked.Hours = &client.Hours{Always: true}
	for _, person := range people {
		asked.Recipients = append(asked.Recipients, client.Recipient{Phone: person.Phone, Fields: person.Fields})
	}
	_, err = v.api.PreviewCampaign(v.context(), asked, client.Looking{Samples: 1})
	return err
}

// Kinds of a file that the bubble draws.
func isPicture(kind string) bool { return kind == string(campaign.Image) }

// Picture tells whether the file is one that a phone shows at once.
func (b bubble) Picture() bool { return isPicture(b.MediaKind) }
