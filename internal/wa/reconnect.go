package wa

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"

	"github.com/dannsalud/broadcaster/internal/session"
)

// This file keeps a device connected. whatsmeow would do it too, but at once, all sessions of a process together after an outage, without asking
// whose turn it is, and not at all when the connection is open and nothing comes (peers.md W8, W9). So its own reconnects are off.

// breach is why a connection has to be opened again. It is also the label of the metric.
type breach string

const (
	breachLost     breach = "lost"     // it broke
	breachRestart  breach = "restart"  // WhatsApp asked for it (515)
	breachSilent   breach = "silent"   // it is open, and nothing comes
	breachNoLogin  breach = "no_login" // it is open, and WhatsApp has not let the device in, or not any more
	breachForsaken breach = "forsaken" // it is gone, and nobody said so
)

// broken asks for a new connection. One wish is enough.
func (c *Client) broken(why breach) {
	select {
	case c.breaches <- why:
	default:
	}
}

// loginShare is how much of the time that a connection may be silent it may take until WhatsApp lets the device in, in per cent: 30 of 75 s.
const loginShare = 40

// looksPerSilence is how often a connection is looked at within the time that it may be silent.
const looksPerSilence = 5

// keepConnected opens the connection again whenever it broke, or is silent, until the client's end.
func (c *Client) keepConnected() {
	ticker := time.NewTicker(c.silence / looksPerSilence)
	defer ticker.Stop()
	gone := false
	for {
		why := breach("")
		select {
		case <-c.life.Done():
			return
		case why = <-c.breaches:
		case <-ticker.C:
			why = c.examine()
			// A connection that is seen to be gone may be closing at this moment, and why it ended about to be told.
			wasGone := gone
			if gone = why == breachForsaken; gone && !wasGone {
				why = ""
			}
		}
		if why == "" || !c.sayBroken(why) {
			continue
		}
		c.metrics.reconnects.WithLabelValues(string(why)).Inc()
		c.connectAgain(why)
	}
}

// examine looks whether the connection of a device is what it seems to be. One that pairs has a person who watches it, and ends by itself.
func (c *Client) examine() breach {
	if !c.hasDevice() || c.hasEnded() {
		return ""
	}
	switch open := time.Since(time.Unix(0, c.opened.Load())); {
	case !c.whatsmeow.IsConnected():
		return breachForsaken
	case c.way.pulse != nil && c.way.pulse.age() > c.silence:
		return breachSilent
	case !c.whatsmeow.IsLoggedIn() && open > c.silence*loginShare/100:
		return breachNoLogin
	}
	return ""
}

// sayBroken reports the breach, and gives false when the connection is not to be opened again.
func (c *Client) sayBroken(why breach) bool {
	switch why {
	case breachLost: // it was reported as it came
		return c.hasDevice() && !c.hasEnded()
	case breachRestart:
		return c.deliver(session.Restarting{})
	case breachSilent, breachNoLogin, breachForsaken:
	}
	c.log.Warn("connection is dead and is opened again", "why", string(why))
	c.hangUp()
	return c.deliver(session.Disconnected{})
}

// hasDevice tells whether there is a device to connect: a pairing gets one when the phone has accepted it.
func (c *Client) hasDevice() bool {
	if c.pairing == nil {
		return true
	}
	select {
	case <-c.paired:
		return true
	default:
		return false
	}
}

// lastingLogin is how long a login has to last for the reconnects before it to be forgotten.
const lastingLogin = time.Minute

// connectAgain opens the connection again, later after each failure. A connection that breaks as soon as it is there is a failure too.
func (c *Client) connectAgain(why breach) {
	if lasted := time.Since(time.Unix(0, c.opened.Load())); lasted >= lastingLogin {
		c.failures = 0
	}
	for ; ; c.failures++ {
		atOnce := why == breachRestart && c.failures == 0
		if !atOnce && c.again(c.life, c.failures) != nil {
			return
		}
		if why != breachLost {
			c.hangUp() // the other side leaves it open
		}
		if c.life.Err() != nil || c.hasEnded() {
			return
		}
		err := c.dial()
		switch {
		case err == nil, errors.Is(err, whatsmeow.ErrAlreadyConnected):
			c.failures++
			return
		case errors.Is(err, store.ErrDeviceDeleted):
			return // its logout is being reported
		}
		c.log.Warn("connection could not be opened again", "failures", c.failures+1, "error", err)
	}
}

// dial opens the connection. whatsmeow ties it to the context that it is given, so it gets the client's life.
func (c *Client) dial() error {
	if !c.whatsmeow.IsConnected() {
		c.hangUp() // whatsmeow would itself, in the way that is a race
	}
	c.opened.Store(time.Now().UnixNano())
	return c.whatsmeow.ConnectContext(c.life)
}

// hangUp ends the connection; no event tells of it. Client.Disconnect alone would be a race when the other side closes at this moment: it clears
// FrameSocket.OnDisconnect without a lock, while FrameSocket.Close may be between its look whether there is one and the call, which would end the whole process.
// Client.ResetConnection stops the same socket without that, and Disconnect leaves alone a socket that was stopped.
func (c *Client) hangUp() {
	c.whatsmeow.DangerousInternals().ExpectDisconnect() //nolint:staticcheck // "deprecated" is its warning; there is no other way to be told nothing
	c.whatsmeow.ResetConnection()
	c.whatsmeow.Disconnect()
}

const (
	// firstPause and longestPause bound the wait before a reconnect for which nobody gives a turn.
	firstPause   = 3 * time.Second
	longestPause = 2 * time.Minute
)

// pause waits before a reconnect: a random while, longer after each failure.
func pause(ctx context.Context, failures int) error {
	longest := min(firstPause<<min(failures, 10), longestPause)
	timer := time.NewTimer(rand.N(longest)) //nolint:gosec // spreads load, guards no secret
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
