package wasim_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/script"
)

func TestInboundMessages(t *testing.T) {
	t.Parallel()
	for name, byNumber := range map[string]bool{"by LID": false, "by number": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			online(t, wasim.Options{InboundByNumber: byNumber}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
				contact.Change(func(p *wasim.Profile) { p.PushName = "Bob" })
				id, err := contact.Send(t.Context(), ownNumber, "hola")
				if err != nil {
					t.Fatal(err)
				}
				got := wait[*events.Message](c)
				chat, alternative := contact.LID(), contact.JID()
				if byNumber {
					chat, alternative = alternative, chat
				}
				info := got.Info
				if info.ID != id || info.Chat != chat || info.SenderAlt != alternative || info.PushName != "Bob" ||
					got.Message.GetConversation() != "hola" {
					t.Errorf("got %+v %v", info, got.Message)
				}
				if err := c.MarkRead(t.Context(), []types.MessageID{id}, time.Now(), info.Chat, info.Sender); err != nil {
					t.Fatal(err)
				}
				settle()
				want := []wasim.Sent{{ID: id, To: ownNumber, Text: "hola", Delivered: true, Read: true}}
				sent := contact.Sent()
				sent[0].At = time.Time{}
				if diff := cmp.Diff(want, sent); diff != "" {
					t.Error(diff)
				}
				c.sendText(info.Chat, "answer")
				if diff := cmp.Diff([]string{"answer"}, texts(contact.Received())); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestOfflineQueueSurvivesARestart(t *testing.T) {
	t.Parallel()
	online(t, wasim.Options{}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
		settle()
		c.restart()
		for _, body := range []string{"one", "two", "three"} {
			if _, err := contact.Send(t.Context(), ownNumber, body); err != nil {
				t.Fatal(err)
			}
		}
		c.connect()
		wait(c, func(m *events.Message) bool { return m.Message.GetConversation() == "three" })
		settle()
		if count[*events.Message](c) != 3 || settledBooks(server).Devices[0].Pending != 0 || settledBooks(server).InboundConfirmed != 3 {
			t.Errorf("%d messages, books %+v", count[*events.Message](c), settledBooks(server))
		}
	})
}

func TestUnacknowledgedMessageComesAgain(t *testing.T) {
	t.Parallel()
	online(t, wasim.Options{}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
		play(t, server, script.Rule{On: script.Receipt, Times: 1, Do: script.CutConnection()})
		if _, err := contact.Send(t.Context(), ownNumber, "hola"); err != nil {
			t.Fatal(err)
		}
		settle()
		if settledBooks(server).Devices[0].Logins != 2 || settledBooks(server).Devices[0].Pending != 0 {
			t.Errorf("books %+v", settledBooks(server))
		}
	})
}

func TestClientAsksForWhatItCannotRead(t *testing.T) {
	t.Parallel()
	online(t, wasim.Options{}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
		if _, err := contact.Send(t.Context(), ownNumber, "one"); err != nil {
			t.Fatal(err)
		}
		wait[*events.Message](c)
		c.sendText(contact.LID(), "answer: now the session has settled")
		settle()
		if _, err := contact.Send(t.Context(), ownNumber, "two"); err != nil {
			t.Fatal(err)
		}
		settle()
		if err := c.Store.Sessions.DeleteAllSessions(t.Context(), contact.LID().SignalAddressUser()); err != nil {
			t.Fatal(err)
		}
		if _, err := contact.Send(t.Context(), ownNumber, "three"); err != nil {
			t.Fatal(err)
		}
		wait[*events.UndecryptableMessage](c)
		wait(c, func(m *events.Message) bool { return m.Message.GetConversation() == "three" })
		settle()
		sent := contact.Sent()
		if sent[2].Retries != 1 || !sent[2].Delivered || settledBooks(server).ClientRetries != 1 {
			t.Errorf("sent %+v, books %+v", sent[2], settledBooks(server))
		}
	})
}

func TestWritingToNobody(t *testing.T) {
	t.Parallel()
	server := newServer(t, wasim.Options{})
	if _, err := server.Contact(otherNumber).Send(t.Context(), ownNumber, "hola"); !errors.Is(err, wasim.ErrNoDevice) {
		t.Errorf("send: %v", err)
	}
	if _, err := server.Contact("nobody").Send(t.Context(), ownNumber, "hola"); err == nil {
		t.Error("a contact without a number sent a message")
	}
	if got := server.Contact("nobody").Received(); got != nil {
		t.Errorf("received %+v", got)
	}
}

