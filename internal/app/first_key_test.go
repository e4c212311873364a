package app_test

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/ops"
	"github.com/dannsalud/broadcaster/wasim"
)

// TestTheFirstKeyIsPrintedOnceAndNeverLogged: where nobody sits at a terminal, too; and it lets its finder in.
func TestTheFirstKeyIsPrintedOnceAndNeverLogged(t *testing.T) {
	t.Parallel()
	var out, log bytes.Buffer
	folder := t.TempDir()
	for range 2 {
		runUntilReady(t, func(o *app.Options) {
			o.DataDir, o.AdminKey = folder, ""
			o.SeeFirstKey = func(key string) { app.ShowFirstKey(&out, key) }
			o.Log = ops.NewLogger(ops.LogOptions{Writer: &log, Format: ops.FormatJSON})
		}, func(product *app.App) {
			key := regexp.MustCompile(`bcr_\S+`).FindString(out.String())
			if _, err := clientOf(t, product, key).Operations().ListKeys(t.Context()); err != nil {
				t.Errorf("with the key that was printed: %v", err)
			}
		})
	}
	if keys := regexp.MustCompile(`bcr_\S+`).FindAllString(out.String(), -1); len(keys) != 1 || !strings.Contains(out.String(), "revoke this one") {
		t.Errorf("two starts printed %d keys, want one, with what to do", len(keys))
	}
	if log.Len() == 0 || strings.Contains(log.String(), "bcr_") {
		t.Errorf("of %d bytes, the log has the key", log.Len())
	}
}

// runUntilReady runs a product, and stops it after something was done with it.
func runUntilReady(t *testing.T, change func(*app.Options), act func(*app.App)) {
	t.Helper()
	simulator, err := wasim.New(wasim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = simulator.Close() }()
	options := app.Options{Listen: "127.0.0.1:0", WhatsApp: app.SimulatedBy(simulator), Links: app.QuickLinks()}
	change(&options)
	product, err := app.New(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- product.Run(ctx) }()
	select {
	case <-product.Ready():
		act(product)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	case err := <-ended:
		t.Fatal(err)
	}
	cancel()
}
