package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// at gives a moment of the tests: whole milliseconds, as stores keep them.
func at(minutes int) time.Time {
	return time.Date(2026, 3, 1, 9, 30, 0, int(250*time.Millisecond), time.UTC).Add(time.Duration(minutes) * time.Minute)
}

// ok ends the test when a call failed that must not.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError ends the test unless the error is the one that the port promises.
func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got the error %v, want %v", err, want)
	}
}

// wantInvalid ends the test unless the call was refused with a sentence for a person.
func wantInvalid(t *testing.T, err error) {
	t.Helper()
	if fault.Of(err) != fault.Invalid || fault.As(err).Message == "" || fault.As(err).Code == "" {
		t.Fatalf("got the error %v of class %q, want a refusal of class %q with its code and sentence", err, fault.Of(err), fault.Invalid)
	}
}

// same compares; an empty list or map and none are the same to a store.
func same(t *testing.T, got, want any) {
	t.Helper()
	if difference := cmp.Diff(want, got, cmpopts.EquateEmpty()); difference != "" {
		t.Fatalf("differs (-want +got):\n%s", difference)
	}
}

// filled gives a value in which no field is zero, so that a field that a store forgets is noticed, those that are added later too.
func filled[T any](t *testing.T) T {
	t.Helper()
	var value T
	n := 0
	fill(t, reflect.ValueOf(&value).Elem(), &n)
	return value
}

func fill(t *testing.T, value reflect.Value, n *int) {
	t.Helper()
	*n++
	switch value.Interface().(type) {
	case time.Time:
		value.Set(reflect.ValueOf(at(*n)))
		return
	}
	switch value.Kind() {
	case reflect.String:
		value.SetString(fmt.Sprintf("value %d", *n))
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Int, reflect.Int64:
		value.SetInt(int64(*n))
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 2, 2))
		fill(t, value.Index(0), n)
		fill(t, value.Index(1), n)
	case reflect.Map:
		key, element := reflect.New(value.Type().Key()).Elem(), reflect.New(value.Type().Elem()).Elem()
		fill(t, key, n)
		fill(t, element, n)
		value.Set(reflect.MakeMap(value.Type()))
		value.SetMapIndex(key, element)
	case reflect.Struct:
		for i := range value.NumField() {
			fill(t, value.Field(i), n)
		}
	default:
		t.Fatalf("cannot fill a %s: teach the suite to", value.Type())
	}
}

// everything reads a list page by page.
func everything[T any](t *testing.T, size int, list func(store.Page) (store.List[T], error)) []T {
	t.Helper()
	var items []T
	page := store.Page{Size: size}
	for {
		got, err := list(page)
		ok(t, err)
		if len(got.Items) > page.Limit() {
			t.Fatalf("a page of %d has %d items", page.Limit(), len(got.Items))
		}
		items = append(items, got.Items...)
		if got.Next == "" {
			return items
		}
		if len(got.Items) < page.Limit() {
			t.Fatalf("a page that is not the last has %d items instead of %d", len(got.Items), page.Limit())
		}
		page.After = got.Next
	}
}

// names gives what identifies each item.
func names[T any, N any](items []T, name func(T) N) []N {
	all := make([]N, len(items))
	for i, item := range items {
		all[i] = name(item)
	}
	return all
}

func nameOfSession(s session.Session) string    { return string(s.ID) }
func nameOfCampaign(c campaign.Campaign) string { return string(c.ID) }
func sequenceOf(d campaign.Delivery) int        { return d.Sequence }

// numbers gives first, first+1, ... last.
func numbers(first, last int) []int {
	all := make([]int, 0, last-first+1)
	for n := first; n <= last; n++ {
		all = append(all, n)
	}
	return all
}

// createSession stores a session and gives it as it is stored.
func createSession(t *testing.T, stores Stores, s session.Session) session.Session {
	t.Helper()
	ok(t, stores.Sessions.Create(t.Context(), s))
	s.Revision = 1
	return s
}

// createCampaign stores a campaign and gives it as it is stored.
func createCampaign(t *testing.T, stores Stores, c campaign.Campaign) campaign.Campaign {
	t.Helper()
	ok(t, stores.Campaigns.Create(t.Context(), c))
	c.Revision = 1
	return c
}

// delivery makes the nth delivery of a campaign.
func delivery(id campaign.ID, n int) campaign.Delivery {
	phone := fmt.Sprintf("+54911%08d", n)
	return campaign.Delivery{ID: campaign.MessageID(id, phone), CampaignID: id, Sequence: n, Phone: phone,
		Fields: map[string]string{"nombre": fmt.Sprint("Persona ", n)}, State: campaign.Pending, PlannedAt: at(0)}
}

func deliveries(id campaign.ID, first, last int) []campaign.Delivery {
	return names(numbers(first, last), func(n int) campaign.Delivery { return delivery(id, n) })
}

// planned stores a campaign with deliveries 1 to size, and gives the deliveries.
func planned(t *testing.T, stores Stores, id campaign.ID, size int) []campaign.Delivery {
	t.Helper()
	createCampaign(t, stores, campaign.Campaign{ID: id, State: campaign.Draft})
	all := deliveries(id, 1, size)
	for batch := range slices.Chunk(all, campaign.MaxBatch) {
		existing, err := stores.Deliveries.Plan(t.Context(), batch)
		ok(t, err)
		same(t, existing, []int(nil))
	}
	return all
}

func getDelivery(t *testing.T, stores Stores, id string) campaign.Delivery {
	t.Helper()
	found, err := stores.Deliveries.Get(t.Context(), id)
	ok(t, err)
	return found
}

// allDeliveries reads a campaign's deliveries, all or those in one state.
func allDeliveries(t *testing.T, stores Stores, id campaign.ID, state campaign.DeliveryState) []campaign.Delivery {
	t.Helper()
	return everything(t, 0, func(page store.Page) (store.List[campaign.Delivery], error) {
		return stores.Deliveries.List(t.Context(), id, state, page)
	})
}

// wantCounts compares the counts with the states of these deliveries.
func wantCounts(t *testing.T, stores Stores, id campaign.ID, deliveries []campaign.Delivery) {
	t.Helper()
	want := campaign.Counts{}
	for _, d := range deliveries {
		want[d.State]++
	}
	got, err := stores.Deliveries.Counts(t.Context(), id)
	ok(t, err)
	same(t, got, want)
}
