package keys

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	wastore "go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// secretRow is the secret of a message, and the sender under whom it was stored.
type secretRow struct {
	Sender string `json:"sender"`
	Key    []byte `json:"key"`
}

// PutMessageSecrets implements store.MsgSecretStore. A secret that is known already stays.
func (o *Owner) PutMessageSecrets(ctx context.Context, inserts []wastore.MessageSecretInsert) error {
	defer o.alone(ctx)()
	names := make([]string, len(inserts))
	for i, insert := range inserts {
		names[i] = keyOf(insert.Chat.ToNonAD().String(), insert.Sender.ToNonAD().String(), insert.ID)
	}
	known, err := o.getMany(ctx, kindMessageSecret, names)
	if err != nil {
		return err
	}
	var entries []entry
	for i, insert := range inserts {
		if _, there := known[names[i]]; there {
			continue
		}
		encoded, err := json.Marshal(secretRow{Sender: insert.Sender.ToNonAD().String(), Key: insert.Secret})
		if err != nil {
			return fmt.Errorf("encode a message's secret: %w", err)
		}
		known[names[i]] = row{value: encoded}
		entries = append(entries, entry{key: names[i], row: row{value: encoded}})
	}
	return o.putEntries(ctx, kindMessageSecret, entries)
}

// PutMessageSecret implements store.MsgSecretStore.
func (o *Owner) PutMessageSecret(ctx context.Context, chat, sender types.JID, id types.MessageID, secret []byte) error {
	return o.PutMessageSecrets(ctx, []wastore.MessageSecretInsert{{Chat: chat, Sender: sender, ID: id, Secret: secret}})
}

// GetMessageSecret implements store.MsgSecretStore. Chat and sender are looked for under their phone number and under their hidden id. It
// gives the sender under whom the secret was stored.
func (o *Owner) GetMessageSecret(ctx context.Context, chat, sender types.JID, id types.MessageID) ([]byte, types.JID, error) {
	chats, err := o.bothNames(ctx, chat)
	if err != nil {
		return nil, types.EmptyJID, err
	}
	senders, err := o.bothNames(ctx, sender)
	if err != nil {
		return nil, types.EmptyJID, err
	}
	var names []string
	for _, chat := range chats {
		for _, sender := range senders {
			names = append(names, keyOf(chat.String(), sender.String(), id))
		}
	}
	found, err := o.getMany(ctx, kindMessageSecret, names)
	if err != nil {
		return nil, types.EmptyJID, err
	}
	for _, name := range names {
		if stored, there := found[name]; there {
			return decodeSecret(stored.value)
		}
	}
	return nil, types.EmptyJID, nil
}

func decodeSecret(value []byte) ([]byte, types.JID, error) {
	var stored secretRow
	if err := json.Unmarshal(value, &stored); err != nil {
		return nil, types.EmptyJID, unreadable(kindMessageSecret, err)
	}
	sender, err := types.ParseJID(stored.Sender)
	if err != nil {
		return nil, types.EmptyJID, unreadable(kindMessageSecret, err)
	}
	return stored.Key, sender, nil
}

// bothNames gives an address without its device, and the other one of the same person if it is known.
func (o *Owner) bothNames(ctx context.Context, jid types.JID) ([]types.JID, error) {
	names := []types.JID{jid.ToNonAD()}
	var other types.JID
	var err error
	switch jid.Server {
	case types.DefaultUserServer:
		other, err = o.GetLIDForPN(ctx, names[0])
	case types.HiddenUserServer:
		other, err = o.GetPNForLID(ctx, names[0])
	}
	if err == nil && !other.IsEmpty() {
		names = append(names, other)
	}
	return names, err
}

// tokenRow is a privacy token. Times are unix seconds; Sent is nil when nothing was ever sent with a token.
type tokenRow struct {
	Token []byte `json:"token"`
	At    int64  `json:"at"`
	Sent  *int64 `json:"sent,omitempty"`
}

