package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Inspection is what can be told about a queue without changing it.
type Inspection struct {
	// Version is that of the server.
	Version string
	// Time is the server's clock when it answered, At this machine's, and Took how long that took; zero when nothing has a time.
	Time, At time.Time
	Took     time.Duration
	// CertificateEnds is when the server's certificate expires; zero: the connection has none.
	CertificateEnds time.Time
	// Missing names the streams, consumers and buckets that do not exist, Wrong those that are set otherwise than this version wants them.
	Missing, Wrong []string
}

// ErrRefused: the server does not know the user or its password.
var ErrRefused = errors.New("the user or its password is wrong")

// ErrRightsHidden: the user may not ask what it may do.
var ErrRightsHidden = errors.New("the user's rights could not be read")

// Look connects once, without waiting for the server.
func Look(ctx context.Context, options Options) (Inspection, error) {
	b, err := ConnectOnce(ctx, options)
	if err != nil {
		return Inspection{}, err
	}
	defer b.nc.Close()
	seen := Inspection{Version: b.nc.ConnectedServerVersion()}
	if state, err := b.nc.TLSConnectionState(); err == nil && len(state.PeerCertificates) > 0 {
		seen.CertificateEnds = state.PeerCertificates[0].NotAfter
	}
	for _, look := range []func(context.Context, *Inspection) error{b.lookAtStreams, b.lookAtConsumers, b.lookAtBuckets} {
		if err := look(ctx, &seen); err != nil {
			return seen, err
		}
	}
	return seen, nil
}

// ConnectOnce is Connect for a look: one try, and none to come back.
func ConnectOnce(ctx context.Context, options Options) (*Bus, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	metrics, err := newMetrics(nil)
	if err != nil {
		return nil, err
	}
	b := &Bus{options: options, log: options.Log, metrics: metrics, closed: make(chan struct{})}
	settings := append(b.connection(), nats.Timeout(inspectTimeout), nats.NoReconnect())
	b.nc, err = nats.Connect(options.URL, settings...)
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		return nil, fmt.Errorf("connect to NATS at %s: %w", options.address(), ErrRefused)
	case err != nil:
		return nil, fmt.Errorf("connect to NATS at %s: %w", options.address(), err)
	}
	if b.js, err = jetstream.New(b.nc); err != nil {
		b.nc.Close()
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	return b, ctx.Err()
}

// inspectTimeout bounds the connection of a look.
const inspectTimeout = 5 * time.Second

func (b *Bus) lookAtStreams(ctx context.Context, seen *Inspection) error {
	for _, want := range b.streams() {
		began := time.Now()
		stream, err := b.js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			seen.Missing = append(seen.Missing, "stream "+want.Name)
			continue
		}
		if err != nil {
			return fmt.Errorf("look at stream %s: %w", want.Name, err)
		}
		info := stream.CachedInfo()
		seen.Time, seen.At, seen.Took = info.TimeStamp, time.Now(), time.Since(began)
		for _, setting := range streamDifferences(want, info.Config) {
			seen.Wrong = append(seen.Wrong, "stream "+want.Name+": "+setting)
		}
	}
	return nil
}

// difference says that a setting is not what it should be; empty when it is.
func difference[T comparable](name string, want, got T) []string {
	if want == got {
		return nil
	}
	return []string{fmt.Sprintf("%s is %v, not %v", name, got, want)}
}

func streamDifferences(want, got jetstream.StreamConfig) []string {
	var subjects []string
	if !slices.Equal(slices.Sorted(slices.Values(want.Subjects)), slices.Sorted(slices.Values(got.Subjects))) {
		subjects = []string{fmt.Sprintf("subjects are %v, not %v", got.Subjects, want.Subjects)}
	}
	limit := max(want.MaxMsgSize, 0)
	if limit == 0 {
		limit = -1 // what the server makes of no limit
	}
	return slices.Concat(subjects,
		difference("retention", want.Retention, got.Retention), difference("storage", want.Storage, got.Storage),
		difference("max age", want.MaxAge, got.MaxAge), difference("replicas", want.Replicas, got.Replicas),
		difference("max message size", limit, got.MaxMsgSize), difference("max messages", -1, got.MaxMsgs), difference("max bytes", -1, got.MaxBytes),
		difference("duplicate window", want.Duplicates, got.Duplicates), difference("message schedules", want.AllowMsgSchedules, got.AllowMsgSchedules))
}

