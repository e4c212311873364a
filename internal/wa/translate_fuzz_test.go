package wa

import (
	"testing"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"github.com/dannsalud/broadcaster/internal/session"
)

// FuzzInbound translates whatever a contact's client may put into a message.
func FuzzInbound(f *testing.F) {
	for _, message := range []*waE2E.Message{
		{Conversation: proto.String("hola")},
		{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: proto.String("baja")}},
		{ImageMessage: &waE2E.ImageMessage{Caption: proto.String("mirá")}},
		{},
	} {
		encoded, err := proto.Marshal(message)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded, "5491150001234", types.DefaultUserServer)
	}
	f.Fuzz(func(t *testing.T, encoded []byte, user, server string) {
		message := new(waE2E.Message)
		if proto.Unmarshal(encoded, message) != nil {
			return
		}
		event := &events.Message{Message: message}
		event.Info.Sender = types.JID{User: user, Server: server}
		signal := translate(event)
		arrived, is := signal.(session.MessageArrived)
		switch {
		case signal == nil:
			if bodyText(message) != "" {
				t.Error("a message with a text is dropped")
			}
		case !is || arrived.Text == "":
			t.Errorf("%T without a text", signal)
		case arrived.Phone != "" && (server != types.DefaultUserServer || arrived.Phone != "+"+user):
			t.Errorf("%s@%s wrote as %q", user, server, arrived.Phone)
		}
	})
}
