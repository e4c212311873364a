package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// Handler is the control API of one server. Make it with NewHandler.
type Handler struct {
	server *wasim.Server
	info   Info
	mux    *http.ServeMux

	mu       sync.Mutex
	rules    map[int]*script.Running
	nextRule int
	passkeys map[string]*wasim.Passkey
}

// The request bodies of the API.
type (
	// NewPhone makes a phone.
	NewPhone struct {
		Number   string `json:"number"`
		PushName string `json:"push_name,omitempty"`
		Platform string `json:"platform,omitempty"`
		Business string `json:"business,omitempty"`
	}
	// PhoneState is a phone as the API shows it.
	PhoneState struct {
		Number      string         `json:"number"`
		Devices     []wasim.Device `json:"devices"`
		PasskeyCode string         `json:"passkey_code,omitempty"`
	}
	// RuleState is a scripted fault in force.
	RuleState struct {
		ID   int         `json:"id"`
		Rule script.Rule `json:"rule"`
		Hits int         `json:"hits"`
	}
	qrBody      struct{ QR string }
	codeBody    struct{ Code string }
	nameBody    struct{ Name string }
	letterBody  struct{ To, Text string }
	idBody      struct{ ID string }
	optionsBody struct{ Options json.RawMessage }
	latencyBody struct{ Latency script.Duration }
)

// NewHandler makes the control API of a server; info is what GET /v1/server answers, but for the key, which it takes from the server.
func NewHandler(server *wasim.Server, info Info) *Handler {
	key := server.RootPublicKey()
	info.RootPublicKey = key[:]
	h := &Handler{
		server: server, info: info, mux: http.NewServeMux(), rules: make(map[int]*script.Running),
		passkeys: make(map[string]*wasim.Passkey),
	}
	h.routes()
	return h
}

// ServeHTTP answers a request of the API.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func (h *Handler) routes() {
	get, post, put, remove := "GET /v1/", "POST /v1/", "PUT /v1/", "DELETE /v1/"
	h.handle(get+"server", func(*http.Request) (any, error) { return h.info, nil })
	h.handle(get+"books", func(*http.Request) (any, error) { return h.server.Books(), nil })
	h.handle(get+"unknown", h.unknown)
	h.handle(put+"latency", h.setLatency)
	h.mux.HandleFunc(get+"received", h.everythingReceived)

	h.handle(post+"phones", h.newPhone)
	h.handle(get+"phones/{number}", h.onPhone(h.showPhone))
	h.handle(post+"phones/{number}/scan", h.onPhone(h.scan))
	h.handle(post+"phones/{number}/code", h.onPhone(h.enterCode))
	h.handle(post+"phones/{number}/passkey", h.onPhone(h.askPasskey))
	h.handle(post+"phones/{number}/passkey/response", h.onPhone(h.respondPasskey))
	h.handle(put+"phones/{number}/push-name", h.onPhone(h.setPushName))
	h.handle(post+"phones/{number}/messages", h.onPhone(h.sendFromPhone))
	h.handle(get+"phones/{number}/sent", h.onPhone(func(_ *http.Request, p *wasim.Phone) (any, error) { return list(p.Sent()), nil }))
	h.handle(remove+"phones/{number}/devices/{device}", h.onPhone(h.unlink))

	h.handle(put+"contacts/{number}", h.declare)
	h.handle(post+"contacts/{number}/messages", h.sendFromContact)
	h.handle(get+"contacts/{number}/received", h.onContact(func(c *wasim.Contact) any { return list(c.Received()) }))
	h.handle(get+"contacts/{number}/undecrypted", h.onContact(func(c *wasim.Contact) any { return list(c.Undecrypted()) }))
	h.handle(get+"contacts/{number}/sent", h.onContact(func(c *wasim.Contact) any { return list(c.Sent()) }))

	h.handle(post+"rules", h.addRule)
	h.handle(get+"rules", h.listRules)
	h.handle(get+"rules/{id}", h.onRule(func(id int, r *script.Running) (any, error) { return ruleState(id, r), nil }))
	h.handle(remove+"rules/{id}", h.onRule(h.stopRule))
}

// handle serves a route whose answer is JSON; a nil answer is 204.
func (h *Handler) handle(pattern string, serve func(*http.Request) (any, error)) {
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		answer, err := serve(r)
		switch {
		case err != nil:
			writeError(w, err)
		case answer == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			writeJSON(w, http.StatusOK, answer)
		}
	})
}

// read decodes a request body; unknown fields are refused, so that a misspelt fault does not pass for none.
func read[Body any](r *http.Request) (Body, error) {
	var body Body
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		return body, fmt.Errorf("read request body: %w", err)
	}
	return body, nil
}

// list makes an empty list out of none.
func list[Item any](items []Item) []Item {
	if items == nil {
		return []Item{}
	}
	return items
}

