// Package campaign is the language of broadcasting: what a campaign is, how an audience file becomes recipients, how recipients become
// deliveries, what states both have, and how progress is counted. It is pure: no queue, no database, no WhatsApp, no HTTP.
//
// Nouns: Campaign (one text to an audience, from one session), Audience (rows of a file: Recipients and Rejections), Template (a text
// with {{column}} placeholders), Plan (one Delivery per recipient, written before anything is sent), Delivery (what happened to one
// recipient), Counts (progress, always computed from deliveries, never from a cursor), Suppression (a number that must not be written to).
//
// And what says how a campaign is sent: Settings, Limits (how fast), Hours (when), Media (files). Around it are records that need no query
// (store.Documents): ContactList, Lookup (WhatsApp's word on a number), Reply, Writers (who is no stranger), AuditEntry.
//
// Invariants: a delivery's id is the WhatsApp message id and derives from campaign and recipient alone, so planning twice or
// sending twice changes nothing for the person who receives; a delivery's state never goes back in rank; the states of all
// deliveries add up to the size of the plan.
//
// Callers: internal/api (create, plan, show), internal/sender (run, record), the adapters in internal/store (the ports below).
package campaign

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// ID names a campaign. It is safe as a NATS subject token.
type ID string

// NewID makes a campaign id; ids made later sort later.
func NewID() ID { return ID("cmp_" + uuid.Must(uuid.NewV7()).String()) }

// NewMessageID makes the id of a campaign that is one single message. It sorts behind those of all other campaigns.
func NewMessageID() ID { return ID("msg_" + uuid.Must(uuid.NewV7()).String()) }

// IsMessage tells whether the campaign is one single message.
func (id ID) IsMessage() bool { return strings.HasPrefix(string(id), "msg_") }

// beforeMessages sorts between the ids of campaigns and those of single messages.
const beforeMessages = "cmp`"

// Before gives the id that a list, newest first, begins before; empty: it begins at its end.
func (f Filter) Before() string {
	if f.WithoutMessages {
		return beforeMessages
	}
	return ""
}

// State is what a campaign is doing: draft → scheduled → queued → running ⇄ paused → completed | cancelled | failed.
type State string

// The states of a campaign.
const (
	Draft     State = "draft"
	Scheduled State = "scheduled"
	Queued    State = "queued"
	Running   State = "running"
	Paused    State = "paused"
	Completed State = "completed"
	Cancelled State = "cancelled"
	Failed    State = "failed"
)

// States lists every state, in the order of their declaration.
func States() []State {
	return []State{Draft, Scheduled, Queued, Running, Paused, Completed, Cancelled, Failed}
}

// Ended tells whether nothing more will be sent by a campaign in this state.
func (s State) Ended() bool { return s == Completed || s == Cancelled || s == Failed }

// Campaign is one text to an audience, sent from one session.
type Campaign struct {
	ID ID
	// SessionID is the session that sends; UserID its owner, repeated here so that lists need no join.
	SessionID session.ID
	UserID    string
	Name      string
	// Text is the message with {{column}} placeholders; Columns are the columns that it may name.
	Text    string
	Columns []string
	// Settings say how it is sent.
	Settings Settings
	State    State
	// Reason is a stable code for why it is paused or failed; empty otherwise.
	Reason string
	// ResumeAt is the earliest time to go on when it is paused by a limit; zero: when a person resumes it.
	ResumeAt time.Time
	// Planned is the number of deliveries, Rejected the number of audience rows refused. Both are final once State is not Draft.
	Planned  int
	Rejected int
	// Slice counts the jobs that this campaign has had; it makes each re-queued job a new message.
	Slice int
	// Run names the run that has the present slice in hand: each that begins it, or takes it over from one that died, writes a name of its own.
	Run       string
	CreatedAt time.Time
	UpdatedAt time.Time
	StartedAt time.Time
	EndedAt   time.Time
	// Revision counts the writes; an update with an old one is refused (store.ErrConflict).
	Revision int64
}

// Filter narrows a list of campaigns; its zero value takes all.
type Filter struct {
	// WithoutMessages leaves out the single messages (NewMessageID).
	WithoutMessages bool
	UserID          string
	SessionID       session.ID
	States          []State
}

// Store persists campaigns. The adapters are in internal/store; store/storetest says how they behave.
type Store interface {
	// Create stores a new campaign with Revision 1; store.ErrConflict when the id exists.
	Create(ctx context.Context, c Campaign) error
	// Get gives a campaign; store.ErrNotFound when there is none.
	Get(ctx context.Context, id ID) (Campaign, error)
	// State gives only its state, cheaply: the runner asks before each message, so that a pause holds from the next one on.
	State(ctx context.Context, id ID) (State, error)
	// List gives campaigns in the order of their ids, newest first.
	List(ctx context.Context, filter Filter, page store.Page) (store.List[Campaign], error)
	// Delete removes a campaign with its deliveries and rejections; store.ErrNotFound when there is none. It is not one transaction: what it
	// leaves when it fails half-way is deleted when it is called again.
	Delete(ctx context.Context, id ID) error
	// Update replaces a campaign and raises its Revision by one, if the stored one equals c.Revision; else store.ErrConflict.
	Update(ctx context.Context, c Campaign) error
}
