package wasim_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// online runs a test in a bubble with a linked client and one contact.
func online(t *testing.T, options wasim.Options, test func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact)) {
	t.Helper()
	options.Strict = true
	inBubble(t, options, func(t *testing.T, server *wasim.Server) {
		_, c := linked(t, server, server.HTTPClient(), ownNumber)
		test(t, server, c, server.Contact(otherNumber))
		settle()
	})
}

func texts(messages []wasim.Message) []string {
	var all []string
	for _, message := range messages {
		all = append(all, message.Text)
	}
	return all
}

func TestAckErrors(t *testing.T) {
	t.Parallel()
	for _, code := range []int{400, 421, 429, 463, 475, 479, 500} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			online(t, wasim.Options{}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
				rule := script.Rule{On: script.Message, Recipient: otherNumber, Skip: 1, Times: 1, Do: script.RefuseMessage(code)}
				running := play(t, server, rule)
				c.sendText(contact.JID(), "before")
				_, err := c.SendMessage(t.Context(), contact.JID(), text("refused"))
				if !errors.Is(err, whatsmeow.ErrServerReturnedError) || !strings.HasSuffix(err.Error(), fmt.Sprint(code)) {
					t.Errorf("send: %v", err)
				}
				c.sendText(contact.JID(), "after")
				c.sendText(server.Contact("+4917012345").JID(), "somebody else")
				if diff := cmp.Diff([]string{"before", "after"}, texts(contact.Received())); diff != "" {
					t.Error(diff)
				}
				if running.Hits() != 1 || settledBooks(server).Refused != 1 {
					t.Errorf("struck %d times, books %+v", running.Hits(), settledBooks(server))
				}
			})
		})
	}
}

func TestRuleLimits(t *testing.T) {
	t.Parallel()
	online(t, wasim.Options{Seed: 7}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
		refused := func() bool {
			_, err := c.SendMessage(t.Context(), contact.JID(), text("x"))
			return err != nil
		}
		other := play(t, server, script.Rule{On: script.Message, Account: "+4930123456", Do: script.RefuseMessage(400)})
		if refused() {
			t.Error("the rule of another account struck")
		}
		other.Stop()
		timed := play(t, server, script.Rule{
			On: script.Message, After: script.Duration(time.Minute), Until: script.Duration(2 * time.Minute), Do: script.RefuseMessage(400),
		})
		if refused() {
			t.Error("struck before its time")
		}
		time.Sleep(time.Minute)
		if !refused() {
			t.Error("did not strike in its time")
		}
		time.Sleep(time.Minute)
		if refused() {
			t.Error("struck after its time")
		}
		timed.Stop()
		half := play(t, server, script.Rule{On: script.Message, Probability: 0.5, Do: script.RefuseMessage(400)})
		for range 100 {
			refused()
		}
		if hits := half.Hits(); hits < 30 || hits > 70 {
			t.Errorf("a probability of one half struck %d times in 100", hits)
		}
		half.Stop()
		if !half.Stopped() || refused() {
			t.Error("a stopped rule struck")
		}
	})
}

func TestRepeatsOnTheWireAreCountedAndNotShown(t *testing.T) {
	t.Parallel()
	online(t, wasim.Options{}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
		id := c.GenerateMessageID()
		for range 3 {
			response, err := c.SendMessage(t.Context(), contact.JID(), text("once"), whatsmeow.SendRequestExtra{ID: id})
			if err != nil || response.ID != id {
				t.Fatal(response, err)
			}
		}
		c.sendText(contact.JID(), "once")
		got := contact.Received()
		if len(got) != 2 || got[0].Repeats != 2 || got[0].Duplicate || !got[1].Duplicate {
			t.Errorf("received %+v", got)
		}
		books := settledBooks(server)
		if books.Messages != 2 || books.Repeats != 2 || books.Duplicated != 1 || books.Undecryptable != 0 {
			t.Errorf("books %+v", books)
		}
	})
}

