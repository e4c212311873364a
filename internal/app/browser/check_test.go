package browser_test

import (
	"strings"
	"testing"
)

// TestTheCheckOfPagesFindsFaults: each kind of fault is made in a page that has none.
func TestTheCheckOfPagesFindsFaults(t *testing.T) {
	t.Parallel()
	w := start(t)
	p := w.open("es", "/sessions")
	p.checkPage("check")
	for want, script := range map[string]string{
		"image-alt":               `document.querySelector("main").append(new Image(9, 9))`,
		"color-contrast":          `document.querySelector("h1").className = "pale"; document.styleSheets[0].insertRule(".pale { color: #888; background: #999 }")`,
		"it asks the host":        `document.querySelector("main img").src = "http://127.0.0.1:9/picture.png"`,
		"it complains: console":   `console.error("it is broken")`,
		"it complains: Uncaught":  `setTimeout(() => { throw new Error("it is broken") })`,
		"pixels wide on a screen": `document.querySelector("h1").textContent = "x".repeat(90); document.styleSheets[0].insertRule("h1 { white-space: nowrap; overflow-wrap: normal !important }")`,
		`it is in "en", not in`:   `document.documentElement.lang = "en"`,
		"Content Security Policy": `document.querySelector("main").insertAdjacentHTML("beforeend", '<p style="color: red">x</p>')`,
	} {
		p.visit("/sessions")
		if want == "it asks the host" {
			evaluate[bool](p, `document.querySelector("main").append(new Image(9, 9)); true`)
		}
		evaluate[bool](p, script+"; true")
		found := strings.Join(p.faults(""), "\n")
		if !strings.Contains(found, want) {
			t.Errorf("nothing was found of %q, only:\n%s", want, found)
		}
		p.forget()
	}
}
