package browser_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

func TestMain(m *testing.M) {
	code := m.Run()
	chromium.stop()
	os.Exit(code)
}

// chromium is the one browser of the package's tests.
var chromium theBrowser

type theBrowser struct {
	once sync.Once
	ctx  context.Context //nolint:containedctx // chromedp keeps its browser in a context
	end  []context.CancelFunc
	err  error
}

// start gives the context of the running browser.
func (b *theBrowser) start() (context.Context, error) {
	b.once.Do(func() {
		path, err := findChromium()
		if err != nil {
			b.err = err
			return
		}
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
			chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("force-color-profile", "srgb"))
		allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, end := chromedp.NewContext(allocator)
		b.ctx, b.end = ctx, []context.CancelFunc{end, endAllocator}
		b.err = chromedp.Do(ctx)
	})
	return b.ctx, b.err
}

func (b *theBrowser) stop() {
	for _, end := range b.end {
		end()
	}
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
