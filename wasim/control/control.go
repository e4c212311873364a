// Package control is the HTTP control API of a simulated WhatsApp server that runs in another process: whoever tests a system of several
// processes makes phones, scans QR codes, reads what contacts received and scripts faults through it.
//
// Nouns: Handler (the API over a wasim.Server), Client (its caller in Go), Info (where the simulator is and which key it has).
//
// The bodies are JSON: wasim's own types (Profile, Message, Sent, Books, Device) and script.Rule. Errors are {"error": sentence, "code":
// word}; the client turns the words back into wasim's errors. cmd/wasim serves it; tests use Client. It has no authentication and must
// never listen anywhere but on loopback or a closed test network.
package control

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/internal/adv"
)

// maxBody is the largest request body in bytes.
const maxBody = 1 << 20

// Info tells where a simulator is and which key its clients must trust.
type Info struct {
	// Address is the host and port of the WhatsApp server, for wasim.DialClient.
	Address string `json:"address"`
	// Control is the base URL of this API.
	Control string `json:"control"`
	// RootPublicKey is for whatsmeow.WACertPubKey.
	RootPublicKey []byte `json:"root_public_key"`
}

// problem is the body of an error answer.
type problem struct {
	Error string `json:"error"`
	Code  string `json:"code"`
}

// errNotFound is for paths that name nothing.
var errNotFound = errors.New("there is no such thing")

// known is an error that has a word of its own on the wire.
type known struct {
	code   string
	status int
	err    error
}

// knownErrors lists them, most specific first.
func knownErrors() []known {
	return []known{
		{"expired", http.StatusGone, wasim.ErrExpired},
		{"taken", http.StatusConflict, wasim.ErrTaken},
		{"foreign_qr", http.StatusUnprocessableEntity, wasim.ErrForeignQR},
		{"not_a_qr", http.StatusUnprocessableEntity, adv.ErrQR},
		{"wrong_code", http.StatusUnprocessableEntity, wasim.ErrWrongCode},
		{"passkey", http.StatusUnprocessableEntity, wasim.ErrPasskey},
		{"phone_exists", http.StatusConflict, wasim.ErrPhoneExists},
		{"no_device", http.StatusConflict, wasim.ErrNoDevice},
		{"no_such_device", http.StatusNotFound, wasim.ErrNoSuchDevice},
		{"closed", http.StatusServiceUnavailable, wasim.ErrClosed},
		{"not_found", http.StatusNotFound, errNotFound},
	}
}

// writeError answers with what went wrong.
func writeError(w http.ResponseWriter, err error) {
	answer, status := problem{Error: err.Error(), Code: "invalid"}, http.StatusUnprocessableEntity
	var refused *wasim.RefusedError
	if errors.As(err, &refused) {
		answer.Code = "refused"
	}
	for _, known := range knownErrors() {
		if errors.Is(err, known.err) {
			answer.Code, status = known.code, known.status
			break
		}
	}
	writeJSON(w, status, answer)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller may be gone
}

// readError turns an error answer back into an error.
func readError(answer problem) error {
	for _, known := range knownErrors() {
		if known.code == answer.Code {
			return &Error{Code: answer.Code, Text: answer.Error, known: known.err}
		}
	}
	return &Error{Code: answer.Code, Text: answer.Error}
}

// Error is an error that the API answered with. Where wasim has an error of its own for it, errors.Is finds that.
type Error struct {
	Code  string
	Text  string
	known error
}

func (e *Error) Error() string { return e.Text }

// Unwrap gives wasim's error.
func (e *Error) Unwrap() error { return e.known }
