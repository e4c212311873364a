package wasim

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/wasim/internal/adv"
	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
)

// relyingParty is for whom passkeys of WhatsApp accounts are.
const relyingParty = "whatsapp.com"

// passkeyTimeout is how long the options give a person to answer, in milliseconds.
const passkeyTimeout = 300_000

// ErrPasskey is returned when the assertion with which a device answered a passkey prompt does not hold.
var ErrPasskey = errors.New("the passkey assertion does not hold")

// Passkey is a simulated authenticator: the passkey of one account.
type Passkey struct {
	private *ecdsa.PrivateKey
	id      []byte
}

// passkeyPrompt is a passkey question on its way to a device.
type passkeyPrompt struct {
	passkey   *Passkey
	challenge []byte
	code      string
}

// passkeyStep is one message of a device that is being linked through a passkey; the phone answers it.
type passkeyStep struct {
	exchange *exchange
	tag      string
}

// AskPasskey makes the next link by QR ask for a passkey. It gives the authenticator that can answer.
func (p *Phone) AskPasskey() (*Passkey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make passkey: %w", err)
	}
	passkey := &Passkey{private: private, id: randomBytes(16)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passkey = &passkeyPrompt{passkey: passkey, challenge: randomBytes(32)}
	return passkey, nil
}

// PasskeyCode is the code that the phone shows for comparison, as "ABCD-EFGH", once a device that is being linked has answered the
// passkey prompt; empty before.
func (p *Phone) PasskeyCode() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.passkey == nil {
		return ""
	}
	return p.passkey.code
}

func randomBytes(size int) []byte {
	raw := make([]byte, size)
	_, _ = rand.Read(raw) // never fails: the process ends if the system has no randomness
	return raw
}

// options are the WebAuthn request options of a prompt, as JSON.
func (q *passkeyPrompt) options() ([]byte, error) {
	return json.Marshal(&types.WebAuthnPublicKey{
		Challenge:        q.challenge,
		Timeout:          passkeyTimeout,
		RelyingPartID:    relyingParty,
		AllowCredentials: []types.AllowedCredential{{ID: q.passkey.id, Type: "public-key", Transports: []string{"internal", "hybrid"}}},
		UserVerification: "required",
		Extensions:       map[string]any{},
	})
}

// clientData is what a browser signs about a request.
type clientData struct {
	Type      string `json:"type"`
	Challenge string `json:"challenge"`
	Origin    string `json:"origin"`
}

// Respond answers WebAuthn request options (JSON, as the device was given them) as a browser with this passkey would.
func (k *Passkey) Respond(options []byte) (*types.WebAuthnResponse, error) {
	var request types.WebAuthnPublicKey
	if err := json.Unmarshal(options, &request); err != nil {
		return nil, fmt.Errorf("read passkey options: %w", err)
	}
	client, err := json.Marshal(clientData{
		Type: "webauthn.get", Challenge: base64.RawURLEncoding.EncodeToString(request.Challenge), Origin: "https://web." + relyingParty,
	})
	if err != nil {
		return nil, fmt.Errorf("encode client data: %w", err)
	}
	const userPresentAndVerified = 5
	party := sha256.Sum256([]byte(request.RelyingPartID))
	authenticator := append(party[:], userPresentAndVerified, 0, 0, 0, 1)
	signature, err := ecdsa.SignASN1(rand.Reader, k.private, assertionDigest(authenticator, client))
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return &types.WebAuthnResponse{
		ID: base64.RawURLEncoding.EncodeToString(k.id), RawID: k.id, Type: "public-key",
		Response: types.WebAuthnResponseData{ClientDataJSON: client, AuthenticatorData: authenticator, Signature: signature},
	}, nil
}

func assertionDigest(authenticator, client []byte) []byte {
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(bytes.Clone(authenticator), hash[:]...))
	return digest[:]
}

