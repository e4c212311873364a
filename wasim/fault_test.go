package wasim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow/types/events"
	"go.mau.fi/whatsmeow/util/keys"

	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// story of what a client raised, without the packages' name and the noise of the offline queue and keepalives.
func (c *client) story() string {
	var words []string
	for _, name := range c.names() {
		name = strings.TrimPrefix(name, "*events.")
		switch name {
		case "OfflineSyncCompleted", "KeepAliveTimeout", "KeepAliveRestored":
		default:
			words = append(words, name)
		}
	}
	return strings.Join(words, " ")
}

// now strikes the account's open connection.
func now(action script.Action) []script.Rule { return []script.Rule{{On: script.Clock, Do: action}} }

// atNextLogin cuts the connection and does something at the login that follows, once.
func atNextLogin(action script.Action) []script.Rule {
	return []script.Rule{{On: script.Login, Times: 1, Do: action}, {On: script.Clock, Do: script.CutConnection()}}
}

// TestFaultsRaiseWhatTheyDoInReality is section 11 of the protocol note: each fault and what the stock client makes of it.
func TestFaultsRaiseWhatTheyDoInReality(t *testing.T) {
	t.Parallel()
	const cut = "Disconnected "
	rows := []struct {
		name    string
		rules   []script.Rule
		story   string
		deleted bool
		online  bool
	}{
		{"device removed", now(script.RemoveDevice()), "LoggedOut", true, false},
		{"replaced", now(script.EndReplaced()), "StreamReplaced", false, false},
		{"stream error 503", now(script.EndStream(503)), "Disconnected Connected", false, true},
		{"stream error 503 without close", now(script.EndStream(503).Open()), "", false, false},
		{"stream error 500", now(script.EndStream(500)), "StreamError Disconnected Connected", false, true},
		{"stream error 515", now(script.EndStream(515)), "Connected", false, true},
		{"TCP cut", now(script.CutConnection()), "Disconnected Connected", false, true},
		{
			"HTTP 503 at reconnect",
			[]script.Rule{{On: script.Upgrade, Times: 2, Do: script.Status(503)}, {On: script.Clock, Do: script.CutConnection()}},
			"Disconnected Connected", false, true,
		},
		{"failure 400", atNextLogin(script.Refuse(400)), cut + "ConnectFailure", false, false},
		{"failure 409", atNextLogin(script.Refuse(409)), cut + "ConnectFailure", false, false},
		{"failure 501", atNextLogin(script.Refuse(501)), cut + "ConnectFailure", false, false},
		{"failure 401", atNextLogin(script.Refuse(401)), cut + "LoggedOut", true, false},
		{"failure 403", atNextLogin(script.Refuse(403)), cut + "LoggedOut", true, false},
		{"failure 406", atNextLogin(script.Refuse(406)), cut + "LoggedOut", true, false},
		{"temporary ban", atNextLogin(script.TemporaryBan(101, time.Hour)), cut + "TemporaryBan", false, false},
		{"client outdated", atNextLogin(script.Refuse(405)), cut + "ClientOutdated", false, false},
		{"failure 500", atNextLogin(script.Refuse(500)), cut + "Disconnected Connected", false, true},
		{"failure 503", atNextLogin(script.Refuse(503)), cut + "Disconnected Connected", false, true},
		{"cut at login", atNextLogin(script.CutConnection()), cut + "Disconnected Connected", false, true},
		{"time lock", now(script.Lock(time.Hour)), "NotifyAccountReachoutTimelock", false, true},
		{"time lock lifted", now(script.Unlock()), "NotifyAccountReachoutTimelock", false, true},
		{"QR after ready", now(script.OfferLateQR()), "QR", false, true},
		{"second success", now(script.SucceedAgain()), "Connected", false, true},
		{"prekeys low", now(script.Action{Kind: script.PreKeysLow, Code: 2}), "", false, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
				_, c := linked(t, server, server.HTTPClient(), ownNumber)
				settle()
				c.forget()
				for _, rule := range row.rules {
					rule.Account = ""
					running, err := server.Script(rule)
					if err != nil {
						t.Fatal(err)
					}
					defer func() {
						if running.Hits() == 0 {
							t.Errorf("the rule on %q never struck", running.Rule().On)
						}
					}()
				}
				settle()
				if diff := cmp.Diff(row.story, c.story()); diff != "" {
					t.Error(diff)
				}
				if c.Store.Deleted != row.deleted {
					t.Errorf("store deleted: %v, want %v", c.Store.Deleted, row.deleted)
				}
				if c.IsLoggedIn() != row.online && !strings.HasPrefix(row.story, cut) {
					t.Errorf("logged in: %v, want %v", c.IsLoggedIn(), row.online)
				}
				if connected := settledBooks(server).Connections == 1; connected != row.online && row.story != "" {
					t.Errorf("connected: %v, want %v", connected, row.online)
				}
			})
		})
	}
}

func TestFaultsCarryTheirDetails(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{}, func(t *testing.T, server *wasim.Server) {
		_, c := linked(t, server, server.HTTPClient(), ownNumber)
		play(t, server, now(script.Lock(90*time.Minute))...)
		lock := wait[*events.NotifyAccountReachoutTimelock](c)
		if left := time.Until(lock.TimeEnforcementEnds.Time); !lock.IsActive || left < 89*time.Minute || left > 91*time.Minute {
			t.Errorf("lock %+v, %v left", lock, left)
		}
		play(t, server, atNextLogin(script.TemporaryBan(104, 2*time.Hour))...)
		if ban := wait[*events.TemporaryBan](c); ban.Code != 104 || ban.Expire != 2*time.Hour {
			t.Errorf("ban %+v", ban)
		}
	})
}

