package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Egress is the proxy of one session, as it is kept: the address sealed. A session on the direct way has none. It is kept for each session, not for
// each proxy, so that nobody's password is changed by what somebody else says, and it goes when its session goes.
type Egress struct {
	// Session and Name are its key. Name is Proxy.Egress, the Egress of the session; a record with another name is left over from a move.
	Session ID
	Name    string
	// Shown is Proxy.Masked.
	Shown string
	// Sealed is the whole address in the envelope of a Sealer, bound to Session and Name.
	Sealed    []byte
	UpdatedAt time.Time
	// Revision counts the writes, from 1.
	Revision int64
}

// Egresses persists the proxies of sessions. The adapters are in internal/store; store/storetest says how they behave. A record of a session that
// does not exist (yet) may be stored; Store.Delete deletes those of its session.
type Egresses interface {
	// Put stores a record, if the stored one of its key has its Revision (zero: there is none), and raises that by one; else store.ErrConflict.
	Put(ctx context.Context, egress Egress) error
	// Get gives the record of a key; store.ErrNotFound when there is none.
	Get(ctx context.Context, id ID, name string) (Egress, error)
	// Delete removes a record; one that does not exist is no error.
	Delete(ctx context.Context, id ID, name string) error
	// List gives the records of all sessions in the order of their keys.
	List(ctx context.Context, page store.Page) (store.List[Egress], error)
}

// Sealer encrypts a secret and binds it to its place: what was sealed for one session and name opens for no other.
type Sealer interface {
	Seal(id ID, name string, secret []byte) ([]byte, error)
	Open(id ID, name string, sealed []byte) ([]byte, error)
}

// Ways knows the way out of each session. Its methods may be called from any goroutine.
type Ways struct {
	sessions Store
	egresses Egresses
	sealer   Sealer
}

// NewWays makes one of its three parts.
func NewWays(sessions Store, egresses Egresses, sealer Sealer) (*Ways, error) {
	if sessions == nil || egresses == nil || sealer == nil {
		return nil, errors.New("session: Ways needs sessions, egresses and a sealer")
	}
	return &Ways{sessions: sessions, egresses: egresses, sealer: sealer}, nil
}

// Proxy gives the proxy of a session; a zero one for the direct way. A session whose proxy is not here or cannot be opened has an error, never the
// direct way.
func (w *Ways) Proxy(ctx context.Context, id ID) (Proxy, error) {
	found, err := w.sessions.Get(ctx, id)
	if err != nil {
		return Proxy{}, fmt.Errorf("find the way out of session %s: %w", id, err)
	}
	return w.ProxyOf(ctx, found)
}

// ProxyOf is Proxy for a session that has been read.
func (w *Ways) ProxyOf(ctx context.Context, s Session) (Proxy, error) {
	if s.Egress == EgressDirect || s.Egress == "" {
		return Proxy{}, nil
	}
	kept, err := w.egresses.Get(ctx, s.ID, s.Egress)
	if errors.Is(err, store.ErrNotFound) {
		return Proxy{}, fault.Wrap(err, fault.RetryLater, "egress_missing",
			"The proxy of this session is not stored, and it never connects without; set its egress again")
	}
	if err != nil {
		return Proxy{}, fmt.Errorf("read the egress of session %s: %w", s.ID, err)
	}
	return w.open(kept)
}

func (w *Ways) open(kept Egress) (Proxy, error) {
	text, err := w.sealer.Open(kept.Session, kept.Name, kept.Sealed)
	var proxy Proxy
	if err == nil {
		proxy, err = ParseProxy(string(text))
	}
	if err == nil && proxy.Egress() != kept.Name {
		err = errors.New("it is another proxy")
	}
	if err != nil {
		return Proxy{}, fault.Wrap(err, fault.Internal, "egress_sealed",
			"The proxy of this session cannot be opened with the configured keys; set its egress again")
	}
	return proxy, nil
}

