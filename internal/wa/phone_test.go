package wa_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/wasim"
)

// TestPhoneThatIsAskedGivesASign: a phone that is online answers its device by itself, one that is away does not, and one sign an hour is enough.
func TestPhoneThatIsAskedGivesASign(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		phone, err := w.simulator.NewPhone("+5491150000001", wasim.WithPushName("Recepción")) // it shares its keys, with the name
		if err != nil {
			t.Fatal(err)
		}
		client, heard, _ := w.keep(phone)
		time.Sleep(2 * time.Hour)
		before := count[session.PhoneSeen](heard)
		phone.SetOnline(false)
		if err := client.AskPhone(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if got := count[session.PhoneSeen](heard); got != before {
			t.Errorf("%d signs of a phone that is away", got-before)
		}
		phone.SetOnline(true)
		for range 3 {
			if err := client.AskPhone(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if got := count[session.PhoneSeen](heard); got != before+1 {
			t.Errorf("%d signs, want one", got-before)
		}
		time.Sleep(time.Hour)
		if _, err := phone.Send(t.Context(), "+5491140000001", "written on the phone"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := count[session.PhoneSeen](heard); got != before+2 {
			t.Errorf("%d signs after something was written on the phone, want two", got-before)
		}
	})
}
