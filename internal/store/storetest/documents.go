package storetest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/store"
)

func documentChecks() []check {
	return []check{
		{"PutReplacesAndAmongFinds", documentsPut},
		{"CreateRefusesAnIdThatExists", documentsCreate},
		{"FoldersAreApartAndListedInOrder", documentsFolders},
		{"WhatHasExpiredIsGone", documentsExpire},
		{"RemoveAndClear", documentsRemove},
		{"NamesAndSizesAreChecked", documentsRefused},
		{"OneOfManyCreatesSucceeds", documentsRace},
	}
}

func documentIDs(list []store.Document) []string {
	return names(list, func(d store.Document) string { return d.ID })
}

func documentsPut(t *testing.T, stores Stores) {
	documents := stores.Documents
	ok(t, documents.Put(t.Context(), "lists", []store.Document{{ID: "b", Data: []byte("1")}, {ID: "a/ñ", Data: []byte{0, 255}, ExpiresAt: time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)}}))
	ok(t, documents.Put(t.Context(), "lists", []store.Document{{ID: "b", Data: []byte("2")}, {ID: "c"}}))
	found, err := documents.Among(t.Context(), "lists", []string{"c", "none", "b", "a/ñ"})
	ok(t, err)
	same(t, documentIDs(found), []string{"a/ñ", "b", "c"})
	if !bytes.Equal(found[0].Data, []byte{0, 255}) || found[0].ExpiresAt.IsZero() || string(found[1].Data) != "2" || len(found[2].Data) != 0 {
		t.Errorf("found %+v", found)
	}
	none, err := documents.Among(t.Context(), "lists", nil)
	if err != nil || len(none) != 0 {
		t.Errorf("among no ids there are %v, %v", none, err)
	}
	found, err = stores.Reopen(t).Documents.Among(t.Context(), "lists", []string{"b"})
	ok(t, err)
	same(t, documentIDs(found), []string{"b"})
}

func documentsCreate(t *testing.T, stores Stores) {
	ok(t, stores.Documents.Create(t.Context(), "f", store.Document{ID: "a", Data: []byte("first")}))
	wantError(t, stores.Documents.Create(t.Context(), "f", store.Document{ID: "a", Data: []byte("second")}), store.ErrConflict)
	ok(t, stores.Documents.Create(t.Context(), "g", store.Document{ID: "a", Data: []byte("third")}))
	found, err := stores.Documents.Among(t.Context(), "f", []string{"a"})
	ok(t, err)
	if string(found[0].Data) != "first" {
		t.Errorf("it is %s", found[0].Data)
	}
}

func documentsFolders(t *testing.T, stores Stores) {
	for _, folder := range []string{"m", "m/1", "m/10", "n"} {
		var batch []store.Document
		for i := range 7 {
			batch = append(batch, store.Document{ID: fmt.Sprintf("%s-%d", folder, 6-i)})
		}
		ok(t, stores.Documents.Put(t.Context(), folder, batch))
	}
	for _, folder := range []string{"m", "m/1", "m/10"} {
		all := everything(t, 3, func(page store.Page) (store.List[store.Document], error) {
			return stores.Documents.List(t.Context(), folder, page)
		})
		var want []string
		for i := range 7 {
			want = append(want, fmt.Sprintf("%s-%d", folder, i))
		}
		same(t, documentIDs(all), want)
	}
	_, err := stores.Documents.List(t.Context(), "m", store.Page{After: "nonsense"})
	wantInvalid(t, err)
}

func documentsExpire(t *testing.T, stores Stores) {
	past := time.Now().Add(-time.Minute)
	ok(t, stores.Documents.Put(t.Context(), "f", []store.Document{{ID: "old", ExpiresAt: past}, {ID: "new", ExpiresAt: time.Now().Add(time.Hour)}, {ID: "ever"}}))
	found, err := stores.Documents.Among(t.Context(), "f", []string{"old", "new", "ever"})
	ok(t, err)
	same(t, documentIDs(found), []string{"ever", "new"})
	listed := everything(t, 0, func(page store.Page) (store.List[store.Document], error) {
		return stores.Documents.List(t.Context(), "f", page)
	})
	same(t, documentIDs(listed), []string{"ever", "new"})
	ok(t, stores.Documents.Create(t.Context(), "f", store.Document{ID: "old"}))
	wantError(t, stores.Documents.Create(t.Context(), "f", store.Document{ID: "new"}), store.ErrConflict)
}

func documentsRemove(t *testing.T, stores Stores) {
	for _, folder := range []string{"f", "f/a"} {
		ok(t, stores.Documents.Put(t.Context(), folder, []store.Document{{ID: "1"}, {ID: "2"}, {ID: "3"}}))
	}
	removed, err := stores.Documents.Remove(t.Context(), "f", []string{"1", "none", "3"})
	if err != nil || removed != 2 {
		t.Errorf("removed %d, %v", removed, err)
	}
	ok(t, stores.Documents.Clear(t.Context(), "f"))
	ok(t, stores.Documents.Clear(t.Context(), "f"))
	left, err := stores.Documents.List(t.Context(), "f", store.Page{})
	ok(t, err)
	beside, err := stores.Documents.List(t.Context(), "f/a", store.Page{})
	ok(t, err)
	if len(left.Items) != 0 || len(beside.Items) != 3 {
		t.Errorf("%d are left and %d beside", len(left.Items), len(beside.Items))
	}
}

func documentsRefused(t *testing.T, stores Stores) {
	wantInvalid(t, stores.Documents.Put(t.Context(), "", []store.Document{{ID: "a"}}))
	wantInvalid(t, stores.Documents.Put(t.Context(), "f", []store.Document{{ID: "a\nb"}}))
	wantInvalid(t, stores.Documents.Put(t.Context(), "f", make([]store.Document, store.MaxDocuments+1)))
	if err := stores.Documents.Create(t.Context(), "f", store.Document{ID: "a", Data: make([]byte, store.MaxDocumentBytes+1)}); err == nil {
		t.Error("a document that is too large was taken")
	}
}

func documentsRace(t *testing.T, stores Stores) {
	var group errgroup.Group
	won := make(chan int, 8)
	for i := range 8 {
		group.Go(func() error {
			if stores.Documents.Create(t.Context(), "f", store.Document{ID: "one"}) == nil {
				won <- i
			}
			return nil
		})
	}
	ok(t, group.Wait())
	if len(won) != 1 {
		t.Errorf("%d creates succeeded", len(won))
	}
}
