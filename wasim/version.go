package wasim

import (
	"fmt"
	"net/http"

	"go.mau.fi/whatsmeow/proto/waWa6"
)

// outdatedReason is the failure reason for a client whose version WhatsApp does not serve any more (whatsmeow's ConnectFailureClientOutdated).
const outdatedReason = 405

// RequireVersion refuses every device that connects from now on and says that it is an older WhatsApp Web than 2.3000.revision. The first page of
// the web client names that revision, as the real one does.
func (s *Server) RequireVersion(revision uint32) {
	s.revision.Store(revision)
	s.told.Store(revision)
}

// TellVersion makes the first page name another revision than the one that is required; zero: the page names none.
func (s *Server) TellVersion(revision uint32) { s.told.Store(revision) }

// VersionsAsked counts how often the first page was loaded.
func (s *Server) VersionsAsked() int { return int(s.versionsAsked.Load()) }

// isOutdated tells whether a client is too old.
func (s *Server) isOutdated(payload *waWa6.ClientPayload) bool {
	return payload.GetUserAgent().GetAppVersion().GetTertiary() < s.revision.Load()
}

// servePage gives the first page of the web client, of which clients read the revision.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		s.versionsAsked.Add(1)
	}
	revision := s.told.Load()
	if revision == 0 {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, `<!DOCTYPE html><html><script>{"server_revision":%[1]d,"client_revision":%[1]d,"push_phase":"C3"}</script></html>`, revision) // its reader is gone
}
