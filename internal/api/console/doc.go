// Package console is the pages for people: it draws what the API says, and hands the API what people fill in.
//
// Nouns: Console (the handler of all pages), visit (one request of a browser: its language, who calls, and the API as that caller), route (a page
// or a form's target), catalog (every text that a person reads, in Spanish and English), asset (a script, a style or a picture, named by its hash).
//
// The console is a client of the API like any other: inside.go calls the API's own handler in this process with the browser's cookie, so
// that what somebody may do is decided in one place. A page hides the buttons that a role may not press; that is a courtesy, never the lock.
//
// # How a page is added
//
// A route: one line in the list of its area (sessions.go has sessionRoutes), and the list's name in routes.go if the area is new. It names the method
// and path, the role that it takes to see the page, and a handler:
//
//	{"GET /contacts", access.Viewer, listContacts}
//
// and, for a page of the navigation, an entry of places in routes.go with its icon in assets/icons and its text frame.place.<name>.
//
//	func listContacts(v *visit) error {
//		found, err := v.api.Contacts(v.context())
//		if err != nil {
//			return err // a page with the problem's sentence and status
//		}
//		return v.show("contacts/list", contactsPage{Items: found})
//	}
//
// A form's handler ends with v.done("/contacts", "contacts.saved"), which sends the browser on and says the sentence on the next page, or with
// v.again(err, "contacts/new", page), which shows the form once more with what is wrong beside its fields. A page with a form has a form in its
// data; readForm makes one. Every form works without JavaScript, by POST.
//
// A template: templates/<area>/<page>.html defines "title" and "main", and finds its data in .Data; .May "operator" tells whether to draw a button.
// templates/parts has what pages share: field, notice, pages (the link to the next page of a list), empty. No text stands in a template: {{t
// "contacts.title"}}, {{t "contacts.of" "Name" .Name}}, {{tn "contacts.count" .Count}} (plural), {{label "contacts.state" .State}} (a word of a list).
// {{when .At}} writes a time, {{icon "phone"}} an icon of assets/icons.
//
// Messages: messages/<area>.es.json and messages/<area>.en.json with the same keys, each beginning with the area. A plural has one, other, and in
// Spanish many. The tests in catalog_test.go fail for a key that one language lacks, that a template or handler uses and no catalog has, that nobody
// uses, and for text in a template.
//
// Live parts: an element with data-live="campaign_changed message_receipt" and data-fragment="progress" holds {{template "fragment-progress" .}}, defined
// in the same file. The script live.js fetches the page's address with ?fragment=progress, which draws that template alone, when one of the facts (by
// their kinds, docs/queues.md) happened, and every ten seconds when there is no stream of facts; data-every="5" in place of data-live does so every
// five seconds, for what no fact tells of, until the element has one with data-ended. Something that a screen reader should say out loud stands in
// an element with role="status" outside of what is replaced; data-announce inside names its text.
//
// A browser test: internal/app/browser has the product, a simulated WhatsApp and one Chromium for all tests of the package. checkPage looks at the page
// that is open: accessibility, console errors, requests to other hosts, weight, and keeps a screenshot. Each page is checked there in both languages.
//
// Scripts are ES modules in assets, loaded by main.js, which finds what to do by data attributes; styles are in console.css. There is no
// build step, nothing comes from another host, and the Content-Security-Policy allows no inline script or style.
//
// Caller: internal/app puts it in front of the API. It must never reach a store, the queue or WhatsApp.
package console
