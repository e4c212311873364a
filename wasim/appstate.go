package wasim

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"github.com/dannsalud/broadcaster/wasim/internal/appstate"
	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
)

// state gives the account's app state, and makes it when first needed.
func (a *account) state() *appstate.State {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.appState == nil {
		sum := hmac.New(sha256.New, a.server.secret[:])
		sum.Write(binary.BigEndian.AppendUint64([]byte("app state"), a.number))
		a.appState = appstate.New([32]byte(sum.Sum(nil)))
	}
	return a.appState
}

// welcome tells a device that was just linked what its phone tells it: the account's name, if it has one.
func (p *Phone) welcome(ctx context.Context, device *companion) error {
	name := p.pushName()
	if name == "" {
		return nil
	}
	if _, version := p.account.state().Since("critical_block", 0); version == 0 {
		if _, _, err := p.account.state().SetPushName(ctx, name); err != nil {
			return err
		}
	}
	return p.shareKey(ctx, device)
}

func (p *Phone) pushName() string {
	p.account.mu.Lock()
	defer p.account.mu.Unlock()
	return p.name
}

// SetPushName changes the account's name; linked devices learn it by app state.
func (p *Phone) SetPushName(ctx context.Context, name string) error {
	p.account.mu.Lock()
	p.name = name
	p.account.mu.Unlock()
	collection, version, err := p.account.state().SetPushName(ctx, name)
	if err != nil {
		return err
	}
	for _, device := range p.account.companions() {
		if device.hasKey() {
			device.deliver(serverSync(p.account.server, collection, version))
		} else if err := p.shareKey(ctx, device); err != nil {
			return err
		}
	}
	return nil
}

func (p *companion) hasKey() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keyShared
}

// shareKey gives a linked device the key of the app state; whatsmeow then fetches all collections.
func (p *Phone) shareKey(ctx context.Context, device *companion) error {
	if err := p.tellPeer(ctx, device, p.account.state().KeyShare()); err != nil {
		return fmt.Errorf("share app state key: %w", err)
	}
	device.mu.Lock()
	defer device.mu.Unlock()
	device.keyShared = true
	return nil
}

// tellPeer sends a message from the phone to its own linked device.
func (p *Phone) tellPeer(ctx context.Context, device *companion, message *waE2E.Message) error {
	body, err := proto.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode peer message: %w", err)
	}
	letter := &letter{to: p.account, body: body, attrs: stanza.Attrs{"category": "peer"}}
	_, err = p.account.write(ctx, letter, []*companion{device})
	return err
}

// serverSync tells a device that a collection has a new version.
func serverSync(server *Server, collection string, version uint64) stanza.Node {
	return stanza.Node{
		Tag:     "notification",
		Attrs:   stanza.Attrs{"from": types.ServerJID, "type": "server_sync", "id": server.newID("N"), "t": time.Now().Unix()},
		Content: []stanza.Node{{Tag: "collection", Attrs: stanza.Attrs{"name": collection, "version": version}}},
	}
}

// handleAppState gives the patches of collections, and takes those that a client made.
func handleAppState(ctx context.Context, x *exchange) {
	state := x.conn.companion.owner.state()
	sync := x.node.GetChildByTag("sync")
	var answers []stanza.Node
	for _, asked := range sync.GetChildrenByTag("collection") {
		answers = append(answers, collectionNode(ctx, state, &asked))
	}
	x.result(stanza.Node{Tag: "sync", Content: answers})
}

func collectionNode(ctx context.Context, state *appstate.State, asked *stanza.Node) stanza.Node {
	name := stanza.Text(asked, "name")
	known, _ := strconv.ParseUint(stanza.Text(asked, "version"), 10, 64) // missing: everything is wanted
	answer := stanza.Node{Tag: "collection", Attrs: stanza.Attrs{"name": name}}
	if patch, sent := asked.GetOptionalChildByTag("patch"); sent {
		if err := state.Append(ctx, name, known, stanza.Bytes(patch)); err == nil {
			_, newest := state.Since(name, known)
			answer.Attrs["version"] = newest
			return answer
		} else if answer.Attrs["type"] = "error"; !errors.Is(err, appstate.ErrConflict) {
			answer.Content = []stanza.Node{{Tag: "error", Attrs: stanza.Attrs{"code": 400, "text": "bad-request"}}}
			return answer
		}
		answer.Content = []stanza.Node{{Tag: "error", Attrs: stanza.Attrs{"code": 409, "text": "conflict"}}}
	}
	patches, newest := state.Since(name, known)
	answer.Attrs["version"] = newest
	if len(patches) == 0 {
		return answer
	}
	list := make([]stanza.Node, len(patches))
	for i, patch := range patches {
		list[i] = stanza.Node{Tag: "patch", Content: patch}
	}
	answer.Content = append(answer.GetChildren(), stanza.Node{Tag: "patches", Content: list})
	return answer
}
