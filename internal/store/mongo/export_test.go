package mongo

import "go.mongodb.org/mongo-driver/v2/event"

// Watching gives options whose database shows each command to watch too.
func Watching(o Options, watch func(*event.CommandStartedEvent)) Options {
	before := o.watch
	o.watch = func(started *event.CommandStartedEvent) {
		if before != nil {
			before(started)
		}
		watch(started)
	}
	return o
}

// TableOfIndexes gives the keys of each index of a collection, and the filter that a query must hold to use a partial one.
func TableOfIndexes(collection string) (keys [][]string, only []string) {
	keys, only = [][]string{{"_id"}}, []string{""}
	for _, index := range indexes {
		if index.collection == collection {
			keys = append(keys, index.keys)
			field := ""
			if len(index.only) > 0 {
				field = index.only[0].Key
			}
			only = append(only, field)
		}
	}
	return keys, only
}

// CountOfIndexes gives how many indexes the table has, and how many collections.
func CountOfIndexes() (all, collections int) {
	seen := map[string]bool{}
	for _, index := range indexes {
		seen[index.collection] = true
	}
	return len(indexes), len(seen)
}

// NewCapabilities is capabilities with the fields of the server's greeting.
func NewCapabilities(setName, message string, wireVersion int, sessions, ferret bool) Capabilities {
	hello := greeting{SetName: setName, Message: message, MaxWireVersion: wireVersion}
	if sessions {
		hello.SessionMinutes = new(int)
	}
	return capabilities(hello, ferret)
}

// EndOf is endOf.
func EndOf(prefix string) string { return endOf(prefix) }
