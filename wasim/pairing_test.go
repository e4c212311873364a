package wasim_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/appstate"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/script"
)

func newPhone(t testing.TB, server *wasim.Server, options ...wasim.PhoneOption) *wasim.Phone {
	t.Helper()
	phone, err := server.NewPhone(ownNumber, options...)
	if err != nil {
		t.Fatal(err)
	}
	return phone
}

// unlinked makes a client that shows QR codes.
func unlinked(t testing.TB, server *wasim.Server) (*client, *events.QR) {
	t.Helper()
	c := newClient(t, server.HTTPClient())
	c.connect()
	return c, wait[*events.QR](c)
}

func TestPairSuccessTellsWhoTheClientIs(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
		phone := newPhone(t, server, wasim.WithBusiness("Clinic"), wasim.WithPlatform("smba"))
		c, qr := unlinked(t, server)
		if len(qr.Codes) != 6 || !strings.HasPrefix(qr.Codes[0], "https://wa.me/settings/linked_devices#2@") {
			t.Errorf("codes %q", qr.Codes)
		}
		if err := phone.ScanQR(t.Context(), qr.Codes[5]); err != nil {
			t.Fatal(err)
		}
		paired := wait[*events.PairSuccess](c)
		own, hidden := phone.JID(), phone.LID()
		own.Device, hidden.Device = 1, 1
		want := &events.PairSuccess{ID: own, LID: hidden, BusinessName: "Clinic", Platform: "smba"}
		paired.Props = nil
		if diff := cmp.Diff(want, paired); diff != "" {
			t.Error(diff)
		}
		synctest.Wait()
		if diff := cmp.Diff("QR PairSuccess Connected", c.story()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRefusedPairingLeavesNoDevice(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
		phone := newPhone(t, server)
		c := newClient(t, server.HTTPClient())
		c.PrePairCallback = func(types.JID, string, string) bool { return false }
		c.connect()
		err := phone.ScanQR(t.Context(), wait[*events.QR](c).Codes[0])
		var refused *wasim.RefusedError
		if !errors.As(err, &refused) || refused.Code != 500 {
			t.Errorf("scan: %v", err)
		}
		wait[*events.PairError](c)
		if devices := phone.Devices(); len(devices) != 0 {
			t.Errorf("devices %+v", devices)
		}
	})
}

func TestQRCodesThatCannotBeScanned(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
		phone := newPhone(t, server)
		c, qr := unlinked(t, server)
		other, foreign := unlinked(t, server)
		ref, _, _ := strings.Cut(qr.Codes[0], ",")
		_, keys, _ := strings.Cut(foreign.Codes[0], ",")
		if err := phone.ScanQR(t.Context(), "hello"); err == nil || !strings.Contains(err.Error(), "not a WhatsApp linking QR code") {
			t.Errorf("nonsense: %v", err)
		}
		if err := phone.ScanQR(t.Context(), ref+","+keys); !errors.Is(err, wasim.ErrForeignQR) {
			t.Errorf("foreign keys: %v", err)
		}
		c.close()
		synctest.Wait()
		if err := phone.ScanQR(t.Context(), qr.Codes[0]); !errors.Is(err, wasim.ErrExpired) {
			t.Errorf("a gone device's code: %v", err)
		}
		if err := phone.ScanQR(t.Context(), foreign.Codes[0]); err != nil {
			t.Error(err)
		}
		wait[*events.Connected](other)
		other.close()
	})
}

func TestUnscannedDeviceIsDroppedAfterItsCodes(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
		c, _ := unlinked(t, server)
		start := time.Now()
		wait[*events.Disconnected](c)
		if took := time.Since(start).Round(time.Second); took != wasim.DefaultPairingWindow {
			t.Errorf("dropped after %v", took)
		}
		if pairings := settledBooks(server).Pairings; pairings != 0 {
			t.Errorf("%d pairings are left", pairings)
		}
	})
}

func TestSimultaneousPairingsAreCounted(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
		for range 3 {
			unlinked(t, server)
		}
		if books := settledBooks(server); books.Pairings != 3 || books.MaxPairings != 3 {
			t.Errorf("pairings %d, most %d", books.Pairings, books.MaxPairings)
		}
	})
}

