package api

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/xuri/excelize/v2"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/store"
)

const (
	csvType  = "text/csv; charset=utf-8"
	xlsxType = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
)

// table describes an answer that is a file.
func table(path, id, summary, contentType string) huma.Operation {
	return picture(path, id, summary, contentType)
}

// rowWriter takes the rows of an export one by one.
type rowWriter interface {
	Row(cells []string) error
	Close() error
}

// csvRows writes CSV that spreadsheets open: in UTF-8 with a byte order mark, and with no cell that they would run as a formula.
type csvRows struct{ writer *csv.Writer }

func newCSVRows(to io.Writer) (rowWriter, error) {
	if _, err := io.WriteString(to, "\xef\xbb\xbf"); err != nil {
		return nil, err
	}
	return &csvRows{csv.NewWriter(to)}, nil
}

func (c *csvRows) Row(cells []string) error {
	safe := make([]string, len(cells))
	for i, cell := range cells {
		safe[i] = harmless(cell)
	}
	return c.writer.Write(safe)
}

func (c *csvRows) Close() error {
	c.writer.Flush()
	return c.writer.Error()
}

// harmless puts a mark before what a spreadsheet would take for a formula (OWASP, CSV injection). Phone numbers are none.
func harmless(cell string) string {
	if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") && strings.Trim(cell, "+0123456789") != "" {
		return "'" + cell
	}
	return cell
}

// xlsxRows writes a spreadsheet in which every cell is text, so that no phone number is rounded.
type xlsxRows struct {
	to     io.Writer
	book   *excelize.File
	stream *excelize.StreamWriter
	number int
}

func newXLSXRows(to io.Writer) (rowWriter, error) {
	book := excelize.NewFile()
	stream, err := book.NewStreamWriter("Sheet1")
	if err != nil {
		return nil, fmt.Errorf("begin the spreadsheet: %w", err)
	}
	return &xlsxRows{to: to, book: book, stream: stream}, nil
}

func (x *xlsxRows) Row(cells []string) error {
	x.number++
	row := make([]any, len(cells))
	for i, cell := range cells {
		row[i] = cell
	}
	return x.stream.SetRow("A"+strconv.Itoa(x.number), row)
}

func (x *xlsxRows) Close() error {
	if err := x.stream.Flush(); err != nil {
		return fmt.Errorf("finish the spreadsheet: %w", err)
	}
	if err := x.book.Write(x.to); err != nil {
		return fmt.Errorf("write the spreadsheet: %w", err)
	}
	return x.book.Close()
}

// export streams rows as a file. An error behind the first row can only end the connection, which the reader notices: the answer is not whole.
func (a *API) export(name, contentType string, header []string, each func(ctx context.Context, row func(...string) error) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		ctx.SetHeader("Content-Type", contentType)
		ctx.SetHeader("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
		ctx.SetHeader("Cache-Control", "no-store")
		open := newCSVRows
		if contentType == xlsxType {
			open = newXLSXRows
		}
		rows, err := open(ctx.BodyWriter())
		if err == nil {
			err = rows.Row(header)
		}
		if err == nil {
			err = each(ctx.Context(), func(cells ...string) error { return rows.Row(cells) })
		}
		if err == nil {
			err = rows.Close()
		}
		if err != nil {
			_ = a.problem(ctx.Context(), "export", err) // it logs
			panic(http.ErrAbortHandler)
		}
	}}
}

// pages walks a list to its end.
func pages[T any](list func(store.Page) (store.List[T], error), each func(T) error) error {
	page := store.Page{Size: store.MaxPageSize}
	for {
		found, err := list(page)
		if err != nil {
			return err
		}
		for _, item := range found.Items {
			if err := each(item); err != nil {
				return err
			}
		}
		if found.Next == "" {
			return nil
		}
		page.After = found.Next
	}
}

