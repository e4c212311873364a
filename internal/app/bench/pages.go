package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
)

const (
	// bareQuery is the keyset query of a page, on the same file, by a connection of its own.
	bareQuery = "bare_query"
	pageSize  = 50
	bareSQL   = `SELECT id, sequence, state, phone, attempts, sent_at, delivered_at, read_at FROM deliveries
		WHERE campaign = (SELECT number FROM campaigns WHERE id = ?) AND sequence > ? ORDER BY sequence LIMIT ?`
)

// place is a page of the list of a size: where it begins, as a cursor of the product and as a sequence.
type place struct {
	name, cursor string
	size, after  int
}

// listPages reads the first, the middle and the last page of the deliveries of campaigns of some sizes: no page may take longer for being deep, nor for
// the list being long. Each number is the median time of a page.
func listPages(ctx context.Context, s sizes, directory string) (rows []Row, err error) {
	folder := filepath.Join(directory, "product")
	places, err := fillLists(ctx, folder, s.lists)
	if err != nil {
		return nil, fmt.Errorf("fill the lists: %w", err)
	}
	p, err := startProduct(ctx, productOptions{directory: folder})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	database, err := sql.Open("sqlite", "file:"+filepath.Join(folder, "broadcaster.db")+"?_pragma=query_only(1)&_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, fmt.Errorf("open the product's database: %w", err)
	}
	defer func() { err = errors.Join(err, database.Close()) }()
	statement, err := database.PrepareContext(ctx, bareSQL)
	if err != nil {
		return nil, fmt.Errorf("prepare the yardstick's query: %w", err)
	}
	defer func() { _ = statement.Close() }()
	var first Row
	for _, size := range s.lists {
		for _, at := range places[size] {
			found, err := s.comparePages(ctx, p, statement, at)
			if err != nil {
				return nil, err
			}
			if len(rows) == 0 {
				first = found[0]
			}
			rows = append(rows, found...)
		}
	}
	flat := summarise([]float64{rows[len(rows)-1].Product}, []float64{first.Product})
	flat.Name, flat.Unit, flat.Against = "last_page_of_longest", "ms", "product_"+first.Name
	return append(rows, flat.promising(atMost(2))), nil
}

func (s sizes) comparePages(ctx context.Context, p *product, statement *sql.Stmt, at place) ([]Row, error) {
	asked := request{http.MethodGet, "/v1/campaigns/" + listID(at.size) + "/deliveries?" + url.Values{"size": {fmt.Sprint(pageSize)}, "after": {at.cursor}}.Encode(), nil}
	return comparison{rounds: s.rounds, numbers: []number{{fmt.Sprintf("%s_of_%d", at.name, at.size), "ms", nil}}, sides: []side{
		{"product", timed(s.reads, func(ctx context.Context) error { return p.ask(ctx, p.app.URL(), asked, 0) })},
		{bareQuery, timed(s.reads, func(ctx context.Context) error { return queryPage(ctx, statement, listID(at.size), at.after) })},
	}}.run(ctx)
}

// timed gives the median time of doing something some times.
func timed(times int, do func(context.Context) error) func(context.Context, int) ([]float64, error) {
	return func(ctx context.Context, _ int) ([]float64, error) {
		took := make([]time.Duration, times)
		for i := range took {
			began := time.Now()
			if err := do(ctx); err != nil {
				return nil, err
			}
			took[i] = time.Since(began)
		}
		return []float64{percentile(took, 50)}, nil
	}
}

func queryPage(ctx context.Context, statement *sql.Stmt, id string, after int) error {
	rows, err := statement.QueryContext(ctx, id, after, pageSize)
	if err != nil {
		return fmt.Errorf("query a page: %w", err)
	}
	defer func() { _ = rows.Close() }()
	found := 0
	for ; rows.Next(); found++ {
		var delivery, state, phone string
		var sequence, attempts int
		var sent, delivered, read sql.NullInt64
		if err := rows.Scan(&delivery, &sequence, &state, &phone, &attempts, &sent, &delivered, &read); err != nil {
			return fmt.Errorf("read a row: %w", err)
		}
	}
	if err := rows.Err(); err != nil || found != pageSize {
		return fmt.Errorf("the page has %d rows: %w", found, errors.Join(err, errors.New("it should be full")))
	}
	return nil
}

func listID(size int) string { return fmt.Sprintf("cmp_list%d", size) }

// fillLists writes a campaign of each size, and tells where the pages begin.
func fillLists(ctx context.Context, folder string, sizes []int) (places map[int][]place, err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	database, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(folder, "broadcaster.db")})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, database.Close()) }()
	now := time.Now().UTC().Truncate(time.Millisecond)
	if err := database.Sessions().Create(ctx, session.Session{ID: "ses_list", UserID: "bench", State: session.New, CreatedAt: now, UpdatedAt: now}); err != nil {
		return nil, err
	}
	places = map[int][]place{}
	for _, size := range sizes {
		id := campaign.ID(listID(size))
		if err := database.Campaigns().Create(ctx, campaign.Campaign{ID: id, SessionID: "ses_list", UserID: "bench", State: campaign.Draft, CreatedAt: now, UpdatedAt: now}); err != nil {
			return nil, err
		}
		for first := 1; first <= size; first += campaign.MaxBatch {
			if _, err := database.Deliveries().Plan(ctx, listed(id, first, min(campaign.MaxBatch, size-first+1), now)); err != nil {
				return nil, err
			}
		}
		for _, at := range []place{{"first", "", size, 0}, {"middle", "", size, size / 2}, {"last", "", size, size - pageSize}} {
			if at.cursor, err = cursorAt(ctx, database.Deliveries(), id, at.after); err != nil {
				return nil, err
			}
			places[size] = append(places[size], at)
		}
	}
	return places, nil
}

func listed(id campaign.ID, first, size int, now time.Time) []campaign.Delivery {
	batch := make([]campaign.Delivery, size)
	for i := range batch {
		phone := recipient(first + i)
		batch[i] = campaign.Delivery{ID: campaign.MessageID(id, phone), CampaignID: id, Sequence: first + i, Phone: phone,
			Fields: map[string]string{"nombre": "Ana María", "turno": "lunes 10:30"}, State: campaign.Pending, PlannedAt: now, UpdatedAt: now}
	}
	return batch
}

// cursorAt walks to a place of a list and gives the cursor of the page that begins there.
func cursorAt(ctx context.Context, deliveries campaign.Deliveries, id campaign.ID, place int) (cursor string, err error) {
	for at := 0; at < place; {
		step := min(campaign.MaxBatch, place-at)
		walked, err := deliveries.List(ctx, id, "", store.Page{After: cursor, Size: step})
		if err != nil {
			return "", err
		}
		at, cursor = at+step, walked.Next
	}
	return cursor, nil
}
