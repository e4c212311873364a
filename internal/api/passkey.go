package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// PasskeyAnswer is what a browser gives for the question for a passkey: the JSON of its PublicKeyCredential.
type PasskeyAnswer struct {
	_        struct{} `additionalProperties:"true"`
	ID       string   `json:"id" minLength:"1" maxLength:"2000"`
	RawID    string   `json:"rawId" minLength:"1" maxLength:"2000" pattern:"^[A-Za-z0-9_-]+$" doc:"Unpadded base64url, as are all bytes here."`
	Type     string   `json:"type" enum:"public-key"`
	Response struct {
		_                 struct{} `additionalProperties:"true"`
		ClientDataJSON    string   `json:"clientDataJSON" minLength:"1" maxLength:"10000" pattern:"^[A-Za-z0-9_-]+$"`
		AuthenticatorData string   `json:"authenticatorData" minLength:"1" maxLength:"10000" pattern:"^[A-Za-z0-9_-]+$"`
		Signature         string   `json:"signature" minLength:"1" maxLength:"10000" pattern:"^[A-Za-z0-9_-]+$"`
		UserHandle        *string  `json:"userHandle,omitempty" maxLength:"2000" pattern:"^[A-Za-z0-9_-]*$"`
	} `json:"response"`
}

type answerPasskeyInput struct {
	SessionInput
	Body PasskeyAnswer
}

// answerPasskey hands a browser's answer to the linker that asked. What WhatsApp makes of it is the link's next state.
func (a *API) answerPasskey(ctx context.Context, input *answerPasskeyInput) (*linkOutput, error) {
	response, err := json.Marshal(input.Body)
	if err != nil {
		return nil, a.problem(ctx, "answer for a passkey", fmt.Errorf("encode the answer: %w", err))
	}
	return a.give(ctx, input.ID, session.LinkPasskeyRequired, response)
}

// confirmPasskey says that the code of the link is the same on the phone.
func (a *API) confirmPasskey(ctx context.Context, input *SessionInput) (*linkOutput, error) {
	return a.give(ctx, input.ID, session.LinkPasskeyConfirm, nil)
}

// give leaves an answer for the linker of a link that is in the state in which it asks for it.
func (a *API) give(ctx context.Context, id session.ID, state session.LinkState, passkey []byte) (*linkOutput, error) {
	found, err := a.options.Sessions.Get(ctx, id)
	if err == nil && (found.Link.State != state || a.now().After(found.Link.Deadline)) {
		err = fault.New(fault.Conflict, "passkey_not_asked", fmt.Sprintf("This answer is for a link in the state %s; read the link's state", state))
	}
	if err == nil {
		err = a.options.Answers.Give(ctx, id, session.Answer{LinkID: found.Link.ID, Passkey: passkey})
	}
	if err != nil {
		return nil, a.problem(ctx, "give an answer for a link", err)
	}
	return &linkOutput{Status: http.StatusAccepted, Body: viewLink(found)}, nil
}
