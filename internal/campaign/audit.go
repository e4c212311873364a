package campaign

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/store"
)

// AuditAction is a stable word for what was done: what it was done to, and how.
type AuditAction string

// What is kept.
const (
	AuditOptOutAdded     AuditAction = "suppression.added"
	AuditOptOutRemoved   AuditAction = "suppression.removed"
	AuditCampaignRetried AuditAction = "campaign.retried"
	AuditCampaignDeleted AuditAction = "campaign.deleted"
	AuditWebhookCreated  AuditAction = "webhook.created"
	AuditWebhookChanged  AuditAction = "webhook.changed"
	AuditWebhookRotated  AuditAction = "webhook.rotated"
	AuditWebhookDeleted  AuditAction = "webhook.deleted"
	AuditKeyCreated      AuditAction = "key.created"
	AuditKeyRevoked      AuditAction = "key.revoked"
	AuditJobCancelled    AuditAction = "job.cancelled"
	AuditJobEdited       AuditAction = "job.edited"
	AuditJobReplayed     AuditAction = "job.replayed"
	AuditJobDiscarded    AuditAction = "job.discarded"
)

// AuditActions lists all of them. People read each as a sentence, so that no other word is written.
func AuditActions() []AuditAction {
	return []AuditAction{AuditOptOutAdded, AuditOptOutRemoved, AuditCampaignRetried, AuditCampaignDeleted,
		AuditWebhookCreated, AuditWebhookChanged, AuditWebhookRotated, AuditWebhookDeleted, AuditKeyCreated, AuditKeyRevoked,
		AuditJobCancelled, AuditJobEdited, AuditJobReplayed, AuditJobDiscarded}
}

// AuditEntry is something that must be provable later, when what it was about may be gone: who asked not to be written to, who took that back, what
// was deleted.
type AuditEntry struct {
	At     time.Time   `json:"at"`
	Action AuditAction `json:"action"`
	// Actor is who did it: the id of a key, or "contact" for a person who wrote an opt-out word. ActorName is what the key was called then.
	Actor     string `json:"actor"`
	ActorName string `json:"actor_name,omitempty"`
	// Subject is what it was done to: an id, or a phone number, which is the proof here and goes nowhere else.
	Subject string `json:"subject"`
	UserID  string `json:"user_id,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

// Audit keeps entries, over the port of documents. None is ever changed or deleted.
type Audit struct{ Documents store.Documents }

const auditFolder = "audit"

// Record adds entries, at most MaxBatch, in one write. The same one again changes nothing: its id is made of what it says.
func (a Audit) Record(ctx context.Context, entries ...AuditEntry) error {
	batch := make([]store.Document, len(entries))
	for i, entry := range entries {
		sum := sha256.Sum256([]byte(strings.Join([]string{string(entry.Action), entry.Actor, entry.Subject, entry.Detail}, "\x00")))
		// The newest comes first in the order of ids.
		id := fmt.Sprintf("%016x-%s", math.MaxInt64-entry.At.UnixNano(), hex.EncodeToString(sum[:8]))
		document, err := encodeDocument(id, entry)
		if err != nil {
			return err
		}
		batch[i] = document
	}
	return a.Documents.Put(ctx, auditFolder, batch)
}

// List gives the entries, newest first.
func (a Audit) List(ctx context.Context, page store.Page) (store.List[AuditEntry], error) {
	return listDocuments[AuditEntry](ctx, a.Documents, auditFolder, page)
}

// listDocuments gives a page of records that are kept as JSON.
func listDocuments[T any](ctx context.Context, documents store.Documents, folder string, page store.Page) (store.List[T], error) {
	found, err := documents.List(ctx, folder, page)
	if err != nil {
		return store.List[T]{}, err
	}
	list := store.List[T]{Items: make([]T, len(found.Items)), Next: found.Next}
	for i, document := range found.Items {
		if err := decodeDocument(document, &list.Items[i]); err != nil {
			return store.List[T]{}, err
		}
	}
	return list, nil
}
