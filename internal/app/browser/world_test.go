package browser_test

import (
	"context"
	"log/slog"
	"net"
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
	// key is the admin key that api and the tabs have.
	key string
}

// start starts a product; change may set its options.
func start(t *testing.T, change ...func(*app.Options, *wasim.Server)) *world {
	t.Helper()
	needChromium(t)
	simulator, err := wasim.New(wasim.Options{AutoContacts: true, Receipts: wasim.DeliveredAndRead()})
	if err != nil {
		t.Fatal(err)
	}
	options := app.Options{DataDir: t.TempDir(), Listen: "127.0.0.1:0", WhatsApp: app.SimulatedBy(simulator), Links: app.QuickLinks(),
		Log: slog.New(slog.DiscardHandler), AdminKey: app.GenerateAdminKey()}
	for _, set := range change {
		set(&options, simulator)
	}
	w := &world{t: t, simulator: simulator, key: options.AdminKey}
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
	api, err := client.New(w.product.URL(), &http.Client{})
	if err != nil {
		t.Fatal(err)
	}
	w.api = api.WithKey(w.key)
	return w
}

// onPort has the simulator reached over the network, as proxies need it.
func onPort(t *testing.T) func(*app.Options, *wasim.Server) {
	return func(options *app.Options, simulator *wasim.Server) {
		t.Helper()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
		served := make(chan error, 1)
		go func() { served <- simulator.Serve(ctx, listener) }()
		t.Cleanup(func() {
			stop()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
		address := listener.Addr().String()
		options.WhatsApp = app.Endpoint{HTTPClient: wasim.DialClient(address), Address: address, RootKey: simulator.RootPublicKey()}
	}
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

// linked gives the id of a session that is linked to a phone, by the API.
func (w *world) linked(number string) (string, *wasim.Phone) {
	w.t.Helper()
	phone := w.phone(number)
	created, err := w.api.CreateSession(w.t.Context(), "ana", "Recepción")
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.api.StartLink(w.t.Context(), created.ID, "qr", ""); err != nil {
		w.t.Fatal(err)
	}
	scanned := false
	_, err = w.api.FollowLink(w.t.Context(), created.ID, func(link client.Link) error {
		if link.Prompt == nil || link.Prompt.QR == "" || scanned {
			return nil
		}
		scanned = true
		return phone.ScanQR(w.t.Context(), link.Prompt.QR)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return created.ID, phone
}
