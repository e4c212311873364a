package browser_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/wasim"
)

// world is the whole product in this process, on a simulated WhatsApp.
type world struct {
	t         *testing.T
	simulator *wasim.Server
	product   *app.App
	// api is the product as a program sees it, to set a stage and to look at what came of it.
	api *client.Client
}

// start starts a product; change may set its options.
func start(t *testing.T, change ...func(*app.Options)) *world {
	t.Helper()
	needChromium(t)
	simulator, err := wasim.New(wasim.Options{AutoContacts: true, Receipts: wasim.DeliveredAndRead()})
	if err != nil {
		t.Fatal(err)
	}
	options := app.Options{DataDir: t.TempDir(), Listen: "127.0.0.1:0", WhatsApp: app.SimulatedBy(simulator), Links: app.QuickLinks(),
		Log: slog.New(slog.DiscardHandler)}
	for _, set := range change {
		set(&options)
	}
	w := &world{t: t, simulator: simulator}
	if w.product, err = app.New(options); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.product.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the product stopped with: %v", err)
		}
		if err := simulator.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-w.product.Ready():
	case err := <-ended:
		ended <- err
		t.Fatalf("the product did not start: %v", err)
	}
	if w.api, err = client.New(w.product.URL(), &http.Client{}); err != nil {
		t.Fatal(err)
	}
	return w
}

// phone makes a simulated phone.
func (w *world) phone(number string) *wasim.Phone {
	w.t.Helper()
	phone, err := w.simulator.NewPhone(number)
	if err != nil {
		w.t.Fatal(err)
	}
	return phone
}