func TestConnectionLostBeforeTheAckRepeatsTheSameFrame(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name    string
		do      script.Action
		repeats int
		options wasim.Options
	}{
		{"frame lost", script.CutConnection(), 0, wasim.Options{}},
		{"ack lost", script.CutConnection().Then(), 1, wasim.Options{}},
		{"ack lost, bodies dropped", script.CutConnection().Then(), 1, wasim.Options{DropPlaintext: true}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			online(t, row.options, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
				play(t, server, script.Rule{On: script.Message, Times: 1, Do: row.do})
				c.sendText(contact.JID(), "hello")
				got := contact.Received()
				if len(got) != 1 || got[0].Repeats != row.repeats {
					t.Errorf("received %+v", got)
				}
				if settledBooks(server).Undecryptable != 0 {
					t.Error("the repeated frame was taken for an unreadable message")
				}
			})
		})
	}
}

func TestMissingAndFailingReplies(t *testing.T) {
	t.Parallel()
	const timeout = 75 * time.Second
	is := func(target error) func(error) bool {
		return func(err error) bool { return errors.Is(err, target) }
	}
	says := func(part string) func(error) bool {
		return func(err error) bool { return err != nil && strings.Contains(err.Error(), part) }
	}
	fine := func(err error) bool { return err == nil }
	rows := []struct {
		name     string
		on       script.Event
		do       script.Action
		takes    time.Duration
		err      func(error) bool
		received int
	}{
		{"devices lost", script.UsyncDevices, script.LoseReply(), timeout, says("info query timed out"), 0},
		{"devices refused", script.UsyncDevices, script.RefuseQuery(500), 0, is(whatsmeow.ErrIQInternalServerError), 0},
		{"LID lost", script.UsyncLID, script.LoseReply(), timeout, says("to fill LID cache"), 0},
		{"LID rate limited", script.UsyncLID, script.RefuseQuery(429), 0, is(whatsmeow.ErrIQRateOverLimit), 0},
		{"prekeys lost: nil, and nothing for the contact", script.PreKeyFetch, script.LoseReply(), timeout, fine, 0},
		{"prekeys refused: nil, and nothing for the contact", script.PreKeyFetch, script.RefuseQuery(500), 0, fine, 0},
		{"ack lost", script.Message, script.LoseReply(), timeout, is(whatsmeow.ErrMessageTimedOut), 1},
		{"message lost", script.Message, script.LoseStanza(), timeout, is(whatsmeow.ErrMessageTimedOut), 0},
		{"ack late", script.Message, script.DelayReply(30 * time.Second), 30 * time.Second, fine, 1},
		{"privacy token lost", script.PrivacyToken, script.LoseReply(), 0, fine, 1},
		{"privacy token refused", script.PrivacyToken, script.RefuseQuery(400), 0, fine, 1},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			online(t, wasim.Options{}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
				running := play(t, server, script.Rule{On: row.on, Do: row.do})
				start := time.Now()
				_, err := c.SendMessage(t.Context(), contact.JID(), text("hello"))
				if took := time.Since(start).Round(time.Second); took != row.takes || !row.err(err) {
					t.Errorf("after %v: %v", took, err)
				}
				synctest.Wait()
				if got := contact.Received(); len(got) != row.received || running.Hits() == 0 {
					t.Errorf("received %+v, struck %d times", got, running.Hits())
				}
			})
		})
	}
}

