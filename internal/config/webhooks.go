package config

import (
	"net/netip"
	"slices"
	"time"
)

// Webhooks are the settings of webhooks that the API and the senders share.
type Webhooks struct {
	WebhookAllowPrivate []string `env:"WEBHOOK_ALLOW_PRIVATE" allowed:"IP addresses or networks such as 10.1.0.0/16, separated by commas" meaning:"Private networks that the receivers of webhooks may be in; the same for api and sender. Receivers may be asked without TLS then, too. Empty: receivers have https and a public address."`
}

// Deliveries are the settings of webhooks that the senders alone have.
type Deliveries struct {
	WebhookTimeout time.Duration `env:"WEBHOOK_TIMEOUT" envDefault:"10s" allowed:"a duration from 1s to 1m" meaning:"How long the receiver of a webhook may take to answer."`
}

func (w Webhooks) check(c *checker) {
	c.want(!slices.ContainsFunc(w.WebhookAllowPrivate, func(text string) bool { _, ok := network(text); return !ok }), "WEBHOOK_ALLOW_PRIVATE")
}

func (d Deliveries) check(c *checker) {
	c.want(within(d.WebhookTimeout, time.Second, time.Minute), "WEBHOOK_TIMEOUT")
}

// Private gives the networks as what needs them takes them.
func (w Webhooks) Private() []netip.Prefix {
	networks := make([]netip.Prefix, 0, len(w.WebhookAllowPrivate))
	for _, text := range w.WebhookAllowPrivate {
		if prefix, ok := network(text); ok {
			networks = append(networks, prefix)
		}
	}
	return networks
}

// network reads a network, or an address as the network of that one.
func network(text string) (netip.Prefix, bool) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix.Masked(), true
	}
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(address, address.BitLen()), true
}

// LoadWebhooks reads and checks the settings of webhooks alone, for a process that has no other settings in its environment.
func LoadWebhooks(environ map[string]string) (webhooks Webhooks, deliveries Deliveries, err error) {
	var settings struct {
		Webhooks
		Deliveries
	}
	check := read(environ, &settings)
	settings.Webhooks.check(check)
	settings.Deliveries.check(check)
	return settings.Webhooks, settings.Deliveries, check.result()
}
