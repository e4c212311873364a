package session

import "time"

// Outgoing is one message to send.
type Outgoing struct {
	// ID is the WhatsApp message id; sending it again under the same id is safe.
	ID string
	// Phone is the recipient, E.164 with the plus sign.
	Phone string
	// Text is the message, or the caption of Media.
	Text string
	// Media is an uploaded file that is the message; nil: a text.
	Media *Upload
	// Preview is shown below a text; its zero value is none.
	Preview Preview
}

// Preview is what is shown of the first link in a text.
type Preview struct {
	// URL is the link as it stands in the text.
	URL         string `json:"url"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
}

// File is a file to upload.
type File struct {
	// Kind is "image", "video", "audio" or "document".
	Kind, MIME, Name string
	Content          []byte
}

// Upload is a file at WhatsApp, encrypted with its own key: what a message has to say about it. Several messages may use it until WhatsApp deletes it.
type Upload struct {
	Kind          string    `json:"kind"`
	MIME          string    `json:"mime"`
	Name          string    `json:"name,omitempty"`
	URL           string    `json:"url"`
	DirectPath    string    `json:"direct_path"`
	MediaKey      []byte    `json:"media_key"`
	FileEncSHA256 []byte    `json:"file_enc_sha256"`
	FileSHA256    []byte    `json:"file_sha256"`
	Length        uint64    `json:"length"`
	At            time.Time `json:"at"`
}

// OnWhatsApp is WhatsApp's answer about one number.
type OnWhatsApp struct {
	// Phone is the number that was asked for, Canonical the one that WhatsApp knows it as, both E.164 with the plus sign.
	Phone, Canonical string
	Exists           bool
}
