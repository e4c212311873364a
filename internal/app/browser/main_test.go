package browser_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/dannsalud/broadcaster/internal/api/console"
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, err := range []error{chromium.stop(), checked.missing()} {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// checked are the pages that the tests looked at, as patterns.
var checked = lookedAt{pages: map[string]bool{}}

type lookedAt struct {
	mu    sync.Mutex
	pages map[string]bool
}

// page notes that a page was looked at.
func (l *lookedAt) page(path string) {
	mux := http.NewServeMux()
	for _, pattern := range console.Pages() {
		mux.Handle(pattern, http.NotFoundHandler())
	}
	_, pattern := mux.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pages[pattern] = true
}

// missing names the pages that no test looked at, if all tests ran in a browser.
func (l *lookedAt) missing() error {
	if chromium.ctx == nil || flag.Lookup("test.run").Value.String() != "" {
		return nil
	}
	// These only lead to another page: the first one, and back from an address whose form is gone.
	leads := []string{"GET /{$}", "GET /campaigns/new/audience", "GET /campaigns/new/columns", "GET /webhooks/{id}/secret"}
	var missing []string
	for _, pattern := range console.Pages() {
		if !slices.Contains(leads, pattern) && !l.pages[pattern] {
			missing = append(missing, pattern)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("no test calls checkPage on %s", strings.Join(missing, ", "))
	}
	return nil
}

// chromium is the one browser of the package's tests.
var chromium theBrowser

type theBrowser struct {
	once sync.Once
	ctx  context.Context //nolint:containedctx // chromedp keeps its browser in a context
	end  context.CancelFunc
	// folder is where it keeps what it leaves behind.
	folder string
	err    error
}

// start gives the context of the running browser.
func (b *theBrowser) start() (context.Context, error) {
	b.once.Do(func() {
		path, err := findChromium()
		if err == nil {
			b.folder, err = os.MkdirTemp("", "broadcaster-chromium-")
		}
		if err != nil {
			b.err = err
			return
		}
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Env("TMPDIR="+b.folder),
			chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("force-color-profile", "srgb"))
		allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
		b.ctx, _ = chromedp.NewContext(allocator) // stop ends it
		b.end, b.err = end, chromedp.Do(b.ctx)
	})
	return b.ctx, b.err
}

// stop closes the browser, if it runs, and leaves nothing behind.
func (b *theBrowser) stop() error {
	if b.ctx == nil {
		return nil
	}
	err := chromedp.Cancel(b.ctx)
	b.end()
	return errors.Join(err, os.RemoveAll(b.folder))
}

func findChromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

// needChromium skips a test, loudly, on a machine that has no Chromium. Where CI runs it is installed, and its absence is a failure.
func needChromium(t *testing.T) {
	t.Helper()
	if _, err := findChromium(); err == nil {
		return
	}
	const missing = "NO CHROMIUM: THE CONSOLE IS NOT TESTED. Install the package chromium and run this again."
	fmt.Fprintf(os.Stderr, "\n*** %s\n\n", missing)
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}

const axeVersion = "4.14.1"

// axe gives the source of axe-core, fetched once per machine.
var axe = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "broadcaster-tests", "axe-core-"+axeVersion)
	file := filepath.Join(folder, "node_modules", "axe-core", "axe.min.js")
	if content, err := os.ReadFile(file); err == nil {
		return string(content), nil
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(folder), "fetching-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(fresh) }() // it has moved, if all went well
	fetch := exec.Command("npm", "install", "--prefix", fresh, "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "axe-core@"+axeVersion)
	if said, err := fetch.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetch axe-core: %w\n%s", err, said)
	}
	if err := os.Rename(fresh, folder); err != nil && !os.IsExist(err) {
		return "", err
	}
	content, err := os.ReadFile(file)
	return string(content), err
})
