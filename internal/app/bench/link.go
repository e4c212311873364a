package bench

import (
	"context"
	"errors"
	"path/filepath"
)

// linking measures a link from the command to the fact that it is ready, with a phone that scans at once and without the waits that WhatsApp needs
// around a link. The yardstick is a bare client on the same key store, from dialling to ready.
func linking(ctx context.Context, s sizes, directory string) (rows []Row, err error) {
	p, err := startProduct(ctx, productOptions{directory: filepath.Join(directory, "product")})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	devices, err := openDevices(ctx, onOurKeys, directory)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, devices.close()) }()
	phones := 0
	next := func() string {
		phones++
		return ownNumber(phones)
	}
	c := comparison{rounds: s.links, numbers: []number{{"to_ready", "ms", nil}}, sides: []side{
		{"product", func(ctx context.Context, _ int) ([]float64, error) {
			_, took, err := p.link(ctx, next())
			return []float64{milliseconds(took)}, err
		}},
		{onOurKeys, func(ctx context.Context, _ int) ([]float64, error) {
			linked, err := linkBare(ctx, devices, p.simulator, next())
			if err != nil {
				return nil, err
			}
			linked.client.Disconnect()
			return []float64{milliseconds(linked.linking)}, nil
		}},
	}}
	return c.run(ctx)
}
