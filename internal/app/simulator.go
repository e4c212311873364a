package app

import (
	"github.com/dannsalud/broadcaster/internal/wa"
	"github.com/dannsalud/broadcaster/wasim"
)

// Endpoint says where WhatsApp is; its zero value is the real one.
type Endpoint = wa.Endpoint

// SimulatedBy is the endpoint of a simulator in this process.
func SimulatedBy(server *wasim.Server) Endpoint {
	return Endpoint{HTTPClient: server.HTTPClient(), RootKey: server.RootPublicKey()}
}
