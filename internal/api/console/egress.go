package console

import (
	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
)

func egressRoutes() []route {
	return []route{}
}

// egressView is the network way out of a session. It never has the password of a proxy.
type egressView struct {
	client.Egress
	// Missing says that this service keeps no proxies.
	Missing bool
}

func (v *visit) egress(id string) (egressView, error) {
	found, err := v.api.Egress(v.context(), id)
	if client.IsCode(err, "egress_not_configured") {
		return egressView{Missing: true}, nil
	}
	return egressView{Egress: found}, err
}

var _ = access.Admin
