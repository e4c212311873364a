package wasim

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
)

// participantHash is the fingerprint of a list of devices ("phash", "dhash") that clients and server compare (whatsmeow send.go
// participantListHashV2).
func participantHash(devices []types.JID) string {
	names := make([]string, len(devices))
	for i, device := range devices {
		names[i] = device.ADString()
	}
	slices.Sort(names)
	sum := sha256.Sum256([]byte(strings.Join(names, "")))
	return "2:" + base64.RawStdEncoding.EncodeToString(sum[:6])
}

// missedDevices gives the fingerprint of everybody whom a message should have been encrypted for, if it left somebody out: the client
// then drops what it knows of the addressee's devices. Empty: nobody was left out.
func (c *connection) missedDevices(mail *envelope, parcels int) string {
	addressee, own := c.server.accountOf(mail.to), c.companion.owner
	if _, direct := mail.node.GetOptionalChildByTag("enc"); direct || addressee == nil {
		return ""
	}
	theirs := addressee.deviceIDs()
	ours := slices.DeleteFunc(own.deviceIDs(), func(id uint16) bool { return id == c.companion.id })
	if addressee == own {
		theirs = nil
	}
	if parcels >= len(theirs)+len(ours) {
		return ""
	}
	if c.server.options.ListOwnDevice {
		ours = append(ours, c.companion.id)
	}
	var devices []types.JID
	for _, id := range theirs {
		devices = append(devices, stanza.As(mail.to, addressee.number, id))
	}
	for _, id := range ours {
		devices = append(devices, stanza.As(mail.to, own.number, id))
	}
	return participantHash(devices)
}

// announceDevices tells an account's linked devices which devices the account has now.
func (a *account) announceDevices() {
	ids := a.deviceIDs()
	devices := make([]types.JID, len(ids))
	nodes := make([]stanza.Node, len(ids))
	for i, id := range ids {
		devices[i] = stanza.PN(a.number, id)
		nodes[i] = stanza.Node{Tag: "device", Attrs: stanza.Attrs{"jid": devices[i]}}
		if id != 0 {
			nodes[i].Attrs["key-index"] = int(id)
		}
	}
	list := stanza.Node{Tag: "devices", Attrs: stanza.Attrs{"dhash": participantHash(devices)}, Content: nodes}
	a.tell(stanza.Node{
		Tag:     "notification",
		Attrs:   stanza.Attrs{"from": stanza.PN(a.number, 0), "type": "account_sync", "id": a.server.newID("N"), "t": time.Now().Unix()},
		Content: []stanza.Node{list},
	})
}
