package sender

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"errors"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// memory keeps the books of one test. The real stores run in real_test.go; these run in virtual time and fail on demand.
type memory struct {
	mu         sync.Mutex
	sessions   map[session.ID]session.Session
	campaigns  map[campaign.ID]campaign.Campaign
	deliveries map[string]campaign.Delivery
	// order has the deliveries of each campaign in the order of sending; runs the run that claimed each last.
	order      map[campaign.ID][]string
	runs       map[string]string
	suppressed map[string]campaign.Suppression
	histories  map[session.ID]session.History
	// fail, if set, may refuse an operation.
	fail func(operation string) error
	// recorded has the length of every batch of outcomes.
	recorded []int
	// claims counts how often each delivery was claimed; asked counts the questions for suppressions.
	claims map[string]int
	asked  int
}

func newMemory() *memory {
	return &memory{sessions: map[session.ID]session.Session{}, campaigns: map[campaign.ID]campaign.Campaign{},
		deliveries: map[string]campaign.Delivery{}, order: map[campaign.ID][]string{}, runs: map[string]string{},
		suppressed: map[string]campaign.Suppression{}, histories: map[session.ID]session.History{}, claims: map[string]int{}}
}

// lock takes the lock for an operation, or gives the failure that is wished for.
func (m *memory) lock(ctx context.Context, operation string) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	if m.fail != nil {
		if err := m.fail(operation); err != nil {
			m.mu.Unlock()
			return nil, err
		}
	}
	return m.mu.Unlock, nil
}

