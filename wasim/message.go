package wasim

import (
	"context"
	"errors"
	"time"

	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/wasim/internal/inbox"
	"github.com/dannsalud/broadcaster/wasim/internal/signal"
	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
)

// envelope is a message of a linked device as the server sees it: closed, but for whom it is from and for.
type envelope struct {
	sender *companion
	to     types.JID
	id     string
	kind   string
	at     time.Time
	node   *stanza.Node
}

// outcome is what became of one ciphertext at one device.
type outcome struct {
	receiver *account
	jid      types.JID
	// read: the device could read it; first: no other device of the person had it.
	read, first bool
	// attempt is how often it was asked for, if it could not be read.
	attempt int
}

// handleMessage brings the ciphertexts of a message to their devices, acknowledges the message and lets the devices confirm it. A
// message that comes twice is acknowledged twice.
func handleMessage(ctx context.Context, x *exchange) {
	mail := &envelope{
		sender: x.conn.companion, to: stanza.JID(x.node, "to"), id: stanza.Text(x.node, "id"), kind: stanza.Text(x.node, "type"),
		at: time.Now(), node: x.node,
	}
	server := x.conn.server
	addressee, personal := stanza.Number(mail.to)
	if !personal {
		handleUnknown(ctx, x) // groups, newsletters and status are not simulated
		return
	}
	server.books.frames.Add(1)
	if _, trusted := x.node.GetOptionalChildByTag("tctoken"); trusted {
		server.books.withToken.Add(1)
	}
	parcels, addressed := open(mail, addressee)
	if !addressed {
		server.books.unaddressed.Add(1)
		if code := server.options.RefuseUnaddressed; code != 0 {
			server.books.refused.Add(1)
			x.answer(ackFor(x.node, code))
			return
		}
	}
	outcomes := make([]outcome, 0, len(parcels))
	for _, parcel := range parcels {
		outcomes = append(outcomes, server.bring(ctx, mail, parcel))
	}
	ack := ackFor(x.node, 0)
	if hash := x.conn.missedDevices(mail, len(parcels)); hash != "" {
		ack.Attrs["phash"] = hash
	}
	x.answer(ack)
	for _, result := range outcomes {
		server.confirm(mail, result)
	}
}

// parcel is one ciphertext for one device.
type parcel struct {
	jid types.JID
	enc stanza.Node
}

// open lists the ciphertexts of a message; addressed tells whether any is for the addressee. A retry and a message to the own phone
// carry one ciphertext directly.
func open(mail *envelope, addressee uint64) (parcels []parcel, addressed bool) {
	if enc, direct := mail.node.GetOptionalChildByTag("enc"); direct {
		return []parcel{{jid: mail.to, enc: enc}}, true
	}
	participants := mail.node.GetChildByTag("participants")
	for _, to := range participants.GetChildrenByTag("to") {
		jid := stanza.JID(&to, "jid")
		parcels = append(parcels, parcel{jid: jid, enc: to.GetChildByTag("enc")})
		if number, ok := stanza.Number(jid); ok && number == addressee {
			addressed = true
		}
	}
	return parcels, addressed
}

// ackFor acknowledges a message, with an error if code is not 0.
func ackFor(message *stanza.Node, code int) stanza.Node {
	ack := stanza.Node{Tag: "ack", Attrs: stanza.Attrs{
		"class": "message", "id": stanza.Text(message, "id"), "from": stanza.JID(message, "to"), "t": time.Now().Unix(),
	}}
	if code != 0 {
		ack.Attrs["error"] = code
	}
	return ack
}

// bring hands one ciphertext to its device, real or simulated.
func (s *Server) bring(ctx context.Context, mail *envelope, parcel parcel) outcome {
	receiver := s.accountOf(parcel.jid)
	if receiver == nil {
		return outcome{}
	}
	if device := receiver.companion(parcel.jid.Device); device != nil {
		device.forward(mail, parcel)
		return outcome{}
	}
	return receiver.receive(ctx, mail, parcel)
}

