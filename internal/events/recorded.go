package events

import (
	"encoding/json"

	"github.com/dannsalud/broadcaster/internal/session"
)

// Recorded is a fact with its place in EVENTS.
type Recorded struct {
	Occurrence
	// Sequence is its number: facts have ascending ones, from 1, and none is given twice.
	Sequence uint64
}

// Span is what EVENTS has: the facts from First to Last. In an empty one First is behind Last.
type Span struct{ First, Last uint64 }

// About is whom a fact is about, as far as it says so.
type About struct {
	SessionID  session.ID `json:"session_id"`
	CampaignID string     `json:"campaign_id"`
	// UserID is empty in facts about messages: theirs is the session's.
	UserID string `json:"user_id"`
}

// About tells whom a fact is about; one of another shape is about nobody that we know.
func (o Occurrence) About() (about About) {
	if json.Unmarshal(o.Data, &about) != nil {
		return About{}
	}
	return about
}
