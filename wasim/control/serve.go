package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/wasim"
)

// stopWait is how long requests of the control API may go on after the end was called for.
const stopWait = 5 * time.Second

// Addresses are where a simulator listens; port 0 lets the system choose.
type Addresses struct {
	// WhatsApp is where clients connect, Control where the control API is.
	WhatsApp, Control string
}

// Serve runs a simulator with its control API until the context ends. As soon as both listen it announces Info as one line of JSON.
// It closes the server.
func Serve(ctx context.Context, server *wasim.Server, addresses Addresses, announce io.Writer) error {
	defer func() { _ = server.Close() }()
	var listening net.ListenConfig
	whatsapp, err := listening.Listen(ctx, "tcp", addresses.WhatsApp)
	if err != nil {
		return fmt.Errorf("listen for clients: %w", err)
	}
	defer func() { _ = whatsapp.Close() }()
	api, err := listening.Listen(ctx, "tcp", addresses.Control)
	if err != nil {
		return fmt.Errorf("listen for the control API: %w", err)
	}
	defer func() { _ = api.Close() }()

	handler := NewHandler(server, Info{Address: whatsapp.Addr().String(), Control: "http://" + api.Addr().String()})
	if err := json.NewEncoder(announce).Encode(handler.info); err != nil {
		return fmt.Errorf("announce addresses: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(ctx, whatsapp) })
	group.Go(func() error { return serveAPI(ctx, api, handler) })
	return group.Wait()
}

// serveAPI serves the control API until the context ends, and lets requests in progress finish.
func serveAPI(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: stopWait,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
		defer cancel()
		stopped <- server.Shutdown(last)
	})
	err := server.Serve(listener)
	if stop() || !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the control API: %w", err)
	}
	return <-stopped
}
