package api

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dannsalud/broadcaster/internal/fault"
)

func FuzzReadHead(f *testing.F) {
	f.Add(`<html><head><title> A  page </title><meta property="og:title" content="Better"><meta name=description content="What it is"></head><body><title>no`)
	f.Add("<title><")
	f.Add(`<meta content="x"><meta name="og:title"`)
	f.Fuzz(func(t *testing.T, page string) {
		title, description := readHead(strings.NewReader(page))
		for _, text := range []string{title, description} {
			if letters := utf8.RuneCountInString(text); letters > longestOfPreview+1 {
				t.Errorf("%d characters of a page are shown", letters)
			}
			if strings.Join(strings.Fields(text), " ") != text {
				t.Errorf("%q has other spaces than those between words", text)
			}
		}
	})
}

func FuzzReadProxyBody(f *testing.F) {
	f.Add([]byte(`{"proxy": "socks5://user:secret@proxy.example:1080", "move": true}`))
	f.Add([]byte(`{"proxy": "http://user:secret@", "more": 1}`))
	f.Add([]byte(`{"proxy": ""}{}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _, err := readProxy(body)
		if err == nil {
			return
		}
		if fault.Of(err) != fault.Invalid {
			t.Errorf("a body that cannot be read is %s", fault.Of(err).Label())
		}
		if strings.Contains(string(body), "secret") && strings.Contains(err.Error(), "secret") {
			t.Errorf("the answer repeats what may be a password: %v", err)
		}
	})
}

func FuzzDecodeSettings(f *testing.F) {
	f.Add(`{"text": "Hola {{nombre}}", "session_id": "ses_1"}`)
	f.Add(`{"text": 3}`)
	f.Add(` `)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := decodeSettings(text); err != nil && fault.Of(err) != fault.Invalid {
			t.Errorf("%q is %s", text, fault.Of(err).Label())
		}
	})
}
