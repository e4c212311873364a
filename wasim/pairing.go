package wasim

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/wasim/internal/adv"
	"github.com/dannsalud/broadcaster/wasim/internal/signal"
	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// qrCodes is the number of QR codes that an unlinked device is offered; it shows one after the other.
const qrCodes = 6

// The reasons why a phone cannot link a device.
var (
	// ErrExpired: the device that showed the code is not connected any more.
	ErrExpired = errors.New("the code has expired: the device that shows it is not connected")
	// ErrTaken: another scan of the same device is going on.
	ErrTaken = errors.New("the device is being linked already")
	// ErrForeignQR: the QR does not carry the keys of the device that its reference belongs to.
	ErrForeignQR = errors.New("the QR code carries other keys than the device that is connected")
)

// RefusedError tells that the device refused to be linked.
type RefusedError struct {
	Code int
	Text string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the device refused the pairing: %d %s", e.Code, e.Text)
}

// pairing is an unlinked device that is connected and waits for a phone.
type pairing struct {
	conn         *connection
	registration uint32
	identity     [32]byte
	signed       signal.PreKey
	refs         []string
	timer        *time.Timer
	steps        chan passkeyStep

	mu     sync.Mutex
	taken  bool
	code   *codeOffer
	prompt []byte
}

// offerPairing offers QR codes to an unlinked device.
func (c *connection) offerPairing(payload *waWa6.ClientPayload_DevicePairingRegistrationData) error {
	p, err := readPairing(payload)
	if err != nil {
		return err
	}
	p.conn, c.pairing = c, p
	c.server.books.pairings.enter()
	p.timer = time.AfterFunc(c.server.options.PairingWindow, p.expire)
	verdict := c.server.script.Decide(script.Moment{Event: script.Pairing})
	if verdict.Kind == script.Failure {
		c.fail(verdict)
		return nil
	}
	if verdict.Kind != script.DropReply {
		c.send(p.offer())
	}
	switch {
	case verdict.Kind == script.Cut:
		c.server.later(c.server.options.CloseDelay, c.cut)
	case verdict.StrikesConnection():
		c.strike(verdict)
	}
	return nil
}

func readPairing(payload *waWa6.ClientPayload_DevicePairingRegistrationData) (*pairing, error) {
	if len(payload.GetERegid()) != 4 || len(payload.GetEIdent()) != 32 || len(payload.GetESkeyID()) != 3 ||
		len(payload.GetESkeyVal()) != 32 || len(payload.GetESkeySig()) != 64 {
		return nil, errors.New("a key of the unlinked device has a wrong length")
	}
	id := payload.GetESkeyID()
	return &pairing{
		registration: binary.BigEndian.Uint32(payload.GetERegid()),
		identity:     [32]byte(payload.GetEIdent()),
		signed: signal.PreKey{
			ID:        uint32(id[0])<<16 | uint32(id[1])<<8 | uint32(id[2]),
			Key:       [32]byte(payload.GetESkeyVal()),
			Signature: [64]byte(payload.GetESkeySig()),
		},
		steps: make(chan passkeyStep, 4),
	}, nil
}

// offer makes the references of the QR codes and the stanza that brings them.
func (p *pairing) offer() stanza.Node {
	var refs []stanza.Node
	for range qrCodes {
		ref := p.newRef()
		refs = append(refs, stanza.Node{Tag: "ref", Content: []byte(ref)})
	}
	return stanza.Node{
		Tag:     "iq",
		Attrs:   stanza.Attrs{"from": types.ServerJID, "type": "set", "xmlns": "md", "id": p.conn.server.newID("P")},
		Content: []stanza.Node{{Tag: "pair-device", Content: refs}},
	}
}

// newRef makes a reference by which a phone finds the pairing.
func (p *pairing) newRef() string {
	ref := "2@" + base64.RawURLEncoding.EncodeToString(randomBytes(24))
	p.refs = append(p.refs, ref)
	p.conn.server.mu.Lock()
	defer p.conn.server.mu.Unlock()
	p.conn.server.offers[ref] = p
	return ref
}

// expire ends the connection of a device that nobody scanned in time.
func (p *pairing) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.taken {
		p.conn.end()
	}
}

