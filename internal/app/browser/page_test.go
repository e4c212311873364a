package browser_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	_ "image/png" // screenshots
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

const (
	// patience is how long a tab may take for one thing.
	patience = time.Minute
	// mostBytes is what a first visit to a page may load.
	mostBytes = 100 << 10

	wide, high = 1280, 900
	// narrow is the smallest phone.
	narrow = 360
)

// page is a tab with cookies of its own.
type page struct {
	t        *testing.T
	world    *world
	language string
	ctx      context.Context //nolint:containedctx // chromedp keeps its tab in a context

	mu sync.Mutex
	// hosts and mistakes are what the tab did since it was opened or forget was called.
	hosts    map[string]bool
	mistakes []string
	// loading are the bytes of the present page so far, and loaded those that it had when it was whole, without what it fetches anew later.
	loading, loaded float64
}

// open opens a tab whose browser asks for a language, at a path of the console, and logs in with the admin key.
func (w *world) open(language, path string) *page {
	w.t.Helper()
	return w.openAs(w.key, language, path)
}

// openAs is open with another key.
func (w *world) openAs(key, language, path string) *page {
	w.t.Helper()
	p := w.tab(language)
	p.visit("/login?" + url.Values{"next": {path}}.Encode())
	p.logIn(key)
	p.do("come in", until(`location.pathname !== "/login"`))
	return p
}

// logIn sends the login that is open.
func (p *page) logIn(key string) {
	p.t.Helper()
	p.fill("key", key)
	p.do("log in", clickOn("main button[type=submit]"))
}

// tab opens a tab of a browser that asks for a language, and that nobody knows.
func (w *world) tab(language string) *page {
	w.t.Helper()
	browser, err := chromium.start()
	if err != nil {
		w.t.Fatal(err)
	}
	p := &page{t: w.t, world: w, language: language, hosts: map[string]bool{}}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.notice))
	w.t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // the tab lives as long as the context of its first action
		w.t.Fatal(err)
	}
	p.ctx = ctx
	p.do("open a tab", call(network.Enable, network.EnableParams{}), call(log.Enable, cdp.Empty{}), call(runtime.Enable, cdp.Empty{}),
		call(network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": language}}),
		call(network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true}), // every visit is a first one
		chromedp.EmulateViewport(wide, high))
	return p
}

// call makes an action of a command of the browser's protocol.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, command, params)
		return err
	})
}

// notice keeps what the tab loads and complains about.
func (p *page) notice(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch event := event.(type) {
	case *network.EventRequestWillBeSent:
		if address, err := url.Parse(event.Request.URL); err == nil && address.Scheme != "data" && address.Scheme != "blob" {
			p.hosts[address.Host] = true
		}
		if event.Type == network.ResourceTypeDocument {
			p.loading, p.loaded = 0, 0
		}
	case *network.EventLoadingFinished:
		p.loading += event.EncodedDataLength
	case *cdppage.EventLoadEventFired:
		p.loaded = p.loading
	case *runtime.EventExceptionThrown:
		p.mistakes = append(p.mistakes, exceptionOf(event.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if event.Type == runtime.ConsoleAPICalledTypeError || event.Type == runtime.ConsoleAPICalledTypeWarning {
			said := "console." + string(event.Type)
			for _, value := range event.Args {
				said += " " + string(value.Value) + value.Description
			}
			p.mistakes = append(p.mistakes, said)
		}
	case *log.EventEntryAdded:
		if event.Entry.Level == log.EntryLevelError || event.Entry.Level == log.EntryLevelWarning {
			p.mistakes = append(p.mistakes, event.Entry.Text+" "+event.Entry.URL)
		}
	}
}

// forget drops the complaints so far, of a page that is meant to be an error.
func (p *page) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mistakes, p.hosts = nil, map[string]bool{}
}

func (p *page) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("%s: %v; the page says:\n%s", what, err, p.said())
	}
}

