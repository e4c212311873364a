package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// LinkView is a link as the API shows it.
type LinkView struct {
	ID       string            `json:"id" doc:"Names this attempt."`
	Method   session.Method    `json:"method" enum:"qr,code"`
	State    session.LinkState `json:"state" enum:"queued,cooling_down,connecting,qr,code,passkey_required,passkey_confirm,paired,restarting,ready,expired,duplicate,refused,cancelled,failed"`
	Reason   session.Reason    `json:"reason,omitempty" doc:"A stable code for why it is in this state."`
	Deadline *time.Time        `json:"deadline,omitempty" doc:"When this state ends by itself."`
	QueuedAt time.Time         `json:"queued_at"`
	EndedAt  *time.Time        `json:"ended_at,omitempty"`
	Holder   *HolderView       `json:"holder,omitempty" doc:"The other session that has the phone's number, when the state is duplicate and the session belongs to the same user."`
	Queue    *QueueView        `json:"queue,omitempty" doc:"Where it stands while it waits for its turn."`
	Warning  *NoteView         `json:"warning,omitempty" doc:"What raises the risk of this link; only in the answer that starts it."`
	Prompt   *PromptView       `json:"prompt,omitempty" doc:"What the person has to scan or type now."`
}

// HolderView names a session that has a number which somebody wanted to link once more.
type HolderView struct {
	ID   session.ID `json:"id"`
	Name string     `json:"name"`
}

// viewHolder names the other session, if the user of this one may see it. One that is gone by now is not named.
func (a *API) viewHolder(ctx context.Context, s session.Session) (*HolderView, error) {
	if s.Link.Holder == "" {
		return nil, nil
	}
	holder, err := a.options.Sessions.Get(ctx, s.Link.Holder)
	if errors.Is(err, store.ErrNotFound) || (err == nil && holder.UserID != s.UserID) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &HolderView{ID: holder.ID, Name: holder.Name}, nil
}

// PromptView is what a person has to scan or type. It is a secret: whoever scans it owns the link.
type PromptView struct {
	QR       string    `json:"qr,omitempty" doc:"The text of the QR code; also served as link/qr.svg and link/qr.png."`
	Code     string    `json:"code,omitempty" doc:"The 8 characters to type on the phone, or, in the state passkey_confirm, to compare with those on the phone."`
	Passkey  any       `json:"passkey,omitempty" doc:"WhatsApp's question for a passkey: the publicKey of navigator.credentials.get, as JSON (PublicKeyCredential.parseRequestOptionsFromJSON reads it). The answer goes to link/passkey."`
	Index    int       `json:"index,omitempty" doc:"Counts the QR codes of this attempt, from 1."`
	Deadline time.Time `json:"deadline" doc:"When it is replaced or expires."`
}

func viewLink(s session.Session) LinkView {
	return LinkView{
		ID: s.Link.ID, Method: s.Link.Method, State: s.Link.State, Reason: s.Link.Reason,
		Deadline: optionalTime(s.Link.Deadline), QueuedAt: s.Link.QueuedAt, EndedAt: optionalTime(s.Link.EndedAt),
	}
}

type startLinkInput struct {
	SessionInput
	Body struct {
		Method session.Method `json:"method,omitempty" enum:"qr,code" default:"qr" doc:"How the phone is asked: a QR code to scan, or 8 characters to type."`
		Phone  string         `json:"phone,omitempty" maxLength:"20" doc:"The phone's own number in international form; only for the method code."`
	}
}

type linkOutput struct {
	Status int
	Body   LinkView
}

// startLink asks for a link. A link in progress is answered as it is, and its command published once more under the same id: that is
// what makes a crash between the store and the queue harmless.
func (a *API) startLink(ctx context.Context, input *startLinkInput) (*linkOutput, error) {
	request := session.LinkRequest{ID: uuid.Must(uuid.NewV7()).String(), Method: input.Body.Method, Phone: input.Body.Phone, At: a.now().UTC()}
	warning, err := a.mayLink(ctx, input.ID, request)
	if err != nil {
		return nil, a.problem(ctx, "admit link", err)
	}
	created := false
	stored, err := session.Modify(ctx, a.options.Sessions, input.ID, func(s *session.Session) error {
		changed, fresh, err := session.RequestLink(*s, request)
		if err != nil {
			return err
		}
		created = fresh
		if !fresh {
			return session.ErrUnchanged
		}
		*s = changed
		return nil
	})
	if err != nil {
		return nil, a.problem(ctx, "start link", err)
	}
	if err := a.publishLink(ctx, stored, created); err != nil {
		return nil, a.problem(ctx, "queue link", err)
	}
	output := &linkOutput{Status: http.StatusOK, Body: viewLink(stored)}
	if output.Body.Queue, err = a.viewQueue(ctx, stored); err != nil {
		return nil, a.problem(ctx, "find the place in line", err)
	}
	if created {
		output.Status, output.Body.Warning = http.StatusAccepted, viewNote(warning)
		if warning != session.ReasonNone {
			a.options.Log.WarnContext(ctx, "link on a crowded egress", "session", string(stored.ID), "reason", string(warning))
		}
	}
	return output, nil
}

