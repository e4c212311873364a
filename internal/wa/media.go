package wa

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// mediaTypes are whatsmeow's names of the kinds of files.
var mediaTypes = map[string]whatsmeow.MediaType{
	"image": whatsmeow.MediaImage, "video": whatsmeow.MediaVideo, "audio": whatsmeow.MediaAudio, "document": whatsmeow.MediaDocument,
}

// Upload encrypts a file and gives it to WhatsApp's servers, where messages refer to it.
func (c *Client) Upload(ctx context.Context, file session.File) (session.Upload, error) {
	kind, known := mediaTypes[file.Kind]
	if !known {
		return session.Upload{}, fault.New(fault.Poison, "unknown_media_kind", "The file is of a kind that this worker does not know; upgrade the workers")
	}
	uploaded, err := c.whatsmeow.Upload(ctx, file.Content, kind)
	if err != nil {
		return session.Upload{}, fault.Wrap(err, fault.RetryLater, "upload_failed", "WhatsApp did not take the file; it is tried again").WithAfter(uploadWait)
	}
	return session.Upload{Kind: file.Kind, MIME: file.MIME, Name: file.Name, URL: uploaded.URL, DirectPath: uploaded.DirectPath, MediaKey: uploaded.MediaKey,
		FileEncSHA256: uploaded.FileEncSHA256, FileSHA256: uploaded.FileSHA256, Length: uploaded.FileLength, At: time.Now().UTC()}, nil
}

// uploadWait is how long to wait before a file is uploaded again.
const uploadWait = 5 * time.Second

// bodyOf makes the protocol's message of one of ours.
func bodyOf(message session.Outgoing) *waE2E.Message {
	switch {
	case message.Media != nil:
		return mediaBody(*message.Media, message.Text)
	case message.Preview.URL != "":
		return &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{
			Text: proto.String(message.Text), MatchedText: proto.String(message.Preview.URL), Title: proto.String(message.Preview.Title),
			Description: proto.String(message.Preview.Description), PreviewType: waE2E.ExtendedTextMessage_NONE.Enum(),
		}}
	}
	return &waE2E.Message{Conversation: proto.String(message.Text)}
}

func mediaBody(file session.Upload, text string) *waE2E.Message {
	caption := proto.String(text)
	if text == "" {
		caption = nil
	}
	url, path, mime, length := proto.String(file.URL), proto.String(file.DirectPath), proto.String(file.MIME), proto.Uint64(file.Length)
	switch file.Kind {
	case "image":
		return &waE2E.Message{ImageMessage: &waE2E.ImageMessage{URL: url, DirectPath: path, Mimetype: mime, FileLength: length, Caption: caption,
			MediaKey: file.MediaKey, FileEncSHA256: file.FileEncSHA256, FileSHA256: file.FileSHA256}}
	case "video":
		return &waE2E.Message{VideoMessage: &waE2E.VideoMessage{URL: url, DirectPath: path, Mimetype: mime, FileLength: length, Caption: caption,
			MediaKey: file.MediaKey, FileEncSHA256: file.FileEncSHA256, FileSHA256: file.FileSHA256}}
	case "audio": // has no caption
		return &waE2E.Message{AudioMessage: &waE2E.AudioMessage{URL: url, DirectPath: path, Mimetype: mime, FileLength: length,
			MediaKey: file.MediaKey, FileEncSHA256: file.FileEncSHA256, FileSHA256: file.FileSHA256}}
	}
	return &waE2E.Message{DocumentMessage: &waE2E.DocumentMessage{URL: url, DirectPath: path, Mimetype: mime, FileLength: length, Caption: caption,
		FileName: proto.String(file.Name), Title: proto.String(file.Name), MediaKey: file.MediaKey, FileEncSHA256: file.FileEncSHA256, FileSHA256: file.FileSHA256}}
}

// Typing shows somebody that the account types, until the message comes. WhatsApp shows it only of an account that is online, and the phone does not ring
// while its account is online elsewhere: so it is online for the time of typing only.
func (c *Client) Typing(ctx context.Context, phone string, typing bool) error {
	to, err := phoneJID(phone)
	if err != nil {
		return err
	}
	address, _, err := c.resolve(ctx, to)
	if err != nil {
		return err
	}
	if !typing {
		err = c.whatsmeow.SendChatPresence(ctx, address, types.ChatPresencePaused, types.ChatPresenceMediaText)
		return errors.Join(err, c.setOnline(ctx, types.PresenceUnavailable))
	}
	return errors.Join(c.setOnline(ctx, types.PresenceAvailable),
		c.whatsmeow.SendChatPresence(ctx, address, types.ChatPresenceComposing, types.ChatPresenceMediaText))
}

// setOnline says whether the account is online here. An account without a name yet cannot say so, and need not.
func (c *Client) setOnline(ctx context.Context, presence types.Presence) error {
	err := c.whatsmeow.SendPresence(ctx, presence)
	if errors.Is(err, whatsmeow.ErrNoPushName) {
		return nil
	}
	return err
}

// LookUp asks which numbers are on WhatsApp, and under which number it knows them.
func (c *Client) LookUp(ctx context.Context, phones []string) ([]session.OnWhatsApp, error) {
	answers, err := c.whatsmeow.IsOnWhatsApp(ctx, phones)
	if err != nil {
		return nil, classifyQuery(err)
	}
	found := make([]session.OnWhatsApp, 0, len(answers))
	for _, answer := range answers {
		known := session.OnWhatsApp{Phone: "+" + strings.TrimPrefix(answer.Query, "+"), Exists: answer.IsIn}
		switch {
		case answer.PhoneNumber.Server == types.DefaultUserServer:
			known.Canonical = "+" + answer.PhoneNumber.User
		case answer.JID.Server == types.DefaultUserServer:
			known.Canonical = "+" + answer.JID.User
		}
		found = append(found, known)
	}
	return found, nil
}
