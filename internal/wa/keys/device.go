package keys

import (
	"context"
	cryptorand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"

	"go.mau.fi/whatsmeow/proto/waAdv"
	wastore "go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	waKeys "go.mau.fi/whatsmeow/util/keys"
	waLog "go.mau.fi/whatsmeow/util/log"
)

// ErrNoAddress: a device was to be saved before it was paired.
var ErrNoAddress = errors.New("the device has no address yet")

// deviceRow is a device as its row holds it. The first part never changes in the life of a device.
type deviceRow struct {
	JID            string `json:"jid"`
	RegistrationID uint32 `json:"registration_id"`
	NoiseKey       []byte `json:"noise_key"`
	IdentityKey    []byte `json:"identity_key"`
	SignedPreKey   []byte `json:"signed_prekey"`
	SignedPreKeyID uint32 `json:"signed_prekey_id"`
	Signature      []byte `json:"signed_prekey_signature"`
	AdvSecretKey   []byte `json:"adv_secret"`
	Details        []byte `json:"adv_details"`
	AccountSig     []byte `json:"adv_account_signature"`
	AccountSigKey  []byte `json:"adv_account_signature_key"`
	DeviceSig      []byte `json:"adv_device_signature"`
	FacebookUUID   []byte `json:"facebook_uuid"`

	deviceSettings
}

// deviceSettings are what may change.
type deviceSettings struct {
	LID                   string `json:"lid"`
	Platform              string `json:"platform"`
	BusinessName          string `json:"business_name"`
	PushName              string `json:"push_name"`
	LIDMigrationTimestamp int64  `json:"lid_migration_timestamp"`
	CompanionMetaNonce    string `json:"companion_meta_nonce"`
}

// NewDevice gives a device with fresh keys, to be paired. Nothing is stored before it is saved, which the pairing does.
func (o *Owner) NewDevice() *wastore.Device {
	device := &wastore.Device{
		Log: waLog.Noop, Container: o,
		NoiseKey: waKeys.NewKeyPair(), IdentityKey: waKeys.NewKeyPair(),
		RegistrationID: rand.Uint32(), //nolint:gosec // it tells devices apart and is no secret
		AdvSecretKey:   make([]byte, 32),
	}
	_, _ = cryptorand.Read(device.AdvSecretKey) // never fails: crypto/rand ends the process instead
	device.SignedPreKey = device.IdentityKey.CreateSignedPreKey(1)
	return device
}

// Device gives the session's device; nil when it has none.
func (o *Owner) Device(ctx context.Context) (*wastore.Device, error) {
	stored, err := o.deviceRow(ctx)
	if err != nil || stored == nil {
		return nil, err
	}
	device, err := stored.decode()
	if err != nil {
		return nil, unreadable(kindDevice, err)
	}
	device.Log = waLog.Noop
	o.equip(device)
	return device, nil
}

func (o *Owner) deviceRow(ctx context.Context) (*deviceRow, error) {
	found, err := o.get(ctx, kindDevice, "")
	if err != nil || !found.exists() {
		return nil, err
	}
	var stored deviceRow
	if err := json.Unmarshal(found.value, &stored); err != nil {
		return nil, unreadable(kindDevice, err)
	}
	return &stored, nil
}

// equip gives a device its stores.
func (o *Owner) equip(device *wastore.Device) {
	device.SetAllStores(o)
	device.LIDs = o
	device.Container = o
	device.Initialized = true
}

