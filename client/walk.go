package client

import (
	"context"
	"iter"
)

// pageSize is how much of a list is asked for at once: the most that the API gives.
const pageSize = 500

// walk walks a list page by page. An error ends the walk and is its last pair.
func walk[T any](ctx context.Context, ask func(ctx context.Context, after string) (Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		after := ""
		for {
			list, err := ask(ctx, after)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range list.Items {
				if !yield(item, nil) {
					return
				}
			}
			if after = list.Next; after == "" {
				return
			}
		}
	}
}
