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

// sendVariant is one way in which the rate of sending is measured.
type sendVariant struct {
	sessions int
	// fresh: nobody in the audience has been written to before.
	fresh bool
	// rounds are more than those of other workloads where a promise is made: a round is short, and what else the machine does takes a tenth of one.
	rounds int
}

func (v sendVariant) name() string {
	if v.fresh {
		return fmt.Sprintf("new_contacts_%d", v.sessions)
	}
	return fmt.Sprintf("known_contacts_%d", v.sessions)
}

// messages are those of a round. New contacts take several times as long, for their keys; several sessions share them, and do not all end at once.
func (v sendVariant) messages(known int) int {
	switch {
	case v.fresh:
		return known / 4
	case v.sessions > 1:
		return known * 2
	default:
		return known
	}
}

// sendRate compares the rate of a campaign, from its first slice's start to its end, with that of bare SendMessage loops. With several sessions there are
// as many campaigns, and as many loops, each of its own client; all of one kind share one store. Receipts are off: a bare loop has no use for them.
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
	for _, variant := range s.send {
		promises := map[string]*promise{}
		if !variant.fresh {
			promises = map[string]*promise{onOurKeys: atLeast(0.9), onSQLStore: atLeast(1)}
		}
		c := comparison{rounds: variant.rounds, numbers: []number{{variant.name(), "messages/s", promises}},
			sides: []side{{"product", yard.productSide(variant, variant.messages(s.messages))}}}
		for _, kind := range yard.kinds {
			messages := variant.messages(s.messages)
			if kind == onSQLStore {
				messages /= 4 // it flushes several files to the disk for each
			}
			c.sides = append(c.sides, side{kind, yard.bareSide(kind, variant, messages)})
		}
		found, err := c.run(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", variant.name(), err)
		}
		rows = append(rows, found...)
	}
	return rows, nil
}

// sendYard has the product and every yardstick, with the same number of phones linked to each.
type sendYard struct {
	product  *product
	sessions []string
	kinds    []string
	stores   []*deviceStore
	bare     map[string][]*bare
	// unused is the first number that nobody has written to.
	unused int
}

func newSendYard(ctx context.Context, simulator *wasim.Server, directory string, s sizes) (*sendYard, error) {
	y := &sendYard{kinds: s.sendAgainst, bare: map[string][]*bare{}, unused: 1_000_000}
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

// audience gives the first number of the audience of each session: the same people each time, or people that nobody has written to.
func (y *sendYard) audience(v sendVariant, each int) []int {
	first := 0
	if v.fresh {
		first, y.unused = y.unused, y.unused+each*v.sessions
	}
	firsts := make([]int, v.sessions)
	for i := range firsts {
		firsts[i] = first + i*each
	}
	return firsts
}

func (y *sendYard) productSide(v sendVariant, messages int) func(context.Context, int) ([]float64, error) {
	return func(ctx context.Context, round int) ([]float64, error) {
		each := messages / v.sessions
		drafts := make([]client.Campaign, v.sessions)
		for i, first := range y.audience(v, each) {
			var err error
			if drafts[i], err = y.product.draft(ctx, y.sessions[i], first, each, fmt.Sprintf("Hola {{nombre}}, %d", round)); err != nil {
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
		began, ended := drafts[0].StartedAt, drafts[0].EndedAt
		for _, done := range drafts {
			if sent := done.Counts.Sent + done.Counts.Delivered + done.Counts.Read; sent != each {
				return nil, fmt.Errorf("only %d of %d were sent: %+v", sent, each, done.Counts)
			}
			if done.StartedAt.Before(began) {
				began = done.StartedAt
			}
			if done.EndedAt.After(ended) {
				ended = done.EndedAt
			}
		}
		return []float64{float64(each*v.sessions) / ended.Sub(began).Seconds()}, nil
	}
}

func (y *sendYard) bareSide(kind string, v sendVariant, messages int) func(context.Context, int) ([]float64, error) {
	return func(ctx context.Context, round int) ([]float64, error) {
		each := messages / v.sessions
		firsts := y.audience(v, each)
		began := time.Now()
		group, sending := errgroup.WithContext(ctx)
		for i, first := range firsts {
			group.Go(func() error { return y.bare[kind][i].send(sending, first, each, fmt.Sprint(round)) })
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		return []float64{float64(each*v.sessions) / time.Since(began).Seconds()}, nil
	}
}
