package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Made tells when the bucket was made: one that was lost and made anew has begun its revisions again.
func (b *Bucket) Made(ctx context.Context) (time.Time, error) {
	status, err := b.kv.Status(ctx)
	if err != nil {
		return time.Time{}, b.explain("look at", err)
	}
	kept, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return time.Time{}, fmt.Errorf("look at bucket %s: it is kept in a way that is not known here", b.name)
	}
	return kept.StreamInfo().Created.UTC(), nil
}

// errNotMade: a process that may make the topology has not done so yet.
var errNotMade = errors.New("it does not exist yet; the API process makes it")

// AwaitTopology waits until the topology exists, as long as the context lives: for processes that may not make it.
func (b *Bus) AwaitTopology(ctx context.Context) error {
	for _, name := range b.streamNames() {
		if err := b.awaitExisting(ctx, "stream "+name, func(ctx context.Context) error {
			_, err := b.js.Stream(ctx, name)
			return err
		}); err != nil {
			return err
		}
	}
	for _, c := range b.consumers() {
		if err := b.awaitExisting(ctx, "consumer "+c.name, func(ctx context.Context) error {
			_, err := b.js.Consumer(ctx, c.stream, c.name)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// streamNames are the streams of the topology, with those that buckets are kept in.
func (b *Bus) streamNames() []string {
	names := make([]string, 0, len(b.streams())+len(b.buckets()))
	for _, stream := range b.streams() {
		names = append(names, stream.Name)
	}
	for _, bucket := range b.buckets() {
		names = append(names, "KV_"+bucket.Bucket)
	}
	return names
}

func (b *Bus) awaitExisting(ctx context.Context, what string, look func(context.Context) error) error {
	return b.await(ctx, what, func(ctx context.Context) error {
		err := look(ctx)
		if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound) {
			return errNotMade
		}
		return err
	})
}
