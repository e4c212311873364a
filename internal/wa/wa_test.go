package wa_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/wa"
	"github.com/dannsalud/broadcaster/internal/wa/keys"
	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/script"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// whatsmeow leaves its reader behind when a frame arrives while it disconnects: nobody takes the frame any more.
		goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).frameComplete"))
}

// world is a simulated WhatsApp and a gateway to it.
type world struct {
	t         *testing.T
	simulator *wasim.Server
	gateway   *wa.Gateway
	keys      *keys.Store
	log       *syncBuffer
	logger    *slog.Logger
	registry  *prometheus.Registry
	// rest waits until nothing happens any more; nil: there is no bubble of virtual time that could tell.
	rest func()
}

// close ends a connection, in a bubble when nothing is on its way: whatsmeow leaves its reader behind otherwise, which a bubble does not allow.
func (w *world) close(client *wa.Client) {
	if w.rest != nil {
		w.rest()
	}
	client.Close()
}

// syncBuffer is a buffer that goroutines may write to at once.
type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func start(t *testing.T) *world {
	t.Helper()
	simulator, err := wasim.New(wasim.Options{AutoContacts: true, Receipts: wasim.DeliveredAndRead()})
	if err != nil {
		t.Fatal(err)
	}
	log := &syncBuffer{}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	database, err := sqlite.OpenKeys(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "keys.db"), Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.ParseRing(keys.GenerateKey())
	if err != nil {
		t.Fatal(err)
	}
	keyStore, err := keys.Open(t.Context(), keys.Options{Keys: database, Ring: ring, Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	gateway, err := wa.New(wa.Options{Keys: keyStore, Log: logger, Registerer: registry,
		Endpoint: wa.Endpoint{HTTPClient: simulator.HTTPClient(), RootKey: simulator.RootPublicKey()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := simulator.Close(); err != nil {
			t.Error(err)
		}
		if err := database.Close(); err != nil {
			t.Error(err)
		}
		if err := simulator.Err(); err != nil {
			t.Errorf("the simulator did not know: %v", err)
		}
	})
	return &world{t: t, simulator: simulator, gateway: gateway, keys: keyStore, log: log, logger: logger, registry: registry}
}

// ear collects the signals of one client.
type ear struct {
	t       *testing.T
	mu      sync.Mutex
	signals []session.Signal
	busy    bool
	arrived chan struct{}
}

func newEar(t *testing.T) *ear { return &ear{t: t, arrived: make(chan struct{}, 1)} }

func (e *ear) hear(signal session.Signal) {
	e.mu.Lock()
	if e.busy {
		e.t.Error("two signals at once")
	}
	e.busy = true
	e.signals = append(e.signals, signal)
	e.busy = false
	e.mu.Unlock()
	select {
	case e.arrived <- struct{}{}:
	default:
	}
}

func (e *ear) all() []session.Signal {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]session.Signal(nil), e.signals...)
}

// await gives the first signal for which the answer is yes.
func await[S session.Signal](e *ear, wanted func(S) bool) S {
	e.t.Helper()
	timeout := time.NewTimer(30 * time.Second)
	defer timeout.Stop()
	for {
		for _, signal := range e.all() {
			if typed, ok := signal.(S); ok && (wanted == nil || wanted(typed)) {
				return typed
			}
		}
		select {
		case <-e.arrived:
		case <-timeout.C:
			var none S
			e.t.Fatalf("no %T among %v", none, e.all())
		}
	}
}

func (w *world) phone(number int) *wasim.Phone {
	w.t.Helper()
	phone, err := w.simulator.NewPhone(fmt.Sprintf("+54911500000%02d", number))
	if err != nil {
		w.t.Fatal(err)
	}
	return phone
}

// pair links a phone and gives the device, disconnected.
func (w *world) pair(phone *wasim.Phone, user string) session.Device {
	w.t.Helper()
	heard := newEar(w.t)
	client, err := w.gateway.Pair(w.t.Context(), session.PairRequest{Session: session.ID("ses_" + user), Epoch: 1, Identity: session.IdentityFor(user),
		Method: session.MethodQR, Accept: func(session.Device) error { return nil }, Signals: heard.hear})
	if err != nil {
		w.t.Fatal(err)
	}
	defer w.close(client)
	offer := await[session.QROffered](heard, nil)
	if err := phone.ScanQR(w.t.Context(), offer.Codes[0]); err != nil {
		w.t.Fatalf("scan: %v", err)
	}
	await[session.Connected](heard, nil)
	order := []string{}
	var device session.Device
	for _, signal := range heard.all() {
		if _, sign := signal.(session.PhoneSeen); sign {
			continue // the phone may share its keys at any time
		}
		order = append(order, fmt.Sprintf("%T", signal))
		if paired, ok := signal.(session.Paired); ok {
			device = paired.Device
		}
	}
	if got := strings.Join(order, " "); got != "session.QROffered session.Paired session.Restarting session.Connected" {
		w.t.Errorf("signals: %s", got)
	}
	if device.Phone != phone.Number() || device.JID == "" || device.LID == "" {
		w.t.Errorf("device %+v", device)
	}
	return device
}

func (w *world) open(device session.Device, user string) (*wa.Client, *ear) {
	w.t.Helper()
	heard := newEar(w.t)
	client, err := w.gateway.Open(w.t.Context(), session.OpenRequest{Session: session.ID("ses_" + user), Epoch: 1, Device: device,
		Identity: session.IdentityFor(user), Signals: heard.hear})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(client.Close)
	await[session.Connected](heard, nil)
	return client, heard
}

func TestLinkSendAndReceipts(t *testing.T) {
	t.Parallel()
	w := start(t)
	phone := w.phone(1)
	client, heard := w.open(w.pair(phone, "ana"), "ana")
	const to, id = "+5491140000001", "3EB0AAAABBBBCCCCDDDDEE"
	sentAt, err := client.Send(t.Context(), session.Outgoing{ID: id, Phone: to, Text: "Hola María"})
	if err != nil || sentAt.IsZero() || !client.Connected() {
		t.Fatalf("sent at %s: %v", sentAt, err)
	}
	for _, kind := range []session.ReceiptKind{session.ReceiptDelivered, session.ReceiptRead} {
		receipt := await(heard, func(r session.ReceiptArrived) bool { return r.Kind == kind })
		if len(receipt.MessageIDs) != 1 || receipt.MessageIDs[0] != id {
			t.Errorf("%s for %v", kind, receipt.MessageIDs)
		}
	}
	received := w.simulator.Contact(to).Received()
	if len(received) != 1 || received[0].ID != id || received[0].Text != "Hola María" {
		t.Errorf("received %+v", received)
	}
	if _, err := w.simulator.Contact(to).Send(t.Context(), phone.Number(), "BAJA"); err != nil {
		t.Fatal(err)
	}
	if inbound := await[session.MessageArrived](heard, nil); inbound.Text != "BAJA" || inbound.Phone != to {
		t.Errorf("inbound %+v", inbound)
	}
	client.Close()
	before := len(heard.all())
	if _, err := w.simulator.Contact(to).Send(t.Context(), phone.Number(), "late"); err != nil {
		t.Fatal(err)
	}
	if after := len(heard.all()); after != before {
		t.Error("a signal came after Close")
	}
	for _, secret := range []string{to[1:], phone.Number()[1:], "Hola María", "BAJA"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// TestFaultsBecomeSignals: what the server does to a connected device (protocol note, section 11), and what is reported.
func TestFaultsBecomeSignals(t *testing.T) {
	t.Parallel()
	rows := map[string]struct {
		do     script.Action
		reason session.Reason
	}{
		"device removed": {script.RemoveDevice(), session.ReasonRemoved},
		"replaced":       {script.EndReplaced(), session.ReasonReplaced},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			phone := w.phone(1)
			_, heard := w.open(w.pair(phone, "ana"), "ana")
			w.script(script.Rule{On: script.Clock, Account: phone.Number(), Times: 1, Do: row.do})
			if ended := await[session.Ended](heard, nil); ended.Reason != row.reason {
				t.Errorf("ended with %s, want %s", ended.Reason, row.reason)
			}
		})
	}
}

// TestRefusedLoginsBecomeSignals: <failure reason=…> at login.
func TestRefusedLoginsBecomeSignals(t *testing.T) {
	t.Parallel()
	rows := []struct {
		do     script.Action
		reason session.Reason
		until  bool
	}{
		{script.Refuse(401), session.ReasonLoggedOut, false},
		{script.Refuse(403), session.ReasonBanned, false},
		{script.Refuse(406), session.ReasonLoggedOut, false},
		{script.Refuse(405), session.ReasonOutdated, false},
		{script.Refuse(400), session.ReasonConnectFailure, false},
		{script.Refuse(409), session.ReasonConnectFailure, false},
		{script.TemporaryBan(101, time.Hour), session.ReasonTemporaryBan, true},
	}
	for _, row := range rows {
		t.Run(fmt.Sprint(row.do.Code), func(t *testing.T) {
			t.Parallel()
			w := start(t)
			phone := w.phone(1)
			device := w.pair(phone, "ana")
			w.script(script.Rule{On: script.Login, Account: phone.Number(), Do: row.do})
			heard := newEar(t)
			client, err := w.gateway.Open(t.Context(), session.OpenRequest{Session: "ses_ana", Epoch: 1, Device: device, Signals: heard.hear})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			ended := await[session.Ended](heard, nil)
			if ended.Reason != row.reason || ended.Until.IsZero() == row.until {
				t.Errorf("ended with %+v, want %s", ended, row.reason)
			}
			client.Close()
			again, err := w.gateway.Open(t.Context(), session.OpenRequest{Session: "ses_ana", Epoch: 1, Device: device, Signals: newEar(t).hear})
			if row.reason == session.ReasonLoggedOut || row.reason == session.ReasonBanned {
				if fault.Of(err) != fault.Relink {
					t.Errorf("a logged-out device was opened again: %v", err)
				}
			} else if err != nil {
				t.Errorf("the device is gone: %v", err)
			}
			if again != nil {
				again.Close()
			}
		})
	}
}

func TestPassingFaultsReconnect(t *testing.T) {
	t.Parallel()
	for name, action := range map[string]script.Action{
		"cut": script.CutConnection(), "503": script.EndStream(503), "515": script.EndStream(515),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			phone := w.phone(1)
			client, heard := w.open(w.pair(phone, "ana"), "ana")
			w.script(script.Rule{On: script.Clock, Account: phone.Number(), Times: 1, Do: action})
			seen := 0
			await(heard, func(session.Connected) bool {
				seen = 0
				for _, signal := range heard.all() {
					if _, ok := signal.(session.Connected); ok {
						seen++
					}
				}
				return seen == 2
			})
			if _, err := client.Send(t.Context(), session.Outgoing{ID: "3EB0AAAABBBBCCCCDDDDEE", Phone: "+5491140000001", Text: "x"}); err != nil {
				t.Errorf("send after the reconnect: %v", err)
			}
		})
	}
}

