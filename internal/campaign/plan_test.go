package campaign

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// ledger is an in-memory Deliveries, of which planning uses three methods. failAt makes one call fail, counted from 1.
type ledger struct {
	Deliveries
	planned  map[string]Delivery
	rejected map[int]Rejection
	largest  int
	calls    int
	failAt   int
}

func newLedger() *ledger {
	return &ledger{planned: map[string]Delivery{}, rejected: map[int]Rejection{}}
}

func (l *ledger) call(size int) error {
	l.calls++
	l.largest = max(l.largest, size)
	if l.calls == l.failAt {
		return errDisk
	}
	return nil
}

func (l *ledger) Plan(_ context.Context, batch []Delivery) (existing []int, err error) {
	if err := l.call(len(batch)); err != nil {
		return nil, err
	}
	for i, delivery := range batch {
		if _, exists := l.planned[delivery.ID]; exists {
			existing = append(existing, i)
			continue
		}
		l.planned[delivery.ID] = delivery
	}
	return existing, nil
}

func (l *ledger) Get(_ context.Context, id string) (Delivery, error) {
	if err := l.call(1); err != nil {
		return Delivery{}, err
	}
	delivery, exists := l.planned[id]
	if !exists {
		return Delivery{}, store.ErrNotFound
	}
	return delivery, nil
}

func (l *ledger) Reject(_ context.Context, _ ID, batch []Rejection) error {
	if err := l.call(len(batch)); err != nil {
		return err
	}
	for _, rejection := range batch {
		if _, exists := l.rejected[rejection.Row]; !exists {
			l.rejected[rejection.Row] = rejection
		}
	}
	return nil
}

func TestAPlanHasOneDeliveryForEachRecipient(t *testing.T) {
	t.Parallel()
	file := "nombre,telefono\nAna,11 5555-0101\nBeto,nada\nCaro,+54 9 351 555-0102\nDani,011 15 5555-0101\nEva,351 15 555-0102\n"
	deliveries := newLedger()
	result, err := PlanAudience(t.Context(), deliveries, "cmp_1", open(t, file, AudienceOptions{}).Rows(), now)
	if err != nil {
		t.Fatal(err)
	}
	ana, caro := MessageID("cmp_1", "+5491155550101"), MessageID("cmp_1", "+5493515550102")
	same(t, deliveries.planned, map[string]Delivery{
		ana: {ID: ana, CampaignID: "cmp_1", Sequence: 2, Phone: "+5491155550101", State: Pending, PlannedAt: start, UpdatedAt: start,
			Fields: map[string]string{"nombre": "Ana", "telefono": "11 5555-0101"}},
		caro: {ID: caro, CampaignID: "cmp_1", Sequence: 4, Phone: "+5493515550102", State: Pending, PlannedAt: start, UpdatedAt: start,
			Fields: map[string]string{"nombre": "Caro", "telefono": "+54 9 351 555-0102"}},
	})
	same(t, deliveries.rejected, map[int]Rejection{
		3: {Row: 3, Column: "telefono", Value: "nada", Code: "phone_not_a_number", Reason: "A phone number has no letters; write its digits only"},
		5: {Row: 5, Column: "telefono", Value: "011 15 5555-0101", Code: "duplicate",
			Reason: "The number is the same as in row 2, which gets the message; remove one of the rows"},
		6: {Row: 6, Column: "telefono", Value: "351 15 555-0102", Code: "duplicate",
			Reason: "The number is the same as in row 4, which gets the message; remove one of the rows"},
	})
	same(t, result, PlanResult{Planned: 2, Rejected: 3, Sample: []fault.Detail{
		{Location: "row 3, column telefono", Reason: "A phone number has no letters; write its digits only"},
		{Location: "row 5, column telefono", Reason: "The number is the same as in row 2, which gets the message; remove one of the rows"},
		{Location: "row 6, column telefono", Reason: "The number is the same as in row 4, which gets the message; remove one of the rows"},
	}})
}

// mixed is an audience in which every seventh number is wrong and every fifth repeats an earlier one.
func mixed(size int) []Row {
	rows := make([]Row, size)
	for i := range rows {
		number := i
		if i%5 == 4 {
			number = i / 3
		}
		rows[i] = person(i+1, number)
		if i%7 == 6 {
			rows[i] = Row{Rejection: &Rejection{Row: i + 1, Column: PhoneField, Code: "phone_missing", Reason: "The phone number is missing; add it"}}
		}
	}
	return rows
}

