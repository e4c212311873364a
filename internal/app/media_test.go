package app_test

import (
	"net/http"
	"testing"

	"go.mau.fi/whatsmeow/proto/waE2E"
)

// TestEachKindOfFileIsSent with its caption; a sound has none, and a text that nobody would see is refused.
func TestEachKindOfFileIsSent(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, _ := w.link(1)
	film := "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + "\x00\x00\x00\x08free"
	for i, row := range []struct {
		name, content, kind, mime string
		caption                   func(*waE2E.Message) string
	}{
		{"a.jpg", "\xff\xd8\xff\xe0\x00\x10JFIF\x00", "image", "image/jpeg", func(m *waE2E.Message) string { return m.GetImageMessage().GetCaption() }},
		{"a.mp4", film, "video", "video/mp4", func(m *waE2E.Message) string { return m.GetVideoMessage().GetCaption() }},
		{"a.pdf", "%PDF-1.4 hola", "document", "application/pdf", func(m *waE2E.Message) string { return m.GetDocumentMessage().GetCaption() }},
		{"a.mp3", "ID3\x03\x00\x00\x00\x00\x00\x00\xff\xfb", "audio", "audio/mpeg", nil},
	} {
		added := w.must(http.MethodPost, "/v1/media", upload{name: row.name, file: []byte(row.content)})
		equal(t, row.name, added.body["kind"], any(row.kind))
		equal(t, row.name, added.body["mime"], any(row.mime))
		sent := body{"session_id": linked.ID, "media": body{"id": added.id()}, "recipients": people(i + 1)[i:]}
		if row.caption == nil {
			sent["text"] = "Escuche"
			w.refused(422, "audio_without_text", http.MethodPost, "/v1/campaigns", sent)
			delete(sent, "text")
		} else {
			sent["text"] = "Para {{nombre}}"
		}
		w.awaitCampaign(w.must(http.MethodPost, "/v1/campaigns", sent).id(), "completed")
		received := w.simulator.Contact(number(i)).Received()
		if len(received) != 1 {
			t.Fatalf("%s: %d messages", row.name, len(received))
		}
		message, err := received[0].Proto()
		if err != nil {
			t.Fatal(err)
		}
		if row.caption == nil {
			equal(t, row.name, message.GetAudioMessage().GetMimetype(), row.mime)
		} else if text := row.caption(message); text != "Para "+people(i + 1)[i]["fields"].(body)["nombre"].(string) {
			t.Errorf("%s: the caption is %q", row.name, text)
		}
	}
}

// TestFilesAreFetchedFromPublicAddressesOnly: whatever an address is called and however it is written, it is the one that is dialled that counts.
func TestFilesAreFetchedFromPublicAddressesOnly(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, address := range []string{
		"http://localhost/x.png", // a name that leads inside
		"http://127.0.0.1/x.png", "http://0.0.0.0/x.png", "http://10.1.2.3/x.png", "http://172.16.0.1/x.png", "http://192.168.1.1/x.png", "http://100.64.0.1/x.png",
		"http://169.254.169.254/latest/meta-data", "http://[::1]/x.png", "http://[::]/x.png", "http://[fd00::1]/x.png", "http://[fe80::1]/x.png",
		"http://[::ffff:127.0.0.1]/x.png", "http://[::ffff:a9fe:a9fe]/x.png", "http://[64:ff9b::7f00:1]/x.png",
		"http://8.8.8.8:22/x.png", // public, and no web page
	} {
		w.refused(422, "media_url_forbidden", http.MethodPost, "/v1/media/fetch", body{"url": address})
	}
	for _, address := range []string{"ftp://example.com/x.png", "gopher://127.0.0.1/", "https://user:secret@example.com/x.png", "https:///x.png"} {
		w.refused(422, "media_url_invalid", http.MethodPost, "/v1/media/fetch", body{"url": address})
	}
}
