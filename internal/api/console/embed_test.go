package console

import (
	"net/http"
	"strings"
	"testing"
)

func TestTheLinkPageStandsInPagesOfAllowedOriginsOnly(t *testing.T) {
	t.Parallel()
	c := newTestConsole(t)
	c.options.AllowsOrigin = func(origin string) bool { return origin == "https://app.example.com" }
	for origin, want := range map[string]string{
		"https://app.example.com": "https://app.example.com", "https://APP.example.com": "https://app.example.com", "https://evil.example": "'none'", "": "'none'",
		"https://app.example.com%20https://evil.example": "'none'", "*": "'none'",
	} {
		answer := c.get(t, "/embed/link/ses_1?origin="+origin, "Cookie", languageCookie+"=en", "Accept-Language", "es")
		header := answer.Header()
		if policy := header.Get("Content-Security-Policy"); !strings.HasSuffix(policy, "; frame-ancestors "+want) {
			t.Errorf("for %q the policy is %q", origin, policy)
		}
		if header.Get("Referrer-Policy") != "no-referrer" || header.Get("X-Frame-Options") != "" || header.Get("Set-Cookie") != "" {
			t.Errorf("for %q the headers are %v", origin, header)
		}
		if follows := strings.Contains(answer.Body.String(), "data-embed"); follows != (want != "'none'") {
			t.Errorf("for %q the page follows a link: %t", origin, follows)
		}
		if header.Get("Content-Language") != spanish {
			t.Error("a cookie counts")
		}
	}
}

// TestOnlyALinkTokenOpensTheLinkPage: not the login of this browser, and no key, which must not be in a page.
func TestOnlyALinkTokenOpensTheLinkPage(t *testing.T) {
	t.Parallel()
	asked := 0
	c := consoleOf(t, func(r *http.Request) (int, any) {
		asked++
		return http.StatusOK, object{"id": "lnk_1", "state": "code", "method": "code", "prompt": object{"code": "ABCD-1234"}}
	})
	for credential, want := range map[string]bool{"": false, "Bearer bcr_key": false, "Bearer bcl_token": true} {
		headers := []string{"Cookie", "login=admin"}
		if credential != "" {
			headers = append(headers, "Authorization", credential)
		}
		body := c.get(t, "/embed/link/ses_1?fragment=link&language=en", headers...).Body.String()
		if shows := strings.Contains(body, "ABCD-1234"); shows != want {
			t.Errorf("%q is shown the code: %t", credential, shows)
		}
		if over := strings.Contains(body, "is over"); over == want {
			t.Errorf("%q is told that its time is over: %t", credential, over)
		}
	}
	if asked != 1 {
		t.Errorf("the API is asked %d times", asked)
	}
}
