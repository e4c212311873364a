package wasim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// restartCode is the stream error that asks for a new connection, as after a pairing.
const restartCode = 515

func timeOf(d script.Duration) time.Duration { return time.Duration(d) }

// Script puts a fault in force. A rule on the clock strikes the connections that are open when its time comes.
func (s *Server) Script(rule script.Rule) (*script.Running, error) {
	for _, number := range []*string{&rule.Account, &rule.Recipient} {
		if *number == "" {
			continue
		}
		parsed, err := stanza.ParseNumber(*number)
		if err != nil {
			return nil, fmt.Errorf("script: %w", err)
		}
		*number = stanza.FormatNumber(parsed)
	}
	running, err := s.script.Add(rule)
	if err != nil {
		return nil, fmt.Errorf("script: %w", err)
	}
	if rule.On == script.Clock {
		s.later(timeOf(rule.After), func() { s.strikeByClock(running) })
	}
	return running, nil
}

// strikeByClock lets a rule on the clock strike every open connection that it is about.
func (s *Server) strikeByClock(running *script.Running) {
	if running.Stopped() {
		return
	}
	rule := running.Rule()
	for _, account := range s.everyAccount() {
		if rule.Account != "" && rule.Account != stanza.FormatNumber(account.number) {
			continue
		}
		for _, companion := range account.companions() {
			if connection := companion.current(); connection != nil {
				running.Hit()
				connection.strike(rule.Do)
			}
		}
	}
}

// strike does to a connection what the script wants.
func (c *connection) strike(action script.Action) {
	switch action.Kind {
	case script.StreamError:
		c.endStream(stanza.Attrs{"code": action.Code}, "")
		if action.Code == restartCode && !action.KeepOpen {
			// The client ends the connection itself; a server that is as fast meets a data race in whatsmeow.
			c.endAfter(max(c.server.options.CloseDelay, DefaultCloseDelay))
			return
		}
	case script.Replaced:
		c.endStream(nil, "replaced")
	case script.DeviceRemoved:
		if c.companion != nil {
			c.companion.owner.remove(c.companion)
		}
		c.endStream(stanza.Attrs{"code": loggedOutReason}, "device_removed")
	case script.Cut:
		c.cut()
		return
	case script.Silence:
		c.silent.Store(true)
		return
	case script.TimeLock:
		c.notify(timeLock(c.server, action))
		return
	case script.PreKeysLow:
		c.notify(preKeysLow(c.server, action.Code))
		return
	case script.OfferQR:
		c.send(lateOffer(c.server))
		return
	case script.SecondSuccess:
		if c.companion != nil {
			c.send(success(c.companion))
		}
		return
	case script.Downgrade:
		c.send(stanza.Node{Tag: "ib", Content: []stanza.Node{{Tag: "downgrade_webclient"}}})
		return
	}
	if !action.KeepOpen {
		c.end()
	}
}

func (c *connection) endStream(attrs stanza.Attrs, conflict string) {
	node := stanza.Node{Tag: "stream:error", Attrs: attrs}
	if conflict != "" {
		node.Content = []stanza.Node{{Tag: "conflict", Attrs: stanza.Attrs{"type": conflict}}}
	}
	c.send(node)
}

// notify brings a notification to the device, again at the next login if it is not acknowledged.
func (c *connection) notify(node stanza.Node) {
	if c.companion != nil {
		c.companion.deliver(node)
	}
}

// timeLock is the notification that the account may not write to strangers for a time, or may again.
func timeLock(server *Server, action script.Action) stanza.Node {
	lock := map[string]any{"is_active": action.Code != 0}
	if action.Code != 0 {
		lock["enforcement_type"] = "REACHOUT_TIMELOCK"
		if action.Text != "" {
			lock["enforcement_type"] = action.Text
		}
		lock["time_enforcement_ends"] = strconv.FormatInt(time.Now().Add(timeOf(action.For)).Unix(), 10)
	}
	// A map of strings and bools cannot fail to encode.
	content, _ := json.Marshal(map[string]any{"data": map[string]any{"xwa2_notify_account_reachout_timelock": lock}})
	return stanza.Node{
		Tag:     "notification",
		Attrs:   stanza.Attrs{"from": types.ServerJID, "type": "mex", "id": server.newID("N"), "t": time.Now().Unix()},
		Content: []stanza.Node{{Tag: "update", Attrs: stanza.Attrs{"op_name": "NotificationAccountReachoutTimelock"}, Content: content}},
	}
}

// lateOffer offers a code that nobody can use: the device has its owner.
func lateOffer(server *Server) stanza.Node {
	ref := stanza.Node{Tag: "ref", Content: []byte("2@" + base64.RawURLEncoding.EncodeToString(randomBytes(24)))}
	return stanza.Node{
		Tag:     "iq",
		Attrs:   stanza.Attrs{"from": types.ServerJID, "type": "set", "xmlns": "md", "id": server.newID("P")},
		Content: []stanza.Node{{Tag: "pair-device", Content: []stanza.Node{ref}}},
	}
}
