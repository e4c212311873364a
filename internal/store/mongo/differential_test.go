package mongo_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/store/storetest"
)

// TestAnswersLikeSQLite drives both adapters with the same random calls and compares every answer.
func TestAnswersLikeSQLite(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	calls := &randomCalls{Rand: rand.New(rand.NewPCG(seed, 0))}
	other, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "books.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	want := storetest.Stores{Sessions: other.Sessions(), Campaigns: other.Campaigns(), Deliveries: other.Deliveries(),
		Suppressions: other.Suppressions(), Idempotency: other.Idempotency()}
	got := stores(t, fresh(t))
	for step := range 600 {
		name, call := calls.next()
		wantAnswer, wantErr := call(t.Context(), want)
		gotAnswer, gotErr := call(t.Context(), got)
		if difference := cmp.Diff(wantAnswer, gotAnswer, cmpopts.EquateEmpty()); difference != "" {
			t.Fatalf("step %d, %s: the answer differs (-sqlite +mongo):\n%s", step, name, difference)
		}
		if difference := cmp.Diff(codeOf(wantErr), codeOf(gotErr)); difference != "" {
			t.Fatalf("step %d, %s: the error differs (-sqlite +mongo):\n%s%v", step, name, difference, gotErr)
		}
	}
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.As(err).Code
}

// call is a call of a port, the same for every adapter.
type call func(context.Context, storetest.Stores) (any, error)

// randomCalls makes calls about few records, so that they meet.
type randomCalls struct {
	*rand.Rand
	// passed is how much time passed for idempotent requests, which rest on a clock that does not go back.
	passed time.Duration
}

func (r *randomCalls) next() (name string, made call) {
	rows := []struct {
		name string
		make func() call
	}{
		{"create campaign", r.createCampaign}, {"update campaign", r.updateCampaign}, {"list campaigns", r.listCampaigns},
		{"create session", r.createSession}, {"update session", r.updateSession}, {"list sessions", r.listSessions},
		{"plan", r.plan}, {"plan", r.plan}, {"claim", r.claim}, {"claim", r.claim}, {"record", r.record}, {"record", r.record}, {"record", r.record},
		{"list deliveries", r.listDeliveries}, {"counts", r.counts}, {"settle", r.settle}, {"reject", r.reject}, {"rejections", r.rejections},
		{"suppress", r.suppress}, {"allow", r.allow}, {"suppressions", r.suppressions},
		{"begin", r.begin}, {"begin", r.begin}, {"finish", r.finish}, {"release", r.release},
	}
	row := rows[r.IntN(len(rows))]
	return row.name, row.make()
}

func (r *randomCalls) one(of ...string) string { return of[r.IntN(len(of))] }
func (r *randomCalls) campaign() campaign.ID   { return campaign.ID(r.one("a", "b", "c", "none")) }
func (r *randomCalls) at() time.Time {
	return time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC).Add(time.Duration(r.IntN(100)) * time.Minute)
}
func (r *randomCalls) maybe() time.Time {
	if r.IntN(2) == 0 {
		return time.Time{}
	}
	return r.at()
}

// pages reads a list to its end.
func pages[T any](ctx context.Context, size int, list func(context.Context, store.Page) (store.List[T], error)) (any, error) {
	var all []T
	for page := (store.Page{Size: size}); ; {
		got, err := list(ctx, page)
		all = append(all, got.Items...)
		if page.After = got.Next; err != nil || got.Next == "" {
			return all, err
		}
	}
}

func (r *randomCalls) createCampaign() call {
	c := campaign.Campaign{ID: campaign.ID(r.one("a", "b", "c")), SessionID: session.ID(r.one("s", "t")), UserID: r.one("u", "v"),
		State: campaign.States()[r.IntN(8)], ResumeAt: r.maybe(), Columns: []string{"a.b", "$c"}}
	return func(ctx context.Context, s storetest.Stores) (any, error) { return nil, s.Campaigns.Create(ctx, c) }
}

