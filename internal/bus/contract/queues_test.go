package contract

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/bus"
)

const queuesPage = "../../../docs/queues.md"

// The marks around a section that is made from the code.
const (
	begin = "<!-- made from the code: %s -->\n"
	end   = "<!-- end -->\n"
)

// TestTheTablesOfTheQueuesAreTrue: the prose of docs/queues.md is written by hand, its tables are not.
func TestTheTablesOfTheQueuesAreTrue(t *testing.T) {
	t.Parallel()
	checkSections(t, queuesPage, sections(t))
}

// checkSections compares the sections of a page with what the code makes of them.
func checkSections(t *testing.T, path string, sections map[string]string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	for name, table := range sections {
		mark := fmt.Sprintf(begin, name)
		before, rest, found := strings.Cut(page, mark)
		_, after, closed := strings.Cut(rest, end)
		if !found || !closed || strings.Count(page, mark) != 1 {
			t.Fatalf("%s has no place for the section %q: put %q and %q there", path, name, mark, end)
		}
		page = before + mark + table + end + after
	}
	checkPage(t, path, page)
	if marks := strings.Count(page, "<!-- made from the code"); marks != len(sections) {
		t.Errorf("%s has %d marks for %d sections", path, marks, len(sections))
	}
}

// sections makes the tables.
func sections(t *testing.T) map[string]string {
	t.Helper()
	described := topology(t)
	return map[string]string{
		"streams":   streamTable(described.Streams),
		"messages":  messageTable(t),
		"headers":   headerTable(described.Headers),
		"consumers": consumerTable(described.Consumers),
		"policies":  policyTable(described.Policies),
		"buckets":   bucketTable(described.Buckets),
	}
}

// table writes rows of cells under a heading.
func table(heading []string, rows [][]string) string {
	var text strings.Builder
	line := func(cells []string) { text.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(heading)
	text.WriteString(strings.Repeat("|---", len(heading)) + "|\n")
	for _, row := range rows {
		line(row)
	}
	return text.String()
}

func streamTable(streams []jetstream.StreamConfig) string {
	var rows [][]string
	for _, s := range streams {
		special := "none"
		if s.AllowMsgSchedules {
			special = "schedules, roll-ups"
		}
		rows = append(rows, []string{code(s.Name), codes(s.Subjects), s.Retention.String(), span(s.MaxAge), size(s.MaxMsgSize), span(s.Duplicates),
			s.Storage.String(), strconv.Itoa(s.Replicas), special, s.Description})
	}
	return table([]string{"stream", "subjects", "retention", "keeps for", "largest message", "de-duplication", "storage", "replicas", "allows", "what it holds"}, rows)
}

func messageTable(t *testing.T) string {
	t.Helper()
	comments := readSource(t).comments
	var rows [][]string
	for _, w := range words() {
		var versions []string
		for _, version := range w.versions(t) {
			versions = append(versions, strconv.Itoa(version))
		}
		what, _, _ := strings.Cut(comments["events."+w.name()], ". ")
		subjects := codes(w.addresses)
		if len(w.addresses) == 0 {
			subjects = "the reply subject"
		}
		rows = append(rows, []string{code(w.kind), strings.ReplaceAll(strings.ReplaceAll(subjects, "{", "<"), "}", ">"), strings.Join(versions, ", "),
			orNone(w.carrier.Stream()), strings.Join(w.writers, ", "), orNone(strings.Join(w.readers, ", ")), strings.TrimSuffix(what, ".")})
	}
	return table([]string{"message", "subject", "versions", "stream", "written by", "read by", "what it says"}, rows)
}

func headerTable(headers []bus.Header) string {
	var rows [][]string
	for _, h := range headers {
		rows = append(rows, []string{code(h.Name), carriers(h.On), carriers(h.Sometimes), h.Meaning})
	}
	return table([]string{"header", "always on", "sometimes on", "meaning"}, rows)
}

func carriers(all []bus.Carrier) string {
	var names []string
	for _, c := range all {
		names = append(names, string(c))
	}
	return strings.Join(names, ", ")
}

func consumerTable(consumers []bus.Consumer) string {
	var rows [][]string
	for _, c := range consumers {
		rows = append(rows, []string{code(c.Config.Durable), code(c.Stream), code(c.Config.FilterSubject), strconv.Itoa(c.Config.MaxAckPending), strconv.Itoa(c.Slots),
			c.Config.AckPolicy.String(), span(c.Config.AckWait), strconv.Itoa(c.Config.MaxDeliver), c.Config.DeliverPolicy.String(), c.Config.Description})
	}
	return table([]string{"consumer", "stream", "takes", "in hand, fleet-wide", "in hand, one worker", "acknowledgement", "ack wait", "deliveries at most",
		"begins with", "what for"}, rows)
}

func policyTable(policies map[string]bus.Policy) string {
	var rows [][]string
	for _, kind := range slices.Sorted(maps.Keys(policies)) {
		p := policies[kind]
		rows = append(rows, []string{code(kind), strconv.Itoa(p.Attempts), span(p.MinDelay), span(p.MaxDelay)})
	}
	return table([]string{"message", "attempts", "first wait at most", "any wait at most"}, rows)
}

func bucketTable(buckets []jetstream.KeyValueConfig) string {
	var rows [][]string
	for _, b := range buckets {
		rows = append(rows, []string{code(b.Bucket), code("KV_" + b.Bucket), b.Storage.String(), span(b.TTL), span(b.LimitMarkerTTL), strconv.Itoa(int(max(b.History, 1))),
			strconv.Itoa(b.Replicas), b.Description})
	}
	return table([]string{"bucket", "its stream", "storage", "a key lives for", "marker of an expired key", "history", "replicas", "what it holds"}, rows)
}

func code(text string) string { return "`" + text + "`" }

func codes(texts []string) string { return code(strings.Join(texts, "`, `")) }

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// span writes a duration as a person does; zero is no limit.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == 0:
		return "no limit"
	case d%day == 0:
		return strconv.Itoa(int(d/day)) + " days"
	case d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	}
	return d.String()
}

func size(bytes int32) string {
	if bytes <= 0 {
		return "the server's"
	}
	return strconv.Itoa(int(bytes>>10)) + " KiB"
}
