package campaign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/gabriel-vasile/mimetype"
	"github.com/google/uuid"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// MediaKind is what a file is in a message.
type MediaKind string

// The kinds of media.
const (
	Image    MediaKind = "image"
	Video    MediaKind = "video"
	Audio    MediaKind = "audio"
	Document MediaKind = "document"
)

// Media is a file that campaigns send. Its bytes are beside it.
type Media struct {
	ID   string    `json:"id"`
	Kind MediaKind `json:"kind"`
	// MIME is its type, as its content says; Name how it was called, which people see with a document.
	MIME string `json:"mime"`
	Name string `json:"name,omitempty"`
	Size int64  `json:"size"`
	// SHA256 is that of the content, in hex.
	SHA256 string `json:"sha256"`
	// UserID is the only user who may use it; empty: who may use everybody's.
	UserID    string    `json:"user_id,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// mediaRules are what WhatsApp takes of each kind: the largest size and the types. A document may be of any type. The sizes are those of WhatsApp's
// own business documentation (developers.facebook.com/docs/whatsapp/cloud-api/reference/media), but for documents, of which we keep fewer.
var mediaRules = map[MediaKind]struct {
	largest int64
	types   []string
}{
	Image:    {5 << 20, []string{"image/jpeg", "image/png"}},
	Video:    {16 << 20, []string{"video/mp4", "video/3gpp"}},
	Audio:    {16 << 20, []string{"audio/mpeg", "audio/mp4", "audio/ogg", "audio/aac", "audio/amr"}},
	Document: {32 << 20, nil},
}

// MaxMediaBytes is the largest file of any kind.
const MaxMediaBytes = 32 << 20

// MediaLibrary keeps files, in pieces, over the port of documents.
type MediaLibrary struct{ Documents store.Documents }

const (
	mediaFolder   = "media"
	mediaChunk    = 256 << 10
	mediaBatch    = 8    // pieces written at once
	sniffedOfFile = 3072 // what mimetype reads
)

func chunkFolder(id string) string { return "media/" + id }

// NewMedia says what a file is to be.
type NewMedia struct {
	// Name is how it is called; its ending helps to tell types that look alike.
	Name string
	// Kind is what it is sent as; empty: what suits its content.
	Kind MediaKind
	// UserID is the only user who may use it; empty: who may use everybody's.
	UserID string
	At     time.Time
}

// Add stores a file while it is read. It is fault.Invalid when WhatsApp does not take such a file as this kind, and fault.TooLarge when it is too large;
// then nothing of it stays.
func (l MediaLibrary) Add(ctx context.Context, wanted NewMedia, content io.Reader) (Media, error) {
	added := Media{ID: "med_" + uuid.Must(uuid.NewV7()).String(), Kind: wanted.Kind, Name: shorten(filepath.Base("/" + wanted.Name)), UserID: wanted.UserID, CreatedAt: wanted.At.UTC()}
	if added.Name == "/" {
		added.Name = ""
	}
	err := l.store(ctx, &added, content)
	if err != nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), mediaCleanTimeout)
		defer cancel()
		return Media{}, errors.Join(err, l.Documents.Clear(clean, chunkFolder(added.ID)))
	}
	return added, nil
}

const mediaCleanTimeout = 10 * time.Second

func (l MediaLibrary) store(ctx context.Context, added *Media, content io.Reader) error {
	head := make([]byte, sniffedOfFile)
	length, err := io.ReadFull(content, head)
	switch {
	case errors.Is(err, io.EOF):
		return invalid("media_empty", "file", "The file is empty; choose another one")
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("read the file: %w", err)
	}
	head = head[:length]
	if err := added.judge(head); err != nil {
		return err
	}
	largest := mediaRules[added.Kind].largest
	hash := sha256.New()
	bounded := io.TeeReader(io.LimitReader(io.MultiReader(bytes.NewReader(head), content), largest+1), hash)
	if added.Size, err = l.storeChunks(ctx, added.ID, bounded); err != nil {
		return err
	}
	if added.Size > largest {
		return fault.New(fault.TooLarge, "media_too_large", fmt.Sprintf("WhatsApp takes %ss of up to %d MB; choose a smaller file", added.Kind, largest>>20)).
			WithDetails(fault.Detail{Location: "file", Reason: "too large"})
	}
	added.SHA256 = hex.EncodeToString(hash.Sum(nil))
	encoded, err := json.Marshal(added)
	if err != nil {
		return fmt.Errorf("encode media: %w", err)
	}
	return l.Documents.Create(ctx, mediaFolder, store.Document{ID: added.ID, Data: encoded})
}

func (l MediaLibrary) storeChunks(ctx context.Context, id string, content io.Reader) (size int64, err error) {
	for number := 0; ; {
		var batch []store.Document
		for range mediaBatch {
			chunk := make([]byte, mediaChunk)
			length, err := io.ReadFull(content, chunk)
			if length > 0 {
				batch = append(batch, store.Document{ID: fmt.Sprintf("%06d", number), Data: chunk[:length]})
				size += int64(length)
				number++
			}
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return size, l.Documents.Put(ctx, chunkFolder(id), batch)
			}
			if err != nil {
				return size, fmt.Errorf("read the file: %w", err)
			}
		}
		if err := l.Documents.Put(ctx, chunkFolder(id), batch); err != nil {
			return size, err
		}
	}
}

// mediaAliases are the types that WhatsApp knows under another name.
var mediaAliases = map[string]string{"audio/x-m4a": "audio/mp4", "audio/x-aac": "audio/aac", "video/x-m4v": "video/mp4", "application/ogg": "audio/ogg",
	"audio/mp3": "audio/mpeg"}

// judge finds out what a file is, and refuses what cannot be sent as the kind that is wanted.
func (m *Media) judge(head []byte) error {
	found, _, _ := strings.Cut(mimetype.Detect(head).String(), ";")
	if other, renamed := mediaAliases[found]; renamed {
		found = other
	}
	m.MIME = found
	if m.Kind == "" {
		m.Kind = kindFor(found)
	}
	rule, known := mediaRules[m.Kind]
	if !known {
		return invalid("unknown_media_kind", "kind", "The kind of a file is image, video, audio or document")
	}
	for _, accepted := range rule.types {
		if accepted == found {
			return nil
		}
	}
	if rule.types == nil {
		return nil
	}
	return invalid("media_type_refused", "file", fmt.Sprintf("The file is %s, and WhatsApp takes as %s: %s; convert it, or send it as a document",
		found, m.Kind, strings.Join(rule.types, ", ")))
}

func kindFor(mimeType string) MediaKind {
	for _, kind := range []MediaKind{Image, Video, Audio} {
		for _, accepted := range mediaRules[kind].types {
			if accepted == mimeType {
				return kind
			}
		}
	}
	return Document
}

// Get gives a file without its content; store.ErrNotFound when there is none.
func (l MediaLibrary) Get(ctx context.Context, id string) (Media, error) {
	return readDocument[Media](ctx, l.Documents, mediaFolder, id)
}

// Content gives the bytes of a file. One that is not whole is store.ErrNotFound.
func (l MediaLibrary) Content(ctx context.Context, id string) ([]byte, error) {
	media, err := l.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	content := make([]byte, 0, media.Size)
	page := store.Page{Size: mediaBatch}
	for {
		list, err := l.Documents.List(ctx, chunkFolder(id), page)
		if err != nil {
			return nil, fmt.Errorf("read the content of %s: %w", id, err)
		}
		for _, chunk := range list.Items {
			content = append(content, chunk.Data...)
		}
		if list.Next == "" {
			break
		}
		page.After = list.Next
	}
	if int64(len(content)) != media.Size {
		return nil, store.ErrNotFound
	}
	return content, nil
}

// Remove deletes a file; store.ErrNotFound when there is none.
func (l MediaLibrary) Remove(ctx context.Context, id string) error {
	removed, err := l.Documents.Remove(ctx, mediaFolder, []string{id})
	if err == nil && removed == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return err
	}
	return l.Documents.Clear(ctx, chunkFolder(id))
}

// readDocument gives a record that is kept as JSON; store.ErrNotFound when there is none.
func readDocument[T any](ctx context.Context, documents store.Documents, folder, id string) (record T, err error) {
	found, err := documents.Among(ctx, folder, []string{id})
	if err == nil && len(found) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return record, err
	}
	return record, decodeDocument(found[0], &record)
}

func decodeDocument[T any](d store.Document, into *T) error {
	if err := json.Unmarshal(d.Data, into); err != nil {
		return fmt.Errorf("decode the record %s: %w", d.ID, err)
	}
	return nil
}

func encodeDocument(id string, record any) (store.Document, error) {
	encoded, err := json.Marshal(record)
	if err != nil {
		return store.Document{}, fmt.Errorf("encode the record %s: %w", id, err)
	}
	return store.Document{ID: id, Data: encoded}, nil
}