func (r *randomCalls) updateCampaign() call {
	c := campaign.Campaign{ID: r.campaign(), SessionID: session.ID(r.one("s", "t")), State: campaign.States()[r.IntN(8)], EndedAt: r.maybe(), Revision: int64(r.IntN(6))}
	return func(ctx context.Context, s storetest.Stores) (any, error) {
		err := s.Campaigns.Update(ctx, c)
		state, _ := s.Campaigns.State(ctx, c.ID)
		return state, err
	}
}

func (r *randomCalls) listCampaigns() call {
	filter := campaign.Filter{UserID: r.one("", "u", "v"), SessionID: session.ID(r.one("", "s", "t"))}
	for range r.IntN(4) {
		filter.States = append(filter.States, campaign.States()[r.IntN(8)])
	}
	size := 1 + r.IntN(3)
	return func(ctx context.Context, s storetest.Stores) (any, error) {
		return pages(ctx, size, func(ctx context.Context, page store.Page) (store.List[campaign.Campaign], error) {
			return s.Campaigns.List(ctx, filter, page)
		})
	}
}

func (r *randomCalls) createSession() call {
	made := session.Session{ID: session.ID(r.one("s", "t", "u")), UserID: r.one("u", "v"), State: session.States()[r.IntN(9)], Until: r.maybe(),
		Link: session.Link{ID: "l", QRIndex: r.IntN(3), Deadline: r.maybe()}}
	return func(ctx context.Context, s storetest.Stores) (any, error) { return nil, s.Sessions.Create(ctx, made) }
}

func (r *randomCalls) updateSession() call {
	changed := session.Session{ID: session.ID(r.one("s", "t", "u", "none")), UserID: r.one("u", "v"), State: session.States()[r.IntN(9)], Revision: int64(r.IntN(5))}
	gone := r.IntN(6) == 0
	return func(ctx context.Context, s storetest.Stores) (any, error) {
		if gone {
			return nil, s.Sessions.Delete(ctx, changed.ID)
		}
		return nil, s.Sessions.Update(ctx, changed)
	}
}

func (r *randomCalls) listSessions() call {
	filter, size := session.Filter{UserID: r.one("", "u"), States: session.States()[:r.IntN(9)]}, 1+r.IntN(2)
	return func(ctx context.Context, s storetest.Stores) (any, error) {
		return pages(ctx, size, func(ctx context.Context, page store.Page) (store.List[session.Session], error) {
			return s.Sessions.List(ctx, filter, page)
		})
	}
}

// plan makes batches without a conflict of sequences: there an adapter without a transaction keeps what it had planned, and sqlite does not.
func (r *randomCalls) plan() call {
	id := r.campaign()
	batch := make([]campaign.Delivery, r.IntN(8))
	for i := range batch {
		n := 1 + r.IntN(40)
		batch[i] = campaign.Delivery{ID: fmt.Sprint(id, "-d", n), CampaignID: id, Sequence: n, Phone: fmt.Sprint("+5491100", n), State: campaign.DeliveryStates()[r.IntN(9)],
			Fields: map[string]string{"a.b": "1", "$x": "", "": "é"}, SentAt: r.maybe(), UpdatedAt: r.maybe(), PlannedAt: r.maybe()}
		if r.IntN(3) > 0 {
			batch[i].State = campaign.Pending
		}
	}
	return func(ctx context.Context, s storetest.Stores) (any, error) { return s.Deliveries.Plan(ctx, batch) }
}

func (r *randomCalls) claim() call {
	claim := campaign.Claim{CampaignID: r.campaign(), Run: r.one("1", "2", "3"), Limit: r.IntN(6), MaxAttempts: r.IntN(4), At: r.at()}
	return func(ctx context.Context, s storetest.Stores) (any, error) { return s.Deliveries.Claim(ctx, claim) }
}

func (r *randomCalls) record() call {
	outcomes := make([]campaign.Outcome, r.IntN(12))
	for i := range outcomes {
		outcomes[i] = campaign.Outcome{DeliveryID: fmt.Sprint(r.campaign(), "-d", 1+r.IntN(40)), State: campaign.DeliveryStates()[r.IntN(9)], At: r.at(),
			Class: fault.Poison, Code: r.one("x", "y"), Reason: r.one("", "z")}
	}
	return func(ctx context.Context, s storetest.Stores) (any, error) { return s.Deliveries.Record(ctx, outcomes) }
}

