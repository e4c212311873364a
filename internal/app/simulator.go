package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dannsalud/broadcaster/internal/wa"
	"github.com/dannsalud/broadcaster/wasim"
)

// SimulatedBy is the endpoint of a simulator in this process.
func SimulatedBy(server *wasim.Server) wa.Endpoint {
	return wa.Endpoint{HTTPClient: server.HTTPClient(), RootKey: server.RootPublicKey()}
}

// Simulator is a simulated WhatsApp for trying the product without a phone: everybody is on it, reads what they get, and a new simulated
// phone scans every QR that is shown.
type Simulator struct {
	server *wasim.Server
	log    *slog.Logger
	codes  chan string
	phones atomic.Int64
}

// scanAfter is how long a simulated person needs to take out the phone.
const scanAfter = 2 * time.Second

// NewSimulator makes a simulator. Run makes it scan.
func NewSimulator(log *slog.Logger) (*Simulator, error) {
	server, err := wasim.New(wasim.Options{AutoContacts: true, Receipts: wasim.DeliveredAndRead(), Log: log})
	if err != nil {
		return nil, fmt.Errorf("start the simulator: %w", err)
	}
	return &Simulator{server: server, log: log, codes: make(chan string, 16)}, nil
}

// Endpoint is where the product connects to.
func (s *Simulator) Endpoint() wa.Endpoint { return SimulatedBy(s.server) }

// SeeQR is told of each QR; it does not wait.
func (s *Simulator) SeeQR(qr string) {
	select {
	case s.codes <- qr:
	default: // more codes at once than anybody shows
	}
}

// Run lets phones scan until the context ends.
func (s *Simulator) Run(ctx context.Context) error {
	var scans sync.WaitGroup
	defer func() {
		scans.Wait()
		_ = s.server.Close() // it never fails
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case code := <-s.codes:
			scans.Go(func() { s.scan(ctx, code) })
		}
	}
}

func (s *Simulator) scan(ctx context.Context, code string) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(scanAfter):
	}
	phone, err := s.server.NewPhone(fmt.Sprintf("+5491150%06d", s.phones.Add(1)))
	if err == nil {
		err = phone.ScanQR(ctx, code)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Info("simulated phone could not link", "error", err)
	}
}
