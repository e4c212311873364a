package wasim

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"

	"github.com/dannsalud/broadcaster/wasim/internal/adv"
	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
)

// ErrWrongCode is returned when the code that was typed is not the one that the device shows. The device does not learn of it; the
// right code can be typed after a wrong one.
var ErrWrongCode = adv.ErrWrongCode

// displayName is what a pairing by code must call itself: "Browser (OS)". The real server answers 400 to anything else.
var displayName = regexp.MustCompile(`^[A-Za-z ]+ \([A-Za-z ]+\)$`)

// codeOffer is a device that shows an 8-character code for a phone number.
type codeOffer struct {
	number  uint64
	ref     string
	wrapped []byte
	bundles chan []byte
}

// handlePairCode takes both steps of a pairing by code: the device's wrapped key, and the bundle with which it finishes.
func handlePairCode(_ context.Context, x *exchange) {
	registration := stanza.First(x.node)
	if stanza.Text(&registration, "stage") == "companion_finish" {
		x.conn.pairing.finishCode(x, &registration)
		return
	}
	number, ok := stanza.Number(stanza.JID(&registration, "jid"))
	if !ok || !displayName.Match(stanza.ChildBytes(&registration, "companion_platform_display")) {
		x.fail(400)
		return
	}
	pairing := x.conn.pairing
	offer := &codeOffer{
		number: number, ref: pairing.newRef(), bundles: make(chan []byte, 1),
		wrapped: stanza.ChildBytes(&registration, "link_code_pairing_wrapped_companion_ephemeral_pub"),
	}
	pairing.mu.Lock()
	pairing.code = offer
	pairing.mu.Unlock()
	x.result(stanza.Node{
		Tag:     "link_code_companion_reg",
		Attrs:   stanza.Attrs{"stage": "companion_hello"},
		Content: []stanza.Node{{Tag: "link_code_pairing_ref", Content: []byte(offer.ref)}},
	})
}

func (p *pairing) finishCode(x *exchange, registration *stanza.Node) {
	p.mu.Lock()
	offer := p.code
	p.mu.Unlock()
	if offer == nil || offer.ref != string(stanza.ChildBytes(registration, "link_code_pairing_ref")) {
		x.fail(404)
		return
	}
	x.result()
	select {
	case offer.bundles <- stanza.ChildBytes(registration, "link_code_pairing_wrapped_key_bundle"):
	default: // nobody waits: the phone gave up
	}
}

// claimCode finds the device that shows a code for a number.
func (s *Server) claimCode(number uint64) (*pairing, *codeOffer, error) {
	s.mu.RLock()
	candidates := make(map[*pairing]struct{})
	for _, pairing := range s.offers {
		candidates[pairing] = struct{}{}
	}
	s.mu.RUnlock()
	for pairing := range candidates {
		pairing.mu.Lock()
		offer := pairing.code
		pairing.mu.Unlock()
		if offer != nil && offer.number == number {
			return pairing, offer, pairing.claim()
		}
	}
	return nil, nil, ErrExpired
}

// EnterCode links the device that shows an 8-character code for this phone's number. It returns when the device has logged in and is
// ready, or with the reason why not.
func (p *Phone) EnterCode(ctx context.Context, code string) error {
	pairing, offer, err := p.account.server.claimCode(p.account.number)
	if err != nil {
		return err
	}
	defer pairing.release()
	exchange, wrapped, err := adv.AnswerCode(code, offer.wrapped)
	if err != nil {
		return err
	}
	identity := p.identity()
	pairing.conn.send(stanza.Node{
		Tag: "notification",
		Attrs: stanza.Attrs{
			"from": types.ServerJID, "type": "link_code_companion_reg", "id": p.account.server.newID("N"), "t": time.Now().Unix(),
		},
		Content: []stanza.Node{{
			Tag:   "link_code_companion_reg",
			Attrs: stanza.Attrs{"stage": "primary_hello"},
			Content: []stanza.Node{
				{Tag: "link_code_pairing_wrapped_primary_ephemeral_pub", Content: wrapped},
				{Tag: "primary_identity_pub", Content: identity.Pub[:]},
				{Tag: "link_code_pairing_ref", Content: []byte(offer.ref)},
			},
		}},
	})
	var bundle []byte
	select {
	case bundle = <-offer.bundles:
	case <-pairing.conn.gone:
		return fmt.Errorf("wait for the device's key bundle: %w", errGone)
	case <-ctx.Done():
		return fmt.Errorf("wait for the device's key bundle: %w", ctx.Err())
	}
	secret, err := exchange.Open(bundle, identity, pairing.identity)
	if err != nil {
		return err
	}
	return p.link(ctx, pairing, secret)
}

// identity is the phone's Signal identity, which signs linked devices as well.
func (p *Phone) identity() *keys.KeyPair {
	p.account.mu.Lock()
	defer p.account.mu.Unlock()
	return p.account.device(0).Identity()
}