// mayLink asks, before anything is written, whether a link may be asked for. A session that is linked, or in a link already, is not asked about: what
// becomes of the request is decided where it is written.
func (a *API) mayLink(ctx context.Context, id session.ID, request session.LinkRequest) (warning session.Reason, err error) {
	found, err := a.options.Sessions.Get(ctx, id)
	if err != nil {
		return session.ReasonNone, err
	}
	if _, fresh, err := session.RequestLink(found, request); err != nil || !fresh {
		return session.ReasonNone, err
	}
	return a.admitLink(ctx, found, request.Phone)
}

func (a *API) publishLink(ctx context.Context, s session.Session, created bool) error {
	if s.Link.State == session.LinkQueued {
		err := a.options.Queue.SendCommand(ctx, events.LinkSession{Version: events.LinkSessionVersion, SessionID: s.ID, LinkID: s.Link.ID,
			Method: s.Link.Method, Phone: s.Link.Phone, RequestedAt: s.Link.QueuedAt})
		if err != nil {
			return err
		}
	}
	if !created {
		return nil
	}
	return a.options.Queue.PublishFact(ctx, a.linkFact(s))
}

func (a *API) linkFact(s session.Session) events.LinkChanged {
	return events.LinkChanged{Version: events.FactVersion, SessionID: s.ID, UserID: s.UserID, LinkID: s.Link.ID, State: s.Link.State,
		Reason: s.Link.Reason, QRIndex: s.Link.QRIndex, Deadline: s.Link.Deadline, At: a.now().UTC()}
}

func (a *API) getLink(ctx context.Context, input *SessionInput) (*linkOutput, error) {
	view, err := a.presentLink(ctx, input.ID)
	if err != nil {
		return nil, a.problem(ctx, "get link", err)
	}
	return &linkOutput{Status: http.StatusOK, Body: view}, nil
}

// presentLink is all that can be said of a session's link now.
func (a *API) presentLink(ctx context.Context, id session.ID) (LinkView, error) {
	found, prompt, err := a.linkAndPrompt(ctx, id)
	if err != nil {
		return LinkView{}, err
	}
	view := viewLink(found)
	if view.Queue, err = a.viewQueue(ctx, found); err != nil {
		return LinkView{}, err
	}
	if view.Holder, err = a.viewHolder(ctx, found); err != nil {
		return LinkView{}, err
	}
	if prompt != nil {
		view.Prompt, err = viewPrompt(*prompt)
	}
	return view, err
}

func viewPrompt(prompt session.Prompt) (*PromptView, error) {
	view := &PromptView{QR: prompt.QR, Code: prompt.Code, Index: prompt.Index, Deadline: prompt.Deadline.UTC()}
	if len(prompt.Passkey) > 0 && json.Unmarshal(prompt.Passkey, &view.Passkey) != nil {
		return nil, errors.New("the question for a passkey is not understood") // the decoder's own error could quote it
	}
	return view, nil
}

// prompted are the states in which a person has something to do.
func prompted(state session.LinkState) bool {
	switch state { //nolint:exhaustive // the others wait for WhatsApp, or have ended
	case session.LinkQR, session.LinkCode, session.LinkPasskeyRequired, session.LinkPasskeyConfirm:
		return true
	}
	return false
}

// linkAndPrompt gives a session that was asked to link, and what is to be scanned or typed now; nil when there is nothing. A prompt of an
// earlier attempt, or one whose link went on meanwhile, is not shown: scanning it could do nothing.
func (a *API) linkAndPrompt(ctx context.Context, id session.ID) (session.Session, *session.Prompt, error) {
	found, err := a.options.Sessions.Get(ctx, id)
	if err != nil {
		return session.Session{}, nil, err
	}
	if found.Link.State == session.LinkNone {
		return found, nil, fault.New(fault.NotFound, "no_link", "This session was never asked to link; start a link first")
	}
	if !prompted(found.Link.State) {
		return found, nil, nil
	}
	prompt, there, err := a.options.Prompts.Get(ctx, id)
	if err != nil {
		return found, nil, fmt.Errorf("read the prompt of session %s: %w", id, err)
	}
	if !there || prompt.LinkID != found.Link.ID || a.now().After(prompt.Deadline) {
		return found, nil, nil
	}
	return found, &prompt, nil
}

