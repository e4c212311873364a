package wa

import (
	"context"
	"encoding/json"

	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// AnswerPasskey gives WhatsApp the browser's answer to its question for a passkey: a WebAuthn response as JSON, with its bytes in unpadded base64url,
// as a browser's PublicKeyCredential.toJSON gives it.
func (c *Client) AnswerPasskey(ctx context.Context, response []byte) error {
	var parsed types.WebAuthnResponse
	if json.Unmarshal(response, &parsed) != nil { // the decoder's own error could quote the answer
		return fault.New(fault.Invalid, "passkey_malformed", "The passkey's answer is not a WebAuthn response; send what the browser gave")
	}
	if err := c.whatsmeow.SendPasskeyResponse(ctx, &parsed); err != nil {
		return fault.Wrap(describe("answer for a passkey", c.session, err), fault.Conflict, "passkey_refused",
			"WhatsApp did not accept the passkey; start the link again")
	}
	return nil
}

// ConfirmPasskey tells WhatsApp that the code that it showed is the same on the phone.
func (c *Client) ConfirmPasskey(ctx context.Context) error {
	if err := c.whatsmeow.SendPasskeyConfirmation(ctx); err != nil {
		return fault.Wrap(describe("confirm a passkey", c.session, err), fault.Conflict, "passkey_refused",
			"WhatsApp did not accept the confirmation; start the link again")
	}
	return nil
}