func (r *randomCalls) listDeliveries() call {
	id, size, state := r.campaign(), 1+r.IntN(9), append(campaign.DeliveryStates(), "", "")[r.IntN(11)]
	return func(ctx context.Context, s storetest.Stores) (any, error) {
		return pages(ctx, size, func(ctx context.Context, page store.Page) (store.List[campaign.Delivery], error) {
			return s.Deliveries.List(ctx, id, state, page)
		})
	}
}

func (r *randomCalls) counts() call {
	id := r.campaign()
	return func(ctx context.Context, s storetest.Stores) (any, error) { return s.Deliveries.Counts(ctx, id) }
}

func (r *randomCalls) settle() call {
	if r.IntN(5) > 0 {
		return r.counts() // or else nothing would be pending
	}
	id, outcome := r.campaign(), campaign.Outcome{State: campaign.DeliveryStates()[r.IntN(9)], At: r.at(), Code: "cancelled"}
	return func(ctx context.Context, s storetest.Stores) (any, error) {
		return s.Deliveries.SettleOpen(ctx, id, outcome)
	}
}

func (r *randomCalls) reject() call {
	id, batch := r.campaign(), make([]campaign.Rejection, r.IntN(4))
	for i := range batch {
		batch[i] = campaign.Rejection{Row: 1 + r.IntN(9), Column: r.one("a", "b"), Value: "v", Code: "c", Reason: "r"}
	}
	return func(ctx context.Context, s storetest.Stores) (any, error) {
		return nil, s.Deliveries.Reject(ctx, id, batch)
	}
}

func (r *randomCalls) rejections() call {
	id, size := r.campaign(), 1+r.IntN(4)
	return func(ctx context.Context, s storetest.Stores) (any, error) {
		return pages(ctx, size, func(ctx context.Context, page store.Page) (store.List[campaign.Rejection], error) {
			return s.Deliveries.Rejections(ctx, id, page)
		})
	}
}

func (r *randomCalls) suppress() call {
	batch := make([]campaign.Suppression, r.IntN(4))
	for i := range batch {
		batch[i] = campaign.Suppression{Phone: r.one("+1", "+2", "+3", "+4"), Reason: r.one("opt_out", "blocked"), Source: "x", CreatedAt: r.maybe()}
	}
	return func(ctx context.Context, s storetest.Stores) (any, error) { return nil, s.Suppressions.Add(ctx, batch) }
}

func (r *randomCalls) allow() call {
	phone := r.one("+1", "+2", "+3", "+4")
	return func(ctx context.Context, s storetest.Stores) (any, error) {
		return nil, s.Suppressions.Remove(ctx, phone)
	}
}

func (r *randomCalls) suppressions() call {
	size := 1 + r.IntN(3)
	return func(ctx context.Context, s storetest.Stores) (any, error) {
		all, err := pages(ctx, size, s.Suppressions.List)
		if err != nil {
			return nil, err
		}
		some, err := s.Suppressions.Among(ctx, []string{"+1", "+3", "+3", "+9"})
		return []any{all, some}, err
	}
}

func (r *randomCalls) begin() call {
	r.passed += time.Duration(r.IntN(300)) * time.Minute
	// One key: sqlite forgets an expired one when another begins, MongoDB by its own clock.
	key, fingerprint, at := "k", r.one("f", "f", "g"), time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC).Add(r.passed)
	return func(ctx context.Context, s storetest.Stores) (any, error) {
		return s.Idempotency.Begin(ctx, key, fingerprint, at)
	}
}

func (r *randomCalls) finish() call {
	key, answer := r.one("k", "k", "m"), store.Saved{Status: 200 * r.IntN(3), ContentType: "text/plain", Body: []byte(r.one("", "body"))}
	return func(ctx context.Context, s storetest.Stores) (any, error) {
		return nil, s.Idempotency.Finish(ctx, key, answer)
	}
}

func (r *randomCalls) release() call {
	key := r.one("k", "k", "m")
	return func(ctx context.Context, s storetest.Stores) (any, error) {
		return nil, s.Idempotency.Release(ctx, key)
	}
}