// verify checks an assertion, as JSON, against the prompt.
func (q *passkeyPrompt) verify(assertion []byte) error {
	var response types.WebAuthnResponse
	if err := json.Unmarshal(assertion, &response); err != nil {
		return fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	var client clientData
	if err := json.Unmarshal(response.Response.ClientDataJSON, &client); err != nil {
		return fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	party := sha256.Sum256([]byte(relyingParty))
	switch {
	case !bytes.Equal(response.RawID, q.passkey.id):
		return fmt.Errorf("%w: it is another credential's", ErrPasskey)
	case client.Type != "webauthn.get" || client.Challenge != base64.RawURLEncoding.EncodeToString(q.challenge):
		return fmt.Errorf("%w: it answers another challenge", ErrPasskey)
	case !bytes.HasPrefix(response.Response.AuthenticatorData, party[:]):
		return fmt.Errorf("%w: it is for another party", ErrPasskey)
	case !ecdsa.VerifyASN1(&q.passkey.private.PublicKey,
		assertionDigest(response.Response.AuthenticatorData, response.Response.ClientDataJSON), response.Response.Signature):
		return fmt.Errorf("%w: the signature is wrong", ErrPasskey)
	}
	return nil
}

// passPasskey lets the device answer a passkey prompt, if one is to be asked. It gives the ADV secret for the rest of the pairing:
// that of the QR, or the new one that the device made because of the prompt.
func (p *Phone) passPasskey(ctx context.Context, pairing *pairing, secret []byte) ([]byte, error) {
	p.mu.Lock()
	prompt := p.passkey
	p.mu.Unlock()
	if prompt == nil {
		return secret, nil
	}
	options, err := prompt.options()
	if err != nil {
		return nil, fmt.Errorf("encode passkey options: %w", err)
	}
	pairing.setPrompt(options)
	pairing.notify("passkey_prologue_request", stanza.Node{Tag: "passkey_request_options", Content: options})
	hand := handOff{phone: p, pairing: pairing, prompt: prompt, secret: secret}
	offer, err := hand.run(ctx)
	if err != nil {
		return nil, err
	}
	if offer.Noise != pairing.conn.peer.Static || offer.Identity != pairing.identity {
		return nil, ErrForeignQR
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passkey = nil
	return offer.Secret, nil
}

// handOff is the conversation with a device after it was asked for a passkey.
type handOff struct {
	phone   *Phone
	pairing *pairing
	prompt  *passkeyPrompt
	secret  []byte
}

func (h *handOff) run(ctx context.Context) (adv.Offer, error) {
	exchange, err := h.prologue(ctx)
	if err != nil {
		return adv.Offer{}, err
	}
	identity, err := exchange.PhoneIdentity()
	if err != nil {
		return adv.Offer{}, fmt.Errorf("encode phone identity: %w", err)
	}
	h.pairing.notify("crsc_continuation", stanza.Node{Tag: "primary_ephemeral_identity", Content: identity})
	err = h.step(ctx, "companion_nonce", func(content stanza.Node) error { return exchange.TakeNonce(stanza.Bytes(content)) })
	if err != nil {
		return adv.Offer{}, err
	}
	h.phone.mu.Lock()
	h.prompt.code = exchange.Code()
	h.phone.mu.Unlock()
	var offer adv.Offer
	err = h.step(ctx, "encrypted_pairing_request", func(content stanza.Node) (err error) {
		offer, err = exchange.Open(stanza.Bytes(content))
		return err
	})
	return offer, err
}

func (h *handOff) prologue(ctx context.Context) (*adv.PasskeyExchange, error) {
	var exchange *adv.PasskeyExchange
	err := h.step(ctx, "passkey_prologue", func(content stanza.Node) error {
		if err := h.prompt.verify(stanza.ChildBytes(&content, "webauthn_assertion")); err != nil {
			return err
		}
		var err error
		exchange, err = adv.ReadPrologue(stanza.ChildBytes(&content, "prologue_payload"),
			stanza.ChildBytes(&content, "pairing_handoff_proof"), h.secret)
		return err
	})
	return exchange, err
}

// step waits for the device's next message, lets take judge it, and answers.
func (h *handOff) step(ctx context.Context, tag string, take func(stanza.Node) error) error {
	select {
	case step := <-h.pairing.steps:
		if step.tag != tag {
			step.exchange.fail(400)
			return fmt.Errorf("the device sent %q, not %q", step.tag, tag)
		}
		if err := take(step.exchange.node.GetChildByTag(tag)); err != nil {
			step.exchange.fail(401)
			return err
		}
		step.exchange.result()
		return nil
	case <-h.pairing.conn.gone:
		return fmt.Errorf("wait for the device's %s: %w", tag, errGone)
	case <-ctx.Done():
		return fmt.Errorf("wait for the device's %s: %w", tag, ctx.Err())
	}
}

func (p *pairing) setPrompt(options []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prompt = options
}

// notify sends a notification to the unlinked device.
func (p *pairing) notify(kind string, content stanza.Node) {
	p.conn.send(stanza.Node{
		Tag:     "notification",
		Attrs:   stanza.Attrs{"from": types.ServerJID, "type": kind, "id": p.conn.server.newID("N"), "t": time.Now().Unix()},
		Content: []stanza.Node{content},
	})
}

// handlePairRef gives the device a new reference for its pairing.
func handlePairRef(_ context.Context, x *exchange) {
	x.result(stanza.Node{Tag: "ref", Content: []byte(x.conn.pairing.newRef())})
}

// handlePasskeyOptions gives the options of the prompt again.
func handlePasskeyOptions(_ context.Context, x *exchange) {
	pairing := x.conn.pairing
	pairing.mu.Lock()
	prompt := pairing.prompt
	pairing.mu.Unlock()
	if prompt == nil {
		x.fail(404)
		return
	}
	x.result(stanza.Node{Tag: "passkey_request_options", Content: prompt})
}

func handlePasskeyPrologue(_ context.Context, x *exchange) { x.passOn("passkey_prologue") }

func handlePasskeyNonce(_ context.Context, x *exchange) { x.passOn("companion_nonce") }

func handlePasskeyRequest(_ context.Context, x *exchange) { x.passOn("encrypted_pairing_request") }

// passOn hands a message of the device to the phone that is linking it, which answers.
func (x *exchange) passOn(tag string) {
	pairing := x.conn.pairing
	pairing.mu.Lock()
	expected := pairing.taken && pairing.prompt != nil
	pairing.mu.Unlock()
	if !expected {
		x.fail(404)
		return
	}
	select {
	case pairing.steps <- passkeyStep{exchange: x, tag: tag}:
	default:
		x.fail(503)
	}
}
