package app_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"
	_ "modernc.org/sqlite"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/wasim"
)

// knownContacts is the audience of a round; everybody in it has been written to before, by both sides.
const knownContacts = 1000

// BenchmarkSendRatio sends the same audience through the whole product (API, queue, runner, host, store) and by a bare whatsmeow SendMessage loop
// over the same kind of store, in turn, with pacing off, and prints the ratio of their rates: the median of the rounds.
//
// With receipts off both sides do the same work, and the ratio must be at least 0.6. With receipts on the product also writes down two receipts
// for each message while it sends, which the bare loop drops; that ratio is printed for comparison only.
func BenchmarkSendRatio(b *testing.B) {
	for _, row := range []struct {
		name     string
		receipts wasim.Receipts
		least    float64
	}{{"receipts=off", wasim.Receipts{}, 0.6}, {"receipts=delivered+read", wasim.DeliveredAndRead(), 0}} {
		b.Run(row.name, func(b *testing.B) {
			if ratio := sendRatio(b, row.receipts); ratio < row.least {
				b.Errorf("the product sends at %.2f of the bare loop's rate; at least %.2f is promised", ratio, row.least)
			}
		})
	}
}

func sendRatio(b *testing.B, receipts wasim.Receipts) float64 {
	simulator, err := wasim.New(wasim.Options{AutoContacts: true, Receipts: receipts, DropPlaintext: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = simulator.Close() }()
	bare := newBareLoop(b, simulator)
	defer bare.Disconnect()
	product, stop := newProduct(b, simulator)
	defer stop()
	sendBare(b, bare, 0)
	product.round(b, 0)
	var ratios, ours, theirs []float64
	for round := 1; b.Loop(); round++ {
		yardstick := sendBare(b, bare, round)
		rate := product.round(b, round)
		ratios = append(ratios, rate/yardstick)
		ours, theirs = append(ours, rate), append(theirs, yardstick)
	}
	ratio := median(ratios)
	b.ReportMetric(ratio, "ratio")
	b.ReportMetric(median(ours), "product-msg/s")
	b.ReportMetric(median(theirs), "bare-msg/s")
	return ratio
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// newBareLoop links a client that is nothing but whatsmeow, with its own device store in a file, set up as the product's.
func newBareLoop(b *testing.B, simulator *wasim.Server) *whatsmeow.Client {
	b.Helper()
	whatsmeow.WACertPubKey = simulator.RootPublicKey() // the product sets the same key in this process
	database, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "bare.db")+
		"?_pragma=foreign_keys(1)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(10000)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = database.Close() })
	database.SetMaxOpenConns(1)
	container := sqlstore.NewWithDB(database, "sqlite", nil)
	if err := container.Upgrade(b.Context()); err != nil {
		b.Fatal(err)
	}
	bare := whatsmeow.NewClient(container.NewDevice(), nil)
	bare.SetPreLoginHTTPClient(simulator.HTTPClient())
	bare.SetWebsocketHTTPClient(simulator.HTTPClient())
	codes, connected := make(chan string, 1), make(chan struct{}, 4)
	bare.AddEventHandler(func(event any) {
		switch event := event.(type) {
		case *events.QR:
			codes <- event.Codes[0]
		case *events.Connected:
			connected <- struct{}{}
		}
	})
	phone, err := simulator.NewPhone("+5491150000098")
	if err == nil {
		err = bare.Connect()
	}
	if err == nil {
		err = phone.ScanQR(b.Context(), <-codes)
	}
	if err != nil {
		b.Fatal(err)
	}
	<-connected
	return bare
}

func sendBare(b *testing.B, bare *whatsmeow.Client, round int) float64 {
	b.Helper()
	began := time.Now()
	for i := range knownContacts {
		text := fmt.Sprintf("Hola Ana %d (%d)", i, round)
		to := types.NewJID(fmt.Sprintf("54911%08d", 40000000+i), types.DefaultUserServer)
		if _, err := bare.SendMessage(b.Context(), to, &waE2E.Message{Conversation: proto.String(text)}); err != nil {
			b.Fatal(err)
		}
	}
	return knownContacts / time.Since(began).Seconds()
}

// benchProduct is the whole product with one linked session.
type benchProduct struct {
	api     *client.Client
	session string
}

func newProduct(b *testing.B, simulator *wasim.Server) (benchProduct, func()) {
	b.Helper()
	return newProductWith(b, simulator, "+5491150000099", func(*app.Options) {})
}

// newProductWith is newProduct with another phone and other options.
func newProductWith(b *testing.B, simulator *wasim.Server, number string, change func(*app.Options)) (benchProduct, func()) {
	b.Helper()
	options := app.Options{DataDir: b.TempDir(), Listen: "127.0.0.1:0", WhatsApp: app.SimulatedBy(simulator), Links: app.QuickLinks(),
		Log: slog.New(slog.DiscardHandler)}
	options.AdminKey, options.RequestsPerSecond = app.GenerateAdminKey(), -1
	change(&options)
	product, err := app.New(options)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- product.Run(ctx) }()
	<-product.Ready()
	api := clientOf(b, product, options.AdminKey)
	phone, err := simulator.NewPhone(number)
	if err != nil {
		b.Fatal(err)
	}
	created, err := api.CreateSession(ctx, "bench", "")
	if err == nil {
		_, err = api.StartLink(ctx, created.ID, "qr", "")
	}
	if err != nil {
		b.Fatal(err)
	}
	link := pollUntil(b, func() (client.Link, bool, error) {
		link, err := api.Link(ctx, created.ID)
		return link, link.Prompt != nil, err
	})
	if err := phone.ScanQR(ctx, link.Prompt.QR); err != nil {
		b.Fatal(err)
	}
	pollUntil(b, func() (client.Session, bool, error) {
		found, err := api.Session(ctx, created.ID)
		return found, found.State == "ready", err
	})
	return benchProduct{api, created.ID}, func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}
}

// round sends a campaign and gives its rate, from its first slice's start to its end.
func (p benchProduct) round(b *testing.B, round int) float64 {
	b.Helper()
	var file strings.Builder
	file.WriteString("nombre,telefono\n")
	for i := range knownContacts {
		fmt.Fprintf(&file, "Ana %d,+54911%08d\n", i, 40000000+i)
	}
	created, err := p.api.UploadCampaign(b.Context(), client.NewCampaign{SessionID: p.session, Text: fmt.Sprintf("Hola {{nombre}} (%d)", round)},
		strings.NewReader(file.String()))
	if err != nil {
		b.Fatal(err)
	}
	ended := pollUntil(b, func() (client.Campaign, bool, error) {
		found, err := p.api.Campaign(b.Context(), created.ID)
		return found, found.Ended(), err
	})
	if done := ended.Counts.Sent + ended.Counts.Delivered + ended.Counts.Read; done != knownContacts {
		b.Fatalf("only %d of %d were sent: %+v", done, knownContacts, ended.Counts)
	}
	return knownContacts / ended.EndedAt.Sub(ended.StartedAt).Seconds()
}

func pollUntil[T any](b *testing.B, ask func() (T, bool, error)) T {
	b.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		answer, done, err := ask()
		if err != nil {
			b.Fatal(err)
		}
		if done {
			return answer
		}
		<-ticker.C
	}
}