func TestTwoRealClients(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
		ana, anas := linked(t, server, server.HTTPClient(), ownNumber)
		bob, bobs := linked(t, server, server.HTTPClient(), otherNumber)
		id := anas.sendText(bob.JID(), "hi Bob")
		got := wait(bobs, func(m *events.Message) bool { return m.Info.ID == id })
		if got.Info.Sender.ToNonAD() != ana.LID() || got.Message.GetConversation() != "hi Bob" {
			t.Errorf("Bob got %+v %v", got.Info, got.Message)
		}
		receipt := wait(anas, func(r *events.Receipt) bool { return r.MessageIDs[0] == id })
		if receipt.Chat != bob.LID() {
			t.Errorf("receipt %+v", receipt)
		}
		id = bobs.sendText(got.Info.Chat, "hi Ana")
		wait(anas, func(m *events.Message) bool { return m.Info.ID == id })
		if err := anas.MarkRead(t.Context(), []types.MessageID{id}, time.Now(), bob.LID(), bob.LID()); err != nil {
			t.Fatal(err)
		}
		wait(bobs, func(r *events.Receipt) bool { return r.MessageIDs[0] == id && r.Type == types.ReceiptTypeRead })
		// Ana's client loses its session with Bob's; she asks, and Bob's client sends again.
		settle()
		anas.sendText(bob.JID(), "still there?")
		settle()
		if err := anas.Store.Sessions.DeleteAllSessions(t.Context(), bob.LID().SignalAddressUser()); err != nil {
			t.Fatal(err)
		}
		id = bobs.sendText(ana.JID(), "yes")
		wait(anas, func(m *events.Message) bool { return m.Info.ID == id && m.RetryCount > 0 })
		settle()
		if diff := cmp.Diff([]string{"hi Ana", "yes"}, texts(ana.Contact().Received())); diff != "" {
			t.Errorf("Ana's phone: %s", diff)
		}
		settle()
	})
}

func TestMedia(t *testing.T) {
	t.Parallel()
	online(t, wasim.Options{}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
		picture := bytes.Repeat([]byte("picture "), 5000)
		upload, err := c.Upload(t.Context(), picture, whatsmeow.MediaImage)
		if err != nil {
			t.Fatal(err)
		}
		image := &waE2E.ImageMessage{
			Caption: proto.String("look"), Mimetype: proto.String("image/png"), URL: &upload.URL, DirectPath: &upload.DirectPath,
			MediaKey: upload.MediaKey, FileEncSHA256: upload.FileEncSHA256, FileSHA256: upload.FileSHA256, FileLength: &upload.FileLength,
		}
		if _, err := c.SendMessage(t.Context(), contact.JID(), &waE2E.Message{ImageMessage: image}); err != nil {
			t.Fatal(err)
		}
		received := contact.Received()
		message, err := received[0].Proto()
		if err != nil || received[0].Text != "look" {
			t.Fatalf("received %+v, %v", received, err)
		}
		got, err := c.Download(t.Context(), message.GetImageMessage())
		if err != nil || !bytes.Equal(got, picture) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		play(t, server, script.Rule{On: script.Download, Times: 1, Do: script.Status(410)})
		if _, err := c.Download(t.Context(), image); !errors.Is(err, whatsmeow.ErrMediaDownloadFailedWith410) {
			t.Errorf("gone: %v", err)
		}
		play(t, server, script.Rule{On: script.Upload, Times: 1, Do: script.Status(507)})
		if _, err := c.Upload(t.Context(), picture, whatsmeow.MediaImage); err == nil {
			t.Error("an upload that the server refused succeeded")
		}
		if err := c.DeleteMedia(t.Context(), whatsmeow.MediaImage, upload.DirectPath, upload.FileEncSHA256, ""); err != nil {
			t.Error(err)
		}
		if _, err := c.Download(t.Context(), image); !errors.Is(err, whatsmeow.ErrMediaDownloadFailedWith404) {
			t.Errorf("deleted: %v", err)
		}
	})
}

func TestMediaConnectionMissing(t *testing.T) {
	t.Parallel()
	online(t, wasim.Options{}, func(t *testing.T, server *wasim.Server, c *client, _ *wasim.Contact) {
		play(t, server, script.Rule{On: script.MediaConn, Times: 1, Do: script.LoseReply()})
		start := time.Now()
		_, err := c.Upload(t.Context(), []byte("x"), whatsmeow.MediaImage)
		if err == nil || time.Since(start) != 75*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestPrivacyTokenOfAContactGoesAlong(t *testing.T) {
	t.Parallel()
	online(t, wasim.Options{}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
		c.sendText(contact.JID(), "a stranger's")
		if err := contact.GivePrivacyToken(ownNumber); err != nil {
			t.Fatal(err)
		}
		settle()
		c.sendText(contact.JID(), "a friend's")
		if books := settledBooks(server); books.WithToken != 1 || books.Messages != 2 || books.Devices[0].Pending != 0 {
			t.Errorf("books %+v", books)
		}
		if err := contact.GivePrivacyToken(otherNumber); !errors.Is(err, wasim.ErrNoDevice) {
			t.Errorf("a token for nobody: %v", err)
		}
	})
}