// receive decrypts a ciphertext on a simulated device and writes down what it was.
func (a *account) receive(ctx context.Context, mail *envelope, parcel parcel) outcome {
	a.mu.Lock()
	defer a.mu.Unlock()
	device := a.device(parcel.jid.Device)
	if device == nil || a.whois().NotOnWhatsApp {
		return outcome{}
	}
	result := outcome{receiver: a, jid: parcel.jid}
	books := &a.server.books
	peer := mail.sender.owner.number
	state := a.inbox.State(peer, mail.id, device.ID())
	body, err := a.decrypt(ctx, state, device, mail.sender.address(), parcel.enc)
	if state == inbox.Known {
		a.inbox.Repeat(peer, mail.id)
		if a != mail.sender.owner {
			books.repeats.Add(1)
		}
		result.read = true
		return result
	}
	if errors.Is(err, signal.ErrOld) && a == mail.sender.owner {
		result.read = true // a copy came twice, and copies are not always written down
		return result
	}
	if err != nil {
		books.undecryptable.Add(1)
		result.attempt = a.inbox.Wait(peer, mail.id, device.ID(), mail.at)
		return result
	}
	if state == inbox.Waiting {
		books.retriesAnswered.Add(1)
	}
	result.read = true
	result.first = a.keep(mail, device.ID(), body)
	return result
}

// errScripted is why a message that a profile wants undecryptable could not be read.
var errScripted = errors.New("undecryptable by its profile")

func (a *account) decrypt(
	ctx context.Context, state inbox.State, device *signal.Device, from signal.Address, enc stanza.Node,
) ([]byte, error) {
	if state == inbox.Unknown && a.profile != nil && a.profile.Undecryptable > 0 {
		a.profile.Undecryptable--
		return nil, errScripted
	}
	return device.Decrypt(ctx, from, stanza.Text(&enc, "type"), stanza.Bytes(enc))
}

// peerAnswerTime is how long a phone takes to answer its own linked device.
const peerAnswerTime = time.Millisecond

// keep writes down a message that was read; it returns whether it was the person's first copy.
func (a *account) keep(mail *envelope, device uint16, body []byte) bool {
	books, keep := &a.server.books, !a.server.options.DropPlaintext
	read := inbox.Copy{Peer: mail.sender.owner.number, ID: mail.id, Device: device, At: mail.at, Body: body}
	if a == mail.sender.owner {
		if keep {
			a.inbox.Put(read, keep)
		}
		if stanza.Text(mail.node, "category") != "peer" {
			books.ownCopies.Add(1)
		} else if phone := a.phone; phone != nil {
			a.server.later(peerAnswerTime, func() { phone.answerPeer(context.Background(), mail.sender, body) })
		}
		return false
	}
	arrival := a.inbox.Put(read, keep)
	if arrival.First {
		books.messages.Add(1)
	}
	if arrival.Duplicate {
		books.duplicated.Add(1)
	}
	return arrival.First
}

// forward passes a ciphertext on to a real client.
func (p *companion) forward(mail *envelope, parcel parcel) {
	sender := mail.sender
	attrs := stanza.Attrs{
		"from": stanza.As(parcel.jid, sender.owner.number, sender.id), "id": mail.id, "t": mail.at.Unix(), "type": mail.kind,
		"notify": sender.owner.pushName(),
	}
	addressBoth(attrs, parcel.jid, sender.owner.number, sender.id)
	if sender.owner == p.owner {
		attrs["recipient"] = mail.to
	}
	content := []stanza.Node{parcel.enc}
	if identity, ok := mail.node.GetOptionalChildByTag("device-identity"); ok {
		content = append(content, identity)
	}
	p.deliver(stanza.Node{Tag: "message", Attrs: attrs, Content: content})
}

// addressBoth adds a sender's other address to a stanza that is addressed like a JID.
func addressBoth(attrs stanza.Attrs, like types.JID, number uint64, device uint16) {
	if like.Server == types.HiddenUserServer {
		attrs["addressing_mode"] = "lid"
		attrs["sender_pn"] = stanza.PN(number, device)
		return
	}
	attrs["sender_lid"] = stanza.LID(number, device)
}