// cancelLink ends a link in whatever state it is; a link that has ended already stays as it ended.
func (a *API) cancelLink(ctx context.Context, input *SessionInput) (*linkOutput, error) {
	stored, err := a.endLink(ctx, input.ID, "")
	if err != nil {
		return nil, a.problem(ctx, "cancel link", err)
	}
	return &linkOutput{Status: http.StatusOK, Body: viewLink(stored)}, nil
}

// endLink ends a session's link, if it is still the one with an id; an empty one: whichever it is.
func (a *API) endLink(ctx context.Context, id session.ID, link string) (session.Session, error) {
	now := a.now().UTC()
	changed := false
	stored, err := session.Modify(ctx, a.options.Sessions, id, func(s *session.Session) error {
		if s.Link.State == session.LinkNone {
			return fault.New(fault.NotFound, "no_link", "This session was never asked to link; there is nothing to cancel")
		}
		cancelled, err := session.CancelLink(*s, now)
		if err != nil {
			return err
		}
		changed = cancelled.Link.State != s.Link.State && (link == "" || s.Link.ID == link)
		if !changed {
			return session.ErrUnchanged
		}
		*s = cancelled
		return nil
	})
	if err == nil && changed {
		err = a.options.Queue.PublishFact(ctx, a.linkFact(stored))
	}
	return stored, err
}

type qrOutput struct {
	ContentType  string `header:"Content-Type"`
	CacheControl string `header:"Cache-Control"`
	Body         []byte
}

// qrImageSize is the side of a PNG in pixels: large enough for a phone's camera at arm's length.
const qrImageSize = 512

func (a *API) getQRPNG(ctx context.Context, input *SessionInput) (*qrOutput, error) {
	return a.qrImage(ctx, input.ID, "image/png", func(code barcode.Barcode) ([]byte, error) {
		scaled, err := barcode.Scale(withQuietZone(code), qrImageSize, qrImageSize)
		if err != nil {
			return nil, fmt.Errorf("scale QR: %w", err)
		}
		var buffer bytes.Buffer
		if err := png.Encode(&buffer, scaled); err != nil {
			return nil, fmt.Errorf("encode QR as PNG: %w", err)
		}
		return buffer.Bytes(), nil
	})
}

func (a *API) getQRSVG(ctx context.Context, input *SessionInput) (*qrOutput, error) {
	return a.qrImage(ctx, input.ID, "image/svg+xml", func(code barcode.Barcode) ([]byte, error) {
		return []byte(qrSVG(code)), nil
	})
}

func (a *API) qrImage(ctx context.Context, id session.ID, contentType string, draw func(barcode.Barcode) ([]byte, error)) (*qrOutput, error) {
	_, prompt, err := a.linkAndPrompt(ctx, id)
	if err == nil && (prompt == nil || prompt.QR == "") {
		err = fault.New(fault.NotFound, "no_qr", "There is no QR to scan at the moment; read the link's state")
	}
	if err != nil {
		return nil, a.problem(ctx, "get QR", err)
	}
	code, err := qr.Encode(prompt.QR, qr.M, qr.Unicode)
	if err != nil {
		return nil, a.problem(ctx, "draw QR", errors.New("the QR text cannot be drawn")) // the cause could hold the secret text
	}
	image, err := draw(code)
	if err != nil {
		return nil, a.problem(ctx, "draw QR", err)
	}
	return &qrOutput{ContentType: contentType, CacheControl: "no-store", Body: image}, nil
}

// qrSVG draws a code as one path of the dark stretches of its rows, with the quiet zone of four modules that ISO/IEC 18004 asks for.
func qrSVG(code barcode.Barcode) string {
	const quiet = quietZone
	bounds := code.Bounds()
	side := bounds.Dx() + 2*quiet
	var path strings.Builder
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			from := x
			for x < bounds.Max.X && dark(code, x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from-bounds.Min.X+quiet, y-bounds.Min.Y+quiet, x-from, x-from)
			}
		}
	}
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ` + strconv.Itoa(side) + " " + strconv.Itoa(side) +
		`" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h` + strconv.Itoa(side) + "v" + strconv.Itoa(side) + "H0z" +
		`"/><path d="` + path.String() + `"/></svg>`
}

func dark(code barcode.Barcode, x, y int) bool {
	red, _, _, _ := code.At(x, y).RGBA()
	return red == 0
}

var _ huma.ContentTypeFilter = (*Problem)(nil)