func person(row, number int) Row {
	phone := fmt.Sprintf("+549115555%04d", number)
	return Row{Recipient: Recipient{Row: row, Phone: phone, PhoneColumn: PhoneField, Fields: map[string]string{PhoneField: phone}}}
}

func planRows(t *testing.T, deliveries *ledger, rows []Row) (PlanResult, error) {
	t.Helper()
	return PlanAudience(t.Context(), deliveries, "cmp_1", each(rows), now)
}

func each(rows []Row) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// TestAnInterruptedPlanGoesOnToTheSameResult fails each call of the store in turn, plans again, and compares with a plan that nothing
// interrupted.
func TestAnInterruptedPlanGoesOnToTheSameResult(t *testing.T) {
	t.Parallel()
	rows := mixed(2*MaxBatch + 77)
	whole := newLedger()
	want, err := planRows(t, whole, rows)
	if err != nil {
		t.Fatal(err)
	}
	if want.Planned+want.Rejected != len(rows) || want.Planned != len(whole.planned) || want.Rejected != len(whole.rejected) || len(want.Sample) != sampleSize {
		t.Fatalf("%d rows: %+v, %d planned, %d rejected", len(rows), want, len(whole.planned), len(whole.rejected))
	}
	if whole.largest > MaxBatch {
		t.Errorf("a batch of %d", whole.largest)
	}
	random := random(t)
	for failAt := 1; failAt <= whole.calls; failAt += 1 + random.IntN(20) {
		broken := newLedger()
		broken.failAt = failAt
		partial, err := planRows(t, broken, rows)
		if !errors.Is(err, errDisk) {
			t.Fatalf("call %d failed and the plan said %v", failAt, err)
		}
		if partial.Planned > len(broken.planned) || partial.Rejected > len(broken.rejected) {
			t.Errorf("call %d failed: %+v counted, %d planned, %d rejected", failAt, partial, len(broken.planned), len(broken.rejected))
		}
		accepted := maps.Clone(broken.planned)
		again, err := planRows(t, broken, rows)
		if err != nil {
			t.Fatal(err)
		}
		same(t, again, want)
		same(t, broken.planned, whole.planned)
		same(t, broken.rejected, whole.rejected)
		for id, delivery := range accepted {
			same(t, broken.planned[id], delivery)
		}
	}
}

// TestBatchesStayWithinTheirLimit whatever the rows are: all wrong, all of one number, and both at once.
func TestBatchesStayWithinTheirLimit(t *testing.T) {
	t.Parallel()
	var rows []Row
	for i := range 5 * MaxBatch {
		row := person(i+1, 1)
		if i < 2*MaxBatch || i%2 == 0 {
			row = Row{Rejection: &Rejection{Row: i + 1, Code: "phone_missing"}}
		}
		rows = append(rows, row)
	}
	deliveries := newLedger()
	result, err := planRows(t, deliveries, rows)
	if err != nil || deliveries.largest != MaxBatch {
		t.Errorf("the largest batch has %d, %v", deliveries.largest, err)
	}
	same(t, []int{result.Planned, result.Rejected}, []int{1, 5*MaxBatch - 1})
}

func TestPlanningAgainChangesNothing(t *testing.T) {
	t.Parallel()
	rows := mixed(1000)
	deliveries := newLedger()
	first, err := planRows(t, deliveries, rows)
	if err != nil {
		t.Fatal(err)
	}
	// Meanwhile the first message went out.
	sent := deliveries.planned[MessageID("cmp_1", "+5491155550000")]
	if sent.Sequence != 1 {
		t.Fatalf("the first delivery is %+v", sent)
	}
	deliveries.planned[sent.ID] = Merge(sent, Outcome{State: Sent, At: at(9)})
	planned, rejected := maps.Clone(deliveries.planned), maps.Clone(deliveries.rejected)
	second, err := planRows(t, deliveries, rows)
	if err != nil {
		t.Fatal(err)
	}
	same(t, second, first)
	same(t, deliveries.planned, planned)
	same(t, deliveries.rejected, rejected)
}

