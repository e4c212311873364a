package storetest

import (
	"fmt"
	"testing"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/store"
)

func rejectionChecks() []check {
	return []check{
		{"AreKeptInTheOrderOfTheirRows", rejectionsOrdered},
		{"OneForEachRow", rejectionsOnce},
		{"RefusedWithoutACampaignOrInTooLargeABatch", rejectionsRefused},
	}
}

func rejection(row int) campaign.Rejection {
	return campaign.Rejection{Row: row, Column: "teléfono", Value: fmt.Sprint("0-", row), Code: "phone_too_short", Reason: "Faltan dígitos; escriba el número completo"}
}

func rejectionsOf(t *testing.T, stores Stores, id campaign.ID, size int) []campaign.Rejection {
	t.Helper()
	return everything(t, size, func(page store.Page) (store.List[campaign.Rejection], error) {
		return stores.Deliveries.Rejections(t.Context(), id, page)
	})
}

func rejectionsOrdered(t *testing.T, stores Stores) {
	createCampaign(t, stores, campaign.Campaign{ID: "cmp_a"})
	createCampaign(t, stores, campaign.Campaign{ID: "cmp_b"})
	rows := []int{200, 3, 17, 9, 100_000, 1000}
	ok(t, stores.Deliveries.Reject(t.Context(), "cmp_a", names(rows[:3], rejection)))
	ok(t, stores.Deliveries.Reject(t.Context(), "cmp_a", names(rows[3:], rejection)))
	ok(t, stores.Deliveries.Reject(t.Context(), "cmp_b", names([]int{17}, rejection)))
	want := names([]int{3, 9, 17, 200, 1000, 100_000}, rejection)
	for _, size := range []int{1, 2, 0} {
		same(t, rejectionsOf(t, stores, "cmp_a", size), want)
	}
	same(t, rejectionsOf(t, stores, "cmp_b", 0), names([]int{17}, rejection))
	same(t, rejectionsOf(t, stores, "cmp_none", 0), []campaign.Rejection(nil))
}

func rejectionsOnce(t *testing.T, stores Stores) {
	createCampaign(t, stores, campaign.Campaign{ID: "cmp_a"})
	batch := names(numbers(1, 5), rejection)
	ok(t, stores.Deliveries.Reject(t.Context(), "cmp_a", batch))
	again := rejection(3)
	again.Reason = "Otro motivo"
	ok(t, stores.Deliveries.Reject(t.Context(), "cmp_a", []campaign.Rejection{again, rejection(6), rejection(6)}))
	same(t, rejectionsOf(t, stores, "cmp_a", 0), append(batch, rejection(6)))
}

func rejectionsRefused(t *testing.T, stores Stores) {
	createCampaign(t, stores, campaign.Campaign{ID: "cmp_a"})
	wantInvalid(t, stores.Deliveries.Reject(t.Context(), "cmp_a", names(numbers(1, campaign.MaxBatch+1), rejection)))
	wantError(t, stores.Deliveries.Reject(t.Context(), "cmp_none", names(numbers(1, 2), rejection)), store.ErrNotFound)
	ok(t, stores.Deliveries.Reject(t.Context(), "cmp_a", nil))
	same(t, rejectionsOf(t, stores, "cmp_a", 0), []campaign.Rejection(nil))
}

func suppressionChecks() []check {
	return []check{
		{"TheFirstReasonStands", suppressionFirst},
		{"AmongGivesThoseThatAreSuppressed", suppressionAmong},
		{"RemovedIsGone", suppressionRemove},
		{"ListIsInTheOrderOfNumbers", suppressionList},
	}
}

func suppression(n int) campaign.Suppression {
	return campaign.Suppression{Phone: fmt.Sprintf("+54911%08d", n), Reason: "opt_out", Source: fmt.Sprint("cmp_", n), CreatedAt: at(n)}
}

func phoneOf(s campaign.Suppression) string { return s.Phone }

func suppressionFirst(t *testing.T, stores Stores) {
	first := suppression(1)
	second := first
	second.Reason, second.Source, second.CreatedAt = "blocked", "operator", at(99)
	ok(t, stores.Suppressions.Add(t.Context(), []campaign.Suppression{first, suppression(2), second}))
	ok(t, stores.Suppressions.Add(t.Context(), []campaign.Suppression{second, suppression(3)}))
	found, err := stores.Suppressions.Among(t.Context(), []string{first.Phone})
	ok(t, err)
	same(t, found, map[string]campaign.Suppression{first.Phone: first})
}

func suppressionAmong(t *testing.T, stores Stores) {
	const size = 1200
	ok(t, stores.Suppressions.Add(t.Context(), names([]int{7, 600, 1199}, suppression)))
	asked := names(names(numbers(1, size), suppression), phoneOf)
	found, err := stores.Suppressions.Among(t.Context(), append(asked, asked[6]))
	ok(t, err)
	same(t, found, map[string]campaign.Suppression{asked[6]: suppression(7), asked[599]: suppression(600), asked[1198]: suppression(1199)})
	found, err = stores.Suppressions.Among(t.Context(), nil)
	ok(t, err)
	same(t, len(found), 0)
}

func suppressionRemove(t *testing.T, stores Stores) {
	ok(t, stores.Suppressions.Add(t.Context(), names([]int{1, 2}, suppression)))
	ok(t, stores.Suppressions.Remove(t.Context(), suppression(1).Phone))
	wantError(t, stores.Suppressions.Remove(t.Context(), suppression(1).Phone), store.ErrNotFound)
	found, err := stores.Suppressions.Among(t.Context(), []string{suppression(1).Phone, suppression(2).Phone})
	ok(t, err)
	same(t, found, map[string]campaign.Suppression{suppression(2).Phone: suppression(2)})
	again := suppression(1)
	again.Reason = "blocked"
	ok(t, stores.Suppressions.Add(t.Context(), []campaign.Suppression{again}))
	found, err = stores.Suppressions.Among(t.Context(), []string{again.Phone})
	ok(t, err)
	same(t, found, map[string]campaign.Suppression{again.Phone: again})
}

func suppressionList(t *testing.T, stores Stores) {
	ok(t, stores.Suppressions.Add(t.Context(), names([]int{30, 4, 500, 21, 9}, suppression)))
	want := names([]int{4, 9, 21, 30, 500}, suppression)
	for _, size := range []int{1, 2, 5, 0} {
		same(t, everything(t, size, func(page store.Page) (store.List[campaign.Suppression], error) {
			return stores.Suppressions.List(t.Context(), page)
		}), want)
	}
}
