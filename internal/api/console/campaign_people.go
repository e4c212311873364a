package console

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/dannsalud/broadcaster/client"
)

// report is what reading people came to.
type report struct {
	client.Import
	Rows []rejectionView
	// JSON is what the API answered, for the file of refused rows that the browser asks for, and for the page in another language.
	JSON string
}

// mostReported is how many refused rows a page shows of a report; the file has all that the API names.
const mostReported = 20

func (l *language) report(read client.Import) report {
	made := report{Import: read, Rows: l.rejections(read.Rejections[:min(len(read.Rejections), mostReported)])}
	if encoded, err := json.Marshal(read); err == nil {
		made.JSON = string(encoded)
	}
	return made
}

// report gives what a page had in its report, as the form that the page sent has it.
func (f *form) report() (read client.Import, known bool) {
	err := json.Unmarshal([]byte(f.Value("report")), &read)
	return read, err == nil
}

// takePeople reads the first step: a file, numbers that were typed, or a saved list. The first two become a saved list.
func takePeople(v *visit) error {
	var read client.Import
	came := false
	filled, err := v.readUpload(func(filled *form, file client.Upload) error {
		if !filled.Is("people", "file") {
			return nil
		}
		came = true
		var err error
		read, err = v.newList(filled, file.Name, func(id string) (client.Import, error) {
			return v.api.Operations().UploadContacts(v.context(), id, file, uploadOf(filled))
		})
		return err
	})
	if err == nil && filled.Is("people", "numbers") {
		people := peopleIn(filled.Value("numbers"))
		if len(people) == 0 {
			filled.Wrong["numbers"] = v.language.text("campaigns.wrong.no_numbers")
			return v.wrongStep(notFilledIn(), stepAudience, filled)
		}
		came = true
		read, err = v.newList(&filled, "", func(id string) (client.Import, error) {
			return v.api.AddContacts(v.context(), id, people, splitWords(filled.Value("tags")))
		})
	}
	if err != nil {
		return v.wrongStep(err, stepAudience, filled)
	}
	switch {
	case filled.Is("people", "list") && filled.Value("list_id") != "":
		filled.Values.Del("added")
		return v.step(stepColumns, filled)
	case !came:
		field := map[bool]string{true: "list_id", false: "file"}[filled.Is("people", "list")]
		filled.Wrong[field] = v.language.text("campaigns.wrong.no_people")
		return v.wrongStep(notFilledIn(), stepAudience, filled)
	}
	filled.Values.Del("tags") // each of them has the tags
	filled.Values.Set("added", strconv.Itoa(read.Added))
	return v.columns(filled, read)
}

// columns shows what was read.
func (v *visit) columns(filled form, read client.Import) error {
	page, err := v.wizard(stepColumns, filled)
	if err != nil {
		return err
	}
	page.Report = v.language.report(read)
	if page.People, err = v.people(page.List.ID, nil, 5); err != nil {
		return err
	}
	return v.show("campaigns/"+stepColumns, page)
}

// newList makes a saved list for the people of a new campaign, and fills it. One of which nobody could be taken is deleted again.
func (v *visit) newList(filled *form, file string, fill func(id string) (client.Import, error)) (client.Import, error) {
	owner, err := v.api.Session(v.context(), filled.Value("session_id"))
	if err != nil {
		return client.Import{}, err
	}
	name := filled.Value("name")
	if name == "" {
		name = strings.TrimSuffix(path.Base(file), path.Ext(file))
	}
	if name == "" || name == "." {
		name = v.language.text("campaigns.list_name", "At", v.language.clock(v.console.now()))
	}
	list, err := v.api.CreateList(v.context(), owner.UserID, name)
	if err != nil {
		return client.Import{}, err
	}
	read, err := fill(list.ID)
	if err == nil && read.Added == 0 {
		err = nobody(read)
	}
	if err != nil {
		_ = v.api.DeleteList(v.context(), list.ID) // an empty list does no harm
		return read, err
	}
	filled.Values.Set("list_id", list.ID)
	filled.Values.Set("name", name)
	return read, nil
}

// uploadOf says how the file of a form is read.
func uploadOf(filled *form) client.UploadContactsForm {
	return client.UploadContactsForm{PhoneColumn: filled.Value("phone_column"), DefaultRegion: filled.Value("default_region"), Tags: filled.Value("tags")}
}