// TestRejectionsNameTheEarlierRow: of any rows with one number the first is planned and the others name it.
func TestRejectionsNameTheEarlierRow(t *testing.T) {
	t.Parallel()
	random := random(t)
	rows := make([]Row, 1500)
	first, want := map[string]int{}, map[int]int{}
	for i := range rows {
		rows[i] = person(i+1, random.IntN(400))
		phone := rows[i].Recipient.Phone
		if earlier, seen := first[phone]; seen {
			want[i+1] = earlier
		} else {
			first[phone] = i + 1
		}
	}
	deliveries := newLedger()
	result, err := planRows(t, deliveries, rows)
	if err != nil || result.Planned != len(first) || result.Rejected != len(want) {
		t.Fatalf("%+v, %v; want %d and %d", result, err, len(first), len(want))
	}
	for row, earlier := range want {
		rejection := deliveries.rejected[row]
		if rejection.Code != "duplicate" || !strings.Contains(rejection.Reason, fmt.Sprintf("row %d,", earlier)) {
			t.Errorf("row %d repeats row %d: %+v", row, earlier, rejection)
		}
	}
}

func TestAPlanEndsWhereTheFileEnds(t *testing.T) {
	t.Parallel()
	deliveries := newLedger()
	audience, err := ReadCSV(breaking(700), AudienceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	result, err := PlanAudience(t.Context(), deliveries, "cmp_1", audience.Rows(), now)
	same(t, []int{result.Planned, result.Rejected}, []int{len(deliveries.planned), len(deliveries.rejected)})
	if !errors.Is(err, errDisk) || result.Planned != 1 || result.Rejected != MaxBatch-1 {
		t.Errorf("%+v, %v", result, err)
	}
	empty, err := PlanAudience(t.Context(), newLedger(), "cmp_1", open(t, "telefono\n", AudienceOptions{}).Rows(), now)
	if err != nil {
		t.Fatal(err)
	}
	same(t, empty, PlanResult{})
}

// sink counts deliveries and rejections and forgets them. Between batches it notes how much memory is alive.
type sink struct {
	Deliveries
	planned, rejected int
	every             int
	alive             []uint64
}

func (s *sink) Plan(_ context.Context, batch []Delivery) ([]int, error) {
	if before := s.planned; before/s.every != (before+len(batch))/s.every {
		s.alive = append(s.alive, aliveBytes())
	}
	s.planned += len(batch)
	return nil, nil
}

func (s *sink) Reject(_ context.Context, _ ID, batch []Rejection) error {
	s.rejected += len(batch)
	return nil
}

func aliveBytes() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// TestMemoryDoesNotGrowWithTheAudience reads and plans 100 000 rows, of which a quarter is right: the race detector makes reading a number
// costly. It runs alone, so that what it measures is its own.
func TestMemoryDoesNotGrowWithTheAudience(t *testing.T) {
	const rows, right, allowed = 100_000, 25_000, 2 << 20
	audience, err := ReadCSV(people(rows, "Beto,,hoy\n", "Caro\n", "Dani,falta,\"hoy, 10:30\"\n"), AudienceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	templates, err := Campaign{Text: "Hola {{nombre|vecino}}, su turno es el {{turno}}"}.Templates()
	if err != nil {
		t.Fatal(err)
	}
	deliveries := &sink{every: right / 10}
	result, err := PlanAudience(t.Context(), deliveries, "cmp_1", templates.Screen(audience.Rows()), now)
	if err != nil || result.Planned != right || deliveries.planned != right || result.Rejected != rows-right || deliveries.rejected != rows-right {
		t.Fatalf("%+v, %d planned, %d rejected, %v", result, deliveries.planned, deliveries.rejected, err)
	}
	if len(deliveries.alive) < 9 {
		t.Fatalf("measured only %d times", len(deliveries.alive))
	}
	first, most := deliveries.alive[0], slices.Max(deliveries.alive)
	t.Logf("alive after a tenth: %d KiB, at most %d KiB", first>>10, most>>10)
	if most > first+allowed {
		t.Errorf("memory grew from %d to %d bytes: %v", first, most, deliveries.alive)
	}
}

func BenchmarkPlanAudience(b *testing.B) {
	const rows = 10_000
	b.ReportAllocs()
	for b.Loop() {
		audience, err := ReadCSV(people(rows), AudienceOptions{})
		if err != nil {
			b.Fatal(err)
		}
		deliveries := &sink{every: rows * 2}
		if _, err := PlanAudience(b.Context(), deliveries, "cmp_1", audience.Rows(), now); err != nil || deliveries.planned != rows {
			b.Fatal(deliveries.planned, err)
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}
