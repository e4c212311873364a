package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/wasim"
)

// sendVariant is a number of sessions with which the rate of sending is measured.
type sendVariant struct {
	sessions int
	// messages are those of a round, shared by the sessions: each writes to its own people. A campaign that has just begun is no measure of one that is
	// under way, so there should be some hundred for each.
	messages int
	// rounds are those against bare whatsmeow on the same keys, which a promise keeps the product close to. What else the machine does takes a tenth of a
	// round, so they are more than those of other comparisons, and no third side comes between.
	rounds int
}

// othersShare is the part of the messages that goes into a comparison with stores that are far away.
const othersShare = 4

// sendRate compares the rate of a campaign, from its first slice's start to its end, with that of bare SendMessage loops. With several sessions there are
// as many campaigns, and as many loops, each of its own client, and their rates are added up: they do not end at the same time, and the time in which only
// some of them still send is not the rate of all. All of one kind share one store. Receipts are off: a bare loop has no use for them.
func sendRate(ctx context.Context, s sizes, directory string) (rows []Row, err error) {
	simulator, err := wasim.New(wasim.Options{AutoContacts: true, DropPlaintext: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = simulator.Close() }()
	yard, err := newSendYard(ctx, simulator, directory, s)
	if yard != nil {
		defer func() { err = errors.Join(err, yard.close()) }()
	}
	if err != nil {
		return nil, err
	}
	for _, v := range s.send {
		found, err := yard.measure(ctx, v, s)
		if err != nil {
			return nil, err
		}
		rows = append(rows, found...)
	}
	return rows, nil
}

// measure gives the rows of a number of sessions. It first writes to people that nobody has written to, a part of them in each round, and then to the
// same people, who are known by then.
func (y *sendYard) measure(ctx context.Context, v sendVariant, s sizes) ([]Row, error) {
	known, fresh := fmt.Sprintf("known_contacts_%d", v.sessions), fmt.Sprintf("new_contacts_%d", v.sessions)
	promises := map[string]*promise{onOurKeys: atLeast(0.9), onSQLStore: atLeast(1)}
	var toKnown, toFresh []Row
	for _, against := range []struct {
		kinds            []string
		messages, rounds int
		within           time.Duration
	}{{s.sendAgainst[:1], v.messages, v.rounds, s.sendTime}, {s.sendAgainst[1:], v.messages / othersShare, s.rounds, 0}} {
		each := against.messages / v.sessions
		begin, part := y.used, (each+s.rounds)/(s.rounds+1) // in round 0 too
		y.used += part * (s.rounds + 1)
		strangers := audience{v.sessions, func(round int) (first, size int) { return begin + part*round, part }}
		c := comparison{rounds: s.rounds, numbers: []number{{fresh, "messages/s", nil}}, sides: y.sides(strangers, against.kinds)}
		rows, err := c.run(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", fresh, err)
		}
		toFresh = append(toFresh, rows...)
		contacts := audience{v.sessions, func(int) (first, size int) { return begin, each }}
		c = comparison{rounds: against.rounds, within: against.within, numbers: []number{{known, "messages/s", promises}}, sides: y.sides(contacts, against.kinds)}
		if rows, err = c.run(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", known, err)
		}
		toKnown = append(toKnown, rows...)
	}
	return append(toKnown, toFresh...), nil
}

// audience is whom some sessions write to. people gives, for a round, the number of the first among each session's own, and how many.
type audience struct {
	sessions int
	people   func(round int) (first, size int)
}

// sides are the product and some kinds of bare loops.
func (y *sendYard) sides(to audience, kinds []string) []side {
	sides := []side{{"product", y.productSide(to)}}
	for _, kind := range kinds {
		sides = append(sides, side{kind, y.bareSide(kind, to)})
	}
	return sides
}

// sendYard has the product and every yardstick, with the same number of phones linked to each.
type sendYard struct {
	product  *product
	sessions []string
	kinds    []string
	stores   []*deviceStore
	bare     map[string][]*bare
	// used is how many of its own people each session may have written to.
	used int
}

func newSendYard(ctx context.Context, simulator *wasim.Server, directory string, s sizes) (*sendYard, error) {
	y := &sendYard{kinds: s.sendAgainst, bare: map[string][]*bare{}}
	sessions := s.sendSessions()
	var err error
	if y.product, err = startProduct(ctx, productOptions{directory: filepath.Join(directory, "product"), simulator: simulator}); err != nil {
		return nil, err
	}
	phones := 0
	for range sessions {
		phones++
		id, err := y.product.linkHosted(ctx, ownNumber(phones))
		if err != nil {
			return y, err
		}
		y.sessions = append(y.sessions, id)
	}
	for _, kind := range y.kinds {
		folder := filepath.Join(directory, kind)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return y, fmt.Errorf("make the yardstick's folder: %w", err)
		}
		devices, err := openDevices(ctx, kind, folder)
		if err != nil {
			return y, err
		}
		y.stores = append(y.stores, devices)
		for range sessions {
			phones++
			client, err := linkBare(ctx, devices, simulator, ownNumber(phones))
			if err != nil {
				return y, err
			}
			y.bare[kind] = append(y.bare[kind], client)
		}
	}
	return y, nil
}

func (y *sendYard) close() error {
	errs := []error{y.product.stop()}
	for _, clients := range y.bare {
		for _, client := range clients {
			client.client.Disconnect()
		}
	}
	for _, devices := range y.stores {
		errs = append(errs, devices.close())
	}
	return errors.Join(errs...)
}

// ownPeople is how many numbers each session has for itself.
const ownPeople = 1_000_000

func (y *sendYard) productSide(to audience) func(context.Context, int) ([]float64, error) {
	return func(ctx context.Context, round int) ([]float64, error) {
		first, size := to.people(round)
		drafts := make([]client.Campaign, to.sessions)
		for i := range drafts {
			var err error
			if drafts[i], err = y.product.draft(ctx, y.sessions[i], i*ownPeople+first, size, fmt.Sprintf("Hola {{nombre}}, %d", round)); err != nil {
				return nil, err
			}
		}
		runtime.GC() // what the plan left behind is no part of the sending
		var group errgroup.Group
		for i := range drafts {
			group.Go(func() (err error) {
				drafts[i], err = y.product.runCampaign(ctx, drafts[i].ID)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		rate := 0.0
		for _, done := range drafts {
			if sent := done.Counts.Sent + done.Counts.Delivered + done.Counts.Read; sent != size {
				return nil, fmt.Errorf("only %d of %d were sent: %+v", sent, size, done.Counts)
			}
			rate += float64(size) / done.EndedAt.Sub(done.StartedAt).Seconds()
		}
		return []float64{rate}, nil
	}
}

func (y *sendYard) bareSide(kind string, to audience) func(context.Context, int) ([]float64, error) {
	return func(ctx context.Context, round int) ([]float64, error) {
		first, size := to.people(round)
		rates := make([]float64, to.sessions)
		group, sending := errgroup.WithContext(ctx)
		for i := range rates {
			group.Go(func() error {
				began := time.Now()
				err := y.bare[kind][i].send(sending, i*ownPeople+first, size, fmt.Sprint(round))
				rates[i] = float64(size) / time.Since(began).Seconds()
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		rate := 0.0
		for _, own := range rates {
			rate += own
		}
		return []float64{rate}, nil
	}
}
