package wasim

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/dannsalud/broadcaster/wasim/internal/noise"
	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
	"github.com/dannsalud/broadcaster/wasim/script"
)

const (
	mediaHost = "media.wasim.test"
	mediaPath = "/v/"
)

// media holds the encrypted files that clients uploaded, by their token (the hash of the file).
type media struct {
	mu    sync.Mutex
	files map[string][]byte
}

func handleMediaConn(_ context.Context, x *exchange) {
	x.result(stanza.Node{
		Tag:     "media_conn",
		Attrs:   stanza.Attrs{"auth": "wasim", "ttl": 300, "auth_ttl": 21600, "max_buckets": 12},
		Content: []stanza.Node{{Tag: "host", Attrs: stanza.Attrs{"hostname": mediaHost}}},
	})
}

// serveMedia takes uploads, gives downloads and deletes.
func (s *Server) serveMedia(w http.ResponseWriter, r *http.Request) {
	event := script.Download
	if r.Method == http.MethodPost {
		event = script.Upload
	}
	if verdict := s.script.Decide(script.Moment{Event: event}); verdict.Kind == script.HTTPStatus {
		http.Error(w, http.StatusText(verdict.Code), verdict.Code)
		return
	}
	token := path.Base(r.URL.Path)
	switch r.Method {
	case http.MethodPost:
		s.media.upload(w, r, token)
	case http.MethodGet:
		s.media.download(w, token)
	case http.MethodDelete:
		s.media.delete(token)
	default:
		http.Error(w, "only POST, GET and DELETE", http.StatusMethodNotAllowed)
	}
}

func (m *media) upload(w http.ResponseWriter, r *http.Request, token string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, noise.MaxFrame))
	if err != nil {
		http.Error(w, "body unreadable", http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	if m.files == nil {
		m.files = make(map[string][]byte)
	}
	m.files[token] = body
	m.mu.Unlock()
	// The client appends "&hash=…" to the direct path, so that it must have a query already.
	direct := mediaPath + strings.Trim(token, "/") + "?ccb=1"
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"url": "https://" + mediaHost + direct, "direct_path": direct})
}

func (m *media) download(w http.ResponseWriter, token string) {
	m.mu.Lock()
	body, found := m.files[token]
	m.mu.Unlock()
	if !found {
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(body) // the client may be gone
}

func (m *media) delete(token string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, token)
}