// close forgets the pairing after its connection ended.
func (p *pairing) close() {
	p.timer.Stop()
	server := p.conn.server
	server.books.pairings.leave()
	server.mu.Lock()
	defer server.mu.Unlock()
	for _, ref := range p.refs {
		delete(server.offers, ref)
	}
}

// claim finds the pairing behind a reference and keeps others from it until release.
func (s *Server) claim(ref string) (*pairing, error) {
	s.mu.RLock()
	found := s.offers[ref]
	s.mu.RUnlock()
	if found == nil {
		return nil, ErrExpired
	}
	return found, found.claim()
}

func (p *pairing) claim() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken {
		return ErrTaken
	}
	p.taken = true
	return nil
}

func (p *pairing) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken = false
}

// ScanQR links the device that shows a QR code. It returns when the device has logged in and is ready, or with the reason why not; a
// device that never comes back is waited for until the context ends.
func (p *Phone) ScanQR(ctx context.Context, qr string) error {
	offer, err := adv.ParseQR(qr)
	if err != nil {
		return err
	}
	pairing, err := p.account.server.claim(offer.Ref)
	if err != nil {
		return err
	}
	defer pairing.release()
	if offer.Noise != pairing.conn.peer.Static || offer.Identity != pairing.identity {
		return ErrForeignQR
	}
	secret, err := p.passPasskey(ctx, pairing, offer.Secret)
	if err != nil {
		return err
	}
	return p.link(ctx, pairing, secret)
}

// link signs the device's identity, tells it that it is linked, and waits until it has logged in.
func (p *Phone) link(ctx context.Context, pairing *pairing, secret []byte) error {
	device := p.newCompanion(pairing)
	identity := p.identity()
	signed, err := adv.Sign(identity, pairing.identity, secret, adv.Details{
		RawID: device.registration, KeyIndex: uint32(device.id), Timestamp: uint64(time.Now().Unix()),
	})
	if err != nil {
		return err
	}
	answer, err := pairing.conn.ask(ctx, p.pairSuccess(device, signed))
	if err != nil {
		return err
	}
	if failure, failed := answer.GetOptionalChildByTag("error"); failed {
		return &RefusedError{Code: stanza.Int(&failure, "code"), Text: stanza.Text(&failure, "text")}
	}
	if err := adv.Verify(*identity.Pub, pairing.identity, stanza.ChildBytes(answer, "pair-device-sign", "device-identity")); err != nil {
		return err
	}
	p.account.add(device)
	pairing.conn.strike(script.EndStream(restartCode))
	select {
	case <-device.ready:
		return p.welcome(ctx, device)
	case <-ctx.Done():
		return fmt.Errorf("wait for the linked device to log in: %w", ctx.Err())
	}
}

// newCompanion makes the linked device that a pairing will become.
func (p *Phone) newCompanion(pairing *pairing) *companion {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := p.nextDevice
	p.nextDevice++
	return &companion{
		owner: p.account, id: id, noise: pairing.conn.peer.Static, identity: pairing.identity, registration: pairing.registration,
		signed: pairing.signed, linkedAt: time.Now(), ready: make(chan struct{}),
	}
}

func (p *Phone) pairSuccess(device *companion, signed []byte) stanza.Node {
	number := p.account.number
	content := []stanza.Node{
		{Tag: "device-identity", Content: signed},
		{Tag: "device", Attrs: stanza.Attrs{"jid": stanza.PN(number, device.id), "lid": stanza.LID(number, device.id)}},
		{Tag: "platform", Attrs: stanza.Attrs{"name": p.platform}},
	}
	if p.business != "" {
		content = append(content, stanza.Node{Tag: "biz", Attrs: stanza.Attrs{"name": p.business}})
	}
	return stanza.Node{
		Tag:     "iq",
		Attrs:   stanza.Attrs{"from": types.ServerJID, "type": "set", "xmlns": "md", "t": time.Now().Unix()},
		Content: []stanza.Node{{Tag: "pair-success", Content: content}},
	}
}

// add puts a linked device on the account.
func (a *account) add(device *companion) {
	a.mu.Lock()
	a.linked = append(a.linked, device)
	a.mu.Unlock()
	a.server.books.linked.Add(1)
	others := a.companions()
	if len(others) > 1 {
		a.announceDevices()
	}
}
