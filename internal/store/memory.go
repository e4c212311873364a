package store

import (
	"context"
	"slices"
	"sort"
	"sync"
	"time"
)

// MemoryDocuments is a Documents in this process's memory, for what has no database: tests. Its zero value is empty. Its cursors are ids.
type MemoryDocuments struct {
	mu      sync.Mutex
	folders map[string]map[string]Document
}

// Create implements Documents.
func (m *MemoryDocuments) Create(_ context.Context, folder string, created Document) error {
	if err := CheckDocuments(folder, []Document{created}); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, is := m.folders[folder][created.ID]; is && !expired(known) {
		return ErrConflict
	}
	m.put(folder, created)
	return nil
}

// Put implements Documents.
func (m *MemoryDocuments) Put(_ context.Context, folder string, batch []Document) error {
	if err := CheckDocuments(folder, batch); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, put := range batch {
		m.put(folder, put)
	}
	return nil
}

func (m *MemoryDocuments) put(folder string, d Document) {
	if m.folders == nil {
		m.folders = map[string]map[string]Document{}
	}
	if m.folders[folder] == nil {
		m.folders[folder] = map[string]Document{}
	}
	d.Data = slices.Clone(d.Data)
	m.folders[folder][d.ID] = d
}

// Among implements Documents.
func (m *MemoryDocuments) Among(_ context.Context, folder string, ids []string) ([]Document, error) {
	if err := CheckDocumentIDs(folder, ids); err != nil {
		return nil, err
	}
	return m.taken(folder, func(d Document) bool { return slices.Contains(ids, d.ID) }), nil
}

func (m *MemoryDocuments) taken(folder string, wanted func(Document) bool) (found []Document) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, each := range m.folders[folder] {
		if wanted(each) && !expired(each) {
			found = append(found, each)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].ID < found[j].ID })
	return found
}

// List implements Documents.
func (m *MemoryDocuments) List(_ context.Context, folder string, page Page) (List[Document], error) {
	found := m.taken(folder, func(d Document) bool { return d.ID > page.After })
	if len(found) <= page.Limit() {
		return List[Document]{Items: found}, nil
	}
	found = found[:page.Limit()]
	return List[Document]{Items: found, Next: found[len(found)-1].ID}, nil
}

// Remove implements Documents.
func (m *MemoryDocuments) Remove(_ context.Context, folder string, ids []string) (removed int, err error) {
	if err := CheckDocumentIDs(folder, ids); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if _, is := m.folders[folder][id]; is {
			delete(m.folders[folder], id)
			removed++
		}
	}
	return removed, nil
}

// Clear implements Documents.
func (m *MemoryDocuments) Clear(_ context.Context, folder string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.folders, folder)
	return nil
}

func expired(d Document) bool { return !d.ExpiresAt.IsZero() && !d.ExpiresAt.After(time.Now()) }
