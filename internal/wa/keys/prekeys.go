package keys

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	waKeys "go.mau.fi/whatsmeow/util/keys"
)

// maxPreKeyID is the largest id of a prekey: it has three bytes on the wire.
const maxPreKeyID = 1<<24 - 1

// preKey is a prekey as its row holds it: 32 bytes of private key, and whether WhatsApp has it.
type preKey struct {
	id       uint32
	private  []byte
	uploaded bool
}

// preKeyName gives the key of a prekey's row; rows are in the order of their ids.
func preKeyName(id uint32) string { return fmt.Sprintf("%010d", id) }

func (p preKey) change() change {
	mark := byte(0)
	if p.uploaded {
		mark = 1
	}
	return put(kindPreKey, preKeyName(p.id), append(append([]byte{}, p.private...), mark))
}

func (p preKey) decode() *waKeys.PreKey {
	return &waKeys.PreKey{KeyPair: *waKeys.NewKeyPairFromPrivateKey([32]byte(p.private)), KeyID: p.id}
}

func decodePreKey(key string, value []byte) (preKey, error) {
	var id uint32
	if _, err := fmt.Sscanf(key, "%d", &id); err != nil || len(value) != 33 {
		return preKey{}, unreadable(kindPreKey, errors.New("wrong length"))
	}
	return preKey{id: id, private: value[:32], uploaded: value[32] == 1}, nil
}

// preKeys gives all prekeys, by id.
func (o *Owner) preKeys(ctx context.Context) ([]preKey, error) {
	entries, err := o.scan(ctx, kindPreKey, "")
	if err != nil {
		return nil, err
	}
	found := make([]preKey, len(entries))
	for i, entry := range entries {
		if found[i], err = decodePreKey(entry.key, entry.value); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// GetOrGenPreKeys implements store.PreKeyStore: the first prekeys that WhatsApp does not have yet, and new ones if there are too few.
func (o *Owner) GetOrGenPreKeys(ctx context.Context, count uint32) ([]*waKeys.PreKey, error) {
	defer o.alone(ctx)()
	all, err := o.preKeys(ctx)
	if err != nil {
		return nil, err
	}
	var found []*waKeys.PreKey
	for _, known := range all {
		if !known.uploaded && len(found) < int(count) {
			found = append(found, known.decode())
		}
	}
	for len(found) < int(count) {
		fresh, err := o.generate(ctx, min(int(count)-len(found), preKeyBatch), false)
		if err != nil {
			return nil, err
		}
		found = append(found, fresh...)
	}
	return found, nil
}

// preKeyBatch is how many prekeys are made in one write; whatsmeow asks for 812 at most.
const preKeyBatch = 1000

// GenOnePreKey implements store.PreKeyStore. The key counts as uploaded: it goes out in a retry receipt.
func (o *Owner) GenOnePreKey(ctx context.Context) (*waKeys.PreKey, error) {
	defer o.alone(ctx)()
	fresh, err := o.generate(ctx, 1, true)
	if err != nil {
		return nil, err
	}
	return fresh[0], nil
}

// generate makes prekeys. The last id that was ever given out has a row of its own, written together with them: an id does not come again
// when its key was used and removed. (sqlstore gives the id of the newest prekey again after its removal.)
func (o *Owner) generate(ctx context.Context, count int, uploaded bool) ([]*waKeys.PreKey, error) {
	found, err := o.get(ctx, kindLastPreKey, "")
	if err != nil {
		return nil, err
	}
	last := uint32(0)
	if found.exists() {
		if len(found.value) != 4 {
			return nil, unreadable(kindLastPreKey, errors.New("wrong length"))
		}
		last = binary.BigEndian.Uint32(found.value)
	}
	if int(last)+count > maxPreKeyID {
		return nil, errors.New("the ids of prekeys are used up: link the phone again")
	}
	fresh := make([]*waKeys.PreKey, count)
	changes := make([]change, 0, count+1)
	for i := range fresh {
		last++
		fresh[i] = waKeys.NewPreKey(last)
		changes = append(changes, preKey{id: last, private: fresh[i].Priv[:], uploaded: uploaded}.change())
	}
	changes = append(changes, put(kindLastPreKey, "", binary.BigEndian.AppendUint32(nil, last)))
	if err := o.write(ctx, durable, changes...); err != nil {
		return nil, fmt.Errorf("keep new prekeys: %w", err)
	}
	return fresh, nil
}

// GetPreKey implements store.PreKeyStore.
func (o *Owner) GetPreKey(ctx context.Context, id uint32) (*waKeys.PreKey, error) {
	found, err := o.get(ctx, kindPreKey, preKeyName(id))
	if err != nil || !found.exists() {
		return nil, err
	}
	known, err := decodePreKey(preKeyName(id), found.value)
	if err != nil {
		return nil, err
	}
	return known.decode(), nil
}

// RemovePreKey implements store.PreKeyStore.
func (o *Owner) RemovePreKey(ctx context.Context, id uint32) error {
	defer o.alone(ctx)()
	return o.write(ctx, durable, deletion(kindPreKey, preKeyName(id)))
}

// MarkPreKeysAsUploaded implements store.PreKeyStore.
func (o *Owner) MarkPreKeysAsUploaded(ctx context.Context, upToID uint32) error {
	defer o.alone(ctx)()
	all, err := o.preKeys(ctx)
	if err != nil {
		return err
	}
	var changes []change
	for _, known := range all {
		if known.id > upToID || known.uploaded {
			continue
		}
		known.uploaded = true
		changes = append(changes, known.change())
	}
	for len(changes) > 0 {
		chunk := min(len(changes), preKeyBatch)
		if err := o.write(ctx, durable, changes[:chunk]...); err != nil {
			return fmt.Errorf("mark prekeys as uploaded: %w", err)
		}
		changes = changes[chunk:]
	}
	return nil
}

// UploadedPreKeyCount implements store.PreKeyStore.
func (o *Owner) UploadedPreKeyCount(ctx context.Context) (count int, err error) {
	all, err := o.preKeys(ctx)
	for _, known := range all {
		if known.uploaded {
			count++
		}
	}
	return count, err
}