func (h *Handler) onPhone(serve func(*http.Request, *wasim.Phone) (any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		phone := h.server.Phone(r.PathValue("number"))
		if phone == nil {
			return nil, fmt.Errorf("phone: %w", errNotFound)
		}
		return serve(r, phone)
	}
}

func (h *Handler) onContact(serve func(*wasim.Contact) any) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		if !wasim.ValidNumber(r.PathValue("number")) {
			return nil, fmt.Errorf("contact: %w", errNotFound)
		}
		return serve(h.server.Contact(r.PathValue("number"))), nil
	}
}

func (h *Handler) unknown(*http.Request) (any, error) {
	stanzas := []string{}
	if joined, ok := h.server.Err().(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			stanzas = append(stanzas, err.Error())
		}
	}
	return stanzas, nil
}

func (h *Handler) setLatency(r *http.Request) (any, error) {
	body, err := read[latencyBody](r)
	if err == nil {
		h.server.SetLatency(time.Duration(body.Latency))
	}
	return nil, err
}

// everythingReceived streams what all contacts received, one JSON object a line.
func (h *Handler) everythingReceived(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jsonl")
	encoder := json.NewEncoder(w)
	for message := range h.server.Received() {
		message.Body = nil
		if err := encoder.Encode(message); err != nil {
			return // the caller is gone
		}
	}
}

func (h *Handler) newPhone(r *http.Request) (any, error) {
	body, err := read[NewPhone](r)
	if err != nil {
		return nil, err
	}
	options := []wasim.PhoneOption{wasim.WithPushName(body.PushName), wasim.WithBusiness(body.Business)}
	if body.Platform != "" {
		options = append(options, wasim.WithPlatform(body.Platform))
	}
	phone, err := h.server.NewPhone(body.Number, options...)
	if err != nil {
		return nil, err
	}
	return h.showPhone(r, phone)
}

func (h *Handler) showPhone(_ *http.Request, phone *wasim.Phone) (any, error) {
	return PhoneState{Number: phone.Number(), Devices: list(phone.Devices()), PasskeyCode: phone.PasskeyCode()}, nil
}

func (h *Handler) scan(r *http.Request, phone *wasim.Phone) (any, error) {
	body, err := read[qrBody](r)
	if err != nil {
		return nil, err
	}
	return nil, phone.ScanQR(r.Context(), body.QR)
}

func (h *Handler) enterCode(r *http.Request, phone *wasim.Phone) (any, error) {
	body, err := read[codeBody](r)
	if err != nil {
		return nil, err
	}
	return nil, phone.EnterCode(r.Context(), body.Code)
}

func (h *Handler) askPasskey(_ *http.Request, phone *wasim.Phone) (any, error) {
	passkey, err := phone.AskPasskey()
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.passkeys[phone.Number()] = passkey
	return nil, nil
}

func (h *Handler) respondPasskey(r *http.Request, phone *wasim.Phone) (any, error) {
	body, err := read[optionsBody](r)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	passkey := h.passkeys[phone.Number()]
	h.mu.Unlock()
	if passkey == nil {
		return nil, fmt.Errorf("passkey of the phone: %w", errNotFound)
	}
	var response *types.WebAuthnResponse
	response, err = passkey.Respond(body.Options)
	return response, err
}

func (h *Handler) setPushName(r *http.Request, phone *wasim.Phone) (any, error) {
	body, err := read[nameBody](r)
	if err != nil {
		return nil, err
	}
	return nil, phone.SetPushName(r.Context(), body.Name)
}

func (h *Handler) sendFromPhone(r *http.Request, phone *wasim.Phone) (any, error) {
	return send(r, phone)
}

func (h *Handler) sendFromContact(r *http.Request) (any, error) {
	return send(r, h.server.Contact(r.PathValue("number")))
}

// sender is a phone or a contact.
type sender interface {
	Send(ctx context.Context, number, text string) (string, error)
}

func send(r *http.Request, by sender) (any, error) {
	body, err := read[letterBody](r)
	if err != nil {
		return nil, err
	}
	id, err := by.Send(r.Context(), body.To, body.Text)
	if err != nil {
		return nil, err
	}
	return idBody{ID: id}, nil
}

func (h *Handler) unlink(r *http.Request, phone *wasim.Phone) (any, error) {
	device, err := strconv.ParseUint(r.PathValue("device"), 10, 16)
	if err != nil {
		return nil, errors.Join(wasim.ErrNoSuchDevice, err)
	}
	return nil, phone.Unlink(int(device))
}

func (h *Handler) declare(r *http.Request) (any, error) {
	profile, err := read[wasim.Profile](r)
	if err != nil {
		return nil, err
	}
	_, err = h.server.Declare(r.PathValue("number"), profile)
	return nil, err
}
