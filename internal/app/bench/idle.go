package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/wasim"
)

// leastCounted is the number of sessions from which on the memory of one can be told from what else a process does.
const leastCounted = 50

// idleSessions links sessions one after the other and measures, at some numbers of them, the heap and the stacks of this process and its goroutines,
// above those of the process with one session, which does not count. The product and the bare clients, on whatsmeow's own store, each have a simulator of
// their own in the process, whose share is the same on both sides. The bare clients come first, beside a product without sessions: what sessions of a
// product leave behind is collected for some seconds after their end. There is one round: to link a thousand takes minutes.
func idleSessions(ctx context.Context, s sizes, directory string) (rows []Row, err error) {
	p, err := startProduct(ctx, productOptions{directory: filepath.Join(directory, "product"),
		change: func(options *app.Options) { options.MaxConnections = s.idle[len(s.idle)-1] + 1 }})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	theirs, err := idleBare(ctx, s, filepath.Join(directory, "bare"))
	if err != nil {
		return nil, err
	}
	ours, err := idleProduct(ctx, s, p)
	if err != nil {
		return nil, err
	}
	for i := len(s.idle) - 1; i >= 0; i-- {
		sessions := s.idle[i]
		memory := summarise([]float64{ours[i].bytes / 1024}, []float64{theirs[i].bytes / 1024})
		memory.Name, memory.Unit, memory.Against = fmt.Sprintf("memory_%d", sessions), "KiB/session", onSQLStore
		if sessions >= leastCounted {
			memory = memory.promising(lessThanAbove(100, "KiB"))
		}
		goroutines := summarise([]float64{ours[i].goroutines}, []float64{theirs[i].goroutines})
		goroutines.Name, goroutines.Unit, goroutines.Against = fmt.Sprintf("goroutines_%d", sessions), "per session", onSQLStore
		rows = append(rows, memory, goroutines)
	}
	return rows, nil
}

// footprint is what one session takes.
type footprint struct{ bytes, goroutines float64 }

// climb links sessions up to each of the numbers, waits until they are settled, and gives the footprint of one at each. One more is linked before, and
// does not count: what a process needs once, for however many sessions, is no part of any of them.
func climb(numbers []int, link func(n int) error, settle func() error) ([]footprint, error) {
	var at []footprint
	var before footprint
	linked := -1
	for _, number := range append([]int{0}, numbers...) {
		for ; linked < number; linked++ {
			if err := link(linked + 2); err != nil {
				return nil, err
			}
		}
		if err := settle(); err != nil {
			return nil, err
		}
		now := measureFootprint()
		if number == 0 {
			before = now
			continue
		}
		at = append(at, footprint{(now.bytes - before.bytes) / float64(number), (now.goroutines - before.goroutines) / float64(number)})
	}
	return at, nil
}

// idleSweeps are the collections before a measurement: each halves a stack that is hardly used any more, and a process at rest has one every two minutes.
const idleSweeps = 6

// measureFootprint is the whole process, swept.
func measureFootprint() footprint {
	for range idleSweeps {
		runtime.GC()
	}
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	return footprint{float64(samples[0].Value.Uint64() + samples[1].Value.Uint64()), float64(runtime.NumGoroutine())}
}

func idleProduct(ctx context.Context, s sizes, p *product) ([]footprint, error) {
	var linked []string
	return climb(s.idle, func(n int) error {
		id, _, err := p.link(ctx, ownNumber(n))
		linked = append(linked, id)
		return err
	}, func() error {
		for _, id := range linked {
			if err := p.awaitHosted(ctx, id); err != nil {
				return err
			}
		}
		linked = nil
		return nil
	})
}

func idleBare(ctx context.Context, s sizes, directory string) (at []footprint, err error) {
	simulator, err := wasim.New(wasim.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = simulator.Close() }()
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, fmt.Errorf("make the yardstick's folder: %w", err)
	}
	devices, err := openDevices(ctx, onSQLStore, directory)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, devices.close()) }()
	var clients []*bare
	defer func() {
		for _, client := range clients {
			client.client.Disconnect()
		}
	}()
	return climb(s.idle, func(n int) error {
		client, err := linkBare(ctx, devices, simulator, ownNumber(n))
		if err == nil {
			clients = append(clients, client)
		}
		return err
	}, func() error { return nil })
}