// PutDevice implements store.DeviceContainer. A device that is stored already keeps its keys, whatever is in the one given; another device than
// the one stored begins with nothing of the old one's.
func (o *Owner) PutDevice(ctx context.Context, device *wastore.Device) error {
	if device.ID == nil {
		return ErrNoAddress
	}
	defer o.alone(ctx)()
	stored, err := o.deviceRow(ctx)
	if err != nil {
		return err
	}
	known := stored != nil && stored.JID == device.ID.String()
	if !known {
		stored = encodeDevice(device)
	}
	stored.deviceSettings = settingsOf(device)
	encoded, err := json.Marshal(stored)
	if err != nil {
		return fmt.Errorf("encode a device: %w", err)
	}
	changes := []change{put(kindDevice, "", encoded)}
	if !known {
		changes = append(changes, o.mark()) // the new device's keys are of this owner, whatever a witness remembers of the old one
	}
	err = o.do(ctx, &unit{changes: changes, urgency: durable, clear: !known})
	if err != nil {
		return fmt.Errorf("save a device: %w", err)
	}
	if !device.Initialized {
		o.equip(device)
	}
	return nil
}

// DeleteDevice implements store.DeviceContainer: nothing is left but a tombstone, for which the caller of Bury may know the reason.
func (o *Owner) DeleteDevice(ctx context.Context, device *wastore.Device) error {
	if device.ID == nil {
		return ErrNoAddress
	}
	return o.Bury(ctx, "")
}

func encodeDevice(device *wastore.Device) *deviceRow {
	return &deviceRow{
		JID: device.ID.String(), RegistrationID: device.RegistrationID,
		NoiseKey: device.NoiseKey.Priv[:], IdentityKey: device.IdentityKey.Priv[:],
		SignedPreKey: device.SignedPreKey.Priv[:], SignedPreKeyID: device.SignedPreKey.KeyID, Signature: device.SignedPreKey.Signature[:],
		AdvSecretKey: device.AdvSecretKey, Details: device.Account.GetDetails(), AccountSig: device.Account.GetAccountSignature(),
		AccountSigKey: device.Account.GetAccountSignatureKey(), DeviceSig: device.Account.GetDeviceSignature(), FacebookUUID: device.FacebookUUID[:],
	}
}

func settingsOf(device *wastore.Device) deviceSettings {
	return deviceSettings{LID: device.LID.String(), Platform: device.Platform, BusinessName: device.BusinessName, PushName: device.PushName,
		LIDMigrationTimestamp: device.LIDMigrationTimestamp, CompanionMetaNonce: device.CompanionMetaNonce}
}

func (d *deviceRow) decode() (*wastore.Device, error) {
	if len(d.NoiseKey) != 32 || len(d.IdentityKey) != 32 || len(d.SignedPreKey) != 32 || len(d.Signature) != 64 ||
		len(d.FacebookUUID) != 16 {
		return nil, errors.New("a key has the wrong length")
	}
	jid, err := types.ParseJID(d.JID)
	if err != nil {
		return nil, errors.New("the address cannot be read")
	}
	lid := types.EmptyJID
	if d.LID != "" {
		if lid, err = types.ParseJID(d.LID); err != nil {
			return nil, errors.New("the hidden id cannot be read")
		}
	}
	return &wastore.Device{
		ID: &jid, LID: lid, RegistrationID: d.RegistrationID, AdvSecretKey: d.AdvSecretKey,
		NoiseKey: waKeys.NewKeyPairFromPrivateKey([32]byte(d.NoiseKey)), IdentityKey: waKeys.NewKeyPairFromPrivateKey([32]byte(d.IdentityKey)),
		SignedPreKey: &waKeys.PreKey{KeyPair: *waKeys.NewKeyPairFromPrivateKey([32]byte(d.SignedPreKey)), KeyID: d.SignedPreKeyID,
			Signature: (*[64]byte)(d.Signature)},
		Account: &waAdv.ADVSignedDeviceIdentity{Details: d.Details, AccountSignature: d.AccountSig, AccountSignatureKey: d.AccountSigKey,
			DeviceSignature: d.DeviceSig},
		Platform: d.Platform, BusinessName: d.BusinessName, PushName: d.PushName, FacebookUUID: [16]byte(d.FacebookUUID),
		LIDMigrationTimestamp: d.LIDMigrationTimestamp, CompanionMetaNonce: d.CompanionMetaNonce,
	}, nil
}