func (b *Bus) lookAtConsumers(ctx context.Context, seen *Inspection) error {
	for _, c := range b.consumers() {
		found, err := b.js.Consumer(ctx, c.stream, c.name)
		if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
			seen.Missing = append(seen.Missing, "consumer "+c.name)
			continue
		}
		if err != nil {
			return fmt.Errorf("look at consumer %s: %w", c.name, err)
		}
		want, got := b.consumerConfig(c), found.CachedInfo().Config
		for _, setting := range slices.Concat(difference("filter", want.FilterSubject, got.FilterSubject), difference("ack policy", want.AckPolicy, got.AckPolicy),
			difference("ack wait", want.AckWait, got.AckWait), difference("max deliver", want.MaxDeliver, got.MaxDeliver),
			difference("max ack pending", want.MaxAckPending, got.MaxAckPending)) {
			seen.Wrong = append(seen.Wrong, "consumer "+c.name+": "+setting)
		}
	}
	return nil
}

func (b *Bus) lookAtBuckets(ctx context.Context, seen *Inspection) error {
	for _, want := range b.buckets() {
		stream, err := b.js.Stream(ctx, "KV_"+want.Bucket)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			seen.Missing = append(seen.Missing, "bucket "+want.Bucket)
			continue
		}
		if err != nil {
			return fmt.Errorf("look at bucket %s: %w", want.Bucket, err)
		}
		got := stream.CachedInfo().Config
		for _, setting := range slices.Concat(difference("storage", want.Storage, got.Storage), difference("TTL", want.TTL, got.MaxAge),
			difference("replicas", want.Replicas, got.Replicas)) {
			seen.Wrong = append(seen.Wrong, "bucket "+want.Bucket+": "+setting)
		}
	}
	return nil
}

// userInfo is the part of the server's answer about a user that matters here.
type userInfo struct {
	Data struct {
		User        string `json:"user"`
		Permissions *struct {
			Publish   *permission `json:"publish"`
			Subscribe *permission `json:"subscribe"`
		} `json:"permissions"`
	} `json:"data"`
}

// userInfoSubject answers who asks what it may do (nats-server, since 2.10).
const userInfoSubject = "$SYS.REQ.USER.INFO"

// MissingRights connects as a service's user and gives the subjects that the service needs and its user may not use, "publish ..." or "subscribe ...".
// The error is ErrRightsHidden when the user may not ask.
func MissingRights(ctx context.Context, options Options, service string) ([]string, error) {
	b, err := ConnectOnce(ctx, options)
	if err != nil {
		return nil, err
	}
	defer b.nc.Close()
	asking, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	answer, err := b.nc.RequestWithContext(asking, userInfoSubject, nil)
	if err != nil {
		return nil, ErrRightsHidden
	}
	var info userInfo
	if err := json.Unmarshal(answer.Data, &info); err != nil {
		return nil, fmt.Errorf("read the rights of a user: %w", err)
	}
	if info.Data.Permissions == nil {
		return nil, nil // all of them
	}
	need := b.needs(service)
	var missing []string
	for _, subject := range need.publish {
		if !info.Data.Permissions.Publish.allows(subject) {
			missing = append(missing, "publish "+subject)
		}
	}
	for _, subject := range need.subscribe {
		if !info.Data.Permissions.Subscribe.allows(subject) {
			missing = append(missing, "subscribe "+subject)
		}
	}
	return missing, nil
}
