package console

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
)

// flashCookie carries a sentence from a form to the page behind it.
const (
	flashCookie  = "broadcaster_said"
	flashSeconds = 30
	// maxFlashBytes is what a cookie holds for sure.
	maxFlashBytes = 3000
)

func (v *visit) flash(text string) { v.flashNotice(notice{Kind: kindDone, Text: text}) }

func (v *visit) flashNotice(said notice) {
	encoded, err := json.Marshal(said)
	if err != nil || len(encoded) > maxFlashBytes {
		return // the next page shows the state all the same
	}
	v.setCookie(flashCookie, base64.RawURLEncoding.EncodeToString(encoded), flashSeconds)
}

// takeFlash gives the sentence that the form before left, once. A cookie is a text of the browser: it is shown as text and nothing else.
func (v *visit) takeFlash() (said notice, found bool) {
	cookie, err := v.request.Cookie(flashCookie)
	if err != nil {
		return said, false
	}
	v.setCookie(flashCookie, "", -1)
	decoded, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil || json.Unmarshal(decoded, &said) != nil || said.Text == "" {
		return said, false
	}
	if said.Kind != kindDone && said.Kind != kindWarning {
		said.Kind = kindProblem
	}
	return said, true
}

// setCookie sets a cookie of the console's own; a negative age removes it.
func (v *visit) setCookie(name, value string, seconds int) {
	http.SetCookie(v.writer, &http.Cookie{ //nolint:gosec // over plain HTTP, as on 127.0.0.1, a browser would not send a Secure one back
		Name: name, Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: overTLS(v.request)})
}

// overTLS tells whether the browser came by HTTPS, here or at the proxy in front.
func overTLS(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}
