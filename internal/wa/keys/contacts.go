package keys

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	wastore "go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/internal/store"
)

// contactRow is what is known of a person. Its key is the person's address, which it repeats because keys are escaped.
type contactRow struct {
	JID           string `json:"jid"`
	FirstName     string `json:"first,omitempty"`
	FullName      string `json:"full,omitempty"`
	PushName      string `json:"push,omitempty"`
	BusinessName  string `json:"business,omitempty"`
	RedactedPhone string `json:"redacted_phone,omitempty"`
}

func (c contactRow) info() types.ContactInfo {
	return types.ContactInfo{Found: true, FirstName: c.FirstName, FullName: c.FullName, PushName: c.PushName, BusinessName: c.BusinessName,
		RedactedPhone: c.RedactedPhone}
}

// contacts gives those of the people that are known, by the key of their rows.
func (o *Owner) contacts(ctx context.Context, users []types.JID) (map[string]contactRow, error) {
	names := make([]string, len(users))
	for i, user := range users {
		names[i] = keyOf(user.String())
	}
	found, err := o.getMany(ctx, kindContact, names)
	if err != nil {
		return nil, err
	}
	known := make(map[string]contactRow, len(found))
	for name, row := range found {
		contact, err := decodeContact(row.value)
		if err != nil {
			return nil, err
		}
		known[name] = contact
	}
	return known, nil
}

func decodeContact(value []byte) (contact contactRow, err error) {
	if err := json.Unmarshal(value, &contact); err != nil {
		return contact, unreadable(kindContact, err)
	}
	return contact, nil
}

// changeContacts reads people, changes what is known of them, and writes those for whom change says so. Of a person who is named twice
// the first entry counts, as in sqlstore.
func (o *Owner) changeContacts(ctx context.Context, users []types.JID, change func(i int, contact *contactRow) bool) error {
	defer o.alone(ctx)()
	known, err := o.contacts(ctx, users)
	if err != nil {
		return err
	}
	entries := make([]entry, 0, len(users))
	seen := make(map[string]struct{}, len(users))
	for i, user := range users {
		name := keyOf(user.String())
		if _, again := seen[name]; again {
			continue
		}
		seen[name] = struct{}{}
		contact := known[name]
		contact.JID = user.String()
		if !change(i, &contact) {
			continue
		}
		encoded, err := json.Marshal(contact)
		if err != nil {
			return fmt.Errorf("encode a contact: %w", err)
		}
		entries = append(entries, entry{key: name, row: row{value: encoded}})
	}
	return o.putEntries(ctx, kindContact, entries)
}

// putEntries stores rows that ride, as many at once as a batch takes.
func (o *Owner) putEntries(ctx context.Context, kind string, entries []entry) error {
	for chunk := range slices.Chunk(entries, store.MaxKeyBatch) {
		changes := make([]change, len(chunk))
		for i, entry := range chunk {
			changes[i] = put(kind, entry.key, entry.value)
		}
		if err := o.write(ctx, rides, changes...); err != nil {
			return err
		}
	}
	return nil
}

// PutPushName implements store.ContactStore. It tells whether the name changed, and what it was.
func (o *Owner) PutPushName(ctx context.Context, user types.JID, pushName string) (changed bool, previous string, err error) {
	return o.rename(ctx, user, pushName, func(c *contactRow) *string { return &c.PushName })
}

// PutBusinessName implements store.ContactStore. It tells whether the name changed, and what it was.
func (o *Owner) PutBusinessName(ctx context.Context, user types.JID, businessName string) (changed bool, previous string, err error) {
	return o.rename(ctx, user, businessName, func(c *contactRow) *string { return &c.BusinessName })
}

func (o *Owner) rename(ctx context.Context, user types.JID, name string, field func(*contactRow) *string) (changed bool, previous string, err error) {
	err = o.changeContacts(ctx, []types.JID{user}, func(_ int, contact *contactRow) bool {
		at := field(contact)
		if changed = *at != name; changed {
			previous, *at = *at, name
		}
		return changed
	})
	if err != nil {
		return false, "", err
	}
	return changed, previous, nil
}

// PutContactName implements store.ContactStore. whatsmeow's interface names the two names in the other order, but its callers and its own store
// take the first name first.
func (o *Owner) PutContactName(ctx context.Context, user types.JID, firstName, fullName string) error {
	return o.changeContacts(ctx, []types.JID{user}, func(_ int, contact *contactRow) bool {
		changed := contact.FirstName != firstName || contact.FullName != fullName
		contact.FirstName, contact.FullName = firstName, fullName
		return changed
	})
}

