package campaign

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// DeliveryState is what happened to one recipient.
type DeliveryState string

// The states of a delivery. Their ranks (Rank) never go down.
const (
	// Pending: planned, not tried yet.
	Pending DeliveryState = "pending"
	// Sending: taken by a run; after a crash the next run repeats it under the same id.
	Sending DeliveryState = "sending"
	// Unknown: the message may have left; a receipt or a repeat under the same id settles it.
	Unknown DeliveryState = "unknown"
	// FailedDelivery: refused for good, with class and reason.
	FailedDelivery DeliveryState = "failed"
	// Skipped: never tried, with a reason (opted out, not on WhatsApp, cancelled).
	Skipped DeliveryState = "skipped"
	// Sent: the server acknowledged it.
	Sent DeliveryState = "sent"
	// Delivered: a device of the recipient has it.
	Delivered DeliveryState = "delivered"
	// Read: the recipient opened it.
	Read DeliveryState = "read"
	// Replied: the recipient wrote back.
	Replied DeliveryState = "replied"
)

// DeliveryStates lists every state, in the order of their ranks.
func DeliveryStates() []DeliveryState {
	return []DeliveryState{Pending, Sending, Unknown, FailedDelivery, Skipped, Sent, Delivered, Read, Replied}
}

// Rank orders the states: a write that would lower the rank of a delivery is ignored. Receipts rank above every verdict of the
// sender, because a receipt is proof.
func (s DeliveryState) Rank() int {
	for rank, state := range DeliveryStates() {
		if s == state {
			return rank
		}
	}
	return -1
}

// Settled tells whether the sender has nothing more to do for a delivery in this state.
func (s DeliveryState) Settled() bool { return s.Rank() >= FailedDelivery.Rank() }

// Delivery is one recipient of one campaign.
type Delivery struct {
	// ID is the WhatsApp message id (MessageID).
	ID         string
	CampaignID ID
	// Sequence is the order of sending: the delivery's row in the audience (Recipient.Row). It rises, from 1 or more, with gaps where
	// rows were refused, and is unique within the campaign.
	Sequence int
	// Phone is the recipient in E.164 with the plus sign.
	Phone string
	// Fields are the columns of the audience row, frozen when planned; they fill the text's placeholders.
	Fields map[string]string
	State  DeliveryState
	// Class, Code and Reason explain a failed, skipped or unknown delivery; Reason is a sentence.
	Class  fault.Class
	Code   string
	Reason string
	// Attempts counts how often it was taken to be sent. One that was taken again because nobody said what came of it, which a slice may also have had
	// no time for, counts once.
	Attempts int
	// The times are zero until the thing happened.
	PlannedAt   time.Time
	SentAt      time.Time
	DeliveredAt time.Time
	ReadAt      time.Time
	RepliedAt   time.Time
	UpdatedAt   time.Time
}

// MessageID derives the WhatsApp message id of a recipient's delivery: "3EB0", the prefix that WhatsApp Web's own ids have, and the
// first 18 hex digits, in capitals, of the SHA-256 of campaign and recipient (design.md §4). The same pair always gives the same id.
func MessageID(campaign ID, phone string) string {
	sum := sha256.Sum256([]byte(string(campaign) + "\x00" + phone))
	return "3EB0" + strings.ToUpper(hex.EncodeToString(sum[:9]))
}

// Outcome is what a run or a receipt says about a delivery. Merge is the rule by which it is recorded: it never lowers the delivery's
// rank, and its time counts even when the rank does not rise (a late "delivered" after "read").
type Outcome struct {
	DeliveryID string
	State      DeliveryState
	At         time.Time
	Class      fault.Class
	Code       string
	Reason     string
}

// Deliveries persists deliveries and the rejections of their audience. Batches are at most MaxBatch long.
type Deliveries interface {
	// Plan inserts deliveries; those whose id exists already, in the store or earlier in the batch, are left as they are. It returns
	// the indexes of those left out.
	Plan(ctx context.Context, batch []Delivery) (existing []int, err error)
	// Claim takes up to Limit deliveries of a campaign for a run, in the order of Sequence: first those that another run left in Sending,
	// or in Unknown with fewer than MaxAttempts attempts, then Pending ones. They are Sending in the store when it returns, with
	// Attempts raised, but for those that were in Sending; a delivery is claimed once per run. Only one run of a campaign exists at a time (its
	// job is held by one worker). A machine that loses its power may forget what was claimed last: it is Pending then, and is claimed again.
	Claim(ctx context.Context, claim Claim) ([]Delivery, error)
	// Record applies outcomes, in one batch, each by the rule of Merge. Unknown ids are ignored and counted in the result.
	Record(ctx context.Context, outcomes []Outcome) (missing int, err error)
	// Reopen makes deliveries that failed, or whose outcome is unknown, pending again, as if they were never tried, and gives how many. Those in
	// another state stay as they are: it is the only way back in rank, and a receipt that comes meanwhile is stronger.
	Reopen(ctx context.Context, ids []string, at time.Time) (int, error)
	// Get gives a delivery; store.ErrNotFound when there is none.
	Get(ctx context.Context, deliveryID string) (Delivery, error)
	// List gives the deliveries of a campaign in the order of Sequence, all or those in one state.
	List(ctx context.Context, campaign ID, state DeliveryState, page store.Page) (store.List[Delivery], error)
	// Counts gives the progress of a campaign.
	Counts(ctx context.Context, campaign ID) (Counts, error)
	// SettleOpen sets every delivery that is still Pending to a settled state (a cancel skips them), and returns how many.
	SettleOpen(ctx context.Context, campaign ID, outcome Outcome) (int, error)
	// Reject stores audience rows that were refused; there is one for each row of a campaign, and storing it again changes nothing.
	Reject(ctx context.Context, campaign ID, batch []Rejection) error
	// Rejections gives them in the order of their rows.
	Rejections(ctx context.Context, campaign ID, page store.Page) (store.List[Rejection], error)
}

// MaxBatch is the longest batch that Plan, Record and Reject take, and the largest limit of Claim.
const MaxBatch = 500

// Claim says which deliveries a run takes.
type Claim struct {
	CampaignID ID
	// Run names the run; a delivery that this run claimed before is not claimed again by it.
	Run string
	// Limit is the most to take, 1 to MaxBatch.
	Limit int
	// MaxAttempts leaves out deliveries in Unknown that were tried so often; zero: no limit. One in Sending is always taken: its run ended
	// before it could say what became of it, so only a later run can.
	MaxAttempts int
	At          time.Time
}

// Suppression is a phone number that must not be written to.
type Suppression struct {
	// Phone is E.164 with the plus sign.
	Phone string
	// Reason is "opt_out" or "blocked".
	Reason string
	// Source says who or what added it.
	Source    string
	CreatedAt time.Time
}

// Suppressions persists the numbers that must not be written to.
type Suppressions interface {
	// Add stores suppressions; one that exists keeps its first reason and time.
	Add(ctx context.Context, batch []Suppression) error
	// Remove deletes one; store.ErrNotFound when there is none.
	Remove(ctx context.Context, phone string) error
	// Among gives which of the phones are suppressed.
	Among(ctx context.Context, phones []string) (map[string]Suppression, error)
	// List gives them in the order of their numbers.
	List(ctx context.Context, page store.Page) (store.List[Suppression], error)
}