func TestLoginRepliesThatAreMissing(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name  string
		on    script.Event
		do    script.Action
		takes time.Duration
	}{
		{"prekey count lost", script.PreKeyCount, script.LoseReply(), 75 * time.Second},
		{"prekey count refused", script.PreKeyCount, script.RefuseQuery(500), 0},
		{"prekey upload lost", script.PreKeyUpload, script.LoseReply(), 75 * time.Second},
		{"prekey upload refused", script.PreKeyUpload, script.RefuseQuery(500), 0},
		{"passive refused", script.Passive, script.RefuseQuery(500), 0},
		{"passive lost", script.Passive, script.LoseReply(), 75 * time.Second},
		{"success late", script.Login, script.DelayReply(10 * time.Second), 10 * time.Second},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
				running := play(t, server, script.Rule{On: row.on, Times: 1, Do: row.do})
				phone := newPhone(t, server)
				c, qr := unlinked(t, server)
				start := time.Now()
				go func() { _ = phone.ScanQR(t.Context(), qr.Codes[0]) }()
				wait[*events.Connected](c)
				if took := time.Since(start).Round(time.Second); took != row.takes || running.Hits() != 1 {
					t.Errorf("connected after %v, struck %d times", took, running.Hits())
				}
				// The phone waits for the device's last step; where that was refused it waits for ever.
				if err := phone.Unlink(1); err != nil {
					t.Error(err)
				}
				wait[*events.LoggedOut](c)
			})
		})
	}
}

func TestLatency(t *testing.T) {
	t.Parallel()
	online(t, wasim.Options{}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
		c.sendText(contact.JID(), "first")
		server.SetLatency(200 * time.Millisecond)
		start := time.Now()
		for range 5 {
			c.sendText(contact.JID(), "hello")
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("5 messages took %v", took)
		}
	})
}

func TestReceiptPolicies(t *testing.T) {
	t.Parallel()
	options := wasim.Options{Receipts: wasim.Receipts{Delivered: 1, Read: 1, DeliveredAfter: 2 * time.Second, ReadAfter: time.Minute}}
	online(t, options, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
		start := time.Now()
		id := c.sendText(contact.JID(), "hello")
		wait(c, func(r *events.Receipt) bool { return r.Type == types.ReceiptTypeDelivered && r.MessageIDs[0] == id })
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("delivered after %v", took)
		}
		read := wait(c, func(r *events.Receipt) bool { return r.Type == types.ReceiptTypeRead && r.MessageIDs[0] == id })
		if took := time.Since(start); took != 62*time.Second || read.Chat != contact.LID() {
			t.Errorf("read after %v in %v", took, read.Chat)
		}
		contact.Change(func(p *wasim.Profile) { p.NeverReads = true })
		c.forget()
		c.sendText(contact.JID(), "again")
		settle()
		if got := count[*events.Receipt](c); got != 1 {
			t.Errorf("a contact that never reads sent %d receipts", got)
		}
		contact.Change(func(p *wasim.Profile) { p.Silent = true })
		c.forget()
		c.sendText(contact.JID(), "again and again")
		settle()
		if got := count[*events.Receipt](c); got != 0 {
			t.Errorf("a silent contact sent %d receipts", got)
		}
		if books := settledBooks(server); books.DeliveredReceipts != 2 || books.ReadReceipts != 1 || books.Devices[0].Pending != 0 {
			t.Errorf("books %+v", books)
		}
	})
}

func TestReceiptsWaitForAClientThatIsAway(t *testing.T) {
	t.Parallel()
	options := wasim.Options{Receipts: wasim.Receipts{Delivered: 1, DeliveredAfter: time.Hour}}
	online(t, options, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
		id := c.sendText(contact.JID(), "hello")
		settle()
		c.restart()
		time.Sleep(2 * time.Hour)
		if pending := settledBooks(server).Devices[0].Pending; pending != 1 {
			t.Errorf("%d stanzas wait", pending)
		}
		c.connect()
		wait(c, func(r *events.Receipt) bool { return r.MessageIDs[0] == id })
		if sync := wait[*events.OfflineSyncCompleted](c); sync.Count != 1 {
			t.Errorf("offline sync of %d", sync.Count)
		}
		settle()
		if pending := settledBooks(server).Devices[0].Pending; pending != 0 {
			t.Errorf("%d stanzas wait after the login", pending)
		}
	})
}

