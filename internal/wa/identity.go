package wa

import (
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/store"
	"google.golang.org/protobuf/proto"

	"github.com/dannsalud/broadcaster/internal/session"
)

// platforms maps our names to WhatsApp's two ways of saying them: the device's properties, and the last field of the QR.
var platforms = map[string]struct {
	properties waCompanionReg.DeviceProps_PlatformType
	client     whatsmeow.PairClientType
}{
	"chrome":  {waCompanionReg.DeviceProps_CHROME, whatsmeow.PairClientChrome},
	"firefox": {waCompanionReg.DeviceProps_FIREFOX, whatsmeow.PairClientFirefox},
	"edge":    {waCompanionReg.DeviceProps_EDGE, whatsmeow.PairClientEdge},
	"safari":  {waCompanionReg.DeviceProps_SAFARI, whatsmeow.PairClientSafari},
}

// present gives a client its own name, platform and version. whatsmeow keeps them in process-wide variables; writing those for each client
// would be a race, so the payload is made here from a copy. A login carries no device properties.
func present(client *whatsmeow.Client, identity session.Identity, version store.WAVersionContainer) {
	platform, known := platforms[identity.Platform]
	if !known {
		platform = platforms["chrome"]
	}
	client.QRClientType = platform.client
	properties := proto.CloneOf(store.DeviceProps)
	properties.Os = proto.String(identity.Name)
	properties.PlatformType = platform.properties.Enum()
	client.GetClientPayload = func() *waWa6.ClientPayload { return payloadWith(client.Store, properties, version) }
}

// payloadWith is the payload that the device would send, as this version, and with these properties in a registration.
func payloadWith(device *store.Device, properties *waCompanionReg.DeviceProps, version store.WAVersionContainer) *waWa6.ClientPayload {
	payload := device.GetClientPayload()
	payload.GetUserAgent().AppVersion = version.ProtoAppVersion()
	registration := payload.GetDevicePairingData()
	if registration == nil {
		return payload
	}
	hash := version.Hash()
	registration.BuildHash = hash[:]
	encoded, err := proto.Marshal(properties)
	if err != nil {
		return payload // the properties of the process are better than none
	}
	registration.DeviceProps = encoded
	return payload
}
