package wasim

import (
	"context"

	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
)

// privacyNames are the settings that an account has; each is "all" until a client changes it.
func privacyNames() []string {
	return []string{"groupadd", "last", "status", "profile", "readreceipts", "online", "calladd"}
}

// handlePrivacy tells the account's privacy settings.
func handlePrivacy(_ context.Context, x *exchange) {
	owner := x.conn.companion.owner
	owner.mu.Lock()
	defer owner.mu.Unlock()
	var categories []stanza.Node
	for _, name := range privacyNames() {
		value, set := owner.privacy[name]
		if !set {
			value = "all"
		}
		categories = append(categories, stanza.Node{Tag: "category", Attrs: stanza.Attrs{"name": name, "value": value}})
	}
	x.result(stanza.Node{Tag: "privacy", Content: categories})
}

// handlePrivacySet changes privacy settings.
func handlePrivacySet(_ context.Context, x *exchange) {
	owner := x.conn.companion.owner
	settings := x.node.GetChildByTag("privacy")
	owner.mu.Lock()
	if owner.privacy == nil {
		owner.privacy = make(map[string]string)
	}
	for _, category := range settings.GetChildrenByTag("category") {
		owner.privacy[stanza.Text(&category, "name")] = stanza.Text(&category, "value")
	}
	owner.mu.Unlock()
	x.result()
}