// play puts rules in force.
func play(t testing.TB, server *wasim.Server, rules ...script.Rule) *script.Running {
	t.Helper()
	var last *script.Running
	for _, rule := range rules {
		running, err := server.Script(rule)
		if err != nil {
			t.Fatal(err)
		}
		last = running
	}
	return last
}

// TestCloseAtOnceNeverLosesAClient: without a delay the client may miss why its connection ended; it must not hang, whatever it makes
// of it.
func TestCloseAtOnceNeverLosesAClient(t *testing.T) {
	t.Parallel()
	for range 8 {
		inBubble(t, wasim.Options{CloseDelay: wasim.CloseAtOnce}, func(t *testing.T, server *wasim.Server) {
			_, c := linked(t, server, server.HTTPClient(), ownNumber)
			settle()
			c.forget()
			play(t, server, now(script.EndReplaced())...)
			settle()
			if story := c.story(); !strings.Contains(story, "StreamReplaced") && !strings.HasSuffix(story, "Disconnected Connected") {
				t.Errorf("the client raised %q: it neither knows that it was replaced nor reconnected", story)
			}
		})
	}
}

func TestDevicesThatTheAccountDoesNotHaveAreLoggedOut(t *testing.T) {
	t.Parallel()
	rows := map[string]func(t *testing.T, phone *wasim.Phone, c *client){
		"unlinked": func(t *testing.T, phone *wasim.Phone, _ *client) {
			if err := phone.Unlink(phone.Devices()[0].ID); err != nil {
				t.Fatal(err)
			}
		},
		"another Noise key":     func(_ *testing.T, _ *wasim.Phone, c *client) { c.Store.NoiseKey = keys.NewKeyPair() },
		"another device number": func(_ *testing.T, _ *wasim.Phone, c *client) { c.Store.ID.Device = 77 },
		"another account":       func(_ *testing.T, _ *wasim.Phone, c *client) { c.Store.ID.User = "4930123456" },
	}
	for name, change := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
				phone, c := linked(t, server, server.HTTPClient(), ownNumber)
				settle()
				c.Disconnect()
				settle()
				c.forget()
				change(t, phone, c)
				c.connect()
				if out := wait[*events.LoggedOut](c); !out.OnConnect || out.Reason != 401 {
					t.Errorf("logged out %+v", out)
				}
				if failures := settledBooks(server).Failures; failures != 1 {
					t.Errorf("%d failures", failures)
				}
			})
		})
	}
}

func TestSecondClientReplacesTheFirst(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
		_, first := linked(t, server, server.HTTPClient(), ownNumber)
		settle()
		devices, err := first.container.GetAllDevices(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		second := &client{t: t, http: server.HTTPClient(), container: first.container}
		second.open(devices[0])
		second.connect()
		wait[*events.StreamReplaced](first)
		wait[*events.Connected](second)
		settle()
		books := settledBooks(server)
		got := books.Devices[0]
		if len(books.Takeovers) != 1 || books.Takeovers[0].Number != ownNumber || books.Takeovers[0].By != got.Remote || books.Takeovers[0].Silent {
			t.Errorf("takeovers %+v of a device that is connected from %q", books.Takeovers, got.Remote)
		}
		want := wasim.DeviceBooks{
			Number: ownNumber, Device: 1, Connected: true, MaxConnections: 2, Logins: 2, Replaced: 1, PreKeys: got.PreKeys,
			Remote: got.Remote,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if first.IsConnected() {
			t.Error("the replaced client is still connected")
		}
		second.Disconnect()
		second.http.CloseIdleConnections()
	})
}

func TestClientLogsItselfOut(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
		phone, c := linked(t, server, server.HTTPClient(), ownNumber)
		settle()
		c.forget()
		if err := c.Logout(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle()
		if story := c.story(); story != "" || len(phone.Devices()) != 0 || !c.Store.Deleted {
			t.Errorf("raised %q, %d devices, store deleted %v", story, len(phone.Devices()), c.Store.Deleted)
		}
	})
}

func TestSilentSocketIsFoundByKeepalive(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
		_, c := linked(t, server, server.HTTPClient(), ownNumber)
		c.forget()
		start := time.Now()
		play(t, server, now(script.GoSilent())...)
		wait[*events.KeepAliveTimeout](c)
		wait[*events.Connected](c)
		if took := time.Since(start); took < 3*time.Minute || took > 5*time.Minute {
			t.Errorf("the client found out after %v", took)
		}
	})
}

func TestScriptRefusesNonsense(t *testing.T) {
	t.Parallel()
	server := newServer(t, wasim.Options{})
	for _, rule := range []script.Rule{
		{},
		{On: "nonsense", Do: script.CutConnection()},
		{On: script.Message, Do: script.Action{Kind: "nonsense"}},
		{On: script.Message, Account: "abc", Do: script.LoseReply()},
		{On: script.Message, Skip: -1, Do: script.LoseReply()},
		{On: script.Message, Probability: 2, Do: script.LoseReply()},
		{On: script.Message, After: 5, Until: 4, Do: script.LoseReply()},
		{On: script.Message, Do: script.RefuseMessage(0)},
		{On: script.Message, Do: script.DelayReply(0)},
		{On: script.Clock, Do: script.LoseReply()},
		{On: script.Upgrade, Do: script.CutConnection()},
	} {
		if _, err := server.Script(rule); err == nil {
			t.Errorf("accepted %+v", rule)
		}
	}
}

func TestHTTPStatusAtFirstConnect(t *testing.T) {
	t.Parallel()
	server := newServer(t, wasim.Options{})
	defer func() { _ = server.Close() }()
	play(t, server, script.Rule{On: script.Upgrade, Do: script.Status(http.StatusTooManyRequests)})
	c := newClient(t, server.HTTPClient())
	if err := c.Connect(); err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("connect: %v", err)
	}
}