// said is the text of the page, for failures.
func (p *page) said() string {
	text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`)) // the failure is told already
	return text
}

// until waits for an expression of JavaScript to be true. A page that gives way to the next one meanwhile is asked no more, but that one is.
func until(expression string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		for {
			_, err := chromedp.Poll[bool]("!!("+expression+")", chromedp.WithPollingTimeout(patience))(ctx, tab)
			if err == nil || ctx.Err() != nil || !gaveWay(err) {
				return err
			}
		}
	})
}

// gaveWay tells whether a question failed because the page that was asked went away.
func gaveWay(err error) bool {
	return strings.Contains(err.Error(), "context with specified id") || strings.Contains(err.Error(), "Could not find node") || strings.Contains(err.Error(), "context was destroyed") ||
		strings.Contains(err.Error(), "navigated or closed")
}

// visit loads a path.
func (p *page) visit(path string) {
	p.t.Helper()
	p.do("visit "+path, chromedp.Navigate(p.world.product.URL()+path))
}

// see waits until the page has a text.
func (p *page) see(text string) {
	p.t.Helper()
	p.do(fmt.Sprintf("see %q", text), until(fmt.Sprintf("document.body && document.body.innerText.includes(%q)", text)))
}

// find waits for an element, by a CSS selector.
func (p *page) find(selector string) {
	p.t.Helper()
	p.do("find "+selector, until(fmt.Sprintf("document.querySelector(%q)", selector)))
}

// press clicks the visible button or link with a text.
func (p *page) press(text string) {
	p.t.Helper()
	path := fmt.Sprintf(`//*[self::button or self::a or self::summary][contains(normalize-space(.), %q)]`, text)
	p.do(fmt.Sprintf("press %q", text), click(chromedp.Search(path)))
}

// click clicks what a selector finds. A page that gives way to the next one meanwhile takes its nodes along; then the next one is looked at.
func click[S chromedp.Selectable](selector S) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		for {
			_, err := chromedp.Click(selector)(ctx, tab)
			if err == nil || ctx.Err() != nil || !gaveWay(err) {
				return err
			}
		}
	})
}

// fill puts a text into the field with a name, as pasting does.
func (p *page) fill(name, text string) {
	p.t.Helper()
	p.find(fmt.Sprintf(`[name=%q]:not([type=hidden])`, name))
	evaluate[bool](p, fmt.Sprintf(`(() => {
		const field = document.querySelector('[name=%q]:not([type=hidden])');
		field.focus();
		field.value = %q;
		field.dispatchEvent(new Event("input", { bubbles: true }));
		field.dispatchEvent(new Event("change", { bubbles: true }));
		return true;
	})()`, name, text))
}

// evaluate runs a script in a page and gives its result.
func evaluate[T any](p *page, script string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	for err != nil && gaveWay(err) && ctx.Err() == nil {
		result, err = chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	}
	if err != nil {
		p.t.Fatalf("evaluate %.200s: %v", script, err)
	}
	return result
}

// path is the address that the tab is at.
func (p *page) path() string {
	p.t.Helper()
	return evaluate[string](p, "location.pathname")
}

func (p *page) picture(take chromedp.Action[[]byte]) []byte {
	p.t.Helper()
	shot, err := chromedp.Run(p.ctx, take)
	if err != nil {
		p.t.Fatalf("take a picture: %v", err)
	}
	return shot
}

// readQR reads the code on the screen from its pixels, as a phone's camera does: where the screen is too coarse for it, it comes closer.
func (p *page) readQR() string {
	p.t.Helper()
	shot := p.picture(chromedp.CaptureScreenshot())
	read, err := decodeQR(shot)
	for _, closer := range []float64{2, 3} {
		if err == nil {
			break
		}
		shot = p.picture(chromedp.ScreenshotScale(chromedp.CSS("img.code-picture"), closer))
		read, err = decodeQR(shot)
	}
	if err != nil {
		p.keep("unreadable", shot)
		p.t.Fatalf("no phone could read the screen: %v", err)
	}
	return read
}

// awaitQR holds the camera in front of the screen until there is a code. It is for what stands in a frame, of which scripts of the page know nothing.
func (p *page) awaitQR() string {
	p.t.Helper()
	const mostLooks = 300
	for range mostLooks {
		if text, err := decodeQR(p.picture(chromedp.CaptureScreenshot())); err == nil {
			return text
		}
	}
	return p.readQR()
}

// decodeQR reads the code in a picture.
func decodeQR(shot []byte) (string, error) {
	picture, _, err := image.Decode(bytes.NewReader(shot))
	if err != nil {
		return "", err
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		return "", err
	}
	read, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
	if err != nil {
		return "", err
	}
	return read.GetText(), nil
}

// checkPage looks at the page that is open: in the light and the dark, on a wide screen and a phone, nothing hinders people; it complained about
// nothing, asked no other host, and a first visit loaded little. The screenshots are kept by the name and the language.
func (p *page) checkPage(name string) {
	p.t.Helper()
	checked.page(p.path())
	for _, fault := range p.faults(name) {
		p.t.Errorf("%s: %s", name, fault)
	}
}