// nobody is the problem of people of whom none can be written to.
func nobody(read client.Import) error {
	problem := &client.Problem{Status: http.StatusUnprocessableEntity, Class: "invalid", Code: "no_recipients", Detail: "No row can be written to; correct the rows and send it again"}
	for _, rejection := range read.Rejections[:min(len(read.Rejections), mostValues)] {
		problem.Errors = append(problem.Errors, client.ProblemDetail{Value: strconv.Itoa(rejection.Row) + ": " + rejection.Value})
	}
	return problem
}

// peopleIn reads numbers that were typed, one a line, each perhaps with a name behind a comma.
func peopleIn(text string) (people []client.Recipient) {
	for line := range strings.Lines(text) {
		number, name, named := strings.Cut(strings.TrimSpace(line), ",")
		if number = strings.TrimSpace(number); number == "" {
			continue
		}
		person := client.Recipient{Phone: number}
		if name = strings.TrimSpace(name); named && name != "" {
			person.Fields = map[string]string{"nombre": name}
		}
		people = append(people, person)
	}
	return people
}

func splitWords(text string) (words []string) {
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return words
}

// guess is what the API makes of a file before it is taken.
type guess struct {
	client.Preview
	Refused []rejectionView
	Problem string
	More    []string
}

// guessColumns tells of a file, as soon as it is chosen, which column has the numbers and which rows are refused. Nothing is kept.
func guessColumns(v *visit) error {
	var found guess
	filled, err := v.readUpload(func(filled *form, file client.Upload) error {
		asked := client.NewCampaign{SessionID: filled.Value("session_id"), Text: "."}
		asked.Hours = &client.Hours{Always: true}
		var err error
		found.Preview, err = v.api.PreviewUpload(v.context(), asked, file, client.PreviewCampaignUploadForm{PhoneColumn: filled.Value("phone_column"),
			DefaultRegion: filled.Value("default_region"), Samples: 1, Check: new(0)})
		return err
	})
	if problem, ok := asProblem(err); ok {
		said := v.language.notice(problem)
		found.Problem, found.More = said.Text, said.More
		err = nil
	}
	if err != nil {
		return err
	}
	found.Refused = v.language.rejections(found.Rejections[:min(len(found.Rejections), mostReported)])
	return v.write(http.StatusOK, "campaigns/"+stepAudience, "fragment-guess", v.view(struct {
		form
		Guess guess
	}{filled, found}))
}

// downloadRejected gives the rows of a report back as a file. They come from the page itself: nothing of them is kept here.
func downloadRejected(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	read, known := filled.report()
	if !known {
		return notHere(v)
	}
	header := v.writer.Header()
	header.Set("Content-Type", "text/csv; charset=utf-8")
	header.Set("Content-Disposition", `attachment; filename="`+v.language.text("campaigns.rejected_file")+`"`)
	header.Set("Cache-Control", "no-store")
	_, _ = v.writer.Write([]byte("\xef\xbb\xbf")) // spreadsheets take it for UTF-8 then; a reader that left cannot be told
	writer := csv.NewWriter(v.writer)
	l := v.language
	_ = writer.Write([]string{l.text("campaigns.row"), l.text("campaigns.column"), l.text("campaigns.value"), l.text("campaigns.why")}) // the same
	for _, row := range read.Rejections {
		_ = writer.Write([]string{strconv.Itoa(row.Row), harmless(row.Column), harmless(row.Value), harmless(l.rejection(row))})
	}
	writer.Flush()
	return nil
}

// harmless puts a mark before what a spreadsheet would take for a formula.
func harmless(cell string) string {
	if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") && strings.Trim(cell, "+0123456789") != "" {
		return "'" + cell
	}
	return cell
}

// people gives the first contacts of a list, or of those with one of some tags.
func (v *visit) people(list string, tags []string, most int) ([]client.Contact, error) {
	var found []client.Contact
	read := 0
	for contact, err := range v.api.Contacts(v.context(), list) {
		if err != nil {
			return nil, err
		}
		if hasOneOf(contact.Tags, tags) {
			found = append(found, contact)
		}
		if read++; len(found) >= most || read >= mostSearched {
			break
		}
	}
	return found, nil
}

func hasOneOf(have, wanted []string) bool {
	for _, tag := range wanted {
		for _, known := range have {
			if strings.EqualFold(tag, known) {
				return true
			}
		}
	}
	return len(wanted) == 0
}