// Keep stores the proxy of a session that is about to have it. It is called before the session names it, so that a crash between the two leaves
// only a record that nobody uses.
func (w *Ways) Keep(ctx context.Context, id ID, proxy Proxy, at time.Time) error {
	if proxy.IsZero() {
		return nil
	}
	for attempt := 1; ; attempt++ {
		err := w.put(ctx, id, proxy, at)
		if attempt == keepAttempts || !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// keepAttempts bounds how often a record is read again that others write at the same time.
const keepAttempts = 5

func (w *Ways) put(ctx context.Context, id ID, proxy Proxy, at time.Time) error {
	known, err := w.egresses.Get(ctx, id, proxy.Egress())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("read the egress of session %s: %w", id, err)
	}
	sealed, err := w.sealer.Seal(id, proxy.Egress(), []byte(proxy.Reveal()))
	if err != nil {
		return fmt.Errorf("seal the egress of session %s: %w", id, err)
	}
	return w.egresses.Put(ctx, Egress{Session: id, Name: proxy.Egress(), Shown: proxy.Masked(), Sealed: sealed, UpdatedAt: at,
		Revision: known.Revision})
}

// Choice is a session's new way out.
type Choice struct {
	Session ID
	// Proxy is the proxy; a zero one is the direct way.
	Proxy Proxy
	// Move allows to change the way of a linked session: WhatsApp sees its device come from elsewhere, which has cost sessions their link.
	Move bool
	At   time.Time
}

// Choose sets the way out of a session and gives the session as stored, and the name of the way that it had. It counts from the next connection
// on: one that is open stays where it is. The way of a linked session is sticky: without Move it is refused to change, but for a new password
// of the same proxy.
func (w *Ways) Choose(ctx context.Context, choice Choice) (stored Session, before string, err error) {
	if before, err = w.allow(ctx, choice); err != nil {
		return Session{}, "", err
	}
	if err := w.Keep(ctx, choice.Session, choice.Proxy, choice.At); err != nil {
		return Session{}, "", err
	}
	stored, err = Modify(ctx, w.sessions, choice.Session, func(s *Session) error {
		if err := choice.allowed(*s); err != nil {
			return err
		}
		before = s.Egress
		if before == choice.Proxy.Egress() {
			return ErrUnchanged
		}
		s.Egress, s.UpdatedAt = choice.Proxy.Egress(), choice.At
		return nil
	})
	if err != nil || before == stored.Egress {
		return stored, before, err
	}
	if err := w.egresses.Delete(ctx, stored.ID, before); err != nil {
		return stored, before, fmt.Errorf("forget the former egress of session %s: %w", stored.ID, err)
	}
	return stored, before, nil
}

// allow asks before anything is written.
func (w *Ways) allow(ctx context.Context, choice Choice) (before string, err error) {
	found, err := w.sessions.Get(ctx, choice.Session)
	if err != nil {
		return "", fmt.Errorf("choose the way out of session %s: %w", choice.Session, err)
	}
	return found.Egress, choice.allowed(found)
}

func (c Choice) allowed(s Session) error {
	switch {
	case s.State == Removing:
		return fault.New(fault.Conflict, "session_removing", "The session is being removed")
	case s.Egress == c.Proxy.Egress():
		return nil
	case s.Link.State.InProgress():
		return fault.New(fault.Conflict, "link_in_progress", "The session is being linked; cancel the link first, then choose its egress")
	case (s.State.Linked() || s.State == Outdated) && !c.Move:
		return fault.New(fault.Conflict, "egress_is_sticky", "The session is linked, and WhatsApp may log out a device that comes from another "+
			"address; to change its egress all the same, ask again with move=true")
	}
	return nil
}

// Reseal seals every record anew, after the keys of the sealer changed, and gives how many. A record that changes meanwhile is sealed anew by
// whoever changes it. One that cannot be opened is an error at the end, and the others are done.
func (w *Ways) Reseal(ctx context.Context, at time.Time) (resealed int, err error) {
	page := store.Page{Size: store.MaxPageSize}
	var failed error
	for {
		list, err := w.egresses.List(ctx, page)
		if err != nil {
			return resealed, fmt.Errorf("list the egresses: %w", err)
		}
		for _, kept := range list.Items {
			switch err := w.reseal(ctx, kept, at); {
			case err == nil:
				resealed++
			case !errors.Is(err, store.ErrConflict):
				failed = errors.Join(failed, fmt.Errorf("seal the egress of session %s anew: %w", kept.Session, err))
			}
		}
		if page.After = list.Next; page.After == "" {
			return resealed, failed
		}
	}
}

func (w *Ways) reseal(ctx context.Context, kept Egress, at time.Time) error {
	proxy, err := w.open(kept)
	if err != nil {
		return err
	}
	if kept.Sealed, err = w.sealer.Seal(kept.Session, kept.Name, []byte(proxy.Reveal())); err != nil {
		return err
	}
	kept.UpdatedAt = at
	return w.egresses.Put(ctx, kept)
}

// EgressProblem says why WhatsApp could not be reached by a way out.
type EgressProblem string

// What can be wrong with a way out.
const (
	// EgressUnreachable: the proxy itself cannot be reached.
	EgressUnreachable EgressProblem = "proxy_unreachable"
	// EgressUnauthorized: the proxy refuses user and password.
	EgressUnauthorized EgressProblem = "proxy_unauthorized"
	// EgressRefused: the proxy will not, or cannot, connect to WhatsApp.
	EgressRefused EgressProblem = "proxy_refused"
	// EgressMisspoken: what answered is no such proxy.
	EgressMisspoken EgressProblem = "proxy_misspoken"
	// EgressUntrusted: the certificate of an https proxy is not valid.
	EgressUntrusted EgressProblem = "proxy_untrusted"
	// EgressTimeout: there was no answer in time.
	EgressTimeout EgressProblem = "timeout"
	// EgressBlocked: the way out works, and WhatsApp does not answer through it.
	EgressBlocked EgressProblem = "whatsapp_unreachable"
)

// Explain says to a person what happened and what to do, in English and Spanish.
func (p EgressProblem) Explain() (english, spanish string) {
	switch p {
	case EgressUnreachable:
		return "The proxy cannot be reached; check its host and port, and that it is running",
			"No se puede llegar al proxy; revise el host y el puerto, y que esté en funcionamiento"
	case EgressUnauthorized:
		return "The proxy refuses the user and password; check them with its provider",
			"El proxy rechaza el usuario y la contraseña; verifíquelos con su proveedor"
	case EgressRefused:
		return "The proxy will not connect to WhatsApp; ask its provider to allow web.whatsapp.com on port 443",
			"El proxy no se conecta con WhatsApp; pida a su proveedor que habilite web.whatsapp.com en el puerto 443"
	case EgressMisspoken:
		return "What answers at this address is no proxy of this kind; check http, https or socks5 and the port",
			"Lo que responde en esta dirección no es un proxy de este tipo; revise http, https o socks5 y el puerto"
	case EgressUntrusted:
		return "The proxy's certificate is not valid; ask its provider, or use its other address",
			"El certificado del proxy no es válido; consulte a su proveedor o use su otra dirección"
	case EgressTimeout:
		return "There was no answer in time; try again, or use another proxy",
			"No hubo respuesta a tiempo; intente de nuevo o use otro proxy"
	case EgressBlocked:
		return "The way out works, but WhatsApp does not answer through it; try another proxy",
			"La salida funciona, pero WhatsApp no responde por ella; pruebe otro proxy"
	}
	return "The way out does not work; the log has the details", "La salida no funciona; los detalles están en el registro"
}

// EgressCheck is what a try of a way out found.
type EgressCheck struct {
	// Problem is empty when WhatsApp answered.
	Problem EgressProblem
	// Latency is how long the answer took, from the first dial on.
	Latency time.Duration
}

// Reachable tells whether WhatsApp answered.
func (c EgressCheck) Reachable() bool { return c.Problem == "" }
