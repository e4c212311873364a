package campaign

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"iter"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// Settings say how a campaign is sent. The zero value sends its text at the session's own pace, at any hour.
type Settings struct {
	// Variants are further texts beside Campaign.Text; each recipient gets one of them all, always the same (TextFor).
	Variants []string `json:"variants,omitempty"`
	// Mapping lets a text name a column otherwise than the audience does: placeholder → column.
	Mapping map[string]string `json:"mapping,omitempty"`
	// Attachment is a file that goes with the text, which is then its caption.
	Attachment Attachment `json:"attachment,omitzero"`
	// LinkPreview shows a preview of the first link in the text; Typing shows that somebody types before each message.
	LinkPreview bool `json:"link_preview,omitempty"`
	Typing      bool `json:"typing,omitempty"`
	// Preview is what the page behind the link said when the campaign was made.
	Preview session.Preview `json:"preview,omitzero"`
	// Limits are slower than those of the session, or as fast; zero fields leave the session's.
	Limits Limits `json:"limits,omitzero"`
	// Hours are when it may send.
	Hours Hours `json:"hours,omitzero"`
	// ScheduledAt is when it begins; zero: when it is started.
	ScheduledAt time.Time `json:"scheduled_at,omitzero"`
	// WarmOnly skips people who never wrote to the session. While WhatsApp locks the account for strangers, such a campaign goes on.
	WarmOnly bool `json:"warm_only,omitempty"`
	// ClonedFrom is the campaign that this one is a copy of.
	ClonedFrom ID `json:"cloned_from,omitempty"`
}

// Attachment is a stored file (media.go) in its role in a message.
type Attachment struct {
	ID   string    `json:"id"`
	Kind MediaKind `json:"kind"`
}

// maxVariants is the most texts of one campaign.
const maxVariants = 20

// Encode gives the settings as a store keeps them; DecodeSettings reads them.
func (s Settings) Encode() string {
	text, _ := json.Marshal(s) // it holds nothing that JSON cannot
	if string(text) == "{}" {
		return ""
	}
	return string(text)
}

// DecodeSettings reads what Encode gave. What an older version does not know is left out.
func DecodeSettings(text string) (s Settings) {
	if text != "" {
		_ = json.Unmarshal([]byte(text), &s) // it was written by Encode
	}
	return s
}

// Validate refuses settings that cannot be followed: fault.Invalid with the place of each mistake.
func (s Settings) Validate() error {
	if len(s.Variants) > maxVariants {
		return invalid("too_many_variants", "variants", fmt.Sprintf("There are %d further texts and at most %d are taken; remove some", len(s.Variants), maxVariants))
	}
	if err := s.Limits.Validate(); err != nil {
		return err
	}
	return s.Hours.Validate()
}

// Templates reads all texts of a campaign: the first is Text, then the variants.
func (c Campaign) Templates() (Templates, error) {
	read := Templates{mapping: map[string]string{}}
	for placeholder, column := range c.Settings.Mapping {
		read.mapping[fold(placeholder)] = column
	}
	texts := append([]string{c.Text}, c.Settings.Variants...)
	if c.Settings.Attachment.Kind == Audio && strings.TrimSpace(strings.Join(texts, "")) != "" {
		return Templates{}, invalid("audio_without_text", "text", "WhatsApp shows no text with a sound; leave the text out, or send the file as a document")
	}
	for i, text := range texts {
		template, err := ParseTemplate(text)
		if err != nil && i == 0 && c.Settings.Attachment.ID != "" && strings.TrimSpace(text) == "" {
			err = nil // a file needs no caption
		}
		if err != nil && i > 0 {
			failure := fault.As(err)
			err = invalid(failure.Code, fmt.Sprintf("variants[%d]", i-1), fmt.Sprintf("Text %d: %s", i+1, failure.Message))
		}
		if err != nil {
			return Templates{}, err
		}
		template.mapping = read.mapping
		read.each = append(read.each, template)
	}
	read.mayBeEmpty = c.Settings.Attachment.ID != ""
	read.salt = strings.Join(texts, "\x00")
	return read, nil
}

// Templates are the texts of a campaign.
type Templates struct {
	each    []Template
	mapping map[string]string
	// mayBeEmpty: a file goes with the text.
	mayBeEmpty bool
	// salt is all texts, so that nobody gets the first one of every campaign.
	salt string
}

// For gives the text of one recipient. Which one derives from the number and the texts alone, so that it is the same whenever it is asked for and whoever
// asks: a preview, which has no campaign yet, shows what will be sent.
func (t Templates) For(phone string) Template {
	if len(t.each) == 1 {
		return t.each[0]
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(t.salt + phone)) // a hash never fails
	return t.each[hash.Sum32()%uint32(len(t.each))]
}

// Check compares the placeholders of all texts with the columns that exist; see Template.Check.
func (t Templates) Check(columns []string) error {
	for placeholder, column := range t.mapping {
		if !hasName(columns, column) {
			return fault.New(fault.Invalid, "unknown_column", fmt.Sprintf("The placeholder {{%s}} is to be the column %q, which there is not", shorten(placeholder), shorten(column))).
				WithDetails(fault.Detail{Location: "mapping", Value: shorten(column), Reason: "The columns are: " + listNames(columns)})
		}
	}
	for _, template := range t.each {
		if err := template.Check(columns); err != nil {
			return err
		}
	}
	return nil
}

// Screen refuses the rows whose message would be empty or too long, and passes the others on.
func (t Templates) Screen(rows iter.Seq2[Row, error]) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for row, err := range rows {
			if err == nil && row.Rejection == nil {
				row = t.screen(row)
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

func (t Templates) screen(row Row) Row {
	template := t.For(row.Recipient.Phone)
	text := template.Render(row.Recipient.Fields)
	rejection := &Rejection{Row: row.Recipient.Row}
	switch {
	case strings.TrimSpace(text) == "" && !t.mayBeEmpty:
		rejection.Code, rejection.Reason = "text_empty", "The message to this recipient would be empty; fill the columns that it uses, or give a fallback"
		rejection.Column = template.Placeholders()[0] // a text without placeholders is not empty
	case len(text) > MaxTextLength && utf8.RuneCountInString(text) > MaxTextLength:
		rejection.Code = "text_too_long"
		rejection.Reason = fmt.Sprintf("The message to this recipient would be longer than the %d characters that WhatsApp takes; shorten its fields",
			MaxTextLength)
	default:
		return row
	}
	return Row{Rejection: rejection}
}

func hasName(columns []string, wanted string) bool {
	for _, column := range columns {
		if fold(column) == fold(wanted) {
			return true
		}
	}
	return false
}
