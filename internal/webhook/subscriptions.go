package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Sealer encrypts a secret and binds it to its place: what was sealed for one subscription and name opens for no other.
type Sealer interface {
	Seal(subscription, name string, secret []byte) ([]byte, error)
	Open(subscription, name string, sealed []byte) ([]byte, error)
}

// sealedName is the place of a secret in its subscription. A former one keeps it: it only moves to another field.
const sealedName = "secret"

// RotationOverlap is how long the former secret signs beside a new one.
const RotationOverlap = 24 * time.Hour

// maxFormer bounds how many secrets sign beside the present one.
const maxFormer = 4

// Subscriptions is the book of subscriptions, over the port of documents.
type Subscriptions struct {
	Documents store.Documents
	// Sealer seals the secrets; nil: this process has no key, and takes no new subscriptions.
	Sealer Sealer
	// Plain allows addresses without TLS, which only suits receivers in one's own network.
	Plain bool
}

const folder = "webhooks"

// Wanted is what a new subscription is to be.
type Wanted struct {
	// ID is given where a repeated request must not make a second one; empty: a new one.
	ID     string
	UserID string
	URL    string
	Events []string
}

// NewID gives the id of a new subscription.
func NewID() string { return "whk_" + uuid.Must(uuid.NewV7()).String() }

// errNoKey: a secret that cannot be sealed must not be kept in the open.
var errNoKey = fault.New(fault.Conflict, "webhook_key_required", "There is no key to seal the secrets of webhooks with; give the API the same EGRESS_KEY as "+
	"every linker and sender")

// Create makes a subscription and its secret, which is given here and never again.
func (s Subscriptions) Create(ctx context.Context, wanted Wanted, at time.Time) (created Subscription, secret Secret, err error) {
	if s.Sealer == nil {
		return created, secret, errNoKey
	}
	if err := errors.Join(checkURL(wanted.URL, s.Plain), CheckEvents(wanted.Events)); err != nil {
		return created, secret, err
	}
	if wanted.ID == "" {
		wanted.ID = NewID()
	}
	created = Subscription{ID: wanted.ID, UserID: wanted.UserID, URL: wanted.URL, Events: tidy(wanted.Events), Enabled: true, CreatedAt: at, UpdatedAt: at}
	secret = newSecret()
	if created.Sealed, err = s.seal(created.ID, secret); err != nil {
		return created, Secret{}, err
	}
	document, err := encode(created.ID, created)
	if err == nil {
		err = s.Documents.Create(ctx, folder, document)
	}
	if errors.Is(err, store.ErrConflict) {
		err = fault.Wrap(err, fault.Conflict, "webhook_exists", "This request made its webhook before, and the secret is shown once; rotate the secret to get one")
	}
	return created, secret, err
}

func tidy(kinds []string) []string {
	kinds = slices.Clone(kinds)
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// Get gives a subscription; store.ErrNotFound when there is none.
func (s Subscriptions) Get(ctx context.Context, id string) (found Subscription, err error) {
	documents, err := s.Documents.Among(ctx, folder, []string{id})
	if err == nil && len(documents) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return found, err
	}
	return found, decode(documents[0], &found)
}

// List gives the subscriptions, oldest first.
func (s Subscriptions) List(ctx context.Context, page store.Page) (store.List[Subscription], error) {
	return list[Subscription](ctx, s.Documents, folder, page)
}

// all gives every subscription.
func (s Subscriptions) all(ctx context.Context) (all []Subscription, err error) {
	for page := (store.Page{Size: store.MaxPageSize}); ; {
		found, err := s.List(ctx, page)
		if err != nil {
			return nil, err
		}
		all = append(all, found.Items...)
		if page.After = found.Next; found.Next == "" {
			return all, nil
		}
	}
}

// Change is what is to be different about a subscription; what is nil stays.
type Change struct {
	URL     *string
	Events  []string
	Enabled *bool
}

// Change changes a subscription and gives it as stored.
func (s Subscriptions) Change(ctx context.Context, id string, change Change, at time.Time) (Subscription, error) {
	found, err := s.Get(ctx, id)
	if err != nil {
		return found, err
	}
	if change.URL != nil {
		if err := checkURL(*change.URL, s.Plain); err != nil {
			return found, err
		}
		found.URL = *change.URL
	}
	if change.Events != nil {
		if err := CheckEvents(change.Events); err != nil {
			return found, err
		}
		found.Events = tidy(change.Events)
	}
	if change.Enabled != nil {
		found.Enabled, found.Reason = *change.Enabled, ""
	}
	found.UpdatedAt = at
	return found, s.put(ctx, found)
}

