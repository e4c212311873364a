package wasim_test

import (
	"fmt"
	"testing"

	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/wasim"
)

// BenchmarkSendMessage is the rate of a bare whatsmeow client against the simulator: to contacts that it knows, with receipts off. The
// client's own store is the bottleneck (section 13 of the protocol note), not the simulator: see BenchmarkReceive.
func BenchmarkSendMessage(b *testing.B) {
	for _, contacts := range []int{1, 100} {
		b.Run(fmt.Sprint(contacts, "-contacts"), func(b *testing.B) {
			server, err := wasim.New(wasim.Options{AutoContacts: true})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = server.Close() }()
			_, c := linked(b, server, server.HTTPClient(), ownNumber)
			audience := make([]types.JID, contacts)
			for i := range audience {
				audience[i] = server.Contact(fmt.Sprint(4917000000000 + i)).JID()
				c.sendText(audience[i], "hello")
			}
			b.ResetTimer()
			for i := range b.N {
				c.sendText(audience[i%contacts], "hello again")
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			if got := server.Books().Messages; got != b.N+contacts {
				b.Errorf("%d messages arrived of %d", got, b.N+contacts)
			}
		})
	}
}
