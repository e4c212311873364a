package sender

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Budgets counts what sessions send; internal/pace.Budgets is it.
type Budgets interface {
	Take(ctx context.Context, wanted pace.Spending) (pace.Refusal, error)
	Trouble(ctx context.Context, session string) error
	Factor(ctx context.Context, session string) (int, error)
	Used(ctx context.Context, session string) (pace.Usage, error)
}

// isStranger tells whether a recipient never wrote to the session.
func (o *order) isStranger(ctx context.Context) (bool, error) {
	if o.stranger == nil {
		known, err := campaign.Writers{Documents: o.hosting.host.options.Documents}.Knows(ctx, string(o.request.SessionID), o.request.Phone)
		if err != nil {
			return false, err
		}
		stranger := !known
		o.stranger = &stranger
	}
	return *o.stranger, nil
}

// gateStranger skips people who never wrote to the session.
func (o *order) gateStranger(ctx context.Context) error {
	stranger, err := o.isStranger(ctx)
	if err == nil && stranger {
		err = fault.New(fault.SkipRecipient, "never_wrote", "The campaign only goes to people who wrote to this account before, and this one did not")
	}
	return err
}

// limitsAge is how long what was said about the pace of a session is believed.
const limitsAge = 10 * time.Second

// ownLimits remembers what was said about a session's pace.
type ownLimits struct {
	mu     sync.Mutex
	limits campaign.Limits
	factor int
	at     time.Time
}

// limitsOf gives the limits of a message: the campaign's over the session's over the service's, as its age and its health slow them down.
func (s *hosting) limitsOf(ctx context.Context, asked campaign.Limits) (campaign.Limits, error) {
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	if now := time.Now(); now.Sub(s.own.at) > limitsAge {
		limits, err := campaign.SessionLimits{Documents: s.host.options.Documents}.Get(ctx, string(s.id))
		if err != nil {
			return limits, err
		}
		factor, err := s.host.options.Budgets.Factor(ctx, string(s.id))
		if err != nil {
			return limits, err
		}
		s.own.limits, s.own.factor, s.own.at = limits, factor, now
		s.showCaps(ctx, s.slowed(limits.Over(s.host.options.Limits)))
	}
	return s.slowed(asked.Over(s.own.limits.Over(s.host.options.Limits))), nil
}

// slowed gives limits as the session's age and health make them. The caller holds own.mu.
func (s *hosting) slowed(limits campaign.Limits) campaign.Limits {
	if !s.linked.LinkedAt.IsZero() {
		limits = limits.WarmUp(time.Since(s.linked.LinkedAt))
	}
	return limits.SlowedBy(s.own.factor)
}

// paceFor waits for the turn of a message.
func (s *hosting) paceFor(ctx context.Context, o *order) (err error) {
	if o.limits, err = s.limitsOf(ctx, o.request.Limits); err != nil {
		return err
	}
	return s.pacer.WaitGap(ctx, o.limits.MinGap, o.limits.MaxGap)
}

// spend counts a message against the caps, or says when it may go.
func spend(ctx context.Context, o *order) error {
	if err := gateSession(ctx, o); err != nil { // the last wait is behind it
		return err
	}
	if !pace.Counts(o.limits) {
		return nil // nobody counts, so whether the recipient is a stranger need not be read
	}
	stranger, err := o.isStranger(ctx)
	if err != nil {
		return err
	}
	refused, err := o.hosting.host.options.Budgets.Take(ctx, pace.Spending{Session: string(o.request.SessionID), Limits: o.limits, New: stranger})
	if err != nil || refused.Why == "" {
		return err
	}
	return fault.New(fault.RetryLater, refused.Why, "The session has sent as much as it may for now; the campaign goes on by itself").
		WithAfter(max(time.Until(refused.Until), time.Second))
}

// uploadAge is how long an uploaded file is referred to: WhatsApp keeps files for about a month.
const uploadAge = 7 * 24 * time.Hour

func uploadsFolder(id session.ID) string { return "uploads/" + string(id) }

// attach makes sure that WhatsApp has the file of a message. It is uploaded once for a campaign and a session.
func attach(ctx context.Context, o *order) error {
	file := o.request.Attachment
	if file.ID == "" {
		return nil
	}
	s := o.hosting
	name := string(o.request.CampaignID) + "/" + file.ID
	if known, is := s.uploads[name]; is && time.Since(known.At) < uploadAge {
		o.media = &known
		return nil
	}
	found, err := s.host.options.Documents.Among(ctx, uploadsFolder(s.id), []string{name})
	if err != nil {
		return err
	}
	var upload session.Upload
	if len(found) == 0 || json.Unmarshal(found[0].Data, &upload) != nil {
		if upload, err = s.upload(ctx, file, name); err != nil {
			return err
		}
	}
	s.uploads[name] = upload // requests are answered one at a time
	o.media = &upload
	return nil
}