func decodeToken(value []byte) (token tokenRow, err error) {
	if err := json.Unmarshal(value, &token); err != nil {
		return token, unreadable(kindPrivacyToken, err)
	}
	return token, nil
}

// PutPrivacyTokens implements store.PrivacyTokenStore: an older token never replaces a newer one, and when something was sent last is kept if the new
// token does not say.
func (o *Owner) PutPrivacyTokens(ctx context.Context, tokens ...wastore.PrivacyToken) error {
	defer o.alone(ctx)()
	names := make([]string, len(tokens))
	for i, token := range tokens {
		names[i] = keyOf(token.User.ToNonAD().String())
	}
	known, err := o.getMany(ctx, kindPrivacyToken, names)
	if err != nil {
		return err
	}
	var entries []entry
	for i, token := range tokens {
		fresh := tokenRow{Token: token.Token, At: token.Timestamp.Unix()}
		if !token.SenderTimestamp.IsZero() {
			sent := token.SenderTimestamp.Unix()
			fresh.Sent = &sent
		}
		if before, there := known[names[i]]; there {
			stored, err := decodeToken(before.value)
			if err != nil {
				return err
			}
			if fresh.At < stored.At {
				continue
			}
			if fresh.Sent == nil {
				fresh.Sent = stored.Sent
			}
		}
		encoded, err := json.Marshal(fresh)
		if err != nil {
			return fmt.Errorf("encode a privacy token: %w", err)
		}
		known[names[i]] = row{value: encoded}
		entries = append(entries, entry{key: names[i], row: row{value: encoded}})
	}
	return o.putEntries(ctx, kindPrivacyToken, entries)
}

// GetPrivacyToken implements store.PrivacyTokenStore: the newer one of those stored under the person's two addresses.
func (o *Owner) GetPrivacyToken(ctx context.Context, user types.JID) (*wastore.PrivacyToken, error) {
	users, err := o.bothNames(ctx, user)
	if err != nil {
		return nil, err
	}
	var newest *wastore.PrivacyToken
	for _, name := range users {
		stored, err := o.get(ctx, kindPrivacyToken, keyOf(name.String()))
		if err != nil {
			return nil, err
		}
		if !stored.exists() {
			continue
		}
		token, err := decodeToken(stored.value)
		if err != nil {
			return nil, err
		}
		if at := time.Unix(token.At, 0); newest == nil || at.After(newest.Timestamp) {
			newest = &wastore.PrivacyToken{User: user.ToNonAD(), Token: token.Token, Timestamp: at}
			if token.Sent != nil {
				newest.SenderTimestamp = time.Unix(*token.Sent, 0)
			}
		}
	}
	return newest, nil
}

// DeleteExpiredPrivacyTokens implements store.PrivacyTokenStore.
func (o *Owner) DeleteExpiredPrivacyTokens(ctx context.Context, cutoff time.Time) (int64, error) {
	defer o.alone(ctx)()
	entries, err := o.scan(ctx, kindPrivacyToken, "")
	if err != nil {
		return 0, err
	}
	var old []entry
	for _, entry := range entries {
		token, err := decodeToken(entry.value)
		if err != nil {
			return 0, err
		}
		if token.At < cutoff.Unix() {
			old = append(old, entry)
		}
	}
	return int64(len(old)), o.erase(ctx, rides, kindPrivacyToken, old)
}

// PutNCTSalt implements store.NCTSaltStore.
func (o *Owner) PutNCTSalt(ctx context.Context, salt []byte) error {
	return o.write(ctx, durable, put(kindNCTSalt, "", salt))
}

// GetNCTSalt implements store.NCTSaltStore.
func (o *Owner) GetNCTSalt(ctx context.Context) ([]byte, error) {
	found, err := o.get(ctx, kindNCTSalt, "")
	return slices.Clone(found.value), err
}

// DeleteNCTSalt implements store.NCTSaltStore.
func (o *Owner) DeleteNCTSalt(ctx context.Context) error {
	return o.write(ctx, durable, deletion(kindNCTSalt, ""))
}