func (w *world) script(rule script.Rule) {
	w.t.Helper()
	if _, err := w.simulator.Script(rule); err != nil {
		w.t.Fatal(err)
	}
}

// TestRefusedMessagesAreClassed: each number with which the server refuses a message.
func TestRefusedMessagesAreClassed(t *testing.T) {
	t.Parallel()
	w := start(t)
	phone := w.phone(1)
	client, _ := w.open(w.pair(phone, "ana"), "ana")
	rows := map[int]fault.Class{
		400: fault.Invalid, 403: fault.SkipRecipient, 404: fault.SkipRecipient, 429: fault.RetryLater, 463: fault.SkipRecipient,
		475: fault.PauseSession, 479: fault.RetryLater, 500: fault.RetryLater, 503: fault.RetryLater, 999: fault.Invalid,
	}
	number := 0
	for code, class := range rows {
		number++
		to := fmt.Sprintf("+549114000%04d", number)
		w.script(script.Rule{On: script.Message, Recipient: to, Do: script.RefuseMessage(code)})
		_, err := client.Send(t.Context(), session.Outgoing{ID: fmt.Sprintf("3EB0%018d", code), Phone: to, Text: "x"})
		if fault.Of(err) != class || strings.Contains(err.Error(), to[1:]) {
			t.Errorf("%d: %s (%v), want %s", code, fault.Of(err), err, class)
		}
		if received := w.simulator.Contact(to).Received(); len(received) != 0 {
			t.Errorf("%d: the message arrived", code)
		}
	}
}

