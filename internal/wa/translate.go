package wa

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"github.com/dannsalud/broadcaster/internal/session"
)

// translate gives the signal for an event of whatsmeow; nil for one that says nothing to us. The table is section 11 of the protocol note.
func translate(event any) session.Signal {
	switch event := event.(type) {
	case *events.QR:
		return session.QROffered{Codes: event.Codes}
	case *events.QRScannedWithoutMultidevice:
		return session.PairRefused{Reason: session.ReasonNotMultidevice}
	case *events.PairError:
		return session.PairRefused{Reason: pairReason(event.Error), Detail: "pairing"}
	case *events.PairPasskeyRequest:
		return passkeyAsked(event)
	case *events.PairPasskeyConfirmation:
		return passkeyConfirm(event)
	case *events.PairPasskeyError:
		return session.PairRefused{Reason: session.ReasonPasskeyFailed, Detail: "passkey"}
	case *events.Disconnected:
		return session.Disconnected{}
	case *events.KeepAliveTimeout:
		return session.KeepAliveLate{Since: event.LastSuccess}
	case *events.StreamError:
		return session.StreamFailed{Code: event.Code}
	case *events.NotifyAccountReachoutTimelock:
		return session.Restricted{Active: event.IsActive, Until: event.TimeEnforcementEnds.Time}
	case *events.Receipt:
		return receipt(event)
	case *events.Message:
		return inbound(event)
	}
	return ending(event)
}

// ending gives the signal for an event after which whatsmeow does not connect again.
func ending(event any) session.Signal {
	switch event := event.(type) {
	case *events.LoggedOut:
		return loggedOut(event)
	case *events.StreamReplaced:
		return session.Ended{Reason: session.ReasonReplaced}
	case *events.TemporaryBan:
		ended := session.Ended{Reason: session.ReasonTemporaryBan, Detail: strconv.Itoa(int(event.Code))}
		if event.Expire > 0 {
			ended.Until = time.Now().Add(event.Expire)
		}
		return ended
	case *events.ConnectFailure:
		return session.Ended{Reason: session.ReasonConnectFailure, Detail: strconv.Itoa(int(event.Reason))}
	}
	return nil
}

func loggedOut(event *events.LoggedOut) session.Ended {
	ended := session.Ended{Reason: session.ReasonLoggedOut, Detail: strconv.Itoa(int(event.Reason))}
	switch {
	case !event.OnConnect:
		ended.Reason = session.ReasonRemoved
	case event.Reason == events.ConnectFailureMainDeviceGone:
		ended.Reason = session.ReasonBanned
	}
	return ended
}

func pairReason(err error) session.Reason {
	switch {
	case errors.Is(err, whatsmeow.ErrPairRejectedLocally):
		return session.ReasonDuplicate
	case errors.Is(err, whatsmeow.ErrPairInvalidDeviceIdentityHMAC), errors.Is(err, whatsmeow.ErrPairInvalidDeviceSignature):
		return session.ReasonInvalidIdentity
	}
	return session.ReasonInternal
}

func passkeyAsked(event *events.PairPasskeyRequest) session.Signal {
	options, err := json.Marshal(event.PublicKey)
	if err != nil {
		return session.PairRefused{Reason: session.ReasonPasskeyFailed, Detail: "options"}
	}
	return session.PasskeyAsked{Options: options}
}

func passkeyConfirm(event *events.PairPasskeyConfirmation) session.Signal {
	if event.SkipHandoffUX {
		return session.PasskeyConfirm{}
	}
	return session.PasskeyConfirm{Code: event.Code}
}

// receiptKinds maps WhatsApp's words (an empty type is a delivery) to ours; the others (sender, inactive, server-error …) say nothing
// about what a contact has.
var receiptKinds = map[types.ReceiptType]session.ReceiptKind{
	types.ReceiptTypeDelivered: session.ReceiptDelivered,
	types.ReceiptTypeRead:      session.ReceiptRead,
	types.ReceiptTypePlayed:    session.ReceiptPlayed,
}

func receipt(event *events.Receipt) session.Signal {
	if event.Type == types.ReceiptTypeRetry && len(event.MessageIDs) > 0 {
		return session.RetryAsked{MessageID: event.MessageIDs[0], Answered: true}
	}
	kind, known := receiptKinds[event.Type]
	if !known || event.IsFromMe || event.IsGroup {
		return nil
	}
	return session.ReceiptArrived{MessageIDs: event.MessageIDs, Kind: kind, At: event.Timestamp}
}

func inbound(event *events.Message) session.Signal {
	if event.Info.IsFromMe || event.Info.IsGroup || event.Message == nil {
		return nil
	}
	text := bodyText(event.Message)
	if text == "" {
		return nil
	}
	arrived := session.MessageArrived{MessageID: event.Info.ID, Text: text, At: event.Info.Timestamp}
	for _, jid := range []types.JID{event.Info.Sender, event.Info.SenderAlt} {
		switch jid.Server {
		case types.DefaultUserServer:
			arrived.Phone = "+" + jid.User
		case types.HiddenUserServer:
			arrived.LID = jid.ToNonAD().String()
		}
	}
	return arrived
}

// bodyText gives what a person reads of a message: its text or its caption.
func bodyText(message *waE2E.Message) string {
	for _, text := range []string{
		message.GetConversation(), message.GetExtendedTextMessage().GetText(), message.GetImageMessage().GetCaption(),
		message.GetVideoMessage().GetCaption(), message.GetDocumentMessage().GetCaption(),
	} {
		if text != "" {
			return text
		}
	}
	return ""
}
