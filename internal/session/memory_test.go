package session_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// memorySessions is as much of session.Store as the ways of sessions need. The real stores are tested in internal/store.
type memorySessions struct {
	mu   sync.Mutex
	byID map[session.ID]session.Session
}

func (m *memorySessions) Create(_ context.Context, s session.Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Revision = 1
	m.byID[s.ID] = s
	return nil
}

func (m *memorySessions) Get(_ context.Context, id session.ID) (session.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, known := m.byID[id]
	if !known {
		return session.Session{}, store.ErrNotFound
	}
	return found, nil
}

func (m *memorySessions) Update(_ context.Context, s session.Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byID[s.ID].Revision != s.Revision {
		return store.ErrConflict
	}
	s.Revision++
	m.byID[s.ID] = s
	return nil
}

func (m *memorySessions) List(context.Context, session.Filter, store.Page) (store.List[session.Session], error) {
	return store.List[session.Session]{}, errors.New("not needed")
}

func (m *memorySessions) Delete(context.Context, session.ID) error { return errors.New("not needed") }

// memoryEgresses is session.Egresses with one page.
type memoryEgresses struct {
	mu    sync.Mutex
	byKey map[string]session.Egress
}

func (m *memoryEgresses) Put(_ context.Context, e session.Egress) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := string(e.Session) + "/" + e.Name
	if m.byKey[key].Revision != e.Revision {
		return store.ErrConflict
	}
	e.Revision++
	m.byKey[key] = e
	return nil
}

func (m *memoryEgresses) Get(_ context.Context, id session.ID, name string) (session.Egress, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, known := m.byKey[string(id)+"/"+name]
	if !known {
		return session.Egress{}, store.ErrNotFound
	}
	return found, nil
}

func (m *memoryEgresses) Delete(_ context.Context, id session.ID, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.byKey, string(id)+"/"+name)
	return nil
}

func (m *memoryEgresses) List(context.Context, store.Page) (store.List[session.Egress], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []session.Egress
	for _, key := range slices.Sorted(maps.Keys(m.byKey)) {
		all = append(all, m.byKey[key])
	}
	return store.List[session.Egress]{Items: all}, nil
}
