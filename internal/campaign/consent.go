package campaign

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/dannsalud/broadcaster/internal/store"
)

// Consent is how people say that they do not want to be written to.
type Consent struct {
	// Words are the messages that mean it, each alone; nil: DefaultOptOutWords. Accents, case and punctuation do not count.
	Words []string
	// Answer is what they get back, once; empty: DefaultOptOutAnswer.
	Answer string
}

// DefaultOptOutWords are what people write, in Spanish, English and Portuguese.
func DefaultOptOutWords() []string {
	return []string{"BAJA", "DAR DE BAJA", "DARME DE BAJA", "STOP", "CANCELAR", "NO MOLESTAR", "NO ME ESCRIBAN MAS", "REMOVER", "UNSUBSCRIBE", "PARAR", "SAIR"}
}

// DefaultOptOutAnswer says, in both languages, what will be.
const DefaultOptOutAnswer = "Listo: no le enviaremos más mensajes. / Done: we will not write to you any more."

// IsOptOut tells whether a message means that its writer does not want to be written to.
func (c Consent) IsOptOut(text string) bool {
	words := c.Words
	if words == nil {
		words = DefaultOptOutWords()
	}
	said := plainWords(text)
	return said != "" && slices.ContainsFunc(words, func(word string) bool { return plainWords(word) == said })
}

// Reply is the answer that a person gets.
func (c Consent) Reply() string {
	if c.Answer == "" {
		return DefaultOptOutAnswer
	}
	return c.Answer
}

// longestOptOut bounds what is looked at: a long message that happens to have the word in it means something else.
const longestOptOut = 60

// plainWords gives the words of a text without accents, case and punctuation.
func plainWords(text string) string {
	if len(text) > longestOptOut {
		return ""
	}
	return strings.Join(strings.FieldsFunc(fold(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), " ")
}

// The reasons of suppressions.
const (
	OptedOut = "opt_out"
	Blocked  = "blocked"
)

// Reply is what somebody wrote back to a campaign.
type Reply struct {
	ID         string    `json:"id"`
	DeliveryID string    `json:"delivery_id"`
	Phone      string    `json:"phone"`
	Text       string    `json:"text"`
	At         time.Time `json:"at"`
	OptOut     bool      `json:"opt_out,omitempty"`
}

// Replies keeps them, over the port of documents, each in the folder of its campaign.
type Replies struct{ Documents store.Documents }

// RepliesFolder is where the replies to a campaign are.
func RepliesFolder(id ID) string { return "replies/" + string(id) }

// Keep remembers a reply; one that was kept before changes nothing.
func (r Replies) Keep(ctx context.Context, id ID, reply Reply) error {
	document, err := encodeDocument(reply.At.UTC().Format("20060102T150405.000")+"-"+reply.ID, reply)
	if err != nil {
		return err
	}
	return r.Documents.Put(ctx, RepliesFolder(id), []store.Document{document})
}

// List gives the replies to a campaign, oldest first.
func (r Replies) List(ctx context.Context, id ID, page store.Page) (store.List[Reply], error) {
	return listDocuments[Reply](ctx, r.Documents, RepliesFolder(id), page)
}

// Writers remembers who ever wrote to a session: to them it is no stranger.
type Writers struct{ Documents store.Documents }

func writersFolder(sessionID string) string { return "writers/" + sessionID }

// Note remembers that somebody wrote.
func (w Writers) Note(ctx context.Context, sessionID, phone string, at time.Time) error {
	document, err := encodeDocument(PersonKey(phone), at.UTC())
	if err != nil {
		return err
	}
	return w.Documents.Put(ctx, writersFolder(sessionID), []store.Document{document})
}

// Among gives which of some people ever wrote to a session.
func (w Writers) Among(ctx context.Context, sessionID string, phones []string) (map[string]bool, error) {
	found, err := w.Documents.Among(ctx, writersFolder(sessionID), PersonKeys(phones))
	known := make(map[string]bool, len(found))
	for _, document := range found {
		known[document.ID] = true
	}
	writers := map[string]bool{}
	for _, phone := range phones {
		if known[PersonKey(phone)] {
			writers[phone] = true
		}
	}
	return writers, err
}

// Knows tells whether somebody ever wrote to the session.
func (w Writers) Knows(ctx context.Context, sessionID, phone string) (bool, error) {
	found, err := w.Documents.Among(ctx, writersFolder(sessionID), []string{PersonKey(phone)})
	return len(found) > 0, err
}
