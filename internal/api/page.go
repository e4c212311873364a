package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"golang.org/x/net/html"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// firstLink finds the link that a preview is of. One with a placeholder in it is another one for each recipient.
var firstLink = regexp.MustCompile(`https?://[^\s{}]+`)

const (
	pageTimeout      = 5 * time.Second
	readOfPage       = 256 << 10
	longestOfPreview = 300 // characters
)

// previewOf reads what the page behind the first link of a text says about itself, once for all recipients. A page that cannot be read is
// shown by its address alone: what goes out does not depend on whether a page answers.
func (a *API) previewOf(ctx context.Context, text string) (session.Preview, error) {
	link := strings.TrimRight(firstLink.FindString(text), ".,;:!?)")
	if link == "" {
		return session.Preview{}, fault.New(fault.Invalid, "no_link", "There is no link in the text that a preview could be of; turn link_preview off").
			WithDetails(fault.Detail{Location: "link_preview", Reason: "no link in the text"})
	}
	preview := session.Preview{URL: link, Title: link}
	if parsed, err := url.Parse(link); err == nil {
		preview.Title = parsed.Hostname()
	}
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return preview, nil // its address alone
	}
	response, err := a.fetcher.Do(request)
	if err != nil {
		return preview, nil // the same
	}
	defer func() { _ = response.Body.Close() }() // what was read stands
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
		return preview, nil
	}
	title, description := readHead(io.LimitReader(response.Body, readOfPage))
	if title != "" {
		preview.Title = title
	}
	preview.Description = description
	return preview, nil
}

// readHead reads what the head of a page says about the page. What it says for such previews (Open Graph) counts more.
func readHead(page io.Reader) (title, description string) {
	found := map[string]string{}
	tokens := html.NewTokenizer(page)
	for {
		switch tokens.Next() { //nolint:exhaustive // the others say nothing about the page
		case html.ErrorToken:
			return pick(found, "og:title", "title"), pick(found, "og:description", "description")
		case html.StartTagToken, html.SelfClosingTagToken:
			token := tokens.Token()
			switch token.Data {
			case "body":
				return pick(found, "og:title", "title"), pick(found, "og:description", "description")
			case "title":
				if tokens.Next() == html.TextToken {
					found["title"] = tokens.Token().Data
				}
			case "meta":
				name, content := metaOf(token)
				found[name] = content
			}
		}
	}
}

func metaOf(token html.Token) (name, content string) {
	for _, attribute := range token.Attr {
		switch attribute.Key {
		case "name", "property":
			name = strings.ToLower(attribute.Val)
		case "content":
			content = attribute.Val
		}
	}
	return name, content
}

func pick(found map[string]string, names ...string) string {
	for _, name := range names {
		if text := strings.Join(strings.Fields(found[name]), " "); text != "" {
			if letters := []rune(text); len(letters) > longestOfPreview {
				return string(letters[:longestOfPreview]) + "…"
			}
			return text
		}
	}
	return ""
}
