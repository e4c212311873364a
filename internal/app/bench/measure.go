package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// Row is one comparison: a number of the product beside the same number of its yardstick.
type Row struct {
	Name    string `json:"name"`
	Against string `json:"against"`
	Unit    string `json:"unit"`
	// Product and Yardstick are the medians of the rounds.
	Product   float64 `json:"product"`
	Yardstick float64 `json:"yardstick"`
	// Ratio is the median of the rounds' own ratios, product to yardstick: what else the machine does falls on both sides of a round. Zero: the
	// yardstick was, and there is none.
	Ratio float64 `json:"ratio"`
	// Spread is how far the rounds' ratios lie apart: the highest less the lowest, as a share of Ratio.
	Spread float64 `json:"spread"`
	Rounds int     `json:"rounds"`
	// Promise is what must hold of the row, and Held whether it does; a row without a promise is there to be read.
	Promise string `json:"promise,omitempty"`
	Held    *bool  `json:"held,omitempty"`
}

// promise is what must hold of a row.
type promise struct {
	text  string
	holds func(Row) bool
}

func atLeast(ratio float64) *promise {
	return &promise{fmt.Sprintf("at least %g of the yardstick", ratio), func(r Row) bool { return r.Ratio >= ratio }}
}

func atMost(ratio float64) *promise {
	return &promise{fmt.Sprintf("at most %g times the yardstick", ratio), func(r Row) bool { return r.Ratio <= ratio }}
}

func lessThanAbove(difference float64, unit string) *promise {
	return &promise{fmt.Sprintf("less than %g %s above the yardstick", difference, unit), func(r Row) bool { return r.Product-r.Yardstick < difference }}
}

func (r Row) promising(p *promise) Row {
	if p != nil {
		held := p.holds(r)
		r.Promise, r.Held = p.text, &held
	}
	return r
}

// number is one of the numbers that a side gives of each round.
type number struct {
	name, unit string
	// promises are by the name of the yardstick; that of "" is held against all of them.
	promises map[string]*promise
}

// toAll makes a promise against every yardstick.
func toAll(p *promise) map[string]*promise { return map[string]*promise{"": p} }

// side is one of those that are compared. It gives its numbers of a round, in the order of the comparison's.
type side struct {
	name string
	run  func(ctx context.Context, round int) ([]float64, error)
}

// comparison runs the product and its yardsticks in turn.
type comparison struct {
	rounds int
	// within ends the rounds earlier, but not before the third, once so much time has gone by; zero: it does not. On a slow machine there are fewer.
	within  time.Duration
	numbers []number
	// sides begin with the product; the others are yardsticks.
	sides []side
}

// run goes through the rounds; each begins with another side, so that none is always the first. Every side begins with a swept heap. Round 0, which
// fills caches, does not count.
func (c comparison) run(ctx context.Context) ([]Row, error) {
	measured := make([][][]float64, len(c.sides)) // by side, round and number
	var began time.Time
	for round := range c.rounds + 1 {
		if round == 1 {
			began = time.Now()
		}
		if c.within > 0 && round > 3 && time.Since(began) > c.within {
			break
		}
		for turn := range c.sides {
			at := (turn + round) % len(c.sides)
			runtime.GC()
			numbers, err := c.sides[at].run(ctx, round)
			if err != nil {
				return nil, fmt.Errorf("round %d of %s: %w", round, c.sides[at].name, err)
			}
			if round > 0 {
				measured[at] = append(measured[at], numbers)
			}
		}
	}
	var rows []Row
	for i, n := range c.numbers {
		for y := 1; y < len(c.sides); y++ {
			against := c.sides[y].name
			row := summarise(column(measured[0], i), column(measured[y], i))
			row.Name, row.Unit, row.Against = n.name, n.unit, against
			p := n.promises[against]
			if p == nil {
				p = n.promises[""]
			}
			rows = append(rows, row.promising(p))
		}
	}
	return rows, nil
}

func column(rounds [][]float64, at int) []float64 {
	values := make([]float64, len(rounds))
	for i, round := range rounds {
		values[i] = round[at]
	}
	return values
}

// summarise makes a row of what the two sides gave, round by round.
func summarise(product, yardstick []float64) Row {
	var ratios []float64
	for i := range product {
		if yardstick[i] != 0 {
			ratios = append(ratios, product[i]/yardstick[i])
		}
	}
	row := Row{Product: median(product), Yardstick: median(yardstick), Rounds: len(product)}
	if row.Ratio = median(ratios); row.Ratio != 0 {
		row.Spread = (slices.Max(ratios) - slices.Min(ratios)) / row.Ratio
	}
	return row
}

// median is the middle of the values, of an even number the mean of the two in the middle; of none zero.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// percentile is the value that so many of a hundred do not exceed, in milliseconds.
func percentile(times []time.Duration, percent int) float64 {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	at := min((len(sorted)*percent+99)/100, len(sorted)) - 1
	return milliseconds(sorted[max(at, 0)])
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }
