package app

import (
	"cmp"
	"fmt"
	"time"

	"github.com/dannsalud/broadcaster/internal/api/console"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/ops"
)

// wireConsole puts the pages for people in front of the API.
func (a *App) wireConsole(p *parts) error {
	zone, err := time.LoadLocation(cmp.Or(a.options.TimeZone, campaign.DefaultTimeZone))
	if err != nil {
		return fmt.Errorf("find the time zone of the pages: %w", err)
	}
	p.console, err = console.New(console.Options{API: p.api.Handler(), Logins: p.api, AllowsOrigin: p.api.AllowsOrigin, Zone: zone, OptOutWords: a.options.Consent.Words, Log: a.options.Log,
		Version: ops.Version()})
	return err
}
