package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// EgressChecker tries whether WhatsApp can be reached through a proxy (a zero one: straight), until an answer comes or the context ends.
type EgressChecker interface {
	Check(ctx context.Context, proxy session.Proxy) (session.EgressCheck, error)
}

// DefaultCheckTimeout bounds a check of a way out when EgressOptions does not.
const DefaultCheckTimeout = 10 * time.Second

// EgressOptions are the parts that serve the ways out of sessions. Ways and Checker are required.
type EgressOptions struct {
	Ways    *session.Ways
	Checker EgressChecker
	// DefaultProxies are the addresses of the proxies that new sessions of some users get, by user id.
	DefaultProxies map[string]string
	// CheckTimeout bounds a check; zero: DefaultCheckTimeout.
	CheckTimeout time.Duration
}

// defaults reads the proxies of users. Its error names the user and nothing of the address.
func (o *EgressOptions) defaults() (map[string]session.Proxy, error) {
	if o == nil {
		return nil, nil
	}
	if o.Ways == nil || o.Checker == nil {
		return nil, errors.New("api: Egress needs Ways and a Checker")
	}
	proxies := map[string]session.Proxy{}
	for user, address := range o.DefaultProxies {
		proxy, err := session.ParseProxy(address)
		if err != nil {
			return nil, fmt.Errorf("the proxy of the user %q: %w", user, err)
		}
		proxies[user] = proxy
	}
	return proxies, nil
}

func (o *EgressOptions) checkTimeout() time.Duration {
	if o.CheckTimeout == 0 {
		return DefaultCheckTimeout
	}
	return o.CheckTimeout
}

// egress gives the parts, if this process has them.
func (a *API) egress() (*EgressOptions, error) {
	if a.options.Egress == nil {
		return nil, fault.New(fault.Conflict, "egress_not_configured",
			"This service cannot keep proxies, because it has no key to seal their passwords with; give it KEYSTORE_KEY")
	}
	return a.options.Egress, nil
}

// giveDefaultEgress gives a new session the proxy of its user, if there is one.
func (a *API) giveDefaultEgress(ctx context.Context, created *session.Session) error {
	proxy := a.defaults[created.UserID]
	if proxy.IsZero() {
		return nil
	}
	created.Egress = proxy.Egress()
	return a.options.Egress.Ways.Keep(ctx, created.ID, proxy, created.CreatedAt)
}

// EgressView is the way out of a session as the API shows it.
type EgressView struct {
	Egress string `json:"egress" doc:"Names the way out: direct, or the name of a proxy. Sessions with the same one share its limits."`
	Kind   string `json:"kind" enum:"direct,proxy" doc:"The host's own address, or a proxy, without which the session never connects."`
	Proxy  string `json:"proxy,omitempty" doc:"The proxy's address. User and password are never shown." example:"socks5://***@proxy.example:1080"`
	Moved  bool   `json:"moved,omitempty" doc:"The session is linked; it is connected anew by the new way within seconds."`
}

func viewEgress(s session.Session, proxy session.Proxy) EgressView {
	if proxy.IsZero() {
		return EgressView{Egress: s.Egress, Kind: "direct"}
	}
	return EgressView{Egress: s.Egress, Kind: "proxy", Proxy: proxy.Masked()}
}

type egressOutput struct{ Body EgressView }

func (a *API) getEgress(ctx context.Context, input *SessionInput) (*egressOutput, error) {
	found, proxy, err := a.wayOf(ctx, input.ID)
	if err != nil {
		return nil, a.problem(ctx, "get egress", err)
	}
	return &egressOutput{Body: viewEgress(found, proxy)}, nil
}

// wayOf gives a session and its proxy.
func (a *API) wayOf(ctx context.Context, id session.ID) (session.Session, session.Proxy, error) {
	parts, err := a.egress()
	if err != nil {
		return session.Session{}, session.Proxy{}, err
	}
	found, err := a.options.Sessions.Get(ctx, id)
	if err != nil {
		return found, session.Proxy{}, err
	}
	proxy, err := parts.Ways.ProxyOf(ctx, found)
	return found, proxy, err
}

// setEgressBody is what setEgress reads.
type setEgressBody struct {
	Proxy string `json:"proxy"`
	Move  bool   `json:"move"`
}

// setEgressInput takes the body as it is: what huma finds wrong in a body it repeats in its answer, and this one holds a password.
type setEgressInput struct {
	SessionInput
	RawBody []byte
}

