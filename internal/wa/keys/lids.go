package keys

import (
	"context"
	"errors"
	"slices"

	wastore "go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// errServer: an address of the wrong kind. It does not say which: it may be a phone number.
var errServer = errors.New("the address is of the wrong kind: want a phone number (s.whatsapp.net) and a hidden id (lid)")

// lidBatch is how many mappings are written at once: each touches up to four rows.
const lidBatch = 400

// PutLIDMapping implements store.LIDStore.
func (o *Owner) PutLIDMapping(ctx context.Context, lid, pn types.JID) error {
	if lid.Server != types.HiddenUserServer || pn.Server != types.DefaultUserServer {
		return errServer
	}
	return o.PutManyLIDMappings(ctx, []wastore.LIDMapping{{LID: lid, PN: pn}})
}

// PutManyLIDMappings implements store.LIDStore. A person has one phone number and one hidden id: what either of them was mapped to before is
// forgotten. Entries of the wrong kind are ignored, as sqlstore does.
func (o *Owner) PutManyLIDMappings(ctx context.Context, mappings []wastore.LIDMapping) error {
	defer o.alone(ctx)()
	for chunk := range slices.Chunk(mappings, lidBatch) {
		if err := o.putMappings(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

func (o *Owner) putMappings(ctx context.Context, mappings []wastore.LIDMapping) error {
	var lids, phones []string
	for _, mapping := range mappings {
		lids, phones = append(lids, keyOf(mapping.LID.User)), append(phones, keyOf(mapping.PN.User))
	}
	byLID, err := o.users(ctx, kindLID, lids)
	if err != nil {
		return err
	}
	byPhone, err := o.users(ctx, kindPhone, phones)
	if err != nil {
		return err
	}
	var changes []change
	for _, mapping := range mappings {
		if mapping.LID.Server != types.HiddenUserServer || mapping.PN.Server != types.DefaultUserServer {
			continue
		}
		lid, phone := mapping.LID.User, mapping.PN.User
		lidKey, phoneKey := keyOf(lid), keyOf(phone)
		oldPhone, oldLID := byLID[lidKey], byPhone[phoneKey]
		if oldPhone == phone && oldLID == lid {
			continue
		}
		if oldLID != "" && oldLID != lid {
			changes = append(changes, deletion(kindLID, keyOf(oldLID)))
			delete(byLID, keyOf(oldLID))
		}
		if oldPhone != "" && oldPhone != phone {
			changes = append(changes, deletion(kindPhone, keyOf(oldPhone)))
			delete(byPhone, keyOf(oldPhone))
		}
		changes = append(changes, put(kindLID, lidKey, []byte(phone)), put(kindPhone, phoneKey, []byte(lid)))
		byLID[lidKey], byPhone[phoneKey] = phone, lid
	}
	if len(changes) == 0 {
		return nil
	}
	return o.write(ctx, rides, changes...)
}

// users gives what users are mapped to, by the keys of their rows.
func (o *Owner) users(ctx context.Context, kind string, names []string) (map[string]string, error) {
	found, err := o.getMany(ctx, kind, names)
	if err != nil {
		return nil, err
	}
	mapped := make(map[string]string, len(found))
	for name, row := range found {
		mapped[name] = string(row.value)
	}
	return mapped, nil
}

// GetPNForLID implements store.LIDStore; an empty address when it is not known. The device number is kept.
func (o *Owner) GetPNForLID(ctx context.Context, lid types.JID) (types.JID, error) {
	if lid.Server != types.HiddenUserServer {
		return types.EmptyJID, errServer
	}
	return o.mapped(ctx, kindLID, lid, types.DefaultUserServer)
}

// GetLIDForPN implements store.LIDStore; an empty address when it is not known. The device number is kept.
func (o *Owner) GetLIDForPN(ctx context.Context, pn types.JID) (types.JID, error) {
	if pn.Server != types.DefaultUserServer {
		return types.EmptyJID, errServer
	}
	return o.mapped(ctx, kindPhone, pn, types.HiddenUserServer)
}

func (o *Owner) mapped(ctx context.Context, kind string, jid types.JID, server string) (types.JID, error) {
	found, err := o.get(ctx, kind, keyOf(jid.User))
	if err != nil || !found.exists() {
		return types.EmptyJID, err
	}
	return types.JID{User: string(found.value), Device: jid.Device, Server: server}, nil
}

// GetManyLIDsForPNs implements store.LIDStore: those that are known.
func (o *Owner) GetManyLIDsForPNs(ctx context.Context, pns []types.JID) (map[types.JID]types.JID, error) {
	if len(pns) == 0 {
		return nil, nil
	}
	names := make([]string, 0, len(pns))
	for _, pn := range pns {
		if pn.Server == types.DefaultUserServer {
			names = append(names, keyOf(pn.User))
		}
	}
	found, err := o.users(ctx, kindPhone, names)
	if err != nil {
		return nil, err
	}
	lids := make(map[types.JID]types.JID, len(found))
	for _, pn := range pns {
		if lid, known := found[keyOf(pn.User)]; known && pn.Server == types.DefaultUserServer {
			lids[pn] = types.JID{User: lid, Device: pn.Device, Server: types.HiddenUserServer}
		}
	}
	return lids, nil
}
