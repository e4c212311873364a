package wa

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
)

// Version is the version of WhatsApp Web that devices say they are, as it was last fetched. WhatsApp refuses old ones from time to time with 405
// (peers.md W7).
type Version struct {
	// Revision is the last number of 2.3000.revision; zero: none was fetched yet.
	Revision uint32 `json:"revision,omitempty"`
	// TriedAt is when it was last looked for.
	TriedAt time.Time `json:"tried_at"`
}

// VersionStore keeps the Version that all workers share.
type VersionStore interface {
	// ReadVersion gives the version and its place for WriteVersion; zero values when there is none.
	ReadVersion(ctx context.Context) (version Version, place uint64, err error)
	// WriteVersion replaces what was read at a place; ErrVersionChanged when another worker did so meanwhile.
	WriteVersion(ctx context.Context, version Version, place uint64) error
}

// ErrVersionChanged: another worker wrote the version meanwhile.
var ErrVersionChanged = errors.New("the version was changed meanwhile")

const (
	// versionRest is how long after a look for a newer version the next one may be, in all workers together.
	versionRest = time.Hour
	// versionTimeout bounds the look.
	versionTimeout = 30 * time.Second
	// maxPage bounds the page that names the version; it had about half a megabyte when this was written.
	maxPage = 8 << 20
)

// versions decides which version devices say they are: the one that whatsmeow was made for, or a newer one that was fetched since.
type versions struct {
	store   VersionStore
	log     *slog.Logger
	metrics *metrics
}

// current gives the version for a new connection.
func (v *versions) current(ctx context.Context) store.WAVersionContainer {
	stored, _, err := v.store.ReadVersion(ctx)
	if err != nil {
		v.log.WarnContext(ctx, "the stored version of WhatsApp Web could not be read", "error", err)
	}
	return newer(store.GetWAVersion(), stored.container())
}

// container gives the version as whatsmeow has it.
func (v Version) container() store.WAVersionContainer {
	return store.WAVersionContainer{2, 3000, v.Revision}
}

func newer(a, b store.WAVersionContainer) store.WAVersionContainer {
	if a.LessThan(b) {
		return b
	}
	return a
}

// renew looks for a newer version than one that WhatsApp refused, and stores it. It tells whether there is one, so that another connection is worth
// a try. The look goes the session's own way, once an hour in the whole fleet: one that finds nothing newer cannot be helped by more of them.
func (v *versions) renew(ctx context.Context, refused store.WAVersionContainer, way *http.Client) bool {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	result, err := v.look(ctx, refused, way)
	v.metrics.outdated.WithLabelValues(result).Inc()
	v.log.ErrorContext(ctx, "WhatsApp refuses this version of its web client", "refused", refused.String(), "result", result, "error", err)
	return result == versionRenewed
}

// The results of a look; they label the metric.
const (
	versionRenewed = "renewed"
	versionCurrent = "current"
	versionResting = "resting"
	versionFailed  = "failed"
)

func (v *versions) look(ctx context.Context, refused store.WAVersionContainer, way *http.Client) (result string, err error) {
	stored, place, err := v.store.ReadVersion(ctx)
	switch {
	case err != nil:
		return versionFailed, err
	case refused.LessThan(stored.container()):
		return versionRenewed, nil
	case time.Since(stored.TriedAt) < versionTimeout:
		return v.await(ctx, refused), nil
	case time.Since(stored.TriedAt) < versionRest:
		return versionResting, nil
	}
	stored.TriedAt = time.Now().UTC()
	if err := v.store.WriteVersion(ctx, stored, place); err != nil {
		if errors.Is(err, ErrVersionChanged) {
			return v.await(ctx, refused), nil
		}
		return versionFailed, err
	}
	found, err := whatsmeow.GetLatestVersion(ctx, &http.Client{Transport: limited{way.Transport}})
	switch {
	case err != nil:
		return versionFailed, errors.New("the page of WhatsApp Web could not be read") // the error may repeat the page
	case !refused.LessThan(*found):
		return versionCurrent, nil
	}
	stored.Revision = found[2]
	_, place, err = v.store.ReadVersion(ctx)
	if err == nil {
		err = v.store.WriteVersion(ctx, stored, place)
	}
	if err != nil {
		return versionFailed, err
	}
	return versionRenewed, nil
}

// awaitEvery is how often the version is read that another worker is looking for.
const awaitEvery = time.Second

// await waits for what another connection finds that looks just now.
func (v *versions) await(ctx context.Context, refused store.WAVersionContainer) (result string) {
	ticker := time.NewTicker(awaitEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return versionResting
		case <-ticker.C:
		}
		if stored, _, err := v.store.ReadVersion(ctx); err == nil && refused.LessThan(stored.container()) {
			return versionRenewed
		}
	}
}

// limited bounds what is read of an answer.
type limited struct{ inner http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (l limited) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := l.inner.RoundTrip(request)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxPage)
	}
	return response, err
}

// versionInMemory is a VersionStore for one process.
type versionInMemory struct {
	mu      sync.Mutex
	version Version
	place   uint64
}

// ReadVersion implements VersionStore.
func (m *versionInMemory) ReadVersion(context.Context) (Version, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.version, m.place, nil
}

// WriteVersion implements VersionStore.
func (m *versionInMemory) WriteVersion(_ context.Context, version Version, place uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if place != m.place {
		return ErrVersionChanged
	}
	m.version, m.place = version, place+1
	return nil
}
