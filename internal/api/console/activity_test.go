package console

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/campaign"
)

func TestTheAuditIsSaidInSentences(t *testing.T) {
	t.Parallel()
	c := newTestConsole(t)
	for _, row := range []struct {
		entry                             client.Audit
		language, sentence, note, address string
	}{
		{client.Audit{Action: "suppression.added", Actor: "key_1", ActorName: "Recepción", Subject: "+5491150000012", Detail: "opt_out, mostrador"}, spanish,
			"Recepción dio de baja el número +5491150000012: no se le escribe más.", "Pidió la baja · mostrador", "/opt-outs?q=5491150000012"},
		{client.Audit{Action: "suppression.added", Actor: "contact", Subject: "+5491150000012", Detail: `wrote "BAJA" to ses_1`}, spanish,
			"La persona del número +5491150000012 pidió por mensaje que no le escriban más.", `wrote "BAJA" to ses_1`, "/opt-outs?q=5491150000012"},
		{client.Audit{Action: "suppression.removed", Actor: "api", Subject: "+5491150000012", Detail: "she called"}, english,
			"Application or console took the opt-out of the number +5491150000012 back: it may be written to again.", "she called", "/opt-outs?q=5491150000012"},
		{client.Audit{Action: "campaign.deleted", ActorName: "Ana", Subject: "cmp_1", Detail: "sent 3, failed 1"}, spanish, "Ana eliminó la campaña cmp_1.", "Enviado 3, Falló 1", ""},
		{client.Audit{Action: "campaign.retried", ActorName: "Ana", Subject: "cmp_1", Detail: "failed: 2"}, spanish,
			"Ana volvió a enviar mensajes de la campaña cmp_1 que no habían salido.", "Falló: 2", "/campaigns/cmp_1"},
		{client.Audit{Action: "key.created", ActorName: "Ana", Subject: "key_2", Detail: "viewer, Pantalla"}, english, "Ana created the key “Pantalla”.", "only looks", ""},
		{client.Audit{Action: "job.edited", ActorName: "Ana", Subject: "webhook:whk_1:x", Detail: "failed job 17, poison undecodable"}, english,
			"Ana edited the payload of the failed job no. 17, “Tell another system (webhook)”.", "The job is damaged (undecodable)", "/failed-jobs/17"},
		{client.Audit{Action: "job.discarded", ActorName: "Ana", Subject: "campaign:cmp_1:3", Detail: "failed job 17, poison undecodable: we sent: it"}, english,
			"Ana discarded the failed job no. 17, “Send a campaign”.", "The job is damaged (undecodable) · we sent: it", "/campaigns/cmp_1"},
		{client.Audit{Action: "job.cancelled", ActorName: "Ana", Subject: "link:lnk_1", Detail: `job 4, pending, for "Eva"`}, spanish,
			"Ana canceló el trabajo n.º 4, «Vincular un teléfono», antes de que empezara.", `pending, for "Eva"`, ""},
		{client.Audit{Action: "made.up", ActorName: "Ana", Subject: "x"}, english, "Ana did “made.up” to x.", "", ""},
	} {
		said := c.languages[row.language].activityRow(row.entry)
		if said.Sentence != row.sentence || said.Note != row.note || said.Address != row.address {
			t.Errorf("%s is %q with %q at %q", row.entry.Action, said.Sentence, said.Note, said.Address)
		}
	}
}

// TestActivityIsSearched by what, who and when, over the pages of the API, and no further back than is asked for.
func TestActivityIsSearched(t *testing.T) {
	t.Parallel()
	noon, pages := time.Date(2026, 3, 2, 17, 0, 0, 0, time.UTC), 0
	c := consoleBefore(t, map[string]func(*http.Request) any{"GET /v1/audit": func(r *http.Request) any {
		pages++
		page := 0
		_, _ = fmt.Sscanf(r.URL.Query().Get("after"), "page-%d", &page)
		var entries []client.Audit
		for i := range searchPage {
			name, action := "Ana", campaign.AuditCampaignDeleted
			if i%10 == 0 {
				name, action = "Eva", campaign.AuditKeyRevoked
			}
			entries = append(entries, client.Audit{At: noon.Add(-time.Duration(page*searchPage+i) * time.Minute), Action: string(action), ActorName: name, Subject: fmt.Sprintf("no-%d", page*searchPage+i)})
		}
		return map[string]any{"items": entries, "next": fmt.Sprintf("page-%d", page+1)}
	}})
	for _, row := range []struct {
		query              string
		rows, pages, about int
		next               bool
	}{
		{"", searchPage, 1, searchPage / 10, true},
		{"?who=eva", 60, 3, 60, true},
		{"?area=key&text=NO-1230", 1, mostSearched / searchPage, 1, true},
		{"?since=2026-03-02T10:00", 121, 1, 13, false}, // noon in Lima is 17:00 in UTC
		{"?area=key&since=2026-03-02T10:00&before=2026-03-02T11:00", 6, 1, 6, false},
		{"?text=nothing-of-this&since=2026-03-02T11:00", 0, 1, 0, false},
	} {
		pages = 0
		body := c.get(t, "/activity"+row.query).Body.String()
		rows, about := strings.Count(body, `<th scope="row">`), strings.Count(body, "anuló la clave")
		if rows != row.rows || pages != row.pages || about != row.about || nextPage.MatchString(body) != row.next {
			t.Errorf("%q shows %d rows, %d about keys, of %d pages, and more: %t", row.query, rows, about, pages, nextPage.MatchString(body))
		}
		if strings.Contains(body, "data-live") != (row.query == "") {
			t.Errorf("%q is searched again and again, or the newest are not followed", row.query)
		}
	}
}