func cellTime(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

// resultColumns come behind those of the audience.
var resultColumns = []string{"state", "sent_at", "delivered_at", "read_at", "replied_at", "class", "code", "reason", "attempts", "message_id"}

func (a *API) exportDeliveriesCSV(ctx context.Context, input *CampaignInput) (*huma.StreamResponse, error) {
	return a.exportDeliveries(ctx, input.ID, csvType, "csv")
}

func (a *API) exportDeliveriesXLSX(ctx context.Context, input *CampaignInput) (*huma.StreamResponse, error) {
	return a.exportDeliveries(ctx, input.ID, xlsxType, "xlsx")
}

// exportDeliveries gives what happened to each recipient, with the fields that their row had.
func (a *API) exportDeliveries(ctx context.Context, id campaign.ID, contentType, ending string) (*huma.StreamResponse, error) {
	found, err := a.options.Campaigns.Get(ctx, id)
	if err != nil {
		return nil, a.problem(ctx, "export deliveries", err)
	}
	columns := slices.DeleteFunc(slices.Clone(found.Columns), func(name string) bool { return name == campaign.PhoneField })
	header := slices.Concat([]string{"row", campaign.PhoneField}, columns, resultColumns)
	return a.export(string(id)+"."+ending, contentType, header, func(ctx context.Context, row func(...string) error) error {
		return pages(func(page store.Page) (store.List[campaign.Delivery], error) {
			return a.options.Deliveries.List(ctx, id, "", page)
		},
			func(d campaign.Delivery) error {
				cells := []string{strconv.Itoa(d.Sequence), d.Phone}
				for _, column := range columns {
					cells = append(cells, d.Fields[column])
				}
				return row(append(cells, string(d.State), cellTime(d.SentAt), cellTime(d.DeliveredAt), cellTime(d.ReadAt), cellTime(d.RepliedAt),
					string(d.Class), d.Code, d.Reason, strconv.Itoa(d.Attempts), d.ID)...)
			})
	}), nil
}

func (a *API) exportRejections(ctx context.Context, input *CampaignInput) (*huma.StreamResponse, error) {
	if _, err := a.options.Campaigns.State(ctx, input.ID); err != nil {
		return nil, a.problem(ctx, "export rejections", err)
	}
	return a.export(string(input.ID)+"-rejected.csv", csvType, []string{"row", "column", "value", "code", "reason"},
		func(ctx context.Context, row func(...string) error) error {
			return pages(func(page store.Page) (store.List[campaign.Rejection], error) {
				return a.options.Deliveries.Rejections(ctx, input.ID, page)
			},
				func(r campaign.Rejection) error { return row(strconv.Itoa(r.Row), r.Column, r.Value, r.Code, r.Reason) })
		}), nil
}

func (a *API) exportSuppressions(context.Context, *struct{}) (*huma.StreamResponse, error) {
	return a.export("suppressions.csv", csvType, []string{"phone", "reason", "source", "created_at"},
		func(ctx context.Context, row func(...string) error) error {
			return pages(func(page store.Page) (store.List[campaign.Suppression], error) {
				return a.options.Suppressions.List(ctx, page)
			},
				func(s campaign.Suppression) error { return row(s.Phone, s.Reason, s.Source, cellTime(s.CreatedAt)) })
		}), nil
}

// ReplyView is what somebody wrote back.
type ReplyView struct {
	DeliveryID string    `json:"delivery_id" doc:"What it answers."`
	Phone      string    `json:"phone"`
	Text       string    `json:"text"`
	At         time.Time `json:"at"`
	OptOut     bool      `json:"opt_out,omitempty" doc:"It asks not to be written to any more."`
}

type listRepliesOutput struct{ Body listBody[ReplyView] }

type listRepliesInput struct {
	CampaignInput
	PageInput
}

func (a *API) listReplies(ctx context.Context, input *listRepliesInput) (*listRepliesOutput, error) {
	if _, err := a.options.Campaigns.State(ctx, input.ID); err != nil {
		return nil, a.problem(ctx, "list replies", err)
	}
	list, err := campaign.Replies{Documents: a.options.Documents}.List(ctx, input.ID, input.page())
	if err != nil {
		return nil, a.problem(ctx, "list replies", err)
	}
	return &listRepliesOutput{Body: viewList(list, func(r campaign.Reply) ReplyView {
		return ReplyView{DeliveryID: r.DeliveryID, Phone: r.Phone, Text: r.Text, At: r.At, OptOut: r.OptOut}
	})}, nil
}

// registerResults lists the routes of what came of a campaign.
func (a *API) registerResults(doors huma.API) {
	huma.Register(doors, operation(http.MethodGet, "/v1/campaigns/{id}/deliveries", "list-deliveries", "List what happened to each recipient", http.StatusOK), a.listDeliveries)
	huma.Register(doors, table("/v1/campaigns/{id}/deliveries.csv", "export-deliveries-csv", "Export what happened to each recipient as CSV", csvType), a.exportDeliveriesCSV)
	huma.Register(doors, table("/v1/campaigns/{id}/deliveries.xlsx", "export-deliveries-xlsx", "Export what happened to each recipient as a spreadsheet", xlsxType), a.exportDeliveriesXLSX)
	huma.Register(doors, operation(http.MethodGet, "/v1/campaigns/{id}/rejections", "list-rejections", "List the refused rows of the audience", http.StatusOK), a.listRejections)
	huma.Register(doors, table("/v1/campaigns/{id}/rejections.csv", "export-rejections", "Export the refused rows of the audience", csvType), a.exportRejections)
	huma.Register(doors, operation(http.MethodGet, "/v1/campaigns/{id}/replies", "list-replies", "List what recipients wrote back", http.StatusOK), a.listReplies)
}