// faults are what checkPage finds; without a name no screenshots are kept.
func (p *page) faults(name string) []string {
	p.t.Helper()
	p.do("load all", until(`performance.getEntriesByType("navigation")[0].loadEventEnd > 0`))
	faults := p.faultsOfLoading()
	if language := evaluate[string](p, "document.documentElement.lang"); language != p.language {
		faults = append(faults, fmt.Sprintf("it is in %q, not in %q", language, p.language))
	}
	faults = append(faults, p.faultsOfLook(name, "light", wide)...)
	faults = append(faults, p.faultsOfLook(name, "dark", narrow)...)
	p.do("reset the look", call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{}), chromedp.EmulateViewport(wide, high))
	return faults
}

// faultsOfLoading are what the page asked for and complained about.
func (p *page) faultsOfLoading() (faults []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for host := range p.hosts {
		if "http://"+host != p.world.product.URL() {
			faults = append(faults, "it asks the host "+host)
		}
	}
	for _, mistake := range p.mistakes {
		faults = append(faults, "it complains: "+mistake)
	}
	if p.loaded == 0 || p.loaded >= mostBytes {
		faults = append(faults, fmt.Sprintf("it loads %.0f bytes, and may %d", p.loaded, mostBytes))
	}
	return faults
}

func (p *page) faultsOfLook(name, scheme string, width int64) (faults []string) {
	p.t.Helper()
	look := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme},
		{Name: "prefers-reduced-motion", Value: "reduce"}}}
	p.do("set the look", call(emulation.SetEmulatedMedia, look), chromedp.EmulateViewport(width, high))
	if content := evaluate[int64](p, "document.documentElement.scrollWidth"); content > width {
		faults = append(faults, fmt.Sprintf("it is %d pixels wide on a screen of %d", content, width))
	}
	for _, violation := range p.axe() {
		faults = append(faults, fmt.Sprintf("%s, %d wide: %s", scheme, width, violation))
	}
	if name != "" {
		p.keep(fmt.Sprintf("%s-%s-%s", name, p.language, scheme), p.picture(chromedp.FullScreenshot(100)))
	}
	return faults
}

// axe gives what axe-core finds wrong.
func (p *page) axe() []string {
	p.t.Helper()
	source, err := axe()
	if err != nil {
		p.t.Fatal(err)
	}
	if !evaluate[bool](p, "typeof axe !== 'undefined'") {
		evaluate[bool](p, source+"\n;true")
	}
	return evaluate[[]string](p, `axe.run(document).then((found) => found.violations.map((v) =>
		v.id + ": " + v.help + " " + v.nodes.map((n) => n.html + " " + n.failureSummary).join(" | ")))`)
}

// keep writes a screenshot where people find it.
func (p *page) keep(name string, shot []byte) {
	p.t.Helper()
	folder := os.Getenv("BROADCASTER_SCREENSHOTS")
	if folder == "" {
		folder = "screenshots"
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), shot, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// clickOn clicks the element that a CSS selector finds.
func clickOn(selector string) chromedp.Action[chromedp.Void] {
	return click(chromedp.CSS(selector))
}

// shown waits until a picture is drawn whole.
func shown(selector string) chromedp.Action[chromedp.Void] {
	return until(fmt.Sprintf("(() => { const found = document.querySelector(%q); return found && found.complete && found.naturalWidth > 0; })()", selector))
}

func exceptionOf(details *runtime.ExceptionDetails) string {
	if details.Exception != nil {
		return details.Text + " " + details.Exception.Description
	}
	return details.Text
}

// answerQuestions says yes to what the page asks before it does something that cannot be taken back.
func (p *page) answerQuestions() {
	dialogs := chromedp.Events(p.ctx, cdppage.JavascriptDialogOpening)
	go func() {
		for _, err := range dialogs {
			if err != nil {
				return
			}
			_ = chromedp.Do(p.ctx, call(cdppage.HandleJavaScriptDialog, cdppage.HandleJavaScriptDialogParams{Accept: true})) // the test fails without
		}
	}()
}

// keys presses keys, one after the other, wherever the focus is.
func (p *page) keys(pressed ...string) {
	p.t.Helper()
	for _, key := range pressed {
		p.do("press a key", chromedp.KeyEvent(key))
	}
}

// focusOn presses Tab until the focus is on what a CSS selector finds, and fails if the way there shows no focus or does not end.
func (p *page) focusOn(selector string) {
	p.t.Helper()
	const mostStops = 60
	for range mostStops {
		p.keys(kb.Tab)
		if outline := evaluate[string](p, "getComputedStyle(document.activeElement).outlineStyle"); outline == "none" {
			p.t.Errorf("the focus is not seen on %s", evaluate[string](p, "document.activeElement.outerHTML"))
		}
		if evaluate[bool](p, fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
			return
		}
	}
	p.t.Fatalf("no way to %s by the keyboard", selector)
}
