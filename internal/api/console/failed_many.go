package console

import (
	"net/http"
	"strconv"

	"github.com/dannsalud/broadcaster/client"
)

// What is done to all failed jobs that match.
const (
	manyReplay  = "replay"
	manyDiscard = "discard"
)

// failedBatch is how many jobs one press of the button, or one step of its script, works on: some seconds at the API's pace.
const failedBatch = 100

// manyPage asks before something is done to many failed jobs, and says how far it came.
type manyPage struct {
	form
	Filter *failedFilter
	// Action is manyReplay or manyDiscard.
	Action string
	// Here is where the form goes.
	Here string
	// Total is how many are meant, Unsafe how many of them stay without force.
	Total, Unsafe int
	// Done and Stayed are how many were and were not, over all batches; Refused are those of the last one that stayed.
	Done, Stayed int
	Refused      []refusedView
	// After and Until bound what is left to do; After is zero at the beginning and at the end.
	After, Until uint64
	// Begun tells that the question was answered.
	Begun bool
}

// refusedView is a failed job that stayed, and why.
type refusedView struct {
	Entry    uint64
	Sentence string
}

// Left tells whether another batch follows.
func (p *manyPage) Left() bool { return p.After > 0 }

func (v *visit) manyPage(action string, filled form) *manyPage {
	filter := v.failedFilter()
	return &manyPage{form: filled, Filter: &filter, Action: action, Here: filter.Address(failedPath + "/" + action)}
}

// count looks how many are meant, without doing anything.
func (p *manyPage) count(v *visit) error {
	counted, err := v.api.ReplayJobs(v.context(), client.Bulk{FailedFilter: p.Filter.Wanted, DryRun: true})
	p.Total, p.Unsafe, p.Until = counted.Matched, counted.Unsafe, counted.Until
	return err
}

// askMany makes the page that counts and asks.
func askMany(action string) func(*visit) error {
	return func(v *visit) error {
		page := v.manyPage(action, newForm())
		if err := page.count(v); err != nil {
			return err
		}
		return v.show("failed/many", page)
	}
}

// doMany makes what does it, a batch at a time: the page that it answers with says how far it came, and goes on by itself or by its button.
func doMany(action string) func(*visit) error {
	return func(v *visit) error {
		filled, err := v.readForm()
		if err != nil {
			return err
		}
		page := v.manyPage(action, filled)
		page.After, page.Until = filled.number("after"), filled.number("until")
		page.Total, page.Done, page.Stayed = int(filled.number("total")), int(filled.number("done")), int(filled.number("stayed"))
		if page.Until == 0 || len(page.Filter.Wrong) > 0 {
			return v.done(page.Here, "") // nothing was counted yet
		}
		result, err := page.batch(v)
		if err != nil {
			if countErr := page.count(v); countErr != nil {
				return countErr
			}
			return v.again(err, "failed/many", page)
		}
		page.take(v.language, result)
		if !page.Left() && page.Stayed == 0 {
			v.flash(v.language.plural("failed.many."+action+".done", page.Done))
			return v.done(page.Filter.Address(failedPath), "")
		}
		return v.write(http.StatusOK, "failed/many", "layout", v.view(page))
	}
}

func (p *manyPage) batch(v *visit) (client.BulkResult, error) {
	bulk := client.Bulk{FailedFilter: p.Filter.Wanted, After: p.After, Until: p.Until, Limit: failedBatch}
	if p.Action == manyDiscard {
		bulk.Reason = p.Value("reason")
		return v.api.DiscardJobs(v.context(), bulk)
	}
	bulk.Force = p.Is("force", "yes")
	return v.api.ReplayJobs(v.context(), bulk)
}

// take adds what became of a batch.
func (p *manyPage) take(l *language, result client.BulkResult) {
	p.Begun, p.After = true, result.Next
	p.Done, p.Stayed = p.Done+result.Done, p.Stayed+len(result.Refused)
	for _, refused := range result.Refused {
		sentence := l.notice(&client.Problem{Code: refused.Code, Class: "conflict", Detail: refused.Message}).Text
		p.Refused = append(p.Refused, refusedView{refused.Entry, sentence})
	}
}

// number gives a hidden field that the page itself wrote; zero for anything else.
func (f *form) number(name string) uint64 {
	value, err := strconv.ParseUint(f.Value(name), 10, 63)
	if err != nil {
		return 0
	}
	return value
}