// TestNothingIsCalledSentThatNobodyCanRead: whatsmeow reports success for the last two.
func TestNothingIsCalledSentThatNobodyCanRead(t *testing.T) {
	t.Parallel()
	w := start(t)
	client, _ := w.open(w.pair(w.phone(1), "ana"), "ana")
	rows := []struct {
		name    string
		profile wasim.Profile
		class   fault.Class
		code    string
	}{
		{"not on WhatsApp", wasim.Profile{NotOnWhatsApp: true}, fault.SkipRecipient, "recipient_not_on_whatsapp"},
		{"no hidden id", wasim.Profile{NoLID: true}, fault.SkipRecipient, "recipient_not_on_whatsapp"},
		{"no keys", wasim.Profile{NoPreKeys: true}, fault.RetryLater, "recipient_keys_missing"},
	}
	for number, row := range rows {
		to := fmt.Sprintf("+549114000%04d", number)
		if _, err := w.simulator.Declare(to, row.profile); err != nil {
			t.Fatal(err)
		}
		_, err := client.Send(t.Context(), session.Outgoing{ID: fmt.Sprintf("3EB0%018d", number), Phone: to, Text: "x"})
		var failure *fault.Error
		if !errors.As(err, &failure) || failure.Class != row.class || failure.Code != row.code {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

func TestSendWithoutAConnectionIsNotSent(t *testing.T) {
	t.Parallel()
	w := start(t)
	client, _ := w.open(w.pair(w.phone(1), "ana"), "ana")
	if _, err := client.Send(t.Context(), session.Outgoing{ID: "3EB0AAAABBBBCCCCDDDDEE", Phone: "5491140000001", Text: "x"}); fault.Of(err) != fault.Invalid {
		t.Errorf("a number without a plus sign: %v", err)
	}
	client.Close()
	if _, err := client.Send(t.Context(), session.Outgoing{ID: "3EB0AAAABBBBCCCCDDDDEE", Phone: "+5491140000001", Text: "x"}); !fault.Of(err).Redelivered() {
		t.Errorf("a closed client: %v", err)
	}
}

func TestMissingAcknowledgementIsAnUnknownOutcomeAndTheRepeatLeavesOneCopy(t *testing.T) {
	t.Parallel()
	w := start(t)
	client, _ := w.open(w.pair(w.phone(1), "ana"), "ana")
	message := session.Outgoing{ID: "3EB0AAAABBBBCCCCDDDDEE", Phone: "+5491140000001", Text: "once"}
	if _, err := client.Send(t.Context(), session.Outgoing{ID: "3EB0AAAABBBBCCCCDDDD00", Phone: message.Phone, Text: "first"}); err != nil {
		t.Fatal(err) // now the contact is known, and the next message is one stanza
	}
	w.script(script.Rule{On: script.Message, Times: 1, Do: script.LoseReply()})
	impatient, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := client.Send(impatient, message); fault.Of(err) != fault.UnknownOutcome {
		t.Fatalf("got %v", err)
	}
	if _, err := client.Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	received := w.simulator.Contact(message.Phone).Received()
	if len(received) != 2 || received[1].Repeats != 1 {
		t.Errorf("received %+v", received)
	}
}

// TestTwoClientsAtOnceKeepTheirOwnIdentities: whatsmeow has the device's name and platform in process-wide variables; the race detector
// watches.
func TestTwoClientsAtOnceKeepTheirOwnIdentities(t *testing.T) {
	t.Parallel()
	w := start(t)
	var pairs sync.WaitGroup
	codes := make([]string, 2)
	for i, user := range []string{"ana", "zoe"} {
		phone := w.phone(i + 1)
		pairs.Go(func() {
			heard := newEar(t)
			client, err := w.gateway.Pair(t.Context(), session.PairRequest{Session: session.ID(user), Epoch: 1, Identity: session.IdentityFor(user),
				Method: session.MethodQR, Accept: func(session.Device) error { return nil }, Signals: heard.hear})
			if err != nil {
				t.Error(err)
				return
			}
			defer client.Close()
			codes[i] = await[session.QROffered](heard, nil).Codes[0]
			if err := phone.ScanQR(t.Context(), codes[i]); err != nil {
				t.Error(err)
				return
			}
			await[session.Connected](heard, nil)
		})
	}
	pairs.Wait()
	platforms := map[string]string{"chrome": "1", "edge": "2", "firefox": "3", "safari": "6"}
	for i, user := range []string{"ana", "zoe"} {
		if want := "," + platforms[session.IdentityFor(user).Platform]; !strings.HasSuffix(codes[i], want) {
			t.Errorf("%s's code ends with %q, want %q", user, codes[i][len(codes[i])-2:], want)
		}
	}
}

func TestRefusedPairingLeavesNoDevice(t *testing.T) {
	t.Parallel()
	w := start(t)
	phone := w.phone(1)
	heard := newEar(t)
	client, err := w.gateway.Pair(t.Context(), session.PairRequest{Session: "ses_ana", Epoch: 1, Identity: session.IdentityFor("ana"), Method: session.MethodQR,
		Accept:  func(session.Device) error { return fault.New(fault.Conflict, "number_already_linked", "taken") },
		Signals: heard.hear})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := phone.ScanQR(t.Context(), await[session.QROffered](heard, nil).Codes[0]); err == nil {
		t.Error("the phone believes that it is linked")
	}
	if refused := await[session.PairRefused](heard, nil); refused.Reason != session.ReasonDuplicate {
		t.Errorf("refused with %s", refused.Reason)
	}
	if len(phone.Devices()) != 0 {
		t.Errorf("devices %+v", phone.Devices())
	}
}

func TestLinkByCode(t *testing.T) {
	t.Parallel()
	w := start(t)
	phone := w.phone(1)
	heard := newEar(t)
	client, err := w.gateway.Pair(t.Context(), session.PairRequest{Session: "ses_ana", Epoch: 1, Identity: session.IdentityFor("ana"), Method: session.MethodCode,
		Phone: phone.Number(), Accept: func(session.Device) error { return nil }, Signals: heard.hear})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := phone.EnterCode(t.Context(), await[session.PairingCode](heard, nil).Code); err != nil {
		t.Fatal(err)
	}
	await[session.Connected](heard, nil)
}

func TestLogoutRemovesTheDeviceEverywhere(t *testing.T) {
	t.Parallel()
	w := start(t)
	phone := w.phone(1)
	device := w.pair(phone, "ana")
	client, _ := w.open(device, "ana")
	if err := client.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if len(phone.Devices()) != 0 {
		t.Errorf("devices %+v", phone.Devices())
	}
	if err := w.gateway.Forget(t.Context(), session.ForgetRequest{Session: "ses_ana", Epoch: 1, Device: device, Reason: session.ReasonUnlinked}); err != nil {
		t.Errorf("a device that is gone is no error: %v", err)
	}
	_, err := w.gateway.Open(t.Context(), session.OpenRequest{Session: "ses_ana", Epoch: 1, Device: device, Signals: newEar(t).hear})
	if fault.Of(err) != fault.Relink || !strings.Contains(err.Error(), string(session.ReasonUnlinked)) {
		t.Errorf("what is said of a device that was removed: %v", err)
	}
}

// TestAFormerOwnerSendsNothing: the lease was lost and nobody noticed yet; the database did.
func TestAFormerOwnerSendsNothing(t *testing.T) {
	t.Parallel()
	w := start(t)
	device := w.pair(w.phone(1), "ana")
	client, heard := w.open(device, "ana")
	const to = "+5491140000001"
	if _, err := client.Send(t.Context(), session.Outgoing{ID: "3EB0AAAABBBBCCCCDDDD00", Phone: to, Text: "first"}); err != nil {
		t.Fatal(err)
	}
	next, err := w.keys.Own(t.Context(), keys.OwnerOptions{Session: "ses_ana", Epoch: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Send(t.Context(), session.Outgoing{ID: "3EB0AAAABBBBCCCCDDDD01", Phone: to, Text: "late"}); fault.Of(err) != fault.RetryLater {
		t.Errorf("a former owner's send: %v", err)
	}
	if ended := await[session.Ended](heard, nil); ended.Reason != session.ReasonReplaced {
		t.Errorf("ended with %+v", ended)
	}
	client.Close()
	if received := w.simulator.Contact(to).Received(); len(received) != 1 {
		t.Errorf("received %+v", received)
	}
	if err := next.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := w.gateway.Open(t.Context(), session.OpenRequest{Session: "ses_ana", Epoch: 1, Device: device, Signals: newEar(t).hear}); fault.Of(err) != fault.RetryLater {
		t.Errorf("a former owner came back: %v", err)
	}
}

func TestRetryReceiptIsAnsweredAfterARestart(t *testing.T) {
	t.Parallel()
	w := start(t)
	phone := w.phone(1)
	device := w.pair(phone, "ana")
	const to = "+5491140000001"
	contact, err := w.simulator.Declare(to, wasim.Profile{Undecryptable: 1})
	if err != nil {
		t.Fatal(err)
	}
	client, _ := w.open(device, "ana")
	if _, err := client.Send(t.Context(), session.Outgoing{ID: "3EB0AAAABBBBCCCCDDDDEE", Phone: to, Text: "again"}); err != nil {
		t.Fatal(err)
	}
	client.Close()
	_, heard := w.open(device, "ana")
	await(heard, func(receipt session.ReceiptArrived) bool { return receipt.Kind == session.ReceiptDelivered })
	if received := contact.Received(); len(received) != 1 || received[0].Text != "again" {
		t.Errorf("received %+v", received)
	}
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]float64{}
	for _, family := range families {
		if family.GetName() == "wa_retry_receipts_total" {
			for _, metric := range family.GetMetric() {
				results[metric.GetLabel()[0].GetValue()] = metric.GetCounter().GetValue()
			}
		}
	}
	// The first request may have been answered too, into the closing connection: then it came again.
	if results["answered"] < 1 || results["missed"] != 0 {
		t.Errorf("retry receipts by result: %v", results)
	}
}

func TestReachOutLockIsReported(t *testing.T) {
	t.Parallel()
	w := start(t)
	phone := w.phone(1)
	_, heard := w.open(w.pair(phone, "ana"), "ana")
	w.script(script.Rule{On: script.Clock, Account: phone.Number(), Times: 1, Do: script.Lock(time.Hour)})
	if lock := await[session.Restricted](heard, nil); !lock.Active || time.Until(lock.Until) < 50*time.Minute {
		t.Errorf("lock %+v", lock)
	}
}

func TestPasskeyIsReported(t *testing.T) {
	t.Parallel()
	w := start(t)
	phone := w.phone(1)
	if _, err := phone.AskPasskey(); err != nil {
		t.Fatal(err)
	}
	heard := newEar(t)
	client, err := w.gateway.Pair(t.Context(), session.PairRequest{Session: "ses_ana", Epoch: 1, Identity: session.IdentityFor("ana"), Method: session.MethodQR,
		Accept: func(session.Device) error { return nil }, Signals: heard.hear})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(t.Context())
	scanned := make(chan error, 1)
	code := await[session.QROffered](heard, nil).Codes[0]
	go func() { scanned <- phone.ScanQR(ctx, code) }()
	asked := await[session.PasskeyAsked](heard, nil)
	var options map[string]any
	if err := json.Unmarshal(asked.Options, &options); err != nil || options["challenge"] == nil {
		t.Errorf("options %s: %v", asked.Options, err)
	}
	cancel()
	if err := <-scanned; err == nil {
		t.Error("linked without the passkey")
	}
}

func TestAnotherSimulatorIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t)
	_, err := wa.New(wa.Options{Keys: &keys.Store{}, Endpoint: wa.Endpoint{HTTPClient: w.simulator.HTTPClient(), RootKey: [32]byte{1}}})
	if err == nil {
		t.Error("a process must trust one root key only")
	}
	if _, err := wa.New(wa.Options{}); err == nil {
		t.Error("a gateway without a key store")
	}
}