// Rotate gives a subscription a new secret. The former ones sign beside it for RotationOverlap, so that the receiver can be changed meanwhile, and so that no
// harm is done when the answer is lost and it is asked for again.
func (s Subscriptions) Rotate(ctx context.Context, id string, at time.Time) (found Subscription, secret Secret, err error) {
	if s.Sealer == nil {
		return found, secret, errNoKey
	}
	if found, err = s.Get(ctx, id); err != nil {
		return found, secret, err
	}
	secret = newSecret()
	sealed, err := s.seal(id, secret)
	if err != nil {
		return found, Secret{}, err
	}
	found.Former = append([]Former{{Sealed: found.Sealed, Until: at.Add(RotationOverlap)}}, found.Former...)
	found.Former = found.Former[:min(len(found.Former), maxFormer)]
	found.Sealed, found.UpdatedAt = sealed, at
	return found, secret, s.put(ctx, found)
}

// Delete removes a subscription with its log; store.ErrNotFound when there is none.
func (s Subscriptions) Delete(ctx context.Context, id string) error {
	removed, err := s.Documents.Remove(ctx, folder, []string{id})
	if err == nil && removed == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return err
	}
	return s.Documents.Clear(ctx, logFolder(id))
}

// disable takes a subscription out of use until a person enables it again.
func (s Subscriptions) disable(ctx context.Context, id, reason string, at time.Time) error {
	found, err := s.Get(ctx, id)
	if err != nil || !found.Enabled {
		return err
	}
	found.Enabled, found.Reason, found.UpdatedAt = false, reason, at
	return s.put(ctx, found)
}

func (s Subscriptions) put(ctx context.Context, subscription Subscription) error {
	document, err := encode(subscription.ID, subscription)
	if err != nil {
		return err
	}
	return s.Documents.Put(ctx, folder, []store.Document{document})
}

func (s Subscriptions) seal(id string, secret Secret) ([]byte, error) {
	sealed, err := s.Sealer.Seal(id, sealedName, []byte(secret.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("seal the secret of webhook %s: %w", id, err)
	}
	return sealed, nil
}

// secrets gives what requests are signed with now, the newest first.
func (s Subscriptions) secrets(subscription Subscription, at time.Time) ([]Secret, error) {
	envelopes := [][]byte{subscription.Sealed}
	for _, former := range subscription.Former {
		if at.Before(former.Until) {
			envelopes = append(envelopes, former.Sealed)
		}
	}
	secrets := make([]Secret, len(envelopes))
	for i, sealed := range envelopes {
		text, err := s.Sealer.Open(subscription.ID, sealedName, sealed)
		if err != nil {
			return nil, fault.Wrap(err, fault.Internal, "webhook_sealed", "The secret of this webhook cannot be opened with the configured keys; rotate it")
		}
		secrets[i] = secretOf(string(text))
	}
	return secrets, nil
}

// Reseal seals every secret anew, so that a former key of the Sealer is not needed any more, and gives how many subscriptions that were.
func (s Subscriptions) Reseal(ctx context.Context) (resealed int, err error) {
	all, err := s.all(ctx)
	if err != nil {
		return 0, err
	}
	for _, listed := range all {
		subscription, err := s.Get(ctx, listed.ID) // as it is by now: the product may run
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err == nil {
			subscription.Sealed, err = s.reseal(subscription.ID, subscription.Sealed)
		}
		for i := range subscription.Former {
			if err == nil {
				subscription.Former[i].Sealed, err = s.reseal(subscription.ID, subscription.Former[i].Sealed)
			}
		}
		if err == nil {
			err = s.put(ctx, subscription)
		}
		if err != nil {
			return resealed, fmt.Errorf("seal webhook %s anew: %w", listed.ID, err)
		}
		resealed++
	}
	return resealed, nil
}

func (s Subscriptions) reseal(id string, sealed []byte) ([]byte, error) {
	text, err := s.Sealer.Open(id, sealedName, sealed)
	if err != nil {
		return nil, err
	}
	return s.Sealer.Seal(id, sealedName, text)
}

func encode(id string, record any) (store.Document, error) {
	encoded, err := json.Marshal(record)
	if err != nil {
		return store.Document{}, fmt.Errorf("encode the record %s: %w", id, err)
	}
	return store.Document{ID: id, Data: encoded}, nil
}

func decode[T any](document store.Document, into *T) error {
	if err := json.Unmarshal(document.Data, into); err != nil {
		return fmt.Errorf("decode the record %s: %w", document.ID, err)
	}
	return nil
}

func list[T any](ctx context.Context, documents store.Documents, folder string, page store.Page) (found store.List[T], err error) {
	listed, err := documents.List(ctx, folder, page)
	if err != nil {
		return found, err
	}
	found = store.List[T]{Items: make([]T, len(listed.Items)), Next: listed.Next}
	for i, document := range listed.Items {
		if err := decode(document, &found.Items[i]); err != nil {
			return found, err
		}
	}
	return found, nil
}