func TestContactsAskForWhatTheyCannotRead(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name    string
		profile wasim.Profile
	}{
		{"without keys", wasim.Profile{Undecryptable: 1}},
		{"with keys", wasim.Profile{Undecryptable: 1, RetryWithKeys: true}},
		{"two devices", wasim.Profile{Undecryptable: 2, Devices: 2}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			online(t, wasim.Options{}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
				contact.Change(func(p *wasim.Profile) { *p = row.profile })
				c.sendText(contact.JID(), "hello")
				settle() // whatsmeow answers a retry without the lock of SendMessage: the two must not meet
				c.sendText(contact.JID(), "world")
				settle()
				got := contact.Received()
				if diff := cmp.Diff([]string{"hello", "world"}, texts(got)); diff != "" {
					t.Error(diff)
				}
				want := max(1, row.profile.Devices)
				if books := settledBooks(server); books.RetriesAsked != want || books.RetriesAnswered != want || len(got[0].Devices) != want {
					t.Errorf("books %+v, first message %+v", books, got[0])
				}
			})
		})
	}
}

func TestContactThatLostItsSessionAsksAgain(t *testing.T) {
	t.Parallel()
	online(t, wasim.Options{}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
		c.sendText(contact.JID(), "one")
		if _, err := contact.Send(t.Context(), ownNumber, "answer"); err != nil {
			t.Fatal(err)
		}
		settle()
		contact.Forget(server.Phone(ownNumber))
		c.sendText(contact.JID(), "two")
		if got := contact.Undecrypted(); len(got) != 1 {
			t.Errorf("undecrypted %+v", got)
		}
		settle()
		if diff := cmp.Diff([]string{"one", "two"}, texts(contact.Received())); diff != "" {
			t.Error(diff)
		}
		if got := contact.Undecrypted(); len(got) != 0 {
			t.Errorf("undecrypted %+v", got)
		}
	})
}

func TestPeopleWhoCannotBeReached(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name    string
		profile wasim.Profile
		err     string
	}{
		{"not on WhatsApp", wasim.Profile{NotOnWhatsApp: true}, "no LID found"},
		{"no LID", wasim.Profile{NoLID: true}, "no LID found"},
		{"no prekeys", wasim.Profile{NoPreKeys: true}, "server returned error 479"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			online(t, wasim.Options{RefuseUnaddressed: 479}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
				contact.Change(func(p *wasim.Profile) { *p = row.profile })
				_, err := c.SendMessage(t.Context(), contact.JID(), text("hello"))
				if err == nil || !strings.Contains(err.Error(), row.err) {
					t.Errorf("send: %v", err)
				}
				if got := contact.Received(); len(got) != 0 {
					t.Errorf("received %+v", got)
				}
			})
		})
	}
}

func TestUnaddressedMessagesAreCounted(t *testing.T) {
	t.Parallel()
	online(t, wasim.Options{}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
		contact.Change(func(p *wasim.Profile) { p.NoPreKeys = true })
		c.sendText(contact.JID(), "hello")
		if books := settledBooks(server); books.Unaddressed != 1 || books.Messages != 0 || books.OwnCopies != 1 {
			t.Errorf("books %+v", books)
		}
	})
}

func TestWhoIsOnWhatsApp(t *testing.T) {
	t.Parallel()
	for _, auto := range []bool{false, true} {
		t.Run(fmt.Sprint(auto), func(t *testing.T) {
			t.Parallel()
			online(t, wasim.Options{AutoContacts: auto}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
				if _, err := server.Declare("+4930000001", wasim.Profile{NotOnWhatsApp: true}); err != nil {
					t.Fatal(err)
				}
				answers, err := c.IsOnWhatsApp(t.Context(), []string{otherNumber, "+4930000001", "+4930000002"})
				if err != nil {
					t.Fatal(err)
				}
				in := map[string]bool{}
				for _, answer := range answers {
					in[answer.Query] = answer.IsIn
				}
				want := map[string]bool{otherNumber: true, "+4930000001": false, "+4930000002": auto}
				if diff := cmp.Diff(want, in); diff != "" {
					t.Error(diff)
				}
				known, err := c.Store.LIDs.GetLIDForPN(t.Context(), contact.JID())
				if err != nil || known != contact.LID() {
					t.Errorf("the lookup taught the LID %v, %v", known, err)
				}
			})
		})
	}
}