func (m *memory) failWith(fail func(operation string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = fail
}

// cursorMark makes a cursor something else than a key, as it is in the real stores.
const cursorMark = "behind:"

// page cuts a page out of records that are sorted by their keys.
func page[T any](sorted []T, key func(T) string, before func(a, b string) bool, page store.Page) store.List[T] {
	var list store.List[T]
	for _, record := range sorted {
		if page.After != "" && !before(strings.TrimPrefix(page.After, cursorMark), key(record)) {
			continue
		}
		if len(list.Items) == page.Limit() {
			list.Next = cursorMark + key(list.Items[len(list.Items)-1])
			break
		}
		list.Items = append(list.Items, record)
	}
	return list
}

type memorySessions struct{ *memory }

func (m memorySessions) Create(ctx context.Context, s session.Session) error {
	unlock, err := m.lock(ctx, "create session")
	if err != nil {
		return err
	}
	defer unlock()
	s.Revision = 1
	m.sessions[s.ID] = s
	return nil
}

func (m memorySessions) Get(ctx context.Context, id session.ID) (session.Session, error) {
	unlock, err := m.lock(ctx, "get session")
	if err != nil {
		return session.Session{}, err
	}
	defer unlock()
	found, ok := m.sessions[id]
	if !ok {
		return found, store.ErrNotFound
	}
	return found, nil
}

func (m memorySessions) List(ctx context.Context, filter session.Filter, wanted store.Page) (store.List[session.Session], error) {
	unlock, err := m.lock(ctx, "list sessions")
	if err != nil {
		return store.List[session.Session]{}, err
	}
	defer unlock()
	var sorted []session.Session
	for _, id := range slices.Sorted(maps.Keys(m.sessions)) {
		if found := m.sessions[id]; len(filter.States) == 0 || slices.Contains(filter.States, found.State) {
			sorted = append(sorted, found)
		}
	}
	return page(sorted, func(s session.Session) string { return string(s.ID) }, func(a, b string) bool { return a < b }, wanted), nil
}

func (m memorySessions) Update(ctx context.Context, s session.Session) error {
	unlock, err := m.lock(ctx, "update session")
	if err != nil {
		return err
	}
	defer unlock()
	found, ok := m.sessions[s.ID]
	switch {
	case !ok:
		return store.ErrNotFound
	case found.Revision != s.Revision:
		return store.ErrConflict
	}
	s.Revision++
	m.sessions[s.ID] = s
	return nil
}

func (m memorySessions) Delete(ctx context.Context, id session.ID) error {
	unlock, err := m.lock(ctx, "delete session")
	if err != nil {
		return err
	}
	defer unlock()
	if _, ok := m.sessions[id]; !ok {
		return store.ErrNotFound
	}
	delete(m.sessions, id)
	return nil
}

type memoryCampaigns struct{ *memory }

func (m memoryCampaigns) Delete(ctx context.Context, id campaign.ID) error {
	unlock, err := m.lock(ctx, "delete campaign")
	if err != nil {
		return err
	}
	defer unlock()
	delete(m.campaigns, id)
	return nil
}

func (m memoryCampaigns) Create(ctx context.Context, c campaign.Campaign) error {
	unlock, err := m.lock(ctx, "create campaign")
	if err != nil {
		return err
	}
	defer unlock()
	c.Revision = 1
	m.campaigns[c.ID] = c
	return nil
}

func (m memoryCampaigns) Get(ctx context.Context, id campaign.ID) (campaign.Campaign, error) {
	unlock, err := m.lock(ctx, "get campaign")
	if err != nil {
		return campaign.Campaign{}, err
	}
	defer unlock()
	found, ok := m.campaigns[id]
	if !ok {
		return found, store.ErrNotFound
	}
	return found, nil
}

func (m memoryCampaigns) State(ctx context.Context, id campaign.ID) (campaign.State, error) {
	found, err := m.Get(ctx, id)
	return found.State, err
}

func (m memoryCampaigns) List(ctx context.Context, filter campaign.Filter, wanted store.Page) (store.List[campaign.Campaign], error) {
	unlock, err := m.lock(ctx, "list campaigns")
	if err != nil {
		return store.List[campaign.Campaign]{}, err
	}
	defer unlock()
	var sorted []campaign.Campaign
	for _, found := range m.campaigns {
		if (len(filter.States) == 0 || slices.Contains(filter.States, found.State)) && (filter.SessionID == "" || filter.SessionID == found.SessionID) {
			sorted = append(sorted, found)
		}
	}
	slices.SortFunc(sorted, func(a, b campaign.Campaign) int { return -cmp.Compare(a.ID, b.ID) })
	return page(sorted, func(c campaign.Campaign) string { return string(c.ID) }, func(a, b string) bool { return a > b }, wanted), nil
}

func (m memoryCampaigns) Update(ctx context.Context, c campaign.Campaign) error {
	unlock, err := m.lock(ctx, "update campaign")
	if err != nil {
		return err
	}
	defer unlock()
	found, ok := m.campaigns[c.ID]
	switch {
	case !ok:
		return store.ErrNotFound
	case found.Revision != c.Revision:
		return store.ErrConflict
	}
	c.Revision++
	m.campaigns[c.ID] = c
	return nil
}

// memoryDeliveries has what the runner, the host and the projector use of campaign.Deliveries.
type memoryDeliveries struct {
	campaign.Deliveries
	*memory
}

// of gives the deliveries of a campaign in the order of sending. The caller holds the lock.
func (m memoryDeliveries) of(id campaign.ID) []campaign.Delivery {
	all := make([]campaign.Delivery, len(m.order[id]))
	for i, delivery := range m.order[id] {
		all[i] = m.deliveries[delivery]
	}
	return all
}

func (m memoryDeliveries) Claim(ctx context.Context, claim campaign.Claim) (claimed []campaign.Delivery, err error) {
	unlock, err := m.lock(ctx, "claim")
	if err != nil {
		return nil, err
	}
	defer unlock()
	all := m.of(claim.CampaignID)
	for _, leftover := range []bool{true, false} {
		for _, delivery := range all {
			open := delivery.State == campaign.Pending
			if leftover {
				open = (delivery.State == campaign.Sending || delivery.State == campaign.Unknown) && m.runs[delivery.ID] != claim.Run &&
					(claim.MaxAttempts == 0 || delivery.State == campaign.Sending || delivery.Attempts < claim.MaxAttempts)
			}
			if !open || len(claimed) == claim.Limit {
				continue
			}
			if delivery.State != campaign.Sending {
				delivery.Attempts++
			}
			delivery.State = campaign.Sending
			delivery.Class, delivery.Code, delivery.Reason = "", "", ""
			m.deliveries[delivery.ID], m.runs[delivery.ID] = delivery, claim.Run
			m.claims[delivery.ID]++
			claimed = append(claimed, delivery)
		}
	}
	return claimed, nil
}

func (m memoryDeliveries) Record(ctx context.Context, outcomes []campaign.Outcome) (missing int, err error) {
	unlock, err := m.lock(ctx, "record")
	if err != nil {
		return 0, err
	}
	defer unlock()
	m.recorded = append(m.recorded, len(outcomes))
	for _, outcome := range outcomes {
		if outcome.At.IsZero() {
			return 0, store.ErrConflict
		}
		delivery, known := m.deliveries[outcome.DeliveryID]
		if !known {
			missing++
			continue
		}
		m.deliveries[outcome.DeliveryID] = campaign.Merge(delivery, outcome)
	}
	return missing, nil
}

func (m memoryDeliveries) Reopen(context.Context, []string, time.Time) (int, error) {
	return 0, errors.New("no test of this package reopens deliveries")
}

func (m memoryDeliveries) Get(ctx context.Context, id string) (campaign.Delivery, error) {
	unlock, err := m.lock(ctx, "get delivery")
	if err != nil {
		return campaign.Delivery{}, err
	}
	defer unlock()
	found, ok := m.deliveries[id]
	if !ok {
		return found, store.ErrNotFound
	}
	return found, nil
}

func (m memoryDeliveries) List(ctx context.Context, id campaign.ID, state campaign.DeliveryState, _ store.Page) (store.List[campaign.Delivery], error) {
	unlock, err := m.lock(ctx, "list deliveries")
	if err != nil {
		return store.List[campaign.Delivery]{}, err
	}
	defer unlock()
	var list store.List[campaign.Delivery]
	for _, delivery := range m.of(id) {
		if state == "" || state == delivery.State {
			list.Items = append(list.Items, delivery)
		}
	}
	return list, nil
}

func (m memoryDeliveries) Counts(ctx context.Context, id campaign.ID) (campaign.Counts, error) {
	unlock, err := m.lock(ctx, "count deliveries")
	if err != nil {
		return nil, err
	}
	defer unlock()
	counts := campaign.Counts{}
	for _, delivery := range m.of(id) {
		counts[delivery.State]++
	}
	return counts, nil
}

func (m memoryDeliveries) SettleOpen(ctx context.Context, id campaign.ID, outcome campaign.Outcome) (settled int, err error) {
	unlock, err := m.lock(ctx, "settle deliveries")
	if err != nil {
		return 0, err
	}
	defer unlock()
	for _, delivery := range m.of(id) {
		if delivery.State == campaign.Pending {
			m.deliveries[delivery.ID] = campaign.Merge(delivery, outcome)
			settled++
		}
	}
	return settled, nil
}

// memorySuppressions has what the runner uses of campaign.Suppressions.
type memorySuppressions struct {
	campaign.Suppressions
	*memory
}

func (m memorySuppressions) Among(ctx context.Context, phones []string) (map[string]campaign.Suppression, error) {
	unlock, err := m.lock(ctx, "read suppressions")
	if err != nil {
		return nil, err
	}
	defer unlock()
	m.asked++
	found := map[string]campaign.Suppression{}
	for _, phone := range phones {
		if suppression, ok := m.suppressed[phone]; ok {
			found[phone] = suppression
		}
	}
	return found, nil
}

type memoryHistories struct{ *memory }

func (m memoryHistories) Get(ctx context.Context, id session.ID) (session.History, error) {
	unlock, err := m.lock(ctx, "get history")
	if err != nil {
		return session.History{}, err
	}
	defer unlock()
	found, there := m.histories[id]
	if !there {
		return found, store.ErrNotFound
	}
	return found, nil
}

func (m memoryHistories) Put(ctx context.Context, put session.History) error {
	unlock, err := m.lock(ctx, "put history")
	if err != nil {
		return err
	}
	defer unlock()
	if m.histories[put.Session].Revision != put.Revision {
		return store.ErrConflict
	}
	put.Revision++
	m.histories[put.Session] = put
	return nil
}

func (m memorySuppressions) Add(ctx context.Context, batch []campaign.Suppression) error {
	unlock, err := m.lock(ctx, "add suppressions")
	if err != nil {
		return err
	}
	defer unlock()
	for _, added := range batch {
		if _, known := m.suppressed[added.Phone]; !known {
			m.suppressed[added.Phone] = added
		}
	}
	return nil
}
