package console

import "github.com/dannsalud/broadcaster/client"

const (
	// searchPage and mostSearched bound a search: so many rows are read at once, and in all before the person is asked to go on.
	searchPage   = 200
	mostSearched = 10_000
)

// searching says where a list is read from, how many rows a page shows, and whether only some rows are wanted.
type searching struct {
	after  string
	onPage int
	narrow bool
}

// search reads a list for one page. take says whether a row is one of those wanted; with a narrow search the page may show some more than it should. It
// gives where the next page begins; empty: the list is over.
func search[T any](s searching, read func(after string, size int) (client.Page[T], error), take func(T) bool) (next string, err error) {
	size, taken, looked := s.onPage, 0, 0
	if s.narrow {
		size = searchPage
	}
	for {
		found, err := read(s.after, size)
		if err != nil {
			return "", err
		}
		for _, item := range found.Items {
			if take(item) {
				taken++
			}
		}
		looked += len(found.Items)
		if s.after = found.Next; s.after == "" || !s.narrow || taken >= s.onPage || looked >= mostSearched {
			return s.after, nil
		}
	}
}