// takesProxy describes an operation whose body is a setEgressBody, which huma does not read itself.
func (a *API) takesProxy(path, id, summary string) huma.Operation {
	described := operation(http.MethodPut, path, id, summary, http.StatusOK)
	described.SkipValidateBody = true
	described.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{
		Type: huma.TypeObject, Required: []string{"proxy"}, Properties: map[string]*huma.Schema{
			"proxy": {Type: huma.TypeString, Description: "The address of the proxy: http, https or socks5, with user and password if it asks for them.",
				Examples: []any{"socks5://user:password@proxy.example:1080"}},
			"move": {Type: huma.TypeBoolean, Description: "Change the way of a linked session all the same. WhatsApp sees its device come from another " +
				"address, and may log it out."},
		}}}}}
	return described
}

// readProxy reads the body, and repeats nothing of it.
func readProxy(raw []byte) (proxy session.Proxy, move bool, err error) {
	var body setEgressBody
	reader := json.NewDecoder(bytes.NewReader(raw))
	reader.DisallowUnknownFields()
	if err := reader.Decode(&body); err != nil || reader.More() {
		return proxy, false, fault.New(fault.Invalid, "bad_egress",
			`The body cannot be read; it must look like {"proxy": "socks5://user:password@host:1080", "move": false}`)
	}
	proxy, err = session.ParseProxy(body.Proxy)
	return proxy, body.Move, err
}

func (a *API) setEgress(ctx context.Context, input *setEgressInput) (*egressOutput, error) {
	proxy, move, err := readProxy(input.RawBody)
	if err != nil {
		return nil, a.problem(ctx, "read egress", err)
	}
	return a.chooseEgress(ctx, session.Choice{Session: input.ID, Proxy: proxy, Move: move})
}

type deleteEgressInput struct {
	SessionInput
	Move bool `query:"move" doc:"Change the way of a linked session all the same."`
}

func (a *API) deleteEgress(ctx context.Context, input *deleteEgressInput) (*egressOutput, error) {
	return a.chooseEgress(ctx, session.Choice{Session: input.ID, Move: input.Move})
}

func (a *API) chooseEgress(ctx context.Context, choice session.Choice) (*egressOutput, error) {
	parts, err := a.egress()
	if err != nil {
		return nil, a.problem(ctx, "choose egress", err)
	}
	choice.At = a.now().UTC()
	stored, before, err := parts.Ways.Choose(ctx, choice)
	if err != nil {
		return nil, a.problem(ctx, "choose egress", err)
	}
	view := viewEgress(stored, choice.Proxy)
	if before != stored.Egress {
		view.Moved = stored.State.Linked()
		a.options.Log.LogAttrs(ctx, slog.LevelInfo, "egress chosen", slog.String("session", string(stored.ID)), slog.String("from", before),
			slog.String("to", stored.Egress), slog.Bool("moved", view.Moved))
	}
	return &egressOutput{Body: view}, nil
}

// EgressCheckView is what a try of a way out found.
type EgressCheckView struct {
	EgressView
	Reachable      bool                  `json:"reachable" doc:"WhatsApp answered."`
	LatencyMS      int64                 `json:"latency_ms" doc:"Milliseconds from the first dial to the answer, or to the failure."`
	Problem        session.EgressProblem `json:"problem,omitempty" enum:"proxy_unreachable,proxy_unauthorized,proxy_refused,proxy_misspoken,proxy_untrusted,timeout,whatsapp_unreachable" doc:"What is wrong."`
	Message        string                `json:"message,omitempty" doc:"What is wrong and what to do, in English."`
	MessageSpanish string                `json:"message_es,omitempty" doc:"The same in Spanish."`
}

type egressCheckOutput struct{ Body EgressCheckView }

// checkEgress answers 200 whatever it found: that the way does not work is its result and not its failure.
func (a *API) checkEgress(ctx context.Context, input *SessionInput) (*egressCheckOutput, error) {
	found, proxy, err := a.wayOf(ctx, input.ID)
	if err != nil {
		return nil, a.problem(ctx, "check egress", err)
	}
	limited, cancel := context.WithTimeout(ctx, a.options.Egress.checkTimeout())
	defer cancel()
	result, err := a.options.Egress.Checker.Check(limited, proxy)
	if err != nil {
		return nil, a.problem(ctx, "check egress", err)
	}
	view := EgressCheckView{EgressView: viewEgress(found, proxy), Reachable: result.Reachable(), LatencyMS: result.Latency.Milliseconds(),
		Problem: result.Problem}
	if !view.Reachable {
		view.Message, view.MessageSpanish = result.Problem.Explain()
	}
	return &egressCheckOutput{Body: view}, nil
}
