package app

import (
	"context"
	"net/netip"
	"time"

	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/wa/keys"
	"github.com/dannsalud/broadcaster/internal/webhook"
)

// Webhooks say how receivers of webhooks are reached.
type Webhooks struct {
	// AllowPrivate are private networks that they may be in, the same for API and senders; none: only public addresses, by https.
	AllowPrivate []netip.Prefix
	// Timeout is how long one may take to answer; zero: webhook.DefaultTimeout.
	Timeout time.Duration
}

// webhookKind marks the envelopes of webhooks' secrets, so that none passes for a row of the key store or for a proxy.
const webhookKind = "webhook"

// webhookSealer seals the secrets of webhooks with the keys that seal proxies.
type webhookSealer struct{ ring *keys.Ring }

// Seal implements webhook.Sealer.
func (s webhookSealer) Seal(subscription, name string, secret []byte) ([]byte, error) {
	return s.ring.SealSecret(subscription, webhookKind, name, secret)
}

// Open implements webhook.Sealer.
func (s webhookSealer) Open(subscription, name string, sealed []byte) ([]byte, error) {
	return s.ring.OpenSecret(subscription, webhookKind, name, sealed)
}

// openWebhooks makes the book of subscriptions.
func (a *App) openWebhooks(documents store.Documents, ring *keys.Ring) webhook.Subscriptions {
	book := webhook.Subscriptions{Documents: documents, Plain: len(a.options.Webhooks.AllowPrivate) > 0}
	if ring != nil {
		book.Sealer = webhookSealer{ring}
	}
	return book
}

// wireWebhooks makes what tells receivers of facts; the jobs of both are taken by the worker.
func (a *App) wireWebhooks(_ context.Context, p *parts) error {
	fanOut, err := webhook.NewFanOut(webhook.FanOutOptions{Subscriptions: p.webhooks, Sessions: p.sessions, Queue: p.queue})
	if err != nil {
		return err
	}
	deliverer, err := webhook.NewDeliverer(webhook.DelivererOptions{Subscriptions: p.webhooks, Slots: bus.WebhookSlots,
		AllowPrivate: a.options.Webhooks.AllowPrivate, Timeout: a.options.Webhooks.Timeout, Registerer: a.registry, Log: a.options.Log})
	if err != nil {
		return err
	}
	if err := p.worker.HandleEveryFact(fanOut.Handle); err != nil {
		return err
	}
	return p.worker.HandleDeliverWebhook(deliverer.Handle)
}
