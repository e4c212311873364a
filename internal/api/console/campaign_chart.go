package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/client"
)

const (
	// mostCharted is how many deliveries a chart is made of: it reads each of them.
	mostCharted = 20_000
	// chartSteps are the pieces of time on the chart, chartWidth and chartHeight its size in its own units.
	chartSteps  = 24
	chartWidth  = 480.0
	chartHeight = 140.0
)

// chart is how many messages had been sent, delivered and read at each time.
type chart struct {
	Points []chartPoint
	// Lines are the points of each line, as SVG writes them.
	Sent, Delivered, Read string
	// Top is the largest count.
	Top int
	// Charted is how many deliveries were looked at, when these are not all.
	Charted int
}

// chartPoint is one time of the chart: how much had happened until then.
type chartPoint struct {
	At                    time.Time
	Sent, Delivered, Read int
}

// Drawn tells whether there is anything to see.
func (c chart) Drawn() bool { return c.Top > 0 }

// chart walks a campaign's deliveries once.
func (v *visit) chart(found client.Campaign) (chart, error) {
	var drawn chart
	var sent, delivered, read []time.Time
	begin, end, count := found.StartedAt, found.StartedAt, 0
	note := func(list *[]time.Time, at time.Time) {
		if at.IsZero() {
			return
		}
		*list = append(*list, at)
		if begin.IsZero() || at.Before(begin) {
			begin = at
		}
		if at.After(end) {
			end = at
		}
	}
	for delivery, err := range v.api.Deliveries(v.context(), found.ID, "") {
		if err != nil {
			return drawn, err
		}
		note(&sent, delivery.SentAt)
		note(&delivered, delivery.DeliveredAt)
		note(&read, delivery.ReadAt)
		if count++; count == mostCharted && found.Recipients > mostCharted {
			drawn.Charted = count
			break
		}
	}
	if len(sent) == 0 {
		return drawn, nil
	}
	if !found.Ended() {
		end = v.console.now()
	}
	drawn.Top = len(sent)
	drawn.Points = pointsOf(begin, end, sent, delivered, read)
	drawn.Sent = drawn.line(func(p chartPoint) int { return p.Sent })
	drawn.Delivered = drawn.line(func(p chartPoint) int { return p.Delivered })
	drawn.Read = drawn.line(func(p chartPoint) int { return p.Read })
	return drawn, nil
}

// pointsOf counts what had happened at the end of each step between two times.
func pointsOf(begin, end time.Time, sent, delivered, read []time.Time) []chartPoint {
	step := max(end.Sub(begin)/chartSteps, time.Millisecond)
	points := make([]chartPoint, chartSteps+1)
	for i := range points {
		points[i].At = begin.Add(time.Duration(i) * step)
	}
	points[chartSteps].At = end
	count := func(times []time.Time, add func(*chartPoint)) {
		for _, at := range times {
			first := min(max(0, int((at.Sub(begin)+step-1)/step)), chartSteps)
			for i := first; i <= chartSteps; i++ {
				add(&points[i])
			}
		}
	}
	count(sent, func(p *chartPoint) { p.Sent++ })
	count(delivered, func(p *chartPoint) { p.Delivered++ })
	count(read, func(p *chartPoint) { p.Read++ })
	return points
}

func (c chart) line(value func(chartPoint) int) string {
	var points []string
	for i, point := range c.Points {
		x := chartWidth * float64(i) / chartSteps
		y := chartHeight - chartHeight*float64(value(point))/float64(max(c.Top, 1))
		points = append(points, fmt.Sprintf("%.1f,%.1f", x, y))
	}
	return strings.Join(points, " ")
}

// Rows are the points that the table beside the chart shows: those at which something had changed.
func (c chart) Rows() []chartPoint {
	var rows []chartPoint
	for i, point := range c.Points {
		if i == 0 || i == len(c.Points)-1 || point.Sent != c.Points[i-1].Sent || point.Delivered != c.Points[i-1].Delivered || point.Read != c.Points[i-1].Read {
			rows = append(rows, point)
		}
	}
	return rows
}

// From and Until are the ends of the chart.
func (c chart) From() time.Time { return c.Points[0].At }

// Until is the end of the chart.
func (c chart) Until() time.Time { return c.Points[len(c.Points)-1].At }

// Last is how much had happened at the end.
func (c chart) Last() chartPoint { return c.Points[len(c.Points)-1] }