func TestPairingFaults(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name  string
		do    script.Action
		story string
	}{
		{"no QR codes", script.LoseReply(), ""},
		{"refused", script.Refuse(405), "ClientOutdated"},
		{"phone without multi-device", script.Action{Kind: script.Downgrade}, "QR QRScannedWithoutMultidevice"},
		{"cut", script.CutConnection(), "QR Disconnected"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
				play(t, server, script.Rule{On: script.Pairing, Do: row.do})
				c := newClient(t, server.HTTPClient())
				c.connect()
				time.Sleep(time.Minute)
				synctest.Wait()
				if diff := cmp.Diff(row.story, c.story()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestPairingByCode(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
		phone := newPhone(t, server)
		c, _ := unlinked(t, server)
		if err := phone.EnterCode(t.Context(), "ABCD-EFGH"); !errors.Is(err, wasim.ErrExpired) {
			t.Errorf("a code that nobody shows: %v", err)
		}
		if _, err := c.PairPhone(t.Context(), ownNumber, true, whatsmeow.PairClientChrome, "my bot"); !errors.Is(err, whatsmeow.ErrIQBadRequest) {
			t.Errorf("a bad display name: %v", err)
		}
		code, err := c.PairPhone(t.Context(), ownNumber, true, whatsmeow.PairClientChrome, "Chrome (Linux)")
		if err != nil {
			t.Fatal(err)
		}
		wrong := "1111-1111"
		if err := phone.EnterCode(t.Context(), wrong); !errors.Is(err, wasim.ErrWrongCode) {
			t.Errorf("a wrong code: %v", err)
		}
		if err := phone.EnterCode(t.Context(), strings.ToLower(code)); err != nil {
			t.Fatalf("the right code: %v", err)
		}
		wait[*events.Connected](c)
		if id := c.sendText(server.Contact(otherNumber).JID(), "linked by code"); id == "" {
			t.Error("no id")
		}
	})
}

func TestPairingThroughAPasskey(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name  string
		think time.Duration
		skip  bool
	}{{"answered at once", time.Second, true}, {"answered after the hand-off proof has expired", 6 * time.Minute, false}}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
				phone := newPhone(t, server)
				passkey, err := phone.AskPasskey()
				if err != nil {
					t.Fatal(err)
				}
				c, qr := unlinked(t, server)
				scanned := make(chan error, 1)
				go func() { scanned <- phone.ScanQR(t.Context(), qr.Codes[0]) }()
				asked := wait[*events.PairPasskeyRequest](c)
				time.Sleep(row.think)
				options, err := json.Marshal(asked.PublicKey)
				if err != nil {
					t.Fatal(err)
				}
				response, err := passkey.Respond(options)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.SendPasskeyResponse(t.Context(), response); err != nil {
					t.Fatal(err)
				}
				confirm := wait[*events.PairPasskeyConfirmation](c)
				synctest.Wait()
				if confirm.Code != phone.PasskeyCode() || confirm.SkipHandoffUX != row.skip {
					t.Errorf("confirmation %+v, the phone shows %q", confirm, phone.PasskeyCode())
				}
				if err := c.SendPasskeyConfirmation(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := <-scanned; err != nil {
					t.Fatal(err)
				}
				wait[*events.Connected](c)
			})
		})
	}
}

func TestForeignPasskeyIsRefused(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
		phone := newPhone(t, server)
		foreign, err := phone.AskPasskey()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := phone.AskPasskey(); err != nil {
			t.Fatal(err)
		}
		c, qr := unlinked(t, server)
		scanned := make(chan error, 1)
		go func() { scanned <- phone.ScanQR(t.Context(), qr.Codes[0]) }()
		options, err := json.Marshal(wait[*events.PairPasskeyRequest](c).PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		response, err := foreign.Respond(options)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SendPasskeyResponse(t.Context(), response); !errors.Is(err, whatsmeow.ErrIQNotAuthorized) {
			t.Errorf("client: %v", err)
		}
		if err := <-scanned; !errors.Is(err, wasim.ErrPasskey) {
			t.Errorf("phone: %v", err)
		}
	})
}

func TestPushNameComesByAppState(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
		phone, c := linked(t, server, server.HTTPClient(), ownNumber, wasim.WithPushName("Ana"))
		settle()
		if c.Store.PushName != "Ana" {
			t.Errorf("push name %q", c.Store.PushName)
		}
		if err := phone.SetPushName(t.Context(), "Ana María"); err != nil {
			t.Fatal(err)
		}
		changed := wait(c, func(s *events.PushNameSetting) bool { return s.Action.GetName() == "Ana María" })
		if changed.FromFullSync {
			t.Error("the change came by a full sync")
		}
		settle()
		if err := c.SendPresence(t.Context(), types.PresenceAvailable); err != nil {
			t.Error(err)
		}
		settle()
		if books := settledBooks(server); books.Devices[0].Pending != 0 || books.ClientRetries != 0 {
			t.Errorf("books %+v", books)
		}
	})
}

func TestClientPatchesAppState(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
		phone, first := linked(t, server, server.HTTPClient(), ownNumber, wasim.WithPushName("Ana"))
		second := linkTo(t, phone, server.HTTPClient())
		settle()
		chat := server.Contact(otherNumber).LID()
		for _, c := range []*client{first, second} {
			// The second client's patch is made against a version that the first one's has overtaken: it is told of the conflict and
			// makes it again.
			if err := c.SendAppState(t.Context(), appstate.BuildMute(chat, true, time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		settle()
		settings, err := second.Store.ChatSettings.GetChatSettings(t.Context(), chat)
		if err != nil || settings.MutedUntil.IsZero() {
			t.Errorf("settings %+v, %v", settings, err)
		}
	})
}

func TestPrivacySettingsAreKept(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
		_, c := linked(t, server, server.HTTPClient(), ownNumber)
		if _, err := c.SetPrivacySetting(t.Context(), types.PrivacySettingTypeReadReceipts, types.PrivacySettingNone); err != nil {
			t.Fatal(err)
		}
		settings, err := c.TryFetchPrivacySettings(t.Context(), true)
		if err != nil || settings.ReadReceipts != types.PrivacySettingNone || settings.GroupAdd != types.PrivacySettingAll {
			t.Errorf("settings %+v, %v", settings, err)
		}
	})
}