// PutAllContactNames implements store.ContactStore. The first entry of a person counts.
func (o *Owner) PutAllContactNames(ctx context.Context, contacts []wastore.ContactEntry) error {
	users := make([]types.JID, len(contacts))
	for i, contact := range contacts {
		users[i] = contact.JID
	}
	return o.changeContacts(ctx, users, func(i int, contact *contactRow) bool {
		contact.FirstName, contact.FullName = contacts[i].FirstName, contacts[i].FullName
		return true
	})
}

// PutManyRedactedPhones implements store.ContactStore. The first entry of a person counts.
func (o *Owner) PutManyRedactedPhones(ctx context.Context, entries []wastore.RedactedPhoneEntry) error {
	users := make([]types.JID, len(entries))
	for i, entry := range entries {
		users[i] = entry.JID
	}
	return o.changeContacts(ctx, users, func(i int, contact *contactRow) bool {
		contact.RedactedPhone = entries[i].RedactedPhone
		return true
	})
}

// GetContact implements store.ContactStore.
func (o *Owner) GetContact(ctx context.Context, user types.JID) (types.ContactInfo, error) {
	known, err := o.contacts(ctx, []types.JID{user})
	if err != nil || len(known) == 0 {
		return types.ContactInfo{}, err
	}
	return known[keyOf(user.String())].info(), nil
}

// GetAllContacts implements store.ContactStore.
func (o *Owner) GetAllContacts(ctx context.Context) (map[types.JID]types.ContactInfo, error) {
	entries, err := o.scan(ctx, kindContact, "")
	if err != nil {
		return nil, err
	}
	all := make(map[types.JID]types.ContactInfo, len(entries))
	for _, entry := range entries {
		contact, err := decodeContact(entry.value)
		if err != nil {
			return nil, err
		}
		jid, err := types.ParseJID(contact.JID)
		if err != nil {
			return nil, unreadable(kindContact, err)
		}
		all[jid] = contact.info()
	}
	return all, nil
}

// chatRow is what is set for a chat. Muted is a unix time in seconds: zero is not, and negative for ever.
type chatRow struct {
	Muted    int64 `json:"muted,omitempty"`
	Pinned   bool  `json:"pinned,omitempty"`
	Archived bool  `json:"archived,omitempty"`
}

func (o *Owner) chat(ctx context.Context, chat types.JID) (settings chatRow, found bool, err error) {
	stored, err := o.get(ctx, kindChat, keyOf(chat.String()))
	if err != nil || !stored.exists() {
		return settings, false, err
	}
	if err := json.Unmarshal(stored.value, &settings); err != nil {
		return settings, false, unreadable(kindChat, err)
	}
	return settings, true, nil
}

func (o *Owner) changeChat(ctx context.Context, chat types.JID, change func(*chatRow)) error {
	defer o.alone(ctx)()
	settings, _, err := o.chat(ctx, chat)
	if err != nil {
		return err
	}
	change(&settings)
	encoded, err := json.Marshal(settings)
	if err != nil {
		return fmt.Errorf("encode a chat's settings: %w", err)
	}
	return o.write(ctx, rides, put(kindChat, keyOf(chat.String()), encoded))
}

// PutMutedUntil implements store.ChatSettingsStore.
func (o *Owner) PutMutedUntil(ctx context.Context, chat types.JID, mutedUntil time.Time) error {
	return o.changeChat(ctx, chat, func(settings *chatRow) {
		switch {
		case mutedUntil == wastore.MutedForever: // as whatsmeow compares it
			settings.Muted = -1
		case mutedUntil.IsZero():
			settings.Muted = 0
		default:
			settings.Muted = mutedUntil.Unix()
		}
	})
}

// PutPinned implements store.ChatSettingsStore.
func (o *Owner) PutPinned(ctx context.Context, chat types.JID, pinned bool) error {
	return o.changeChat(ctx, chat, func(settings *chatRow) { settings.Pinned = pinned })
}

// PutArchived implements store.ChatSettingsStore.
func (o *Owner) PutArchived(ctx context.Context, chat types.JID, archived bool) error {
	return o.changeChat(ctx, chat, func(settings *chatRow) { settings.Archived = archived })
}

// GetChatSettings implements store.ChatSettingsStore.
func (o *Owner) GetChatSettings(ctx context.Context, chat types.JID) (types.LocalChatSettings, error) {
	stored, found, err := o.chat(ctx, chat)
	settings := types.LocalChatSettings{Found: found, Pinned: stored.Pinned, Archived: stored.Archived}
	switch {
	case stored.Muted < 0:
		settings.MutedUntil = wastore.MutedForever
	case stored.Muted > 0:
		settings.MutedUntil = time.Unix(stored.Muted, 0)
	}
	return settings, err
}