func TestNewDeviceOfAContactIsFoundByThePhash(t *testing.T) {
	t.Parallel()
	online(t, wasim.Options{}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
		c.sendText(contact.JID(), "one")
		contact.Change(func(p *wasim.Profile) { p.Devices = 2 })
		c.sendText(contact.JID(), "two")
		c.sendText(contact.JID(), "three")
		var devices []int
		for _, message := range contact.Received() {
			devices = append(devices, len(message.Devices))
		}
		if diff := cmp.Diff([]int{1, 1, 2}, devices); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOwnDeviceListed(t *testing.T) {
	t.Parallel()
	online(t, wasim.Options{ListOwnDevice: true}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
		for range 3 {
			c.sendText(contact.JID(), "hello")
		}
		own, err := c.GetUserDevices(t.Context(), []types.JID{server.Phone(ownNumber).JID()})
		if err != nil || len(own) != 2 || len(contact.Received()) != 3 {
			t.Errorf("own devices %v, %v; the contact received %d", own, err, len(contact.Received()))
		}
	})
}

func TestSecondLinkedDeviceGetsCopies(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{Strict: true}, func(t *testing.T, server *wasim.Server) {
		phone, first := linked(t, server, server.HTTPClient(), ownNumber)
		contact := server.Contact(otherNumber)
		first.sendText(contact.JID(), "alone")
		second := linkTo(t, phone, server.HTTPClient())
		settle()
		id := first.sendText(contact.JID(), "together")
		copied := wait(second, func(m *events.Message) bool { return m.Info.ID == id })
		if copied.Info.Chat != contact.LID() || !copied.Info.IsFromMe || copied.Message.GetConversation() != "together" {
			t.Errorf("copy %+v %v", copied.Info, copied.Message)
		}
		id, err := phone.Send(t.Context(), otherNumber, "from the phone")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []*client{first, second} {
			copied := wait(c, func(m *events.Message) bool { return m.Info.ID == id })
			if copied.Info.Chat != contact.LID() || copied.Message.GetConversation() != "from the phone" {
				t.Errorf("copy %+v %v", copied.Info, copied.Message)
			}
		}
		if diff := cmp.Diff([]string{"alone", "together", "from the phone"}, texts(contact.Received())); diff != "" {
			t.Error(diff)
		}
		settle()
	})
}

func TestDroppedPlaintextKeepsTheCounts(t *testing.T) {
	t.Parallel()
	online(t, wasim.Options{DropPlaintext: true}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
		for i := range 40 {
			c.sendText(contact.JID(), fmt.Sprint("message ", i%30))
		}
		got := contact.Received()
		if len(got) != 40 || got[0].Body != nil || got[29].Duplicate || !got[30].Duplicate {
			t.Errorf("received %d, first %+v", len(got), got[0])
		}
		if books := settledBooks(server); books.Duplicated != 10 || len(server.Phone(ownNumber).Sent()) != 0 || books.OwnCopies != 40 {
			t.Errorf("books %+v", books)
		}
	})
}

func TestOwnPhoneAsksForACopyThatItCannotRead(t *testing.T) {
	t.Parallel()
	online(t, wasim.Options{}, func(t *testing.T, server *wasim.Server, c *client, contact *wasim.Contact) {
		phone := server.Phone(ownNumber)
		phone.Contact().Change(func(p *wasim.Profile) { p.Undecryptable = 1 })
		c.sendText(contact.JID(), "hello")
		if got := phone.Sent(); len(got) != 0 {
			t.Errorf("the phone could read %+v", got)
		}
		settle()
		if got := phone.Sent(); len(got) != 1 || got[0].Text != "hello" || got[0].To != otherNumber {
			t.Errorf("the phone has %+v", got)
		}
	})
}
