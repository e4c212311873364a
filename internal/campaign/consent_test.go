package campaign

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/store"
)

func TestOptOutWordsAreUnderstoodHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	var standard Consent
	for _, text := range []string{"BAJA", "baja", " Baja. ", "¡Bája!", "«stop»", "Dar de baja", "CANCELAR!!", "No  molestar", "unsubscribe"} {
		if !standard.IsOptOut(text) {
			t.Errorf("%q is not understood", text)
		}
	}
	for _, text := range []string{"", "hola", "no quiero dar de baja el turno", "baja presión", "stop it please, I will come later today and tell you more " + strings.Repeat("x", 60)} {
		if standard.IsOptOut(text) {
			t.Errorf("%q is taken for an opt-out", text)
		}
	}
	own := Consent{Words: []string{"no más"}, Answer: "Chau"}
	if !own.IsOptOut("NO MAS") || own.IsOptOut("BAJA") || own.Reply() != "Chau" || standard.Reply() != DefaultOptOutAnswer {
		t.Error("words and answer of one's own are not taken")
	}
}

func TestAnEstimateFollowsTheLimits(t *testing.T) {
	t.Parallel()
	monday := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) // 09:00 in Buenos Aires
	rows := []struct {
		name    string
		outlook Outlook
		took    time.Duration
	}{
		{"one message", Outlook{Messages: 1, Limits: DefaultLimits()}, 0},
		{"gaps", Outlook{Messages: 11, Limits: Limits{MinGap: 4 * time.Second, MaxGap: 8 * time.Second}}, time.Minute},
		{"rests", Outlook{Messages: 5, Limits: Limits{RestEvery: 2, RestFor: 4 * time.Minute}}, 10 * time.Minute},
		{"an hourly cap", Outlook{Messages: 7, Limits: Limits{Hourly: 3}}, 2 * time.Hour},
		{"strangers", Outlook{Messages: 6, New: 3, Limits: Limits{DailyNew: 1}}, 48 * time.Hour},
		{"warm-up", Outlook{Messages: 31, LinkedAt: monday, Limits: Limits{Daily: 300}}, 24 * time.Hour},
		{"hours", Outlook{Messages: 12, Limits: Limits{MinGap: time.Hour, MaxGap: time.Hour}, Hours: DefaultHours(DefaultTimeZone)}, 24 * time.Hour},
	}
	for _, row := range rows {
		row.outlook.Start = monday
		start, end := row.outlook.Estimate()
		if !start.Equal(monday) || end.Sub(start) != row.took {
			t.Errorf("%s: from %s for %s, want %s", row.name, start, end.Sub(start), row.took)
		}
	}
}

var png = append([]byte("\x89PNG\r\n\x1a\n"), bytes.Repeat([]byte("x"), 700<<10)...)

func TestMediaIsKeptAsItCame(t *testing.T) {
	t.Parallel()
	library := MediaLibrary{Documents: &store.MemoryDocuments{}}
	added, err := library.Add(t.Context(), NewMedia{Name: "../../foto.png", At: at(1)}, bytes.NewReader(png))
	if err != nil || added.Kind != Image || added.MIME != "image/png" || added.Name != "foto.png" || added.Size != int64(len(png)) {
		t.Fatalf("added %+v, %v", added, err)
	}
	content, err := library.Content(t.Context(), added.ID)
	if err != nil || !bytes.Equal(content, png) {
		t.Errorf("%d bytes, %v", len(content), err)
	}
	if err := library.Remove(t.Context(), added.ID); err != nil {
		t.Error(err)
	}
	if _, err := library.Content(t.Context(), added.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after the removal: %v", err)
	}
}

// broken gives some bytes and fails.
type broken struct{ left int }

func (b *broken) Read(into []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("the connection broke")
	}
	n := copy(into, png[:min(len(into), len(png))])
	b.left -= n
	return n, nil
}

func TestMediaThatIsRefusedLeavesNothing(t *testing.T) {
	t.Parallel()
	rows := map[string]struct {
		content interface {
			Read([]byte) (int, error)
		}
		kind MediaKind
		code string
	}{
		"nothing":              {strings.NewReader(""), "", "media_empty"},
		"too large":            {&broken{left: 40 << 20}, Image, "media_too_large"},
		"of another kind":      {bytes.NewReader(png), Video, "media_type_refused"},
		"of no kind":           {bytes.NewReader(png), "sticker", "unknown_media_kind"},
		"broken in the middle": {&broken{left: 1 << 20}, Image, ""},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kept := &counted{Documents: &store.MemoryDocuments{}}
			_, err := MediaLibrary{Documents: kept}.Add(t.Context(), NewMedia{Kind: row.kind, At: at(1)}, row.content)
			if err == nil {
				t.Fatal("it was taken")
			}
			if row.code != "" {
				wantCode(t, err, row.code)
			}
			for _, folder := range append(kept.folders, mediaFolder) {
				if left, err := kept.List(t.Context(), folder, store.Page{}); err != nil || len(left.Items) != 0 {
					t.Errorf("%d documents are left in %s, %v", len(left.Items), folder, err)
				}
			}
		})
	}
}

// counted remembers where something was put.
type counted struct {
	store.Documents
	folders []string
}

func (c *counted) Put(ctx context.Context, folder string, batch []store.Document) error {
	c.folders = append(c.folders, folder)
	return c.Documents.Put(ctx, folder, batch)
}
