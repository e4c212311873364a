package mongo

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/dannsalud/broadcaster/internal/store"
)

// listing is a list of records in the order of their ids.
type listing[T any] struct {
	collection *mongo.Collection
	descending bool
	// start is what a descending list begins before; empty: its end.
	start  string
	cursor cursor
	key    func(T) string
}

// equal narrows a filter to the documents with this value, unless it is empty.
func equal(filter bson.D, key, value string) bson.D {
	if value == "" {
		return filter
	}
	return append(filter, field(key, value))
}

// inStates narrows a filter to some states. It is false when none of the states wanted exists: then nothing can be found.
func inStates[S ~string](filter bson.D, wanted, all []S) (bson.D, bool) {
	if len(wanted) == 0 {
		return filter, true
	}
	var states []string
	for _, state := range all {
		if slices.Contains(wanted, state) {
			states = append(states, string(state))
		}
	}
	switch len(states) {
	case 0:
		return filter, false
	case 1:
		return append(filter, field("state", states[0])), true
	}
	// MongoDB merges the states' parts of the index in the order of the ids, and sorts nothing.
	return append(filter, field("state", bson.D{field("$in", states)})), true
}

// listPage gives a page of the documents that a filter takes.
func listPage[D document[T], T any](ctx context.Context, l listing[T], filter bson.D, page store.Page) (store.List[T], error) {
	after, further, err := l.cursor.text(page)
	if err != nil {
		return store.List[T]{}, err
	}
	direction, beyond := 1, "$gt"
	if l.descending {
		direction, beyond = -1, "$lt"
	}
	if !further && l.start != "" {
		after, further = l.start, true
	}
	if further {
		filter = append(filter, field("_id", bson.D{field(beyond, after)}))
	}
	found, err := readAll[D](ctx, l.collection, filter,
		options.Find().SetSort(bson.D{field("_id", direction)}).SetLimit(int64(page.Limit()+1)))
	if err != nil {
		return store.List[T]{}, err
	}
	return listOf(found, page, l.cursor, l.key), nil
}