func (s *hosting) upload(ctx context.Context, file campaign.Attachment, name string) (session.Upload, error) {
	library := campaign.MediaLibrary{Documents: s.host.options.Documents}
	media, err := library.Get(ctx, file.ID)
	var content []byte
	if err == nil {
		content, err = library.Content(ctx, file.ID)
	}
	if errors.Is(err, store.ErrNotFound) {
		return session.Upload{}, fault.New(fault.PauseSession, "media_missing", "The file of this campaign was deleted; give the campaign another one")
	}
	if err != nil {
		return session.Upload{}, err
	}
	upload, err := s.connection.Upload(ctx, session.File{Kind: string(media.Kind), MIME: media.MIME, Name: media.Name, Content: content})
	if err != nil {
		return upload, err
	}
	encoded, err := json.Marshal(upload)
	if err == nil {
		err = s.host.options.Documents.Put(ctx, uploadsFolder(s.id), []store.Document{{ID: name, Data: encoded, ExpiresAt: upload.At.Add(uploadAge)}})
	}
	return upload, err
}

const (
	// readingSpeed is how many bytes of a text a person types in a second, generously.
	readingSpeed  = 25
	longestTyping = 6 * time.Second
)

// showTyping shows that somebody types, for as long as a quick person would. That it cannot be shown holds no message up.
func showTyping(ctx context.Context, o *order) error {
	if !o.request.Typing {
		return nil
	}
	s := o.hosting
	if err := s.connection.Typing(ctx, o.request.Phone, true); err != nil {
		return nil // the message counts
	}
	defer func() { _ = s.connection.Typing(context.WithoutCancel(ctx), o.request.Phone, false) }() // the same
	if o.limits.MaxGap == 0 {
		return nil
	}
	typing := min(time.Duration(len(o.request.Text))*time.Second/readingSpeed+time.Second, longestTyping)
	if err := sleep(ctx, typing); err != nil {
		return fault.Wrap(err, fault.RetryNow, "typing_interrupted", "The request ended before the message's turn; nothing was sent")
	}
	return nil
}

// refusedInARow is how many different recipients in a row must be refused for the lack of a token before it is the account that is locked: a single one
// says something about that contact only (peers.md §9).
const refusedInARow = 5

// judgeAccount looks at what a refusal says about the whole account: one that may not start chats any more is paused at once, with its campaigns.
func (s *hosting) judgeAccount(ctx context.Context, phone string, err error) {
	failure := fault.As(err)
	switch {
	case err == nil:
		clear(s.refused)
		return
	case failure.Code == "new_chat_quota":
		s.restrict(ctx, session.ReasonChatQuota, failure.Until)
	case failure.Code == "reach_out_refused":
		s.refused[phone] = true
		if len(s.refused) >= refusedInARow {
			clear(s.refused)
			s.restrict(ctx, session.ReasonReachOutLock, time.Time{})
		}
	}
}

// restrict pauses the session because of what WhatsApp answers, and slows it down for when it goes on.
func (s *hosting) restrict(ctx context.Context, reason session.Reason, until time.Time) {
	if until.IsZero() {
		until = time.Now().Add(lockWithoutEnd).UTC()
	}
	s.note(ctx, session.EntryRestricted, reason, "refused messages")
	if _, changed := s.report(ctx, toPaused(reason, until)); changed {
		s.trouble(ctx)
	}
}

// trouble remembers that WhatsApp limited the account.
func (s *hosting) trouble(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := s.host.options.Budgets.Trouble(ctx, string(s.id)); err != nil {
		s.host.options.Log.WarnContext(ctx, "trouble could not be remembered", "session", string(s.id), "class", fault.Of(err).Label(), "error", err)
	}
	s.own.mu.Lock()
	s.own.at = time.Time{}
	s.own.mu.Unlock()
}

// lookupGap is the time between two questions about numbers.
const lookupGap = 2 * time.Second

// lookUp answers which numbers are on WhatsApp, and remembers it.
func (s *hosting) lookUp(ctx context.Context, request events.SendRequest) ([]campaign.Lookup, error) {
	if err := gateSession(ctx, &order{hosting: s, request: events.SendRequest{SessionID: request.SessionID}}); err != nil {
		return nil, err
	}
	if gap := time.Until(s.lookedUp.Add(lookupGap)); s.host.options.Limits.MaxGap > 0 && gap > 0 {
		if err := sleep(ctx, gap); err != nil {
			return nil, fault.Wrap(err, fault.RetryNow, "lookup_interrupted", "The request ended before its turn")
		}
	}
	s.lookedUp = time.Now()
	answers, err := s.connection.LookUp(ctx, request.Lookup)
	if err != nil {
		return nil, err
	}
	lookups := make([]campaign.Lookup, len(answers))
	for i, answer := range answers {
		lookups[i] = campaign.Lookup{Phone: answer.Phone, Canonical: answer.Canonical, Exists: answer.Exists, At: s.lookedUp.UTC()}
	}
	if err := (campaign.Lookups{Documents: s.host.options.Documents}).Keep(ctx, lookups); err != nil {
		return nil, fmt.Errorf("remember lookups: %w", err)
	}
	return lookups, nil
}
